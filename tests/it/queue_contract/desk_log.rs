//! The operators' log of an adapter.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use takedown::domain::ids::BatchId;
use takedown::domain::notice::{Notice, What};
use takedown::domain::settlement::Settlement;
use takedown::domain::takedown::Takedown;
use takedown::queue::{DeskLog, Intake, Queue};

use super::Harness;
use crate::support::queue::{account, take, takedown, within};

pub(super) fn made(batch: &str, items: u64) -> Notice {
    notice(What::BatchMade {
        batch: BatchId::new(batch).unwrap(),
        items: BTreeMap::from([(account("desk"), items)]),
        part: format!("part-of-{items}"),
    })
}

pub(super) fn cancelled(batch: &str) -> Notice {
    notice(What::BatchCancelled { batch: BatchId::new(batch).unwrap(), reason: Some("wrong list".into()) })
}

fn notice(what: What) -> Notice {
    Notice { at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123), by: "ada@desk".into(), what }
}

pub(super) async fn the_operators_log_keeps_every_notice_in_order<H: Harness>() {
    let mut harness = H::start().await;
    let read = async |harness: &H| within("the log", harness.desk_log().notices()).await.unwrap();
    assert_eq!(read(&harness).await, []);
    let notices: Vec<_> = (0..30).map(|n| made(&format!("b-{n}"), n)).chain([cancelled("b-7")]).collect();
    for (n, notice) in notices.iter().enumerate() {
        harness.desk_log().note(notice).await.unwrap();
        if n == 0 {
            assert_eq!(read(&harness).await, notices[..1], "what is noted is found");
        }
    }
    assert_eq!(read(&harness).await, notices);
    harness = harness.reopen().await;
    assert_eq!(read(&harness).await, notices, "and survives a crash");
    harness.finish().await;
}

pub(super) async fn a_cancel_is_known_before_a_message_is_handed_out<H: Harness>() {
    let harness = H::start().await;
    harness.desk_log().note(&cancelled("b-1")).await.unwrap();
    let harness = harness.reopen().await;
    let batch = |name: &str| BatchId::new(name).unwrap();
    let item = |id: &str, name: &str| Takedown { batch: Some(batch(name)), ..takedown(id, "desk") };
    harness.intake().enqueue(vec![item("t-1", "b-1"), item("t-2", "b-2")]).await.unwrap();
    let first = take(harness.queue(), &account("desk")).await;
    let mut ledger = harness.queue().ledger();
    assert!(ledger.borrow().is_cancelled(&batch("b-1")) && !ledger.borrow().is_cancelled(&batch("b-2")));
    harness.desk_log().note(&cancelled("b-2")).await.unwrap();
    within("the second cancel", ledger.wait_for(|ledger| ledger.is_cancelled(&batch("b-2")))).await.unwrap();
    harness.queue().settle(first, Settlement::GiveBack).await.unwrap();
    harness.finish().await;
}
