//! The embedded queue through its public face, beyond what every queue must do.

use std::path::Path;
use std::time::{Duration, SystemTime};

use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::ids::{AccountId, BatchId, RequestId};
use takedown::domain::notice::{LetterFilter, Notice, What};
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::domain::takedown::{Gateway, Priority, Takedown};
use takedown::queue::embedded::{Counts, EmbeddedQueue};
use takedown::queue::{DeadLetters, Delivery, DeskLog, Enqueued, Intake, Queue, QueueError};
use tempfile::TempDir;

use crate::support::queue::{purge_all, replay_all};

const PATIENCE: Duration = Duration::from_secs(30);

fn shops() -> AccountId {
    AccountId::new("shops").unwrap()
}

fn takedown(id: &str) -> Takedown {
    let body = format!(
        r#"{{"version":1,"id":"{id}","account":"shops","takedown":{{"gateway":"open_platform","commodity_id":"c","shop_id":"s"}}}}"#
    );
    Takedown::decode(body.as_bytes()).unwrap()
}

fn urgent(id: &str) -> Takedown {
    Takedown { priority: Priority::High, ..takedown(id) }
}

fn outcome(id: &str, reason: Reason) -> Box<FinalOutcome> {
    Box::new(FinalOutcome {
        id: id.into(),
        batch: None,
        account: "shops".into(),
        gateway: Some(Gateway::OpenPlatform),
        reason,
        gateway_code: Some("SYSTEM_ERROR".into()),
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        verified: true,
        item: ItemIds { commodity_id: Some("c".into()), shop_id: Some("s".into()), ..ItemIds::default() },
        worker: "w".into(),
        replays: 0,
    })
}

fn open() -> (TempDir, EmbeddedQueue) {
    let dir = tempfile::tempdir().unwrap();
    let queue = EmbeddedQueue::open(&dir.path().join("items.queue")).unwrap();
    (dir, queue)
}

fn reopen(dir: &TempDir, queue: EmbeddedQueue) -> EmbeddedQueue {
    drop(queue);
    EmbeddedQueue::open(&dir.path().join("items.queue")).unwrap()
}

async fn next(queue: &EmbeddedQueue) -> Delivery {
    tokio::time::timeout(PATIENCE, queue.next(&shops())).await.unwrap().unwrap().unwrap()
}

fn id(delivery: &Delivery) -> String {
    delivery.envelope.message_id.clone().unwrap()
}

#[tokio::test]
async fn an_id_is_taken_once_even_after_its_end() {
    let (dir, queue) = open();
    let both = vec![takedown("a"), takedown("b"), takedown("a")];
    assert_eq!(queue.enqueue(both).await.unwrap(), Enqueued { accepted: 2, repeated: 1 });
    let delivery = next(&queue).await;
    queue.settle(delivery, Settlement::Complete(outcome("a", Reason::TakenDown))).await.unwrap();
    let queue = reopen(&dir, queue);
    let all = vec![takedown("a"), takedown("b"), takedown("c")];
    assert_eq!(queue.enqueue(all).await.unwrap(), Enqueued { accepted: 1, repeated: 2 });
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 2, in_hand: 0, outcomes: 1, dead: 0 });
}

#[tokio::test]
async fn high_priority_comes_first_even_before_what_lies_ready() {
    let (_dir, queue) = open();
    queue.enqueue(vec![takedown("n1"), takedown("n2"), urgent("h1")]).await.unwrap();
    let first = next(&queue).await;
    assert_eq!(id(&first), "h1");
    queue.enqueue(vec![urgent("h2")]).await.unwrap();
    let order = [next(&queue).await, next(&queue).await];
    assert_eq!(order.map(|d| id(&d)), ["h2", "n1"]);
}

#[tokio::test]
async fn a_delay_is_exact_and_a_waiting_caller_wakes_by_itself() {
    let (_dir, queue) = open();
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    let delivery = next(&queue).await;
    let started = tokio::time::Instant::now();
    let delay = Duration::from_millis(120);
    let retry = Settlement::Retry { delay, effect: Effect::Possible, last_code: Some("SYSTEM_ERROR".into()) };
    queue.settle(delivery, retry).await.unwrap();
    let again = next(&queue).await;
    assert!(started.elapsed() >= delay, "{:?}", started.elapsed());
    let envelope = &again.envelope;
    assert_eq!((envelope.attempt, envelope.deferrals, envelope.delivery_count), (2, 0, 0));
    assert_eq!((envelope.effect, envelope.redelivery), (Effect::Possible, Redelivery::First));
    assert_eq!(envelope.last_code.as_deref(), Some("SYSTEM_ERROR"));
    assert!(envelope.first_seen.is_some());
}

