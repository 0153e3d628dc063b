//! Which timestamp was signed, where another one was sent.

use jiff::civil::DateTime;
use jiff::{SignedDuration, ToSpan};

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::search::Slip;

const FORM: &str = "%Y-%m-%d %H:%M:%S";

/// Seconds a program may take between making the timestamp it signs and the one it sends.
const NEIGHBOURS: i64 = 120;

/// Returns the slips for a sent timestamp: other zones first, then the seconds around it.
pub(in crate::gateway::diagnosis) fn slips(sent: &[u8]) -> Vec<Slip<FormDraft>> {
    let Some(moment) = std::str::from_utf8(sent).ok().and_then(|text| DateTime::strptime(FORM, text).ok()) else {
        return Vec::new();
    };
    let signed = |minutes: i64, seconds: i64| {
        let other = moment.checked_add(minutes.minutes()).ok()?;
        other.checked_add(SignedDuration::from_secs(seconds)).ok().map(|other| other.strftime(FORM).to_string())
    };
    let mut slips = Vec::new();
    // Half hours, the likely zones first: UTC, then by distance.
    let mut offsets: Vec<i64> = (1..=28).flat_map(|half| [-half * 30, half * 30]).collect();
    offsets.sort_by_key(|minutes| *minutes != -480 && *minutes != 480);
    for minutes in offsets {
        let Some(text) = signed(minutes, 0) else { continue };
        let what = format!("`timestamp` was signed as {text} and sent as another zone's time");
        let remedy = "make the timestamp once, in GMT+8, and send the one that was signed";
        slips.push(slip(Cause::new("timestamp_of_another_zone", what, remedy), text));
    }
    for seconds in (1..=NEIGHBOURS).flat_map(|seconds| [-seconds, seconds]) {
        let Some(text) = signed(0, seconds) else { continue };
        let what = format!("`timestamp` was signed as {text} and sent made anew");
        let remedy = "make the timestamp once and send the one that was signed";
        slips.push(slip(Cause::new("timestamp_made_anew", what, remedy), text));
    }
    slips
}

fn slip(cause: Cause, text: String) -> Slip<FormDraft> {
    Slip::rare(cause, move |draft: &mut FormDraft| draft.set(b"timestamp", text.as_bytes()))
}
