//! The time of day; the one place where it is read.

use std::time::SystemTime;

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
