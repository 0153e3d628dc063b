use std::time::Duration;

use tempfile::TempDir;

use super::*;
use crate::domain::classify::Effect;
use crate::domain::settlement::Deferral;
use crate::domain::takedown::Takedown;

fn account() -> AccountId {
    AccountId::new("shops").unwrap()
}

fn takedowns(range: std::ops::Range<usize>, padding: usize) -> Vec<Takedown> {
    let body = |n| {
        let (reason, goods) = ("x".repeat(padding + 1), n);
        format!(
            r#"{{"version":1,"id":"t-{n}","account":"shops","takedown":{{"gateway":"mapi","sns_user_id":"u","key":"k","close_reason":"{reason}","goods_id":"{goods}"}}}}"#
        )
    };
    range.map(|n| Takedown::decode(body(n).as_bytes()).unwrap()).collect()
}

fn queue() -> (TempDir, EmbeddedQueue) {
    let dir = tempfile::tempdir().unwrap();
    let queue = EmbeddedQueue::open(&dir.path().join("q")).unwrap();
    (dir, queue)
}

/// Allows the file so many pages more, as a disk with little room left does.
async fn leave_room(queue: &EmbeddedQueue, pages: i64) {
    let limit = move |db: &Connection| {
        let used: i64 = db.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        db.query_row(&format!("PRAGMA max_page_count = {}", used.saturating_add(pages)), [], |_| Ok(()))
    };
    queue.inner.store.writer().call("read", limit).await.unwrap();
}

#[tokio::test]
async fn a_full_disk_refuses_what_comes_and_keeps_what_it_has() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..20, 200)).await.unwrap();
    leave_room(&queue, 2).await;
    let error = queue.enqueue(takedowns(20..500, 200)).await.unwrap_err();
    assert!(error.to_string().contains("its disk is full; free some space"), "{error}");
    assert_eq!(queue.counts().await.unwrap().waiting, 20, "the refused chunk left nothing behind");
    assert!(!queue.is_ready(), "that it can be read says nothing of whether it can be written");
    leave_room(&queue, 1_000_000).await;
    let again = queue.enqueue(takedowns(0..500, 200)).await.unwrap();
    assert_eq!(again, Enqueued { accepted: 480, repeated: 20 }, "and the refused ids are not remembered");
    assert!(queue.is_ready());
}

#[tokio::test]
async fn a_settlement_that_fails_leaves_the_message_to_come_back() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..1, 0)).await.unwrap();
    let delivery = queue.next(&account()).await.unwrap().unwrap();
    let forbid = |db: &Connection| {
        db.execute_batch(
            "CREATE TEMP TRIGGER no BEFORE UPDATE OF attempt ON message BEGIN SELECT RAISE(ABORT, 'no'); END",
        )
    };
    queue.inner.store.writer().call("written", forbid).await.unwrap();
    let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None };
    let error = queue.settle(delivery, retry).await.unwrap_err();
    assert!(matches!(error, QueueError::Database { .. }), "{error:?}");
    let delivery = queue.next(&account()).await.unwrap().unwrap();
    assert_eq!((delivery.envelope.attempt, delivery.envelope.delivery_count), (1, 1));
}

#[tokio::test]
async fn a_delivery_that_cannot_be_put_back_fails_the_next_call_and_then_comes() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..1, 0)).await.unwrap();
    let delivery = queue.next(&account()).await.unwrap().unwrap();
    let write = async |sql: &'static str| {
        queue.inner.store.writer().call("written", move |db| db.execute_batch(sql)).await.unwrap();
    };
    // What a full disk does to the last message: nothing else is claimed, so nothing else fails.
    write("CREATE TEMP TRIGGER no BEFORE UPDATE ON message BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    queue
        .settle(delivery, Settlement::Defer { delay: Duration::ZERO, effect: Effect::None, reason: Deferral::Held })
        .await
        .unwrap_err();
    let account = account();
    let next = async || tokio::time::timeout(Duration::from_secs(20), queue.next(&account)).await.unwrap();
    assert!(matches!(next().await, Err(QueueError::Database { .. })));
    write("DROP TRIGGER no").await;
    let again = next().await.unwrap().unwrap();
    assert_eq!((again.envelope.deferrals, again.envelope.delivery_count), (0, 1));
}

