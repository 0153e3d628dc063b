//! The `Retry-After` header (RFC 9110 section 10.2.3): seconds, or an HTTP-date.

use std::time::{Duration, SystemTime};

use crate::gateway::http::date;

/// Longest wait believed (1 hour); a gateway that asks for more is asked again then.
pub(super) const MAX_RETRY_AFTER: Duration = Duration::from_hours(1);

/// Reads a value; `None` for anything but the two forms. A moment in the past is no wait.
pub(super) fn parse(value: &str, now: SystemTime) -> Option<Duration> {
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
