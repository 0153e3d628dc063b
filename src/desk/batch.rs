//! A batch as its desk knows it: how many items were enqueued, how many ended and how, whether it was cancelled.
//!
//! Promise: an item counts once, by its latest outcome: one that died and was replayed counts as what came of the replay.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::domain::ids::{AccountId, BatchId};
use crate::domain::outcome::{Reason, Status};

/// One batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// Its name.
    pub id: BatchId,
    /// Who enqueued it and when; `None` for one that producers made without `takedown enqueue`.
    pub made: Option<Note>,
    /// Who cancelled it, when and why.
    pub cancelled: Option<Note>,
    /// Items enqueued, by account; empty where nobody told.
    pub expected: BTreeMap<AccountId, u64>,
    /// Items that ended, by account and reason of their latest outcome.
    pub ended: Vec<Ended>,
    /// When the first of these outcomes was decided.
    pub first: Option<SystemTime>,
    /// When the last of them was.
    pub last: Option<SystemTime>,
}

/// Who did something, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: SystemTime,
    /// Who.
    pub by: String,
    /// Why, if told.
    pub reason: Option<String>,
}

/// Items of one account that ended for one reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The account, as the outcomes name it.
    pub account: String,
    /// The reason.
    pub reason: Reason,
    /// How many.
    pub items: u64,
}

/// How far a batch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Items are waiting or in work.
    Running,
    /// What is left is being ended as cancelled.
    Cancelling,
    /// Every item has an outcome.
    Finished,
    /// Nobody told how many items it has.
    Open,
}

impl Stage {
    /// Returns the word shown.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Cancelling => "cancelling",
            Self::Finished => "finished",
            Self::Open => "open",
        }
    }
}

impl Batch {
    /// Returns a batch of which nothing is known.
    #[must_use]
    pub fn unknown(id: BatchId) -> Self {
        Self { id, made: None, cancelled: None, expected: BTreeMap::new(), ended: Vec::new(), first: None, last: None }
    }

    /// Returns the number of items enqueued, if that was told.
    #[must_use]
    pub fn total(&self) -> Option<u64> {
        (!self.expected.is_empty()).then(|| self.expected.values().sum())
    }

    /// Returns the number of items that ended.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.ended.iter().map(|ended| ended.items).sum()
    }

    /// Returns the number of items that have no outcome yet, if the total is known.
    #[must_use]
    pub fn left(&self) -> Option<u64> {
        self.total().map(|total| total.saturating_sub(self.done()))
    }

    /// Returns the items without an outcome, by account; those with none left are left out.
    #[must_use]
    pub fn left_by_account(&self) -> BTreeMap<AccountId, u64> {
        let done = |account: &AccountId| -> u64 {
            self.ended.iter().filter(|ended| ended.account == account.as_str()).map(|ended| ended.items).sum()
        };
        let left = self.expected.iter().map(|(account, total)| (account.clone(), total.saturating_sub(done(account))));
        left.filter(|(_, left)| *left > 0).collect()
    }

    /// Counts the ended items by status.
    #[must_use]
    pub fn by_status(&self) -> BTreeMap<Status, u64> {
        let mut counts = BTreeMap::new();
        for ended in &self.ended {
            *counts.entry(ended.reason.status()).or_default() += ended.items;
        }
        counts
    }

    /// Counts the ended items by reason.
    #[must_use]
    pub fn by_reason(&self) -> BTreeMap<Reason, u64> {
        let mut counts = BTreeMap::new();
        for ended in &self.ended {
            *counts.entry(ended.reason).or_default() += ended.items;
        }
        counts
    }

    /// Says how far it is.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match (self.left(), &self.cancelled) {
            (Some(0), _) => Stage::Finished,
            (_, Some(_)) => Stage::Cancelling,
            (Some(_), None) => Stage::Running,
            (None, None) => Stage::Open,
        }
    }
}
