//! A rate as people write it: calls per time, with a burst.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

/// Largest burst that counts.
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
    /// Calls that may leave at once after a pause, at most [`MAX_BURST`]; default 1, which keeps any rate: see
    /// [`cells`](crate::limits::cells).
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

    /// Returns the calls of a second.
    #[must_use]
    pub fn per_second(&self) -> f64 {
        f64::from(self.calls.get()) / self.per.as_secs_f64()
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
}
