//! Slowing down for a gateway that asks for fewer calls: one step down a window, then slowly up again.
//!
//! A state machine without a clock: moments arrive as arguments. Replicas tell each other what they know, and the latest
//! step counts for all, so that a fleet slows down once however many of its calls were refused.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::fleet::Slowdown;

/// What is left of the rate after a step down.
const STEP: f64 = 0.7;

/// Refusals within this time of a step belong to it: calls in flight, and replicas that have not heard of it yet.
const WINDOW: Duration = Duration::from_secs(5);

/// Regained each second, as part of the rate: from a step back to the whole in a minute.
const RECOVERY: f64 = 0.005;

/// Least part of the rate.
pub const FLOOR: f64 = 0.05;

/// How far an account has slowed down.
#[derive(Debug, Default)]
pub(crate) struct Brake {
    last: Option<Step>,
    cool_until: Option<Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Step {
    factor: f64,
    at: Instant,
}

impl Brake {
    /// Returns the part of the rate that is left.
    pub(crate) fn factor(&self, now: Instant) -> f64 {
        self.last.map_or(1.0, |step| step.factor_at(now))
    }

    /// Says whether less than the whole rate is left.
    pub(crate) fn is_on(&self, now: Instant) -> bool {
        self.factor(now) < 1.0
    }

    /// Returns how much longer no call may leave.
    pub(crate) fn cooling(&self, now: Instant) -> Option<Duration> {
        let left = self.cool_until?.saturating_duration_since(now);
        (!left.is_zero()).then_some(left)
    }

    /// Takes note of a refusal; says whether it was a step down.
    pub(crate) fn refused(&mut self, wait: Duration, now: Instant) -> bool {
        self.cool_until = self.cool_until.max(Some(now + wait));
        let is_new = self.last.is_none_or(|step| now.saturating_duration_since(step.at) >= WINDOW.max(wait));
        if is_new {
            self.last = Some(Step { factor: (self.factor(now) * STEP).max(FLOOR), at: now });
        }
        is_new
    }

    /// Takes over what another replica knows, if it is newer or slower.
    pub(crate) fn hear(&mut self, told: Slowdown, now: Instant) {
        self.cool_until =
            self.cool_until.max(Some(now + Duration::from_millis(told.cool_ms).min(super::MAX_COOL_DOWN)));
        let Some(at) = now.checked_sub(Duration::from_millis(told.age_ms)) else { return };
        let factor = if told.factor.is_finite() { told.factor.clamp(FLOOR, 1.0) } else { return };
        let heard = Step { factor, at };
        // Both are led to the same moment: of two replicas that stepped down together, both did so once.
        if self.last.is_none_or(|own| heard.factor_at(now) < own.factor_at(now)) {
            self.last = Some(heard);
        }
    }

    /// Returns what the others should know; `None` at full speed.
    pub(crate) fn tell(&self, now: Instant) -> Option<Slowdown> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let cool_ms = self.cooling(now).map_or(0, millis);
        let step = self.last.filter(|step| step.factor_at(now) < 1.0);
        match step {
            Some(Step { factor, at }) => {
                Some(Slowdown { factor, age_ms: millis(now.saturating_duration_since(at)), cool_ms })
            }
            None => (cool_ms > 0).then_some(Slowdown { factor: 1.0, age_ms: 0, cool_ms }),
        }
    }
}

impl Step {
    fn factor_at(self, now: Instant) -> f64 {
        let regained = now.saturating_duration_since(self.at).as_secs_f64() * RECOVERY;
        (self.factor + regained).min(1.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NONE: Duration = Duration::ZERO;

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() < 0.01
    }

    #[test]
    fn refusals_of_one_window_are_one_step() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        assert!(brake.refused(NONE, now));
        for ms in [0, 10, 1000, 4999] {
            assert!(!brake.refused(NONE, now + Duration::from_millis(ms)));
        }
        assert!(close(brake.factor(now), 0.7));
        assert!(brake.refused(NONE, now + WINDOW));
        assert!(close(brake.factor(now + WINDOW), 0.7 * 0.725));
    }

    #[test]
    fn speed_comes_back_in_a_minute_and_never_goes_below_the_floor() {
        let (mut brake, now) = (Brake::default(), Instant::now());
        brake.refused(NONE, now);
        assert!(close(brake.factor(now + Duration::from_secs(30)), 0.85));
        assert_eq!(brake.factor(now + Duration::from_secs(61)), 1.0);
        assert_eq!(brake.tell(now + Duration::from_secs(61)), None);
        for step in 0..100 {
            brake.refused(NONE, now + WINDOW * step);
        }
        assert!(brake.factor(now + WINDOW * 99) >= FLOOR);
    }

    #[test]
    fn a_replica_that_hears_of_a_step_does_not_take_it_again() {
        let now = Instant::now();
        let (mut first, mut second) = (Brake::default(), Brake::default());
        first.refused(Duration::from_secs(2), now);
        let later = now + Duration::from_millis(40);
        second.hear(first.tell(later).unwrap(), later);
        assert!(!second.refused(NONE, later));
        assert!(close(second.factor(later), first.factor(later)));
        assert!(second.cooling(later).is_some_and(|left| left > Duration::from_millis(1900)));
    }

    #[test]
    fn two_that_stepped_down_at_once_did_so_once() {
        let now = Instant::now();
        let (mut first, mut second) = (Brake::default(), Brake::default());
        first.refused(NONE, now);
        second.refused(NONE, now + Duration::from_millis(20));
        let later = now + Duration::from_millis(50);
        let (told, also) = (first.tell(later).unwrap(), second.tell(later).unwrap());
        first.hear(also, later);
        second.hear(told, later);
        assert!(close(first.factor(later), 0.7) && close(second.factor(later), 0.7));
    }

    proptest! {
        #[test]
        fn nothing_heard_makes_a_brake_nonsense(factor: f64, age_ms: u64, cool_ms: u64) {
            let (mut brake, now) = (Brake::default(), Instant::now());
            brake.hear(Slowdown { factor, age_ms, cool_ms }, now);
            prop_assert!((FLOOR..=1.0).contains(&brake.factor(now)));
            prop_assert!(brake.cooling(now).is_none_or(|left| left <= super::super::MAX_COOL_DOWN));
        }
    }
}
