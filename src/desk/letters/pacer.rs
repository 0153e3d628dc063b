//! How many letters may go now.

use std::time::Duration;

use tokio::time::Instant;

/// Spreads letters over time; a pause is not made up for by more than a second's worth.
#[derive(Debug)]
pub(super) struct Pacer {
    /// Letters a second; `None` without a bound.
    rate: Option<f64>,
    /// When the next one may go.
    next: Instant,
}

impl Pacer {
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self { rate: rate.filter(|rate| *rate > 0.0), next: Instant::now() }
    }

    /// Returns how many may go now, at most so many; none, and the wait until one may.
    pub(super) fn leave(&self, most: usize) -> Result<usize, Duration> {
        let Some(rate) = self.rate else { return Ok(most) };
        let now = Instant::now();
        let wait = self.next.saturating_duration_since(now);
        if !wait.is_zero() {
            return Err(wait);
        }
        let late = now.saturating_duration_since(self.next).min(Duration::from_secs(1));
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and not negative")]
        let due = (late.as_secs_f64() * rate) as usize + 1;
        Ok(due.min(most))
    }

    /// Notes that so many went.
    pub(super) fn went(&mut self, count: u64) {
        let Some(rate) = self.rate else { return };
        let earliest = Instant::now().checked_sub(Duration::from_secs(1)).unwrap_or_else(Instant::now);
        let step = super::plans::pace(count, rate).unwrap_or(Duration::from_secs(1));
        self.next = self.next.max(earliest) + step;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn letters_keep_to_the_rate_and_a_pause_is_not_made_up_for() {
        let mut pacer = Pacer::new(Some(5.0));
        let (began, mut went) = (Instant::now(), 0);
        while began.elapsed() < Duration::from_secs(10) {
            match pacer.leave(64) {
                Ok(count) => {
                    went += count;
                    pacer.went(count as u64);
                }
                Err(wait) => tokio::time::sleep(wait).await,
            }
        }
        assert!((50..=52).contains(&went), "{went}");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(pacer.leave(64).unwrap() <= 6);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_rate_all_may_go() {
        let mut pacer = Pacer::new(None);
        for _ in 0..9 {
            assert_eq!(pacer.leave(64), Ok(64));
            pacer.went(64);
        }
    }
}
