//! What the operators' log says of batches: which were made, of what, and which were cancelled.
//!
//! Promise: a batch enqueued again expects no more items than before, and a cancelled one stays cancelled.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::domain::ids::{AccountId, BatchId};
use crate::domain::notice::{Notice, What};

/// Every batch the log tells of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    batches: BTreeMap<BatchId, Entry>,
}

/// One batch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Items by account, by the digest of the items' ids: each part counts once.
    pub parts: BTreeMap<String, BTreeMap<AccountId, u64>>,
    /// Who cancelled it first.
    pub cancelled: Option<Cancel>,
}

/// A batch's end by an operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancel {
    /// When.
    pub at: SystemTime,
    /// Who.
    pub by: String,
    /// Why, if told.
    pub reason: Option<String>,
}

impl Ledger {
    /// Reads notices, the oldest first.
    #[must_use]
    pub fn of<'a>(notices: impl IntoIterator<Item = &'a Notice>) -> Self {
        let mut ledger = Self::default();
        for notice in notices {
            ledger.take(notice);
        }
        ledger
    }

    /// Takes one notice in, later than those before.
    pub fn take(&mut self, notice: &Notice) {
        match &notice.what {
            What::BatchMade { batch, items, part } => {
                self.batches.entry(batch.clone()).or_default().parts.insert(part.clone(), items.clone());
            }
            What::BatchCancelled { batch, reason } => {
                let cancel = Cancel { at: notice.at, by: notice.by.clone(), reason: reason.clone() };
                self.batches.entry(batch.clone()).or_default().cancelled.get_or_insert(cancel);
            }
            What::PlanMade(_)
            | What::ReplayBegan { .. }
            | What::ReplayEnded { .. }
            | What::LetterEdited { .. }
            | What::LettersPurged { .. } => {}
        }
    }

    /// Returns what is known of a batch.
    #[must_use]
    pub fn batch(&self, id: &BatchId) -> Option<&Entry> {
        self.batches.get(id)
    }

    /// Says whether a batch was cancelled.
    #[must_use]
    pub fn is_cancelled(&self, id: &BatchId) -> bool {
        self.batches.get(id).is_some_and(|entry| entry.cancelled.is_some())
    }

    /// Returns the cancelled batches.
    pub fn cancelled(&self) -> impl Iterator<Item = (&BatchId, &Entry, &Cancel)> {
        self.batches.iter().filter_map(|(id, entry)| Some((id, entry, entry.cancelled.as_ref()?)))
    }
}

impl Entry {
    /// Returns the items enqueued for an account.
    #[must_use]
    pub fn items_of(&self, account: &AccountId) -> u64 {
        self.parts.values().filter_map(|items| items.get(account)).sum()
    }

    /// Returns the items enqueued.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.parts.values().flat_map(BTreeMap::values).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn notice(what: What) -> Notice {
        Notice { at: SystemTime::UNIX_EPOCH, by: "ada".into(), what }
    }

    #[test]
    fn a_part_counts_once_and_the_first_cancel_holds() {
        let batch = BatchId::new("b-1").unwrap();
        let [desk, shops] = ["desk", "shops"].map(|name| AccountId::new(name).unwrap());
        let made = |part: &str, account: &AccountId, count| {
            let items = BTreeMap::from([(account.clone(), count)]);
            notice(What::BatchMade { batch: batch.clone(), items, part: part.into() })
        };
        let cancelled =
            |reason: &str| notice(What::BatchCancelled { batch: batch.clone(), reason: Some(reason.into()) });
        let notices =
            [made("a", &desk, 3), made("a", &desk, 3), made("b", &shops, 2), cancelled("first"), cancelled("second")];
        let ledger = Ledger::of(&notices);
        let entry = ledger.batch(&batch).unwrap();
        assert_eq!((entry.total(), entry.items_of(&desk), entry.items_of(&shops)), (5, 3, 2));
        assert!(ledger.is_cancelled(&batch) && !ledger.is_cancelled(&BatchId::new("b-2").unwrap()));
        let reasons: Vec<_> = ledger.cancelled().map(|(_, _, cancel)| cancel.reason.as_deref()).collect();
        assert_eq!(reasons, [Some("first")]);
    }
}
