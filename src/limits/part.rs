//! The part of an account's rate that a replica may use, and a clock that runs at its speed.
//!
//! A limiter over such a clock keeps the rate whatever the part does: half the part, half the time. Promise: a clock
//! never runs faster than time itself, and stands still once its part has lapsed.

use std::time::Duration;

use tokio::time::Instant;

/// Which part of an account's rate this replica may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Part {
    /// From 0 to 1.
    pub now: f64,
    /// What it will be before long, as far as can be told, so that no message is put off that only waits for its share
    /// to grow.
    pub soon: f64,
    /// When it lapses (becomes 0) unless it is set again; `None`: it stays.
    pub until: Option<Instant>,
}

impl Part {
    /// The whole rate, for good.
    pub const WHOLE: Self = Self { now: 1.0, soon: 1.0, until: None };

    /// Returns what is in force at a moment: 0 once it has lapsed.
    #[must_use]
    pub fn at(self, now: Instant) -> f64 {
        if self.until.is_some_and(|until| until < now) { 0.0 } else { self.now }
    }
}

/// Time at the speed of a part, from 0 on.
#[derive(Debug)]
pub(crate) struct PartClock {
    part: Part,
    /// Reading when the speed changed, and that moment.
    reading: Duration,
    since: Instant,
}

impl PartClock {
    /// Starts a clock that runs with the time.
    pub(crate) fn new(now: Instant) -> Self {
        Self { part: Part::WHOLE, reading: Duration::ZERO, since: now }
    }

    /// Changes the speed from now on. A part that is only set again, as every heartbeat does, changes nothing.
    pub(crate) fn set(&mut self, part: Part, now: Instant) {
        let part = Part { now: part.now.clamp(0.0, 1.0), soon: part.soon.clamp(0.0, 1.0), until: part.until };
        // A part that lapsed is 0 in force already; what the clock ran up to then is kept all the same.
        if self.part.now != part.now || self.part(now) != part.now {
            self.reading = self.read(now);
            self.since = now;
        }
        self.part = part;
    }

    /// Returns the reading at a moment; of those before the speed changed, the reading when it did.
    pub(crate) fn read(&self, at: Instant) -> Duration {
        let end = self.part.until.map_or(at, |until| until.min(at));
        let passed = end.saturating_duration_since(self.since);
        // Exact for the whole; a part is rounded down by the conversion, never up beyond the time itself.
        self.reading + if self.part.now == 1.0 { passed } else { passed.mul_f64(self.part.now).min(passed) }
    }

    /// Returns the part in force.
    pub(crate) fn part(&self, now: Instant) -> f64 {
        self.part.at(now)
    }

    /// Returns how long the clock takes for a stretch of its own time; `None` while it stands still.
    pub(crate) fn real(&self, stretch: Duration, now: Instant) -> Option<Duration> {
        let speed = self.part(now);
        (speed > 0.0).then(|| stretched(stretch, speed))
    }

    /// The same with the part that is to be expected; [`Duration::MAX`] where none is.
    pub(crate) fn real_soon(&self, stretch: Duration, now: Instant) -> Duration {
        let speed = self.part(now).max(self.part.soon);
        if speed > 0.0 { stretched(stretch, speed) } else { Duration::MAX }
    }
}

/// Rounded up: who waits for a cell finds it.
fn stretched(stretch: Duration, speed: f64) -> Duration {
    if speed == 1.0 {
        return stretch;
    }
    let seconds = stretch.as_secs_f64() / speed;
    Duration::try_from_secs_f64(seconds).map_or(Duration::MAX, |time| time.saturating_add(Duration::from_nanos(1)))
}
