//! What an account may do now: its rate, its calls in flight, its hold.
//!
//! It knows no gateway and no queue. Promise: no call leaves without having been admitted, and a held account's
//! backlog is put off, never spent.

pub mod in_flight;
pub mod pause;
pub mod rate;

use std::time::Duration;

use crate::domain::classify::Outcome;
use crate::domain::ids::RequestId;
use crate::domain::settlement::{Deferral, Hold};
use crate::limits::in_flight::{InFlight, Permit};
use crate::limits::pause::{HoldChange, HoldSettings};
use crate::limits::rate::Rate;

/// Limits of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSettings {
    /// Calls per time, of this replica.
    pub rate: Rate,
    /// Most calls in flight at once, at least 1. Default 32.
    pub in_flight: usize,
    /// Longest wait in hand for a turn within the rate; beyond it the item is deferred. Default 60 s.
    pub max_wait: Duration,
    /// Least wait after a throttled call that named none. Default 5 s.
    pub cool_down: Duration,
    /// When a held account is probed.
    pub hold: HoldSettings,
}

/// What one account may do now. Shared by all its tasks.
#[derive(Debug)]
pub struct Limits {
    settings: LimitSettings,
}

/// Whether a call may be made.
#[derive(Debug)]
pub enum Admission {
    /// Now.
    Go(Ticket),
    /// Not now: put the item off for this long.
    Later(Duration, Deferral),
}

/// The right to make one call; handed back with its outcome by [`Limits::record`], or dropped if no call was made.
#[derive(Debug)]
#[must_use = "a ticket is handed back by `record`"]
pub struct Ticket {
    /// The party (merchant, administrator) the call is for.
    pub party: Option<String>,
}

/// What an outcome changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// How the account stands for the item the outcome belongs to.
    pub hold: Hold,
    /// A hold that began, went on (a probe failed) or ended with this outcome.
    pub change: Option<HoldChange>,
}

impl Limits {
    /// Opens an account's limits.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        Self { settings }
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Waits for a free place among the calls in flight.
    ///
    /// # Cancel safety
    /// Nothing is taken when dropped.
    pub async fn place(&self) -> Permit {
        todo!()
    }

    /// Waits, while the whole account is held or cooling down, a moment (at most 1 s) before the next message is taken.
    ///
    /// So a held account's backlog trickles to the retry rungs instead of racing round them, and no prefetched message
    /// stays in hand for long. Returns at once for an open account.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn pace(&self) {
        todo!()
    }

    /// Admits one call, waiting for its turn while the wait is short.
    pub async fn admit(&self, party: Option<&str>) -> Admission {
        todo!("{party:?}")
    }

    /// Takes note of an outcome: counts faults, begins and ends holds, starts a cool-down.
    pub fn record(&self, ticket: Ticket, id: &RequestId, code: Option<&str>, outcome: &Outcome) -> Recorded {
        todo!("{ticket:?} {id} {code:?} {outcome:?}")
    }

    /// Returns the calls in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        todo!()
    }

    /// Says whether the whole account is held now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        todo!()
    }
}

const _: fn(&InFlight) = |_| ();
