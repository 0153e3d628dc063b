//! How fast one replica calls and ends items of one account, from the counts in its beats.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::fleet::standing::ReplicaStanding;

/// Stretch of time a rate is taken over: long enough for one call in some seconds to show.
const WINDOW: Duration = Duration::from_secs(10);

/// Least stretch; two beats a moment apart tell nothing.
const LEAST: Duration = Duration::from_millis(500);

/// Counts of the last while.
#[derive(Debug, Default)]
pub(super) struct Rates {
    heard: VecDeque<(Instant, u64, u64)>,
}

impl Rates {
    pub(super) fn note(&mut self, standing: &ReplicaStanding, now: Instant) {
        let is_back = self.heard.back().is_some_and(|(_, called, _)| *called > standing.called);
        if is_back {
            // Counts never go back: somebody else speaks under that name.
            self.heard.clear();
        }
        // One from before the window is kept, so that the window is whole.
        while self.heard.get(1).is_some_and(|(at, ..)| now.saturating_duration_since(*at) >= WINDOW) {
            self.heard.pop_front();
        }
        self.heard.push_back((now, standing.called, standing.ended));
    }

    /// Returns calls and ended items a second; `None` before two beats were heard.
    pub(super) fn per_second(&self) -> Option<(f64, f64)> {
        let ((first, called, ended), (last, called_now, ended_now)) = (self.heard.front()?, self.heard.back()?);
        let time = last.saturating_duration_since(*first);
        let rate = |from: u64, to: u64| {
            let more = u32::try_from(to.saturating_sub(from)).unwrap_or(u32::MAX);
            f64::from(more) / time.as_secs_f64()
        };
        (time >= LEAST).then(|| (rate(*called, *called_now), rate(*ended, *ended_now)))
    }
}