#[tokio::test]
async fn rows_claimed_for_a_caller_that_went_away_are_handed_to_the_next() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..3, 0)).await.unwrap();
    for _ in 0..3 {
        // Dropped after its first poll: the claim is on its way to the writer, or done, or a row was handed out.
        let account = account();
        let next = queue.next(&account);
        tokio::pin!(next);
        tokio::select! { biased; taken = &mut next => drop(taken), () = std::future::ready(()) => {} }
    }
    let mut seen = std::collections::BTreeSet::new();
    while seen.len() < 3 {
        let delivery = queue.next(&account()).await.unwrap().unwrap();
        seen.insert(delivery.envelope.message_id.clone().unwrap());
        let later = Settlement::Defer { delay: Duration::from_hours(1), effect: Effect::None, reason: Deferral::Held };
        queue.settle(delivery, later).await.unwrap();
    }
    assert_eq!(queue.counts().await.unwrap(), Counts { waiting: 3, ..Counts::default() });
}

/// Counts the rows that are claimed, in hand or on a desk.
async fn claimed(queue: &EmbeddedQueue) -> i64 {
    let count =
        |db: &Connection| db.query_row("SELECT COUNT(*) FROM message WHERE lease IS NOT NULL", [], |row| row.get(0));
    queue.inner.store.writer().call("read", count).await.unwrap()
}

#[tokio::test]
async fn a_desk_grows_with_what_is_in_hand_and_not_beyond_its_bound() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..1000, 0)).await.unwrap();
    let mut held = vec![queue.next(&account()).await.unwrap().unwrap()];
    assert_eq!(claimed(&queue).await, 16, "one slow caller has few charged for a crash");
    for _ in 1..200 {
        held.push(queue.next(&account()).await.unwrap().unwrap());
    }
    let untouched = claimed(&queue).await - 200;
    assert!((100..=256).contains(&untouched), "{untouched}");
    queue.stop().await;
    assert_eq!(claimed(&queue).await, 200, "also what was still on its way is given back");
    drop(held);
}

#[tokio::test]
async fn rows_that_could_not_be_claimed_ahead_fail_whoever_needs_them() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..40, 0)).await.unwrap();
    let mut held = vec![queue.next(&account()).await.unwrap().unwrap()];
    let write = async |sql: &'static str| {
        queue.inner.store.writer().call("written", move |db| db.execute_batch(sql)).await.unwrap();
    };
    write("CREATE TEMP TRIGGER no BEFORE UPDATE ON message BEGIN SELECT RAISE(ABORT, 'no'); END").await;
    let account = account();
    let next = async || tokio::time::timeout(Duration::from_secs(20), queue.next(&account)).await.unwrap();
    for _ in 1..16 {
        held.push(next().await.unwrap().unwrap());
    }
    assert!(matches!(next().await, Err(QueueError::Database { .. })));
    write("DROP TRIGGER no").await;
    while held.len() < 40 {
        held.push(next().await.unwrap().unwrap());
    }
}

#[tokio::test]
async fn an_urgent_row_comes_before_those_on_a_desk_that_runs_low() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..40, 0)).await.unwrap();
    let mut held = Vec::new();
    for number in 40..60 {
        held.push(queue.next(&account()).await.unwrap().unwrap());
        let urgent = takedowns(number..number + 1, 0).into_iter();
        queue.enqueue(urgent.map(|t| Takedown { priority: Priority::High, ..t }).collect()).await.unwrap();
        let next = queue.next(&account()).await.unwrap().unwrap();
        assert_eq!(next.envelope.message_id, Some(format!("t-{number}")));
        held.push(next);
    }
}

#[tokio::test]
async fn who_waits_at_an_empty_desk_asks_the_file_but_a_few_times() {
    let (_dir, queue) = queue();
    let waited = tokio::time::timeout(Duration::from_millis(200), queue.next(&account())).await;
    assert!(waited.is_err(), "nothing is there");
    let asked = queue.inner.leases.load(Ordering::Relaxed);
    assert!(asked <= 4, "{asked} claims");
}

