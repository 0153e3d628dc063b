//! The rate: GCRA by `governor`, over a clock that tests can pause, with a fair line in front of it.
//!
//! Not a quota shared among replicas: each replica counts its own calls. Promise: in any stretch of time no more calls
//! leave than the rate allows for it plus the burst, and a waiting call that is dropped takes nothing with it.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use tokio::sync::MutexGuard;
use tokio::time::Instant;

/// Longest wait in hand for a turn, whatever the settings: a third of RabbitMQ's default `consumer_timeout` of 30 min
/// (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout"), after which the broker takes the message back.
pub const MAX_WAIT_CAP: Duration = Duration::from_mins(10);

/// Largest burst that counts; keeps the arithmetic of the slowest rate within 64 bits of nanoseconds.
pub const MAX_BURST: u32 = 1_000_000;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);
const SECOND: Duration = Duration::from_secs(1);

/// A number of calls per time, with a burst; written `20/s`, `600/min`, `5000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per [`Rate::per`].
    pub calls: NonZeroU32,
    /// 1 s, 1 min or 1 h.
    pub per: Duration,
    /// Calls that may leave at once after a pause, at most [`MAX_BURST`]; default 1.
    ///
    /// Timers are good to a millisecond, so a burst of 1 loses up to that at each call: from 100/s up, 2 or more keeps
    /// the rate.
    pub burst: NonZeroU32,
}

/// Says that a text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no rate; write calls per time, at least 1: 20/s, 600/min or 5000/h")]
pub struct RateError {
    /// The text.
    pub text: String,
}

impl Rate {
    /// Returns the same rate with another burst.
    #[must_use]
    pub fn with_burst(self, burst: NonZeroU32) -> Self {
        Self { burst, ..self }
    }

    /// Returns the time from one call to the next at a steady pace, rounded up so that the rate is never exceeded.
    #[must_use]
    pub fn period(&self) -> Duration {
        let nanos = self.per.as_nanos().div_ceil(u128::from(self.calls.get())).max(1);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.per {
            SECOND => write!(f, "{}/s", self.calls),
            MINUTE => write!(f, "{}/min", self.calls),
            HOUR => write!(f, "{}/h", self.calls),
            other => write!(f, "{}/{other:?}", self.calls),
        }
    }
}

impl FromStr for Rate {
    type Err = RateError;

    fn from_str(text: &str) -> Result<Self, RateError> {
        let error = || RateError { text: text.to_owned() };
        let (calls, per) = text.split_once('/').ok_or_else(error)?;
        let per = match per.trim() {
            "s" => SECOND,
            "m" | "min" => MINUTE,
            "h" => HOUR,
            _ => return Err(error()),
        };
        let calls = calls.trim().parse().map_err(|_| error())?;
        Ok(Self { calls, per, burst: NonZeroU32::MIN })
    }
}

/// Tokio's time as `governor` reads it: the time since the limiter was made.
#[derive(Debug, Clone)]
struct TokioClock {
    origin: Instant,
}

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.origin.elapsed()
    }
}

/// The turns of one account: a fair line, and at its head the limiter.
#[derive(Debug)]
pub(crate) struct Turns {
    period: Duration,
    max_wait: Duration,
    clock: TokioClock,
    cells: RateLimiter<NotKeyed, InMemoryState, TokioClock, StateInformationMiddleware>,
    head: tokio::sync::Mutex<()>,
    line: Mutex<Line>,
}

/// How many wait, and when the first of them may go.
#[derive(Debug)]
struct Line {
    waiting: u32,
    next_at: Instant,
}

/// A place in the line; left on drop.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    turns: &'a Turns,
}

