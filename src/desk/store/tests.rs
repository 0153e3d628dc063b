use std::collections::BTreeMap;

use super::*;
use crate::desk::batch::{Ended, Stage};
use crate::domain::ids::{AccountId, BatchId};
use crate::domain::notice::{Notice, What};
use crate::domain::outcome::sample::sample;
use crate::domain::outcome::{FinalOutcome, Reason, Status};
use crate::domain::takedown::Gateway;
use crate::queue::amqp::tail::{Log, Place, Told};

const NOW: SystemTime = SystemTime::UNIX_EPOCH;

fn batch_id() -> BatchId {
    BatchId::new("b-1").unwrap()
}

fn outcome(id: &str, reason: Reason, replays: u32, second: u64) -> Told {
    Told::Outcome(Box::new(FinalOutcome {
        id: id.into(),
        batch: Some("b-1".into()),
        gateway: Some(Gateway::Mapi),
        finished_at: NOW + Duration::from_secs(second),
        replays,
        ..sample(reason)
    }))
}

fn notice(id: &str, what: What) -> Told {
    Told::Notice(id.into(), Box::new(Notice { at: NOW + Duration::from_secs(1), by: "ada@desk".into(), what }))
}

fn made(id: &str, part: &str, items: u64) -> Told {
    let items = BTreeMap::from([(AccountId::new("desk").unwrap(), items)]);
    notice(id, What::BatchMade { batch: batch_id(), items, part: part.into() })
}

fn place(offset: u64) -> Place {
    Place { offset, id: format!("id-{offset}") }
}

#[test]
fn what_is_told_again_counts_once() {
    let store = Store::temporary("here").unwrap();
    let told = [outcome("t-1", Reason::TakenDown, 0, 5), outcome("t-2", Reason::NotOnSale, 0, 65)];
    assert_eq!(store.count(Log::Outcomes, &told, Some(&place(7))).unwrap(), 2);
    assert_eq!(store.count(Log::Outcomes, &told, Some(&place(9))).unwrap(), 0);
    assert_eq!(store.place(Log::Outcomes).unwrap(), Some(place(9)));
    assert_eq!(store.place(Log::Notices).unwrap(), None);
    let batch = store.batch(&batch_id()).unwrap().unwrap();
    assert_eq!((batch.done(), batch.left(), batch.stage()), (2, None, Stage::Open));
    assert_eq!((batch.first, batch.last), (Some(NOW + Duration::from_secs(5)), Some(NOW + Duration::from_secs(65))));
    let minutes = store.minutes(NOW).unwrap();
    assert_eq!(minutes.iter().map(|minute| minute.outcomes.values().sum::<u64>()).collect::<Vec<_>>(), [1, 1]);
    assert_eq!(store.minutes(NOW + Duration::from_secs(60)).unwrap()[0].at, NOW + Duration::from_secs(60));
}

#[test]
fn an_item_counts_by_its_latest_outcome() {
    let store = Store::temporary("here").unwrap();
    let tell = |told| store.count(Log::Outcomes, &[told], None).unwrap();
    tell(outcome("t-1", Reason::AttemptsExhausted, 0, 1));
    tell(outcome("t-1", Reason::TakenDown, 2, 3));
    // Told late, after a later round's.
    tell(outcome("t-1", Reason::OutcomeUnknown, 1, 2));
    let batch = store.batch(&batch_id()).unwrap().unwrap();
    assert_eq!(batch.ended, [Ended { account: "desk".into(), reason: Reason::TakenDown, items: 1 }]);
    assert_eq!(batch.by_status(), BTreeMap::from([(Status::Success, 1)]));
    let exported = store.outcomes(&batch_id(), 0, 10).unwrap();
    assert_eq!(exported.iter().map(|(_, outcome)| outcome.reason).collect::<Vec<_>>(), [Reason::TakenDown]);
    assert_eq!(store.minutes(NOW).unwrap()[0].outcomes.values().sum::<u64>(), 3, "each was an outcome of its minute");
}

#[test]
fn a_batch_enqueued_again_expects_no_more_than_before() {
    let store = Store::temporary("here").unwrap();
    let told = [made("n-1", "ab", 3), made("n-2", "ab", 3), made("n-3", "cd", 2)];
    store.count(Log::Notices, &told, None).unwrap();
    let reason = Some("wrong list".to_owned());
    let cancelled = [
        notice("n-4", What::BatchCancelled { batch: batch_id(), reason }),
        notice("n-5", What::BatchCancelled { batch: batch_id(), reason: None }),
    ];
    store.count(Log::Notices, &cancelled, None).unwrap();
    let batch = store.batch(&batch_id()).unwrap().unwrap();
    assert_eq!((batch.total(), batch.stage()), (Some(5), Stage::Cancelling));
    assert_eq!(batch.cancelled.unwrap().reason.as_deref(), Some("wrong list"), "the first cancel counts");
    let ends: Vec<_> = (0..5).map(|n| outcome(&format!("t-{n}"), Reason::BatchCancelled, 0, n)).collect();
    store.count(Log::Outcomes, &ends, None).unwrap();
    assert_eq!(store.batch(&batch_id()).unwrap().unwrap().stage(), Stage::Finished);
    assert_eq!(store.batches().unwrap().len(), 1);
    assert_eq!(store.notices(2).unwrap().len(), 2);
}

#[test]
fn the_old_is_forgotten_and_the_recent_is_not() {
    let store = Store::temporary("here").unwrap();
    store.count(Log::Outcomes, &[outcome("t-1", Reason::TakenDown, 0, 0)], None).unwrap();
    store.tidy(NOW + Duration::from_hours(26)).unwrap();
    assert_eq!((store.minutes(NOW).unwrap().len(), store.batches().unwrap().len()), (0, 1));
    store.tidy(NOW + Duration::from_hours(91 * 24)).unwrap();
    assert_eq!(store.batches().unwrap(), []);
}

#[test]
fn two_desks_share_a_file_and_count_once_together() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state/desk.sqlite");
    let [one, other] = [(); 2].map(|()| Store::open(&path, "here").unwrap());
    std::thread::scope(|scope| {
        for store in [&one, &other] {
            scope.spawn(move || {
                for n in 0..50 {
                    let told = [outcome(&format!("t-{n}"), Reason::TakenDown, 0, n)];
                    store.count(Log::Outcomes, &told, Some(&place(n))).unwrap();
                }
            });
        }
    });
    assert_eq!(one.batch(&batch_id()).unwrap().unwrap().done(), 50);
    assert_eq!(other.place(Log::Outcomes).unwrap(), Some(place(49)));
}

#[test]
fn a_file_that_cannot_be_used_is_refused_with_the_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    let refusal = |path: &Path| Store::open(path, "here").unwrap_err().to_string();
    drop(Store::open(&path("other"), "there").unwrap());
    assert!(
        refusal(&path("other")).contains("counts the outcomes of there, not of here; name another by `[desk] file`")
    );
    std::fs::write(
        path("text"),
        "some text that is long enough to be looked at as a database, which it is not".repeat(20),
    )
    .unwrap();
    assert!(refusal(&path("text")).contains("is no SQLite file"), "{}", refusal(&path("text")));
    drop(Store::open(&path("newer"), "here").unwrap());
    Connection::open(path("newer")).unwrap().execute_batch("PRAGMA user_version = 7").unwrap();
    assert!(refusal(&path("newer")).contains("has format 7, this program knows format 1; delete it"));
    Connection::open(path("foreign")).unwrap().execute_batch("CREATE TABLE song (title TEXT)").unwrap();
    assert!(refusal(&path("foreign")).contains("is a database of another program"));
}