#[tokio::test]
async fn a_waiting_caller_wakes_when_something_is_enqueued() {
    let (_dir, queue) = open();
    let waiting = {
        let queue = queue.clone();
        tokio::spawn(async move { id(&next(&queue).await) })
    };
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    assert_eq!(waiting.await.unwrap(), "a");
}

#[tokio::test]
async fn a_dropped_delivery_comes_back_marked() {
    let (_dir, queue) = open();
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    drop(next(&queue).await);
    let again = next(&queue).await;
    assert_eq!((again.envelope.redelivery, again.envelope.delivery_count), (Redelivery::Again, 1));
    assert_eq!((again.envelope.attempt, again.envelope.deferrals), (1, 0));
}

#[tokio::test]
async fn what_a_crash_may_hide_is_not_forgotten_by_a_deferral() {
    let (dir, queue) = open();
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    let lost = next(&queue).await;
    let queue = reopen(&dir, queue);
    drop(lost);
    let again = next(&queue).await;
    assert_eq!(again.envelope.redelivery, Redelivery::Again);
    queue
        .settle(again, Settlement::Defer { delay: Duration::ZERO, effect: Effect::None, reason: Deferral::Throttled })
        .await
        .unwrap();
    let third = next(&queue).await;
    assert_eq!((third.envelope.redelivery, third.envelope.effect), (Redelivery::First, Effect::Possible));
    assert_eq!((third.envelope.attempt, third.envelope.deferrals), (1, 1));
}

#[tokio::test]
async fn what_is_given_back_comes_back_as_new() {
    let (_dir, queue) = open();
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    let before = next(&queue).await;
    let envelope = before.envelope.clone();
    queue.settle(before, Settlement::GiveBack).await.unwrap();
    assert_eq!(next(&queue).await.envelope, envelope);
}

#[tokio::test]
async fn stop_ends_every_wait_and_gives_back_what_nobody_touched() {
    let (dir, queue) = open();
    let idle = {
        let (queue, other) = (queue.clone(), AccountId::new("desk").unwrap());
        tokio::spawn(async move { queue.next(&other).await.unwrap().is_none() })
    };
    queue.enqueue((0..5).map(|n| takedown(&format!("t-{n}"))).collect()).await.unwrap();
    let in_hand = next(&queue).await;
    queue.stop().await;
    assert!(queue.next(&shops()).await.unwrap().is_none());
    assert!(idle.await.unwrap());
    assert!(!queue.is_ready());
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 4, in_hand: 1, outcomes: 0, dead: 0 });
    queue.settle(in_hand, Settlement::Complete(outcome("t-0", Reason::TakenDown))).await.unwrap();
    queue.close().await.unwrap();
    assert!(matches!(queue.counts().await, Err(QueueError::Closed)));
    let queue = reopen(&dir, queue);
    for _ in 0..4 {
        let delivery = next(&queue).await;
        assert_eq!((delivery.envelope.redelivery, delivery.envelope.delivery_count), (Redelivery::First, 0));
        queue.settle(delivery, Settlement::Complete(outcome("x", Reason::TakenDown))).await.unwrap();
    }
}

#[tokio::test]
async fn outcomes_are_read_in_order_from_anywhere() {
    let (_dir, queue) = open();
    queue.enqueue((0..3).map(|n| takedown(&format!("t-{n}"))).collect()).await.unwrap();
    for _ in 0..3 {
        let delivery = next(&queue).await;
        let end = outcome(&id(&delivery), Reason::TakenDown);
        queue.settle(delivery, Settlement::Complete(end)).await.unwrap();
    }
    let first = queue.outcomes(0, 2).await.unwrap();
    let rest = queue.outcomes(first.last().unwrap().0, 100).await.unwrap();
    let ids: Vec<_> = first.iter().chain(&rest).map(|(_, outcome)| outcome.id.as_str()).collect();
    assert_eq!(ids, ["t-0", "t-1", "t-2"]);
}