impl Turns {
    /// Opens an idle line. `max_wait` is raised to one and a half periods of a very slow rate, and capped at
    /// [`MAX_WAIT_CAP`].
    pub(crate) fn new(rate: Rate, max_wait: Duration) -> Self {
        let period = rate.period();
        let clock = TokioClock { origin: Instant::now() };
        let burst = rate.burst.min(NonZeroU32::new(MAX_BURST).unwrap_or(NonZeroU32::MIN));
        let quota = Quota::with_period(period).expect("invariant: a period is at least 1 ns").allow_burst(burst);
        Self {
            period,
            max_wait: max_wait.max(period.saturating_mul(3) / 2).min(MAX_WAIT_CAP),
            cells: RateLimiter::direct_with_clock(quota, clock.clone()).with_middleware(),
            line: Mutex::new(Line { waiting: 0, next_at: clock.origin }),
            clock,
            head: tokio::sync::Mutex::new(()),
        }
    }

    /// Queues, unless the wait would be too long; that wait is then the error.
    pub(crate) fn line_up(&self) -> Result<Place<'_>, Duration> {
        let mut line = self.line.lock().unwrap_or_else(PoisonError::into_inner);
        let wait = self.expected(&line);
        if wait > self.max_wait {
            return Err(wait);
        }
        line.waiting += 1;
        Ok(Place { turns: self })
    }

    /// Says whether a newcomer would wait too long.
    pub(crate) fn is_full(&self) -> bool {
        self.expected(&self.line.lock().unwrap_or_else(PoisonError::into_inner)) > self.max_wait
    }

    /// Takes the next cell, or says how long until there is one. For the head of the line, lest others be passed.
    pub(crate) fn take(&self) -> Result<(), Duration> {
        let (answer, next) = match self.cells.check() {
            Ok(cells) if cells.remaining_burst_capacity() > 0 => (Ok(()), Duration::ZERO),
            Ok(_) => (Ok(()), self.period),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.clock.now());
                (Err(wait), wait)
            }
        };
        self.line.lock().unwrap_or_else(PoisonError::into_inner).next_at = Instant::now() + next;
        answer
    }

    /// The longest wait in hand.
    pub(crate) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    /// Wait of a newcomer: until the next cell, then one period for each of those in line before it.
    fn expected(&self, line: &Line) -> Duration {
        let next = line.next_at.saturating_duration_since(Instant::now());
        next.saturating_add(self.period.saturating_mul(line.waiting))
    }
}

impl<'a> Place<'a> {
    /// Waits to be the first in line; in order of arrival, since tokio's mutex is fair.
    pub(crate) async fn head(&self) -> MutexGuard<'a, ()> {
        self.turns.head.lock().await
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.turns.line.lock().unwrap_or_else(PoisonError::into_inner).waiting -= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_written_as_it_is_read() {
        for text in ["20/s", "600/min", "5000/h"] {
            let rate: Rate = text.parse().unwrap();
            assert_eq!(rate.to_string(), text);
            assert_eq!(rate.burst.get(), 1);
        }
        assert_eq!("5000/h".parse::<Rate>().unwrap().period(), Duration::from_millis(720));
    }

    #[test]
    fn what_is_no_rate_is_told_the_forms() {
        for text in ["", "20", "0/s", "-1/s", "1.5/s", "20/d", "20/s/s", "5000000000/s"] {
            let error = text.parse::<Rate>().unwrap_err();
            let expected = format!("{text:?} is no rate; write calls per time, at least 1: 20/s, 600/min or 5000/h");
            assert_eq!(error.to_string(), expected);
        }
    }

    #[test]
    fn a_period_rounds_up_so_that_the_rate_is_kept() {
        let rate: Rate = "3/s".parse().unwrap();
        assert_eq!(rate.period(), Duration::from_nanos(333_333_334));
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_suits_slow_rates_and_the_broker() {
        let longest = |rate: &str, wait| Turns::new(rate.parse().unwrap(), Duration::from_secs(wait)).max_wait();
        assert_eq!(longest("20/s", 60), Duration::from_secs(60));
        assert_eq!(longest("60/h", 60), Duration::from_secs(90));
        assert_eq!(longest("1/h", 60), MAX_WAIT_CAP);
        assert_eq!(longest("20/s", 3600), MAX_WAIT_CAP);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_rate_and_the_largest_burst_do_not_overflow() {
        let turns = Turns::new("1/h".parse::<Rate>().unwrap().with_burst(NonZeroU32::MAX), Duration::MAX);
        turns.take().unwrap();
    }
}
