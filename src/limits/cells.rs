//! The cells of an account's rate, one a call: GCRA at a pace just below the rate, so that a late call loses nothing.
//!
//! Without a clock: what the clock of the part reads arrives as an argument.
//!
//! # Why a late call loses nothing
//! A call leaves a little after its cell was due: timers are good to a millisecond, and a busy machine runs a task when
//! it can. Were the next period counted from then, every call would lose that much, and from 100/s up much of the rate.
//! It is counted from when the cell was due instead, or, if that is longer ago, from [`LATENESS`] ago. So whoever is
//! late by less loses nothing, an idle account saves up the burst and no more than [`LATENESS`] of calls, and after a
//! longer stall the rest of the time is gone.
//!
//! # Why no second sees more calls than the rate and the burst
//! Let `T` be the pace, `L` be [`LATENESS`], and `c(t)` what the clock of the part reads at a moment. The call at `t`
//! takes its cell only if `c(t) >= due - (burst - 1) T`, and then `due` becomes `max(due, c(t - L)) + T`. Take any `n`
//! calls in a row, from `t1` to `tn`. The first leaves `due` at `c(t1 - L) + T` or more, each after it adds `T`, and the
//! last still finds it no larger than `c(tn) + (burst - 1) T`. Hence
//!
//! ```text
//! n  <=  burst + (c(tn) - c(t1 - L)) / T
//! ```
//!
//! The clock runs at the speed of the replica's part at each moment, and the parts of a fleet come to no more than 1 at
//! any: all replicas together make at most `burst` calls each, and `(tn - t1 + L) / T` besides. With `L` of 1/200 s and
//! a pace of 199/200 of the rate, a second has room for `201/200 × 199/200 = 0.999975` of the rate, and a longer time
//! for less. Only a stretch shorter than a second may see more than its part of the rate, by 5 ms' worth of calls.

use std::time::Duration;

use crate::limits::rate::{MAX_BURST, Rate};

/// How late a call may leave without loss.
pub(crate) const LATENESS: Duration = Duration::from_millis(5);

/// The pace as a part of the rate, numerator and denominator: what [`LATENESS`] may add to a second is left out of it.
const SLOWED: (u128, u128) = (199, 200);

/// The cells of one rate, and when the next is due.
#[derive(Debug)]
pub(crate) struct Cells {
    pace: Duration,
    /// How far the calls may be ahead of the pace: all of the burst but the first.
    ahead: Duration,
    due: Duration,
}

impl Cells {
    /// Begins with the burst saved up, at a reading of 0.
    pub(crate) fn new(rate: Rate) -> Self {
        let nanos = (rate.per.as_nanos() * SLOWED.1).div_ceil(u128::from(rate.calls.get()) * SLOWED.0).max(1);
        let pace = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        Self { pace, ahead: pace.saturating_mul(rate.burst.get().min(MAX_BURST) - 1), due: Duration::ZERO }
    }

    /// Returns the time from one call to the next, by the clock of the part.
    pub(crate) fn pace(&self) -> Duration {
        self.pace
    }

    /// Returns how long the clock still has to run until there is a cell.
    pub(crate) fn wait(&self, now: Duration) -> Duration {
        self.due.saturating_sub(self.ahead).saturating_sub(now)
    }

    /// Takes a cell if there is one. `lately` is what the clock read [`LATENESS`] ago, or any later reading up to `now`.
    pub(crate) fn take(&mut self, now: Duration, lately: Duration) -> Result<(), Duration> {
        let wait = self.wait(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        self.due = self.due.max(lately).saturating_add(self.pace);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    fn cells(rate: &str, burst: u32) -> Cells {
        Cells::new(rate.parse::<Rate>().unwrap().with_burst(NonZeroU32::new(burst).unwrap()))
    }

    /// Takes all cells there are.
    fn drain(cells: &mut Cells, now: Duration) -> usize {
        std::iter::from_fn(|| cells.take(now, now.saturating_sub(LATENESS)).ok()).count()
    }

    #[test]
    fn who_is_late_by_less_than_the_allowance_loses_nothing() {
        let mut cells = cells("500/s", 1);
        let mut now = Duration::ZERO;
        assert_eq!(drain(&mut cells, now), 1);
        for call in 1..1000_u32 {
            now = cells.pace() * call + LATENESS * (call % 10) / 10;
            cells.take(now, now - LATENESS.min(now)).unwrap();
        }
        assert_eq!(cells.wait(now), (cells.pace() * 1000).saturating_sub(now));
    }

    #[test]
    fn who_is_later_gets_back_no_more_than_the_allowance_and_the_burst() {
        let mut cells = cells("1000/s", 4);
        assert_eq!(drain(&mut cells, Duration::ZERO), 4);
        // An hour saves up 5 ms at the pace, and the burst.
        assert_eq!(drain(&mut cells, Duration::from_hours(1)), 4 + 4);
    }

    #[test]
    fn two_calls_at_a_slow_rate_are_never_nearer_than_the_rate_says() {
        let mut cells = cells("1/s", 1);
        assert_eq!(drain(&mut cells, Duration::from_hours(1)), 1);
        let soon = Duration::from_hours(1) + Duration::from_secs(1);
        assert!(cells.wait(Duration::from_hours(1)) > Duration::from_secs(1));
        assert_eq!(drain(&mut cells, soon), 0);
    }

    /// A moment of the run, in microseconds after the one before.
    fn gaps() -> impl Strategy<Value = Vec<u64>> {
        prop::collection::vec(prop_oneof![4 => 0..3_000_u64, 1 => 0..60_000_u64, 1 => 0..900_000_u64], 1..120)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn no_second_sees_more_than_the_rate_and_the_burst(calls in 1_u32..6_000, burst in 1_u32..20, gaps in gaps()) {
            let rate = Rate { calls: NonZeroU32::new(calls).unwrap(), per: Duration::from_secs(1), burst: NonZeroU32::new(burst).unwrap() };
            let mut cells = Cells::new(rate);
            let (mut now, mut taken) = (Duration::ZERO, Vec::new());
            for gap in gaps {
                now += Duration::from_micros(gap);
                taken.extend(std::iter::repeat_n(now, drain(&mut cells, now)));
            }
            let most = usize::try_from(calls + burst).unwrap();
            for (first, from) in taken.iter().enumerate() {
                let second = taken[first..].partition_point(|to| *to - *from <= Duration::from_secs(1));
                prop_assert!(second <= most, "{second} calls where {most} are allowed");
            }
        }
    }
}
