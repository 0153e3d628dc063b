//! The operators' log of an adapter.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use takedown::domain::ids::BatchId;
use takedown::domain::notice::{Notice, What};
use takedown::queue::DeskLog;

use super::Harness;
use crate::support::queue::{account, within};

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
