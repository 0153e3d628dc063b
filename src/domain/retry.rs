//! When to try again and when to give up: delays, rungs, limits.
//!
//! The numbers are the owner's defaults; an operator may change each in `[retry]`. Promise: a delay is never shorter
//! than half of its step nor longer than one and a half, whatever the jitter.

use std::time::Duration;

/// How often and how long an item is tried.
#[derive(Debug, Clone, PartialEq)]
pub struct RetryPolicy {
    /// Delay after the first, second, … attempt; the last one repeats. Never empty.
    pub delays: Vec<Duration>,
    /// Attempts before an item is given up, at least 1.
    pub max_attempts: u32,
    /// Attempts before an unlisted code is given up, at least 1.
    pub max_unknown_code_attempts: u32,
    /// How long an item may be put off in all before it is `held_too_long`.
    pub max_age: Duration,
}

impl Default for RetryPolicy {
    /// 5 s, 30 s, 2 min, 10 min, 1 h; six attempts (three for an unlisted code) within 72 hours.
    fn default() -> Self {
        Self {
            delays: [5, 30, 120, 600, 3600].map(Duration::from_secs).to_vec(),
            max_attempts: 6,
            max_unknown_code_attempts: 3,
            max_age: Duration::from_hours(72),
        }
    }
}

impl RetryPolicy {
    /// Returns the wait after the given attempt (from 1); `jitter` in 0..1 spreads it over 0.5..1.5 of the step.
    #[must_use]
    pub fn delay_after(&self, attempt: u32, jitter: f64) -> Duration {
        let last = self.delays.len().saturating_sub(1);
        let step = usize::try_from(attempt.saturating_sub(1)).unwrap_or(last).min(last);
        let base = self.delays.get(step).copied().unwrap_or(Duration::from_secs(5));
        base.mul_f64(0.5 + jitter.clamp(0.0, 1.0))
    }
}

/// Rounds a delay up to a rung; a delay beyond the last rung takes the last (an exact time then travels beside it).
///
/// Rungs exist because a per-message TTL blocks at the head of a queue
/// (rabbitmq.com/docs/ttl, "Per-Message TTL Caveats"); each rung is a queue with one constant TTL.
#[must_use]
pub fn rung_for(rungs: &[Duration], delay: Duration) -> Option<Duration> {
    rungs.iter().copied().filter(|rung| *rung >= delay).min().or_else(|| rungs.iter().copied().max())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_delay_rounds_up_and_stops_at_the_last_rung() {
        let rungs = [5, 30, 120].map(Duration::from_secs);
        let seconds = |s| Duration::from_secs(s);
        assert_eq!(rung_for(&rungs, seconds(0)), Some(seconds(5)));
        assert_eq!(rung_for(&rungs, seconds(5)), Some(seconds(5)));
        assert_eq!(rung_for(&rungs, seconds(6)), Some(seconds(30)));
        assert_eq!(rung_for(&rungs, seconds(999)), Some(seconds(120)));
        assert_eq!(rung_for(&[], seconds(1)), None);
    }

    proptest! {
        #[test]
        fn jitter_keeps_a_delay_within_half_its_step(attempt in 0u32..50, jitter in -1.0f64..2.0) {
            let policy = RetryPolicy::default();
            let step = policy.delays[(attempt.max(1) as usize - 1).min(policy.delays.len() - 1)];
            let delay = policy.delay_after(attempt, jitter);
            prop_assert!(delay >= step / 2 && delay <= step.mul_f64(1.5));
        }
    }
}
