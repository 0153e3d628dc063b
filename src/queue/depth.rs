//! How much waits in a queue, and where.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::domain::ids::AccountId;

/// What waits of one account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AccountDepth {
    /// Messages nobody was handed yet.
    pub work: u64,
    /// Dead letters.
    pub dead: u64,
    /// Who takes the messages, of all replicas.
    pub consumers: u32,
}

/// What waits, by place; counted by the broker, each queue at its own moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Depths {
    /// By account; one whose queues do not exist yet is left out.
    pub accounts: BTreeMap<AccountId, AccountDepth>,
    /// Messages that wait to be tried again, by delay; the rungs are shared by all accounts.
    pub rungs: Vec<(Duration, u64)>,
    /// Messages nobody was bound for; more than 0 wants somebody to look.
    pub unrouted: u64,
    /// Outcomes nobody has read from the queue that takes them all.
    pub results: u64,
    /// Queues that are not there, by name.
    pub missing: Vec<String>,
}

impl Depths {
    /// Returns the messages that wait to be tried again.
    #[must_use]
    pub fn retries(&self) -> u64 {
        self.rungs.iter().map(|(_, count)| count).sum()
    }

    /// Returns the dead letters of all accounts.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.accounts.values().map(|depth| depth.dead).sum()
    }
}
