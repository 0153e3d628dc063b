//! Whether this replica reaches the gateway at all: a run of calls that found no connection shuts the way, and one call
//! at a time tries it again.
//!
//! A state machine without a clock, like the holds beside it, but one replica's own: a broken network of one must not
//! stop the others, and a gateway that is gone is found gone by each. No such call was sent, so none costs the gateway
//! anything, and no item an attempt. Promise: while the way is shut, at most one call of this replica is out to try it.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::classify::{Cause, Outcome};
use crate::domain::reply::Reply;

/// Calls without a connection, none with one between, before the way is shut: with one, a balancer that leads every tenth
/// connection to a dead end would stop the account again and again.
const RUN: u32 = 3;

/// Wait before the way is tried for the first time: a blip is over by then, and with half of it more for the spread, a
/// message put off fits the shortest rung (5 s).
const FIRST: Duration = Duration::from_secs(3);

/// The wait doubles up to this. Short, for trying costs nobody anything, and the whole backlog waits for it.
const LONGEST: Duration = Duration::from_mins(1);

/// The way of one replica to one account's gateway.
#[derive(Debug)]
pub(super) struct Way {
    first: Duration,
    longest: Duration,
    failed: u32,
    shut: Option<Shut>,
}

#[derive(Debug)]
struct Shut {
    wait: Duration,
    try_at: Instant,
    is_tried: bool,
}

/// What a call is to the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trip {
    Ordinary,
    Trial,
}

/// What a call says of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    /// No connection was made.
    Nobody,
    /// Something answered, or may have read the request.
    Somebody,
    /// Nothing: none was looked for, or it broke off by itself.
    Nothing,
}

impl Met {
    pub(super) fn of(reply: &Reply, outcome: &Outcome) -> Self {
        match reply {
            _ if matches!(outcome, Outcome::Retryable(Cause::Unreachable, _)) => Self::Nobody,
            Reply::Answered(_) | Reply::MaybeSent(_) => Self::Somebody,
            // Whose certificate was refused was reached.
            Reply::NotSent(_) if matches!(outcome, Outcome::AccountFault(..)) => Self::Somebody,
            Reply::NotSent(_) | Reply::NotEncodable { .. } | Reply::NoToken { .. } => Self::Nothing,
        }
    }
}

/// A change of the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// It was shut, or a trial failed; the next comes after this long.
    Shut(Duration),
    Open,
}

impl Way {
    /// Opens it; the waits are never longer than those of a hold.
    pub(super) fn new(first_probe: Duration, max_probe: Duration) -> Self {
        let longest = LONGEST.min(max_probe);
        Self { first: FIRST.min(first_probe).min(longest), longest, failed: 0, shut: None }
    }

    /// Returns the wait of a call; `None` if it may go.
    pub(super) fn wait(&self, now: Instant, jitter: f64) -> Option<Duration> {
        let shut = self.shut.as_ref().filter(|shut| !self.left(shut, now).is_zero())?;
        Some(self.spread(shut, now, jitter))
    }

    /// Returns the wait of a message put off; `None` if the way is open.
    pub(super) fn delay(&self, now: Instant, jitter: f64) -> Option<Duration> {
        self.shut.as_ref().map(|shut| self.spread(shut, now, jitter))
    }

