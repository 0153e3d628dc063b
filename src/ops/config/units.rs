//! How durations and rates are written: `500ms`, `10s`, `2m`, `72h`; `20/s`, `600/min`, `5000/h`.

use std::time::Duration;

use crate::limits::rate::Rate;
use crate::ops::config::fault::Problem;

/// Reads a duration.
pub(in crate::ops) fn duration(text: &str) -> Result<Duration, Problem> {
    let wrong = || Problem::new(format!("is {text:?}, which is no duration"), "write 500ms, 10s, 2m or 72h");
    let digits = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let millis = match unit.trim() {
        "ms" => 1,
        "s" => 1000,
        "m" | "min" => 60 * 1000,
        "h" => 60 * 60 * 1000,
        _ => return Err(wrong()),
    };
    number.checked_mul(millis).map(Duration::from_millis).ok_or_else(wrong)
}

/// Writes a duration the way it is read.
pub(in crate::ops) fn duration_text(duration: Duration) -> String {
    let millis = duration.as_millis();
    match millis {
        0 => "0s".to_owned(),
        _ if millis.is_multiple_of(3_600_000) => format!("{}h", millis / 3_600_000),
        _ if millis.is_multiple_of(60_000) => format!("{}m", millis / 60_000),
        _ if millis.is_multiple_of(1000) => format!("{}s", millis / 1000),
        _ => format!("{millis}ms"),
    }
}

/// Reads a duration that must lie between two bounds, both allowed.
pub(super) fn duration_within(least: Duration, most: Duration) -> impl Fn(&str) -> Result<Duration, Problem> {
    move |text| {
        let found = duration(text)?;
        if (least..=most).contains(&found) {
            return Ok(found);
        }
        let bounds = format!("choose between {} and {}", duration_text(least), duration_text(most));
        Err(Problem::new(format!("is {text:?}, which is out of range"), bounds))
    }
}

/// Reads a part of a whole, above 0 and at most 1: `1/4`, `0.25`.
pub(super) fn part(text: &str) -> Result<f64, Problem> {
    let wrong = || Problem::new(format!("is {text:?}, which is no part of a rate"), "write 1/4, or 0.25");
    let number = |text: &str| text.trim().parse::<f64>().map_err(|_| wrong());
    let part = match text.split_once('/') {
        Some((part, whole)) => number(part)? / number(whole)?,
        None => number(text)?,
    };
    if part > 0.0 && part <= 1.0 { Ok(part) } else { Err(wrong()) }
}

/// Reads a rate; its burst is set apart.
pub(super) fn rate(text: &str) -> Result<Rate, Problem> {
    let wrong =
        |_| Problem::new(format!("is {text:?}, which is no rate"), "write calls per time: 20/s, 600/min or 5000/h");
    text.parse().map_err(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_and_written_alike() {
        for (text, millis) in [("500ms", 500), ("10s", 10_000), ("2m", 120_000), ("72h", 259_200_000), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_millis(millis)), "{text}");
            assert_eq!(duration_text(Duration::from_millis(millis)), text);
        }
    }

    #[test]
    fn a_duration_without_a_unit_or_beyond_all_bounds_is_refused() {
        for text in ["", "10", "s", "-1s", "1.5s", "10 days", "99999999999999999999h", "18446744073709551615h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn rates_have_three_units_and_are_never_zero() {
        assert_eq!(rate("20/s").map(|r| (r.calls.get(), r.per.as_secs())), Ok((20, 1)));
        assert_eq!(rate("600/min").map(|r| (r.calls.get(), r.per.as_secs())), Ok((600, 60)));
        assert_eq!(rate("5000/h").map(|r| (r.calls.get(), r.per.as_secs())), Ok((5000, 3600)));
        for text in ["0/s", "20", "20/d", "/s", "2.5/s", "-1/s"] {
            assert!(rate(text).is_err(), "{text}");
        }
    }
}