#[tokio::test]
async fn of_many_urgent_rows_none_waits_behind_the_others() {
    let (_dir, queue) = queue();
    queue.enqueue(takedowns(0..300, 0)).await.unwrap();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(queue.next(&account()).await.unwrap().unwrap());
    }
    let urgent = takedowns(300..400, 0).into_iter().map(|t| Takedown { priority: Priority::High, ..t });
    queue.enqueue(urgent.collect()).await.unwrap();
    for number in 300..400 {
        let next = queue.next(&account()).await.unwrap().unwrap();
        assert_eq!(next.envelope.message_id, Some(format!("t-{number}")));
        held.push(next);
    }
}

/// An urgent takedown, `t-0`, and normal ones.
fn with_an_urgent_one(count: usize) -> Vec<Takedown> {
    let mut all = takedowns(0..count, 0);
    all[0].priority = Priority::High;
    all
}

fn is_urgent(delivery: &Delivery) -> bool {
    delivery.envelope.message_id.as_deref() == Some("t-0")
}

#[tokio::test]
async fn an_urgent_row_put_off_comes_before_normal_ones_once_it_falls_due() {
    let (_dir, queue) = queue();
    queue.enqueue(with_an_urgent_one(300)).await.unwrap();
    for delay in [Duration::ZERO, Duration::from_millis(5)] {
        let urgent = queue.next(&account()).await.unwrap().unwrap();
        assert!(is_urgent(&urgent));
        queue.settle(urgent, Settlement::Retry { delay, effect: Effect::None, last_code: None }).await.unwrap();
    }
    let due = queue.inner.clock.after(Duration::from_millis(5));
    // Normal ones lie on the desk by now, before the urgent one.
    queue.inner.clock.reached(Some(due)).await;
    assert!(is_urgent(&queue.next(&account()).await.unwrap().unwrap()));
}

#[tokio::test]
async fn an_urgent_row_whose_delivery_was_dropped_is_as_urgent_as_before() {
    let (_dir, queue) = queue();
    queue.enqueue(with_an_urgent_one(40)).await.unwrap();
    drop(queue.next(&account()).await.unwrap().unwrap());
    // Answered after whatever was handed to the writer before.
    queue.counts().await.unwrap();
    assert!(is_urgent(&queue.next(&account()).await.unwrap().unwrap()));
}

#[tokio::test]
async fn accounts_are_told_whether_their_messages_wait_or_are_in_hand() {
    let (_dir, queue) = queue();
    assert!(queue.is_empty().await.unwrap());
    queue.enqueue(takedowns(0..3, 0)).await.unwrap();
    let _held = queue.next(&account()).await.unwrap().unwrap();
    for name in ["plugins", "arcade", "plugins"] {
        queue.put_raw(&AccountId::new(name).unwrap(), None, Vec::new()).await.unwrap();
    }
    assert_eq!(queue.accounts().await.unwrap(), ["arcade", "plugins", "shops"]);
    assert!(!queue.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_clock_set_back_between_two_openings_does_not_stretch_a_wait() {
    let (dir, queue) = queue();
    queue.enqueue(takedowns(0..1, 0)).await.unwrap();
    // As if the last process had lived a year ahead.
    let shift = |db: &Connection| {
        db.execute("UPDATE message SET placed_at = placed_at + 31536000000, due_at = due_at + 31536000000", [])
    };
    queue.inner.store.writer().call("written", shift).await.unwrap();
    drop(queue);
    let queue = EmbeddedQueue::open(&dir.path().join("q")).unwrap();
    let delivery = tokio::time::timeout(Duration::from_secs(20), queue.next(&account())).await.unwrap().unwrap();
    assert!(delivery.is_some());
}

#[tokio::test]
async fn an_answer_of_one_queue_cannot_settle_in_another() {
    let (_dir, one) = queue();
    let (_other_dir, other) = queue();
    for queue in [&one, &other] {
        queue.enqueue(takedowns(0..1, 0)).await.unwrap();
    }
    let delivery = one.next(&account()).await.unwrap().unwrap();
    let _held = other.next(&account()).await.unwrap().unwrap();
    assert!(matches!(other.settle(delivery, Settlement::GiveBack).await, Err(QueueError::Stale)));
    assert_eq!(other.counts().await.unwrap().in_hand, 1);
}
