//! Letters whose batch was cancelled: put back to work they end as `cancelled`, and no gateway is called for them.

use std::collections::BTreeMap;

use crate::domain::ids::BatchId;
use crate::domain::notice::ledger::{Cancel, Ledger};
use crate::queue::letters::DeadLetter;

/// Letters of one cancelled batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The batch.
    pub batch: BatchId,
    /// How many of the letters are of it.
    pub letters: u64,
    /// Who cancelled it, when and why.
    pub cancel: Cancel,
}

/// Counts them.
pub(super) struct Tally {
    ledger: Ledger,
    letters: BTreeMap<BatchId, u64>,
}

impl Tally {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, letters: BTreeMap::new() }
    }

    /// Goes by the message, as the worker does: an edit may have put it into another batch.
    pub(super) fn note(&mut self, letter: &DeadLetter) {
        if self.ledger.cancelled().next().is_none() {
            return;
        }
        let batch = letter.takedown().and_then(|takedown| takedown.batch);
        if let Some(batch) = batch.filter(|batch| self.ledger.is_cancelled(batch)) {
            *self.letters.entry(batch).or_insert(0) += 1;
        }
    }

    pub(super) fn told(self) -> Vec<Cancelled> {
        let Self { ledger, letters } = self;
        let cancel = |batch: &BatchId| ledger.batch(batch).and_then(|entry| entry.cancelled.clone());
        let told = |(batch, letters)| Some(Cancelled { cancel: cancel(&batch)?, batch, letters });
        letters.into_iter().filter_map(told).collect()
    }
}
