//! HTTP dates (RFC 9110 section 5.6.7), in any of the three forms a recipient must accept.

use std::time::SystemTime;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// The preferred form, the obsolete one of RFC 850, and C's asctime.
const FORMS: [&str; 3] = ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];

/// Reads a date; `None` for anything else.
pub(super) fn parse(value: &str) -> Option<SystemTime> {
    let date = FORMS.iter().find_map(|form| DateTime::strptime(form, value.trim()).ok())?;
    SystemTime::try_from(TimeZone::UTC.to_timestamp(date).ok()?).ok()
}
