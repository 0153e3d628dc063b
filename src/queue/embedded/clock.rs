//! The queue's time: milliseconds since 1970 that never run backwards while a process lives.
//!
//! Taken from the wall clock once, then carried on by the runtime's monotonic clock, so that a stepped wall clock neither
//! fires nor stalls what is waiting, and tests can pause it.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::clock;

/// A moment in milliseconds since 1970.
pub(super) type Millis = i64;

/// The time of one open queue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    opened_at: Millis,
    opened: Instant,
}

impl Clock {
    /// Starts at the wall clock's time.
    pub(super) fn start() -> Self {
        Self { opened_at: to_millis(clock::now()), opened: Instant::now() }
    }

    /// Returns the time, rounded down.
    pub(super) fn now(&self) -> Millis {
        self.opened_at.saturating_add(length(self.opened.elapsed()))
    }

    /// Returns the moment a delay from now, rounded up: a delay is the least wait.
    pub(super) fn after(&self, delay: Duration) -> Millis {
        let whole = length(delay);
        let rounded = if delay.subsec_nanos().is_multiple_of(1_000_000) { whole } else { whole.saturating_add(1) };
        self.now().saturating_add(rounded)
    }

    /// Returns how long it is until a moment; zero if it has passed.
    pub(super) fn until(&self, moment: Millis) -> Duration {
        Duration::from_millis(u64::try_from(moment.saturating_sub(self.now())).unwrap_or(0))
    }

    /// Waits for a moment; for ever, if there is none.
    pub(super) async fn reached(&self, moment: Option<Millis>) {
        match moment {
            Some(moment) => tokio::time::sleep(self.until(moment)).await,
            None => std::future::pending().await,
        }
    }
}

fn length(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}

/// Writes a moment as a column.
pub(super) fn to_millis(time: SystemTime) -> Millis {
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => length(since),
        Err(before) => -length(before.duration()),
    }
}

/// Reads a moment from a column.
pub(super) fn from_millis(millis: Millis) -> SystemTime {
    let distance = Duration::from_millis(millis.unsigned_abs());
    let moment = if millis < 0 { UNIX_EPOCH.checked_sub(distance) } else { UNIX_EPOCH.checked_add(distance) };
    moment.unwrap_or(UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_survive_the_column_on_both_sides_of_1970() {
        for millis in [0, 1, -1, 1_700_000_000_123, -86_400_000] {
            assert_eq!(to_millis(from_millis(millis)), millis);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_is_rounded_up_and_waited_out_in_full() {
        let clock = Clock::start();
        let due = clock.after(Duration::from_micros(1_500));
        assert_eq!(due, clock.now() + 2);
        tokio::time::advance(clock.until(due)).await;
        assert!(clock.now() >= due);
        assert_eq!(clock.until(due), Duration::ZERO);
    }

    #[test]
    fn an_endless_delay_does_not_overflow() {
        assert_eq!(Clock::start().after(Duration::MAX), Millis::MAX);
    }
}
