//! `[accounts.NAME.quota]`: calls a day, and when the day begins.

use jiff::civil::Time;
use jiff::tz::TimeZone;

use crate::limits::quota::QuotaSettings;
use crate::ops::config::fault::Problem;
use crate::ops::config::section::Section;

/// Reads it; what is absent is as [`QuotaSettings::default`] has it.
pub(super) fn read(mut section: Section<'_>) -> QuotaSettings {
    let calls = section.number("calls", 1..=1_000_000_000_000);
    let resets_at = section.text("resets_at", |text| {
        let wrong = |_| Problem::new(format!("is {text:?}, which is no time of day"), "write it as 00:00");
        text.parse::<Time>().map_err(wrong)
    });
    let zone = section.text("zone", zone);
    section.finish();
    let default = QuotaSettings::default();
    QuotaSettings { calls, resets_at: resets_at.unwrap_or(default.resets_at), zone: zone.unwrap_or(default.zone) }
}

/// Reads a zone's name, or an offset, which needs no zone database on the machine.
fn zone(text: &str) -> Result<TimeZone, Problem> {
    let offset = jiff::fmt::strtime::parse("%:z", text).ok().and_then(|parsed| parsed.offset());
    match offset {
        Some(offset) => Ok(TimeZone::fixed(offset)),
        None => TimeZone::get(text).map_err(|_| {
            let remedy = "write Asia/Shanghai, which needs the system's zone database (tzdata), or +08:00";
            Problem::new(format!("is {text:?}, which is no time zone known here"), remedy)
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets_or_names() {
        let eight = TimeZone::fixed(jiff::tz::offset(8));
        assert_eq!(zone("+08:00").unwrap(), eight);
        assert!(zone("UTC").is_ok());
        assert!(zone("Nowhere/Else").unwrap_err().to_string().contains("no time zone"));
    }
}
