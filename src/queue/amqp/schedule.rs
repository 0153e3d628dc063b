//! When to try again to reach the broker.
//!
//! The one user of the `backoff` crate, which the project's owner named; so it can be replaced in one place.

use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use tokio::time::sleep;

/// How long a connection or a consumer lasts before it counts as up: work was done with it. One try in so many seconds is
/// no burden to a broker.
const STEADY: Duration = Duration::from_secs(5);

/// Longest wait but for its spread: who brings a broker back waits no longer for its workers.
const LONGEST: Duration = Duration::from_secs(10);

/// When to try again: from 0.2 s doubling to [`LONGEST`], each spread by half, without an end.
pub(crate) struct Schedule(ExponentialBackoff);

impl Schedule {
    pub(crate) fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(200),
            current_interval: Duration::from_millis(200),
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_interval: LONGEST,
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// Draws the next wait.
    pub(crate) fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().expect("invariant: a schedule without a longest time never ends")
    }

    /// Waits for the next turn.
    pub(crate) async fn pause(&mut self) {
        sleep(self.next_wait()).await;
    }

    /// Begins anew, after something worked.
    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    /// Begins anew if what came up also stayed up; what dies again at once has not worked.
    pub(crate) fn note_uptime(&mut self, uptime: Duration) {
        if uptime >= STEADY {
            self.reset();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_schedule_grows_to_its_ceiling_and_never_ends() {
        let mut schedule = Schedule::new();
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let before = tokio::time::Instant::now();
            schedule.pause().await;
            last = before.elapsed();
        }
        assert!(last >= LONGEST / 2 && last <= LONGEST * 3 / 2, "{last:?}");
        schedule.note_uptime(Duration::from_secs(1));
        assert!(schedule.next_wait() >= LONGEST / 2, "what dies at once has not worked");
        // A restarted broker that is restarted once more: who worked meanwhile is back as quickly as the first time.
        schedule.note_uptime(Duration::from_secs(8));
        assert!(schedule.next_wait() < Duration::from_secs(1));
    }
}
