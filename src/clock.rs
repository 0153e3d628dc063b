//! The time of day; the one place where it is read.
//!
//! A machine's clock may be set while the process runs, by hours and in both directions. Nobody can tell afterwards which
//! was wrong, the old time or the new, so a [`Moment`] knows both. Promise: by [`Moment::earlier`] and [`Moment::later`] no
//! message is parked or given up for such a step alone; only a deadline goes by the clock as it stands.

use std::sync::OnceLock;
use std::time::{Instant, SystemTime};

/// One moment, by the clock as it stands and as it would stand had nobody set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// The time of day when this process first asked, and what has passed since.
    pub steady: SystemTime,
}

impl Moment {
    /// Returns this one.
    #[must_use]
    pub fn now() -> Self {
        static BEGAN: OnceLock<(SystemTime, Instant)> = OnceLock::new();
        let (at, began) = BEGAN.get_or_init(|| (now(), Instant::now()));
        Self { wall: now(), steady: at.checked_add(began.elapsed()).unwrap_or(*at) }
    }

    /// Returns the earlier of the two: for how old something is, and for when a wait ends.
    #[must_use]
    pub fn earlier(self) -> SystemTime {
        self.wall.min(self.steady)
    }

    /// Returns the later of the two: for when something began, and for whether a wait is over.
    #[must_use]
    pub fn later(self) -> SystemTime {
        self.wall.max(self.steady)
    }
}

impl From<SystemTime> for Moment {
    /// By a clock that was never set.
    fn from(time: SystemTime) -> Self {
        Self { wall: time, steady: time }
    }
}

/// Returns the time of day.
#[cfg(not(feature = "fault-points"))]
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::now()
}

/// Returns the time of day, moved by the seconds in the file that `TAKEDOWN_CLOCK_FILE` names, so that a test can set the
/// clock of a running process.
#[cfg(feature = "fault-points")]
#[must_use]
pub fn now() -> SystemTime {
    let file = std::env::var_os("TAKEDOWN_CLOCK_FILE");
    let moved = file.and_then(|file| std::fs::read_to_string(file).ok()).map_or(0, |text| {
        text.trim().parse::<i64>().expect("invariant: TAKEDOWN_CLOCK_FILE names a file with a number of seconds")
    });
    let by = std::time::Duration::from_secs(moved.unsigned_abs());
    if moved < 0 { SystemTime::now() - by } else { SystemTime::now() + by }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_clock_nobody_sets_has_one_time() {
        let [_first, Moment { wall, steady }] = [Moment::now(), Moment::now()];
        let apart = wall.duration_since(steady).unwrap_or_else(|behind| behind.duration());
        assert!(apart < Duration::from_secs(1), "{apart:?}");
    }

    #[test]
    fn of_two_times_the_one_is_earlier_whichever_way_the_clock_was_set() {
        let (early, late) = (SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_hours(1));
        for moment in [Moment { wall: early, steady: late }, Moment { wall: late, steady: early }] {
            assert_eq!((moment.earlier(), moment.later()), (early, late));
        }
    }
}