#[tokio::test]
async fn dead_letters_are_filtered_replayed_and_purged() {
    let (_dir, queue) = open();
    queue.enqueue(vec![takedown("a"), takedown("b"), takedown("c")]).await.unwrap();
    queue.put_raw(&shops(), None, b"\xffnot json".to_vec()).await.unwrap();
    for reason in [Reason::OutcomeUnknown, Reason::AttemptsExhausted, Reason::AttemptsExhausted, Reason::InvalidMessage]
    {
        let delivery = next(&queue).await;
        let id = delivery.envelope.message_id.clone().unwrap_or_else(|| "digest".into());
        queue.settle(delivery, Settlement::DeadLetter(outcome(&id, reason))).await.unwrap();
    }
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 0, in_hand: 0, outcomes: 4, dead: 4 });

    let all = queue.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(all.iter().map(|l| l.id.as_str()).collect::<Vec<_>>(), ["a", "b", "c", "digest"]);
    assert_eq!(all[3].body, b"\xffnot json");
    assert_eq!(Takedown::decode(&all[0].body).unwrap(), takedown("a"));
    assert_eq!(queue.list(&LetterFilter::default()).await.unwrap(), all, "looking changes nothing");

    let exhausted = LetterFilter { reason: Some(Reason::AttemptsExhausted), ..LetterFilter::default() };
    let cases = [
        (LetterFilter { id: Some(RequestId::new("b").unwrap()), ..LetterFilter::default() }, 1),
        (LetterFilter { accounts: vec![AccountId::new("desk").unwrap()], ..LetterFilter::default() }, 0),
        (LetterFilter { accounts: vec![shops()], ..exhausted.clone() }, 2),
        (LetterFilter { code: Some("SYSTEM_ERROR".into()), ..LetterFilter::default() }, 4),
        (LetterFilter { code: Some("NONE".into()), ..LetterFilter::default() }, 0),
    ];
    for (filter, expected) in cases {
        assert_eq!(queue.list(&filter).await.unwrap().len(), expected, "{filter:?}");
    }

    let oldest = LetterFilter { id: Some(RequestId::new("b").unwrap()), ..exhausted.clone() };
    assert_eq!(replay_all(&queue, &oldest).await, 1);
    let replayed = next(&queue).await;
    assert_eq!(id(&replayed), "b");
    let envelope = &replayed.envelope;
    assert_eq!((envelope.attempt, envelope.deferrals, envelope.replays), (1, 0, 1));
    assert_eq!((envelope.first_seen, envelope.redelivery), (None, Redelivery::First));

    assert_eq!(purge_all(&queue, &exhausted).await, 1);
    assert_eq!(purge_all(&queue, &exhausted).await, 0);
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 0, in_hand: 1, outcomes: 4, dead: 2 });
}

#[tokio::test]
async fn an_attempt_that_may_have_taken_effect_is_remembered_by_a_replay() {
    let (dir, queue) = open();
    queue.enqueue(vec![takedown("a")]).await.unwrap();
    let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::Possible, last_code: None };
    queue.settle(next(&queue).await, retry).await.unwrap();
    let end = Settlement::DeadLetter(outcome("a", Reason::OutcomeUnknown));
    queue.settle(next(&queue).await, end).await.unwrap();
    let queue = reopen(&dir, queue);
    assert_eq!(replay_all(&queue, &LetterFilter::default()).await, 1);
    assert_eq!(next(&queue).await.envelope.effect, Effect::Possible);
}

#[tokio::test]
async fn many_settlements_at_once_share_commits_and_none_is_lost() {
    let (_dir, queue) = open();
    queue.enqueue((0..300).map(|n| takedown(&format!("t-{n}"))).collect()).await.unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let (queue, delivery) = (queue.clone(), next(&queue).await);
        tasks.spawn(async move {
            let end = outcome(&id(&delivery), Reason::TakenDown);
            queue.settle(delivery, Settlement::Complete(end)).await.unwrap();
        });
    }
    tasks.join_all().await;
    let ids: std::collections::BTreeSet<_> =
        queue.outcomes(0, 1000).await.unwrap().into_iter().map(|(_, outcome)| outcome.id).collect();
    assert_eq!(ids.len(), 300);
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 0, in_hand: 0, outcomes: 300, dead: 0 });
}

