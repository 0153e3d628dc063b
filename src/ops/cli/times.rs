//! Moments and spans of time as people read them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Writes `14:02`, or `24 Nov 14:02` where that was another day, by the clock on the wall here.
pub(in crate::ops) fn wall(time: SystemTime, now: SystemTime) -> String {
    in_zone(time, now, &TimeZone::system())
}

fn in_zone(time: SystemTime, now: SystemTime, zone: &TimeZone) -> String {
    let local = |time| Timestamp::try_from(time).map(|time| time.to_zoned_datetime(zone.clone()));
    match (local(time), local(now)) {
        (Ok(time), Ok(now)) if time.date() == now.date() => time.strftime("%H:%M").to_string(),
        (Ok(time), _) => time.strftime("%-d %b %H:%M").to_string(),
        (Err(_), _) => "long ago".to_owned(),
    }
}

/// Writes `40 s`, `12 min`, `2 h 14 min` or `3 d 2 h`: the two largest units, rounded down.
pub(in crate::ops) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |many: u64, unit, few: u64, smaller| match few {
        0 => format!("{many} {unit}"),
        few => format!("{many} {unit} {few} {smaller}"),
    };
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) if minutes < 10 => two(minutes, "min", seconds % 60, "s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, _) => two(hours, "h", minutes % 60, "min"),
        (days, ..) => two(days, "d", hours % 24, "h"),
    }
}

/// Writes calls or items a second as people write a rate: `12/s`, `1.5/s`, `6/min`.
pub(in crate::ops) fn rate(per_second: f64) -> String {
    match per_second {
        rate if rate <= 0.0 => "0/s".to_owned(),
        rate if rate >= 9.95 => format!("{rate:.0}/s"),
        rate if rate >= 0.995 => trimmed(format!("{rate:.1}"), "/s"),
        rate if rate * 60.0 >= 0.995 => trimmed(format!("{:.1}", rate * 60.0), "/min"),
        rate => trimmed(format!("{:.1}", rate * 3600.0), "/h"),
    }
}

fn trimmed(number: String, unit: &str) -> String {
    format!("{}{unit}", number.strip_suffix(".0").unwrap_or(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_day_is_named() {
        let at = |text: &str| SystemTime::try_from(text.parse::<Timestamp>().unwrap()).unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(8));
        let now = at("2026-11-25T13:00:00Z");
        assert_eq!(in_zone(at("2026-11-25T06:02:59Z"), now, &zone), "14:02");
        assert_eq!(in_zone(at("2026-11-24T15:59:00Z"), now, &zone), "24 Nov 23:59");
        assert_eq!(in_zone(at("2026-11-24T16:00:00Z"), now, &zone), "00:00", "midnight is the zone's");
    }

    #[test]
    fn spans_and_rates_are_as_exact_as_anyone_needs() {
        let spans = [0, 59, 60, 90, 600, 3599, 3600, 8040, 90_000, 172_800].map(Duration::from_secs).map(span);
        assert_eq!(
            spans,
            ["0 s", "59 s", "1 min", "1 min 30 s", "10 min", "59 min", "1 h", "2 h 14 min", "1 d 1 h", "2 d"]
        );
        let rates = [0.0, 0.001, 0.1, 0.5, 1.0, 1.25, 9.9, 9.96, 250.4].map(rate);
        assert_eq!(rates, ["0/s", "3.6/h", "6/min", "30/min", "1/s", "1.2/s", "9.9/s", "10/s", "250/s"]);
    }
}
