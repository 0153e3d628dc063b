//! An outcome for tests, which change what they are about.

use std::time::SystemTime;

use crate::domain::outcome::{FinalOutcome, ItemIds, Reason};

/// Returns the outcome of item `t-1` of account `desk`, after one attempt, in no time.
pub(crate) fn sample(reason: Reason) -> FinalOutcome {
    FinalOutcome {
        id: "t-1".into(),
        batch: None,
        account: "desk".into(),
        gateway: None,
        reason,
        gateway_code: None,
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        verified: true,
        item: ItemIds::default(),
        worker: "w".into(),
        replays: 0,
    }
}
