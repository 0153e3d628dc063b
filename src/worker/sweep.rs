//! How an account's messages are taken right after a batch was cancelled: without the pauses of a held account.
//!
//! A held account takes a message a second, since each could only be put off; the thousands of a cancelled batch among
//! them would end in hours. So for a while after a cancel they are taken as they come; what is not of the batch is put
//! off by that, as it would have been later.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::ids::{AccountId, BatchId};
use crate::domain::notice::ledger::Ledger;

/// How long messages are taken so at least: what waits before those of the batch has to be met, too.
const LEAST: Duration = Duration::from_secs(60);

/// And so long more for each item of the batch.
const EACH: Duration = Duration::from_millis(10);

/// An older cancel was carried out before this replica began.
const FRESH: Duration = Duration::from_hours(1);

/// Whether one account is being swept.
pub(super) struct Sweep {
    ledger: watch::Receiver<Arc<Ledger>>,
    account: AccountId,
    seen: BTreeSet<BatchId>,
    until: Option<Instant>,
}

impl Sweep {
    pub(super) fn new(mut ledger: watch::Receiver<Arc<Ledger>>, account: AccountId) -> Self {
        ledger.mark_changed();
        Self { ledger, account, seen: BTreeSet::new(), until: None }
    }

    /// Says whether the next message is taken without a pause.
    pub(super) fn is_on(&mut self, now: SystemTime) -> bool {
        if self.ledger.has_changed().unwrap_or(false) {
            let ledger = Arc::clone(&self.ledger.borrow_and_update());
            for (batch, entry, cancel) in ledger.cancelled() {
                // By the operator's clock, which may be ahead of this one.
                let is_fresh = now.duration_since(cancel.at).unwrap_or_default() < FRESH;
                if self.seen.insert(batch.clone()) && is_fresh {
                    let items = u32::try_from(entry.items_of(&self.account)).unwrap_or(u32::MAX);
                    let until = Instant::now() + LEAST + EACH.saturating_mul(items).min(FRESH);
                    self.until = Some(self.until.map_or(until, |before| before.max(until)));
                }
            }
        }
        self.until.is_some_and(|until| Instant::now() < until)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::notice::{Notice, What};

    #[tokio::test(start_paused = true)]
    async fn a_fresh_cancel_is_swept_for_a_while_and_an_old_one_is_not() {
        let (sender, ledger) = watch::channel(Arc::new(Ledger::default()));
        let desk = AccountId::new("desk").unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(48);
        let mut sweep = Sweep::new(ledger, desk.clone());
        assert!(!sweep.is_on(now));
        let tell =
            |what, at| sender.send_modify(|ledger| Arc::make_mut(ledger).take(&Notice { at, by: "a".into(), what }));
        let batch = |name: &str| BatchId::new(name).unwrap();
        let old = What::BatchCancelled { batch: batch("b-1"), reason: None };
        tell(old, now - Duration::from_hours(2));
        assert!(!sweep.is_on(now));
        let items = BTreeMap::from([(desk, 6_000)]);
        tell(What::BatchMade { batch: batch("b-2"), items, part: "a".into() }, now);
        tell(What::BatchCancelled { batch: batch("b-2"), reason: None }, now);
        assert!(sweep.is_on(now));
        tokio::time::advance(Duration::from_secs(119)).await;
        assert!(sweep.is_on(now));
        tokio::time::advance(Duration::from_secs(2)).await;
        assert!(!sweep.is_on(now), "a minute, and one for six thousand items");
        tell(What::BatchCancelled { batch: batch("b-3"), reason: None }, now + Duration::from_secs(30));
        assert!(sweep.is_on(now), "told by a clock that is ahead");
    }
}