    fn spread(&self, shut: &Shut, now: Instant, jitter: f64) -> Duration {
        self.left(shut, now) + (shut.wait / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }

    fn left(&self, shut: &Shut, now: Instant) -> Duration {
        let due = shut.try_at.saturating_duration_since(now);
        if shut.is_tried { due.max(self.first) } else { due }
    }

    /// Says whether it is shut.
    pub(super) fn is_shut(&self) -> bool {
        self.shut.is_some()
    }

    /// Takes part of a call that may go: as a trial, while it is shut.
    pub(super) fn claim(&mut self) -> Trip {
        let Some(shut) = &mut self.shut else { return Trip::Ordinary };
        shut.is_tried = true;
        Trip::Trial
    }

    /// Says whether a call that was let go may not leave any more: the way was shut meanwhile.
    pub(super) fn is_lost(&self, trip: Trip) -> bool {
        trip == Trip::Ordinary && self.is_shut()
    }

    /// Takes back what no call was made for: a trial is due again at once.
    pub(super) fn release(&mut self, trip: Trip) {
        if let (Trip::Trial, Some(shut)) = (trip, &mut self.shut) {
            shut.is_tried = false;
        }
    }

    /// Makes the next trial due at once.
    pub(super) fn try_now(&mut self, now: Instant) {
        if let Some(shut) = &mut self.shut {
            shut.try_at = now;
        }
    }

    /// Judges by what a call met. Those in flight when the way was shut change nothing.
    pub(super) fn judge(&mut self, met: Met, trip: Trip, now: Instant) -> Option<Turn> {
        match (trip, met, &self.shut) {
            (Trip::Trial, Met::Nothing, _) => {
                self.release(trip);
                None
            }
            (Trip::Trial, Met::Somebody, Some(_)) => {
                (self.failed, self.shut) = (0, None);
                Some(Turn::Open)
            }
            (Trip::Trial, Met::Nobody, Some(shut)) => {
                let wait = shut.wait.saturating_mul(2).min(self.longest);
                Some(self.close(wait, now))
            }
            (Trip::Ordinary, Met::Nobody, None) => {
                self.failed += 1;
                (self.failed >= RUN).then(|| self.close(self.first, now))
            }
            (Trip::Ordinary, Met::Somebody, None) => {
                self.failed = 0;
                None
            }
            (Trip::Ordinary, _, _) | (Trip::Trial, _, None) => None,
        }
    }

    fn close(&mut self, wait: Duration, now: Instant) -> Turn {
        self.shut = Some(Shut { wait, try_at: now + wait, is_tried: false });
        Turn::Shut(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shut(now: Instant) -> Way {
        let mut way = Way::new(Duration::from_secs(30), Duration::from_mins(10));
        assert_eq!(way.judge(Met::Nobody, Trip::Ordinary, now), None);
        assert_eq!(way.judge(Met::Nobody, Trip::Ordinary, now), None);
        assert_eq!(way.judge(Met::Nobody, Trip::Ordinary, now), Some(Turn::Shut(FIRST)));
        way
    }

    #[test]
    fn a_connection_between_ends_the_run() {
        let (mut way, now) = (Way::new(FIRST, LONGEST), Instant::now());
        for met in [Met::Nobody, Met::Nobody, Met::Somebody, Met::Nobody, Met::Nothing, Met::Nobody] {
            assert_eq!(way.judge(met, Trip::Ordinary, now), None, "{met:?}");
        }
        assert_eq!(way.wait(now, 0.0), None);
        assert_eq!(way.judge(Met::Nobody, Trip::Ordinary, now), Some(Turn::Shut(FIRST)));
    }

    #[test]
    fn one_call_tries_a_shut_way_and_the_wait_doubles_up_to_a_minute() {
        let mut now = Instant::now();
        let mut way = shut(now);
        for wait in [6, 12, 24, 48, 60, 60].map(Duration::from_secs) {
            assert!(way.wait(now, 0.0).is_some());
            now += LONGEST;
            assert_eq!(way.wait(now, 0.0), None, "due");
            let trial = way.claim();
            assert_eq!(way.wait(now, 0.0), Some(FIRST), "a second trial");
            assert_eq!(way.judge(Met::Nobody, Trip::Ordinary, now), None, "it was in flight");
            assert_eq!(way.judge(Met::Nobody, trial, now), Some(Turn::Shut(wait)));
        }
        now += LONGEST;
        let trial = way.claim();
        assert_eq!(way.judge(Met::Somebody, trial, now), Some(Turn::Open));
        assert_eq!((way.wait(now, 0.0), way.claim()), (None, Trip::Ordinary));
    }

    #[test]
    fn a_trial_that_came_to_nothing_is_due_again_at_once() {
        let now = Instant::now();
        let mut way = shut(now);
        way.try_now(now);
        let trial = way.claim();
        way.release(trial);
        assert_eq!(way.wait(now, 0.0), None);
        let trial = way.claim();
        assert_eq!(way.judge(Met::Nothing, trial, now), None);
        assert_eq!(way.wait(now, 0.0), None);
    }

    #[test]
    fn a_call_let_go_before_the_way_was_shut_does_not_leave_after() {
        let way = shut(Instant::now());
        assert!(way.is_lost(Trip::Ordinary) && !way.is_lost(Trip::Trial));
    }
}
