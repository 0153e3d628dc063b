//! How far this machine's clock is from a server's, by the `Date` of an answer (RFC 9110 section 6.6.1).
//!
//! The server writes its date, cut to whole seconds, at some moment between request and answer. Promise: what is told
//! is the least difference that explains it, so that neither a slow answer nor the cut seconds make a clock wrong.

use std::time::{Duration, SystemTime};

use hyper::header::{AGE, DATE, HeaderMap};

use crate::gateway::http::date;

/// The unit a `Date` is cut to.
const SECOND: Duration = Duration::from_secs(1);

/// This machine's clock against a server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Skew {
    /// The same, within a second.
    None,
    /// This machine is ahead by at least so much.
    Ahead(Duration),
    /// This machine is behind by at least so much.
    Behind(Duration),
}

impl Skew {
    /// Returns the size of the difference.
    #[must_use]
    pub fn size(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Ahead(size) | Self::Behind(size) => size,
        }
    }

    /// Reads it off an answer asked for and received at these moments of this machine's clock; `None` without a date,
    /// and where a cache gave the answer, whose date is that of long ago.
    pub(super) fn of(headers: &HeaderMap, asked: SystemTime, received: SystemTime) -> Option<Self> {
        if headers.get(AGE).is_some_and(|age| age != "0") {
            return None;
        }
        let date = date::parse(headers.get(DATE)?.to_str().ok()?)?;
        let is_before =
            |ahead: SystemTime, behind: SystemTime| ahead.duration_since(behind).ok().filter(|size| *size >= SECOND);
        Some(if let Some(size) = is_before(date, received) {
            Self::Behind(size)
        } else if let Some(size) = is_before(asked, date + SECOND) {
            Self::Ahead(size)
        } else {
            Self::None
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT.
    const MOMENT: u64 = 784_111_777;

    fn at(seconds: u64, millis: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis)
    }

    fn skew(asked: SystemTime, received: SystemTime) -> Option<Skew> {
        let headers = HeaderMap::from_iter([(DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap())]);
        Skew::of(&headers, asked, received)
    }

    #[test]
    fn a_slow_answer_and_cut_seconds_are_no_skew() {
        assert_eq!(skew(at(MOMENT, 0), at(MOMENT, 1)), Some(Skew::None));
        assert_eq!(skew(at(MOMENT, 999), at(MOMENT + 1, 0)), Some(Skew::None));
        assert_eq!(skew(at(MOMENT - 30, 0), at(MOMENT, 0)), Some(Skew::None));
        assert_eq!(skew(at(MOMENT + 1, 0), at(MOMENT + 30, 0)), Some(Skew::None));
    }

    #[test]
    fn a_clock_that_differs_is_told_by_the_least_that_explains_it() {
        assert_eq!(skew(at(MOMENT + 61, 0), at(MOMENT + 62, 0)), Some(Skew::Ahead(Duration::from_mins(1))));
        assert_eq!(skew(at(MOMENT - 62, 0), at(MOMENT - 60, 0)), Some(Skew::Behind(Duration::from_mins(1))));
    }

    #[test]
    fn no_date_an_odd_one_and_a_cached_one_tell_nothing() {
        let of = |headers: HeaderMap| Skew::of(&headers, at(0, 0), at(0, 0));
        assert_eq!(of(HeaderMap::new()), None);
        assert_eq!(of(HeaderMap::from_iter([(DATE, "yesterday".parse().unwrap())])), None);
        let date = (DATE, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap());
        assert_eq!(of(HeaderMap::from_iter([date, (AGE, "60".parse().unwrap())])), None);
    }
}
