//! How many messages to take ahead of their turn: no more than the share of the rate works off before the broker's
//! patience ends.
//!
//! Pure. Promise: what is taken ahead is worked off within [`MAX_WAIT_CAP`] at the share it is reckoned with, except for
//! the one message that is always allowed.

use crate::limits::rate::Rate;
use crate::limits::turns::MAX_WAIT_CAP;

/// Returns the prefetch to change to, or `None` while the one in use will do.
///
/// A broker applies a prefetch to new consumers only, so a change is not for every tremor of the share: it is made when
/// what is taken ahead would last too long, and then to half of what the share works off in time, or when twice as much
/// would still be safe. `most` is the configured prefetch, which suits the whole rate.
#[must_use]
pub fn resized(rate: Rate, share: f64, now: u16, most: u16) -> Option<u16> {
    let in_time = f64::from(rate.calls.get()) * share * MAX_WAIT_CAP.as_secs_f64() / rate.per.as_secs_f64();
    let most = most.max(1);
    let fits = |count: u16, room: f64| count == 1 || f64::from(count) <= room;
    // The largest that fits; at most 16 steps.
    let (mut wanted, mut above) = (1, most.saturating_add(1));
    while wanted + 1 < above {
        let middle = wanted + (above - wanted) / 2;
        *(if fits(middle, in_time / 2.0) { &mut wanted } else { &mut above }) = middle;
    }
    let is_too_much = !fits(now, in_time);
    let is_too_little = wanted > now && (wanted == most || wanted / 2 >= now);
    (is_too_much || is_too_little).then_some(wanted)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rate(text: &str) -> Rate {
        text.parse().unwrap()
    }

    #[test]
    fn a_share_that_works_the_most_off_in_time_leaves_it_alone() {
        assert_eq!(resized(rate("20/s"), 1.0, 64, 64), None);
        assert_eq!(resized(rate("20/s"), 0.01, 64, 64), None);
    }

    #[test]
    fn a_small_share_takes_less_ahead_and_a_larger_one_more_again() {
        // 60 in ten minutes of the whole.
        assert_eq!(resized(rate("6/min"), 0.5, 60, 60), Some(15));
        assert_eq!(resized(rate("6/min"), 0.3, 15, 60), None, "18 would still be in time");
        assert_eq!(resized(rate("6/min"), 0.2, 15, 60), Some(6));
        assert_eq!(resized(rate("6/min"), 0.5, 6, 60), Some(15));
        assert_eq!(resized(rate("6/min"), 0.3, 6, 60), None, "9 instead of 6 is not worth it");
        assert_eq!(resized(rate("6/min"), 0.0, 6, 60), Some(1));
    }

    proptest! {
        #[test]
        fn what_is_taken_ahead_is_in_time_and_a_change_calms_down_at_once(
            calls in 1u32..2000,
            per in prop::sample::select(vec!["s", "min", "h"]),
            share in 0.0f64..=1.0,
            now in 1u16..=2000,
            most in 1u16..=2000,
        ) {
            let rate = rate(&format!("{calls}/{per}"));
            let now = now.min(most);
            let then = resized(rate, share, now, most).unwrap_or(now);
            let in_time = f64::from(calls) * share * 600.0 / rate.per.as_secs_f64();
            prop_assert!(then == 1 || f64::from(then) <= in_time, "{then} where {in_time} are in time");
            prop_assert!((1..=most).contains(&then));
            prop_assert_eq!(resized(rate, share, then, most), None);
        }
    }
}
