//! The `Retry-After` header (RFC 9110 section 10.2.3): seconds, or an HTTP-date.

use std::time::{Duration, SystemTime};

use hyper::header::{DATE, HeaderMap, RETRY_AFTER};

use crate::gateway::http::date;

/// Longest wait believed (1 hour); a gateway that asks for more is asked again then.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Reads it off an answer. A moment is counted from the answer's own `Date`, where it has one: this machine's clock may
/// have been set.
pub(super) fn of(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
    parse(text(RETRY_AFTER)?, text(DATE).and_then(date::parse).unwrap_or(now))
}

/// Reads a value; `None` for anything but the two forms. A moment in the past is no wait.
fn parse(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let wait = if !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit()) {
        // A number too long for its type is a long wait, not a fault.
        Duration::from_secs(value.parse().unwrap_or(u64::MAX))
    } else {
        date::parse(value)?.duration_since(now).unwrap_or_default()
    };
    Some(wait.min(MAX_RETRY_AFTER))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT, the example of the RFC.
    const MOMENT: u64 = 784_111_777;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn seconds_and_all_three_dates_are_read() {
        for value in [
            "10",
            " 10 ",
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
        ] {
            assert_eq!(parse(value, at(MOMENT - 10)), Some(Duration::from_secs(10)), "{value:?}");
        }
    }

    #[test]
    fn a_wait_until_a_moment_is_that_between_two_words_of_the_gateway() {
        let mut headers = HeaderMap::from_iter([(RETRY_AFTER, "Sun, 06 Nov 1994 08:49:37 GMT".parse().unwrap())]);
        assert_eq!(of(&headers, at(MOMENT - 10)), Some(Duration::from_secs(10)));
        headers.insert(DATE, "Sun, 06 Nov 1994 08:49:07 GMT".parse().unwrap());
        for ours in [0, MOMENT - 30, MOMENT + 86_400] {
            assert_eq!(of(&headers, at(ours)), Some(Duration::from_secs(30)), "{ours}");
        }
        headers.remove(RETRY_AFTER);
        assert_eq!(of(&headers, at(MOMENT)), None);
    }

    #[test]
    fn the_past_is_no_wait_and_the_far_future_is_capped() {
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", at(MOMENT + 10)), Some(Duration::ZERO));
        assert_eq!(parse("Sun, 06 Nov 1994 08:49:37 GMT", at(0)), Some(MAX_RETRY_AFTER));
        assert_eq!(parse("86400", at(0)), Some(MAX_RETRY_AFTER));
        assert_eq!(parse("99999999999999999999999", at(0)), Some(MAX_RETRY_AFTER));
    }

    #[test]
    fn anything_else_is_no_header_at_all() {
        for value in ["", "-1", "1.5", "soon", "Sun, 06 Nov 1994 08:49:37 CST", "06 Nov 1994"] {
            assert_eq!(parse(value, at(0)), None, "{value:?}");
        }
    }
}