fn refusal(path: &Path) -> String {
    EmbeddedQueue::open(path).unwrap_err().to_string()
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);

    std::fs::write(path("items.csv"), "account,gateway\n").unwrap();
    assert!(refusal(&path("items.csv")).ends_with("is not a queue file; name another, it is left untouched"));
    assert_eq!(std::fs::read(path("items.csv")).unwrap(), b"account,gateway\n");

    let foreign = rusqlite::Connection::open(path("foreign")).unwrap();
    foreign.execute_batch("CREATE TABLE song (title TEXT)").unwrap();
    drop(foreign);
    assert!(refusal(&path("foreign")).contains("is a database of another program"));

    drop(EmbeddedQueue::open(&path("newer")).unwrap());
    rusqlite::Connection::open(path("newer")).unwrap().execute_batch("PRAGMA user_version = 9").unwrap();
    assert!(refusal(&path("newer")).contains("has format 9, this program knows formats up to 2"));

    assert!(refusal(&path("no/such/place")).contains("its directory does not exist; create it first"));
    assert!(refusal(dir.path()).contains("is a directory; name a file in it"), "{}", refusal(dir.path()));

    let error = EmbeddedQueue::open_existing(&path("mistyped")).unwrap_err().to_string();
    assert!(error.contains("does not exist; check the name") && !path("mistyped").exists(), "{error}");

    let held = EmbeddedQueue::open(&path("held")).unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(path("held"), path("link")).unwrap();
    assert!(refusal(&path("held")).contains("is in use by this very process"));
    #[cfg(unix)]
    assert!(refusal(&path("link")).contains("is in use by this very process"), "a link is the same file");
    drop(held);
}

#[tokio::test]
async fn a_file_of_an_earlier_schema_is_taken_over_with_all_it_holds() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.queue");
    let former = rusqlite::Connection::open(&path).unwrap();
    former.execute_batch(include_str!("../fixtures/embedded/schema_1.sql")).unwrap();
    let insert = "INSERT INTO message (account, message_id, placed_at, due_at, body) VALUES ('shops', 't-1', 0, 0, ?1)";
    former.execute(insert, [takedown("t-1").encode()]).unwrap();
    former.execute("INSERT INTO known (id) VALUES ('t-1')", []).unwrap();
    let dead = outcome("t-0", Reason::OutcomeUnknown);
    let insert =
        "INSERT INTO dead_letter (account, message_id, priority, attempt, deferrals, ambiguous, replays, body, id,
             reason, outcome)
         VALUES ('shops', 't-0', 0, 6, 0, 1, 2, ?1, 't-0', 'outcome_unknown', ?2)";
    former.execute(insert, [takedown("t-0").encode(), dead.encode()]).unwrap();
    drop(former);
    for opening in 0..2 {
        let queue = EmbeddedQueue::open(&path).unwrap();
        assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 1, dead: 1, ..Counts::default() });
        let letters = queue.list(&LetterFilter::default()).await.unwrap();
        assert_eq!((letters[0].id.as_str(), &letters[0].outcome, letters[0].envelope.replays), ("t-0", &*dead, 2));
        assert!(letters[0].envelope.history.is_empty(), "nothing was known of it");
        assert_eq!(queue.notices().await.unwrap().len(), opening);
        let batch = BatchId::new("b-1").unwrap();
        let what = What::BatchCancelled { batch, reason: None };
        let notice = Notice { at: SystemTime::UNIX_EPOCH, by: "ada".into(), what };
        queue.note(&notice).await.unwrap();
        queue.close().await.unwrap();
    }
    let version: i64 =
        rusqlite::Connection::open(&path).unwrap().query_row("PRAGMA user_version", [], |row| row.get(0)).unwrap();
    assert_eq!(version, 2);
}

#[tokio::test]
async fn a_damaged_file_is_refused_with_the_remedy() {
    let (dir, queue) = open();
    queue.enqueue((0..500).map(|n| takedown(&format!("t-{n}"))).collect()).await.unwrap();
    queue.close().await.unwrap();
    drop(queue);
    let path = dir.path().join("items.queue");
    let mut bytes = std::fs::read(&path).unwrap();
    assert!(bytes.len() > 40_000, "the log was folded in: {}", bytes.len());
    for page in bytes.chunks_mut(4096).skip(1) {
        page[..64].fill(0xA5);
    }
    std::fs::write(&path, bytes).unwrap();
    let error = refusal(&path);
    assert!(error.contains("is damaged") && error.contains("move it away and start again"), "{error}");
}

#[cfg(unix)]
#[test]
fn only_the_owner_may_read_the_keys_in_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let (dir, queue) = open();
    for name in ["items.queue", "items.queue-wal"] {
        let mode = std::fs::metadata(dir.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    drop(queue);
}
