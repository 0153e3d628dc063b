//! How an account stands, for people and for whoever decides on the number of replicas.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use crate::limits::Limits;

pub use crate::domain::fleet::standing::Bound;

/// How an account stands at one moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Standing {
    /// Part of the rate given to this replica, from 0 to 1, before the brake.
    pub share: f64,
    /// Part of the rate left after throttled calls, from [`brake::FLOOR`](super::brake::FLOOR) to 1.
    pub factor: f64,
    /// Whether the whole account is held.
    pub is_held: bool,
    /// What keeps it from making more calls.
    pub bound: Bound,
}

impl Limits {
    /// Says how the account stands now.
    #[must_use]
    pub fn standing(&self) -> Standing {
        let now = Instant::now();
        let state = self.gate.lock();
        let share = state.part.at(now);
        let bound = if share == 0.0 || state.shut_for(now).is_some() {
            Bound::Paused
        } else if self.turns.is_awaited() || self.turns.is_full() {
            Bound::Rate
        } else if self.waiting_for_a_place.load(Ordering::Relaxed) > 0 {
            Bound::Latency
        } else {
            Bound::Idle
        };
        Standing { share, factor: state.brake.factor(now), is_held: state.holds.is_held(), bound }
    }

    /// Has everything held probed with its next call, instead of when its time has come: something was mended.
    pub fn probe_now(&self) {
        let mut state = self.gate.lock();
        state.holds.probe_now(Instant::now());
        state.tell_news();
        drop(state);
        self.gate.changed.notify_waiters();
    }
}

/// Counts itself while it lives.
pub(super) struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    pub(super) fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use tokio::time::{advance, timeout};

    use super::*;
    use crate::domain::classify::{Cause, Effect, Outcome};
    use crate::domain::codes::{Certainty, Scope};
    use crate::domain::ids::RequestId;
    use crate::domain::outcome::Reason;
    use crate::domain::reply::{BrokenCall, Reply};
    use crate::limits::part::Part;
    use crate::limits::pause::HoldSettings;
    use crate::limits::quota::QuotaSettings;
    use crate::limits::{Admission, LimitSettings, Sharing, Ticket};

    fn limits(in_flight: usize) -> Limits {
        Limits::new(LimitSettings {
            rate: "10/s".parse().unwrap(),
            sharing: Sharing::Static(1.0),
            in_flight,
            max_wait: Duration::from_secs(60),
            cool_down: Duration::from_secs(5),
            hold: HoldSettings::default(),
            quota: QuotaSettings::default(),
        })
    }

    async fn admitted(limits: &Limits) -> Ticket {
        match limits.admit(None).await {
            Admission::Go(ticket) => ticket,
            Admission::Later(wait, why) => panic!("{why:?} for {wait:?}"),
        }
    }

    fn record(limits: &Limits, ticket: Ticket, outcome: &Outcome) {
        drop(limits.record(ticket, &RequestId::new("case-1").unwrap(), &Reply::NotSent(BrokenCall::Protocol), outcome));
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_wait_for_their_turn_are_bound_by_the_rate() {
        let limits = limits(8);
        assert_eq!(limits.standing(), Standing { share: 1.0, factor: 1.0, is_held: false, bound: Bound::Idle });
        let _first = admitted(&limits).await;
        assert_eq!(limits.standing().bound, Bound::Idle);
        let mut second = Box::pin(limits.admit(None));
        assert!(second.as_mut().now_or_never().is_none());
        assert_eq!(limits.standing().bound, Bound::Rate);
        drop(second);
        assert_eq!(limits.standing().bound, Bound::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn places_that_are_all_taken_while_turns_are_free_are_bound_by_latency() {
        let limits = limits(1);
        let permit = limits.place().await;
        // The only place waits for a message: nobody is kept from anything.
        assert_eq!(limits.standing().bound, Bound::Idle);
        let waiting = timeout(Duration::from_secs(1), limits.place());
        let look = async { limits.standing().bound };
        let (waited, bound) = tokio::join!(biased; waiting, look);
        assert!(waited.is_err());
        assert_eq!(bound, Bound::Latency);
        drop(permit);
        assert_eq!(limits.standing().bound, Bound::Idle);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_held_or_cooling_an_account_is_paused() {
        let limits = limits(8);
        limits.set_part(Part { now: 0.5, soon: 0.5, until: Some(Instant::now() + Duration::from_secs(1)) });
        assert_eq!(limits.standing(), Standing { share: 0.5, factor: 1.0, is_held: false, bound: Bound::Idle });
        advance(Duration::from_millis(1001)).await;
        assert_eq!(limits.standing(), Standing { share: 0.0, factor: 1.0, is_held: false, bound: Bound::Paused });
        limits.set_part(Part::WHOLE);
        let ticket = admitted(&limits).await;
        record(&limits, ticket, &Outcome::Retryable(Cause::Throttled(None), Effect::None));
        let Standing { factor, is_held, bound, .. } = limits.standing();
        assert!(factor < 0.75 && !is_held && bound == Bound::Paused, "{factor} {bound:?}");
        advance(Duration::from_secs(6)).await;
        let ticket = admitted(&limits).await;
        record(&limits, ticket, &Outcome::AccountFault(Scope::App, Certainty::Certain));
        assert!(limits.standing().is_held && limits.standing().bound == Bound::Paused);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_mended_is_probed_with_the_next_call() {
        let limits = limits(8);
        let ticket = admitted(&limits).await;
        record(&limits, ticket, &Outcome::AccountFault(Scope::App, Certainty::Certain));
        advance(Duration::from_secs(1)).await;
        assert!(matches!(limits.admit(None).await, Admission::Later(..)));
        limits.probe_now();
        let probe = admitted(&limits).await;
        // One at a time, as ever; and asking again while it is out does not make it two.
        limits.probe_now();
        assert!(matches!(limits.admit(None).await, Admission::Later(..)));
        record(&limits, probe, &Outcome::Success(Reason::TakenDown));
        assert!(!limits.standing().is_held);
    }
}
