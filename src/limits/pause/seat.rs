//! A replica's place in the fleet, as far as probes are concerned: may it probe, at once or only after a word?
//!
//! # Why no two probes are out at once
//! In the terms of [`crate::limits::fleet`]: an unfenced replica has heard whatever reached the broker a fence ago, and
//! what an unfenced one told reached the broker within a fence. *First* is the entitled member with the smallest name:
//! it was heard for a lease before it was entitled, so nobody else holds itself for the first. The first probes at once
//! and tells so. Anyone else announces its probe (only where it has heard of no other) and makes it once the
//! announcement has stood for four fences and a half, unfenced throughout, unless a word that ranks higher was heard.
//! Of two that announce, the later did so within two fences of the other, so each hears the other in time, and both
//! obey the same order. A first that probes without having heard an announcement does so within two fences of it, and
//! its word ranks higher.
//!
//! So whoever has the message probes: the turn needs no message to be carried to one replica. Best effort: a first whose
//! link breaks between its probe and its word.

use std::time::Duration;

use tokio::time::Instant;

/// What a replica may do about a probe that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// The replica's epoch, which signs its words.
    pub me: u64,
    /// How long a member counts as living after it was heard; zero for one that has no fleet.
    pub lease: Duration,
    /// From when to when it is entitled to probe; `None`: not now. The end is open for one that has no fleet.
    pub entitled: Option<(Instant, Option<Instant>)>,
    /// Whether it probes at once.
    pub order: Precedence,
}

/// Whether a replica is the first of its fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precedence {
    /// It probes at once.
    First,
    /// It announces its probes.
    Later,
}

impl Seat {
    /// The only replica there is.
    #[must_use]
    pub fn alone(now: Instant) -> Self {
        Self { me: 0, lease: Duration::ZERO, entitled: Some((now, None)), order: Precedence::First }
    }

    /// A replica that cannot know what the others do.
    #[must_use]
    pub fn outside(me: u64, lease: Duration) -> Self {
        Self { me, lease, entitled: None, order: Precedence::Later }
    }

    /// How long an announcement stands before its probe is made: four and a half fences, where a lease is three.
    pub(crate) fn notice(&self) -> Duration {
        self.lease + self.lease / 2
    }

    /// Says whether it has no fleet to tell.
    pub(super) fn is_alone(&self) -> bool {
        self.lease.is_zero()
    }

    /// Says whether it may probe now, or announce that.
    pub(super) fn is_entitled(&self, now: Instant) -> bool {
        self.entitled.is_some_and(|(from, until)| from <= now && until.is_none_or(|until| now <= until))
    }

    /// Says whether it has been entitled ever since.
    pub(super) fn is_entitled_since(&self, then: Instant, now: Instant) -> bool {
        self.is_entitled(now) && self.entitled.is_some_and(|(from, _)| from <= then)
    }

    pub(super) fn is_first(&self, now: Instant) -> bool {
        self.order == Precedence::First && self.is_entitled(now)
    }
}
