//! What a finished piece of work came to: a run, a demo, a batch; as lines of a terminal and as a page of its own.
//!
//! Holds counts, durations and names of accounts, reasons and files; no takedown, so nothing of it is secret. Promise: a
//! page needs nothing but itself (no network, no script), and says in words whatever it draws.

pub mod page;

mod phrases;

use std::collections::BTreeMap;

use crate::domain::outcome::{Reason, Status};
use crate::ops::chart::spread::Spread;
use crate::ops::chart::text::Canvas;
use crate::ops::chart::{Bar, Bars, Histogram, HistogramWords, Tone};
use crate::ops::language::Language;
use crate::ops::report::phrases::Phrases;

/// What a piece of work came to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Report {
    /// What was done: `items.csv`, `batch b-20261125-9f3a61c2`.
    pub subject: String,
    /// What else is worth knowing, each with its name: when, how long, how many calls.
    pub facts: Vec<(String, String)>,
    /// Items by how they ended.
    pub outcomes: BTreeMap<Reason, u64>,
    /// How long the gateway took for each call, in milliseconds; may be empty.
    pub latencies: Spread,
    /// How long each item took from its first delivery to its outcome, in milliseconds; may be empty.
    pub times: Spread,
    /// Items that have not ended.
    pub left: u64,
}

/// Returns what a status stands for.
#[must_use]
pub fn tone(status: Status) -> Tone {
    match status {
        Status::Success => Tone::Good,
        Status::Terminal | Status::Expired | Status::Cancelled => Tone::Mild,
        Status::Dead => Tone::Bad,
    }
}

impl Report {
    /// Returns the items that ended.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.outcomes.values().sum()
    }

    /// Returns the dead among them.
    #[must_use]
    pub fn dead(&self) -> u64 {
        let dead = |(reason, count): (&Reason, &u64)| (reason.status() == Status::Dead).then_some(*count);
        self.outcomes.iter().filter_map(dead).sum()
    }

    /// Writes the charts for a terminal.
    #[must_use]
    pub fn text(&self, canvas: &Canvas, language: Language) -> String {
        let phrases = Phrases::of(language);
        let mut charts = vec![self.reasons(phrases).text(canvas)];
        charts.extend(self.histograms(phrases).map(|histogram| histogram.text(canvas)));
        charts.join("\n")
    }

    /// Draws outcomes by reason, the most frequent first.
    fn reasons(&self, phrases: &Phrases) -> Bars {
        let mut counts: Vec<(&Reason, &u64)> = self.outcomes.iter().collect();
        counts.sort_by_key(|(reason, count)| (std::cmp::Reverse(**count), **reason));
        let bar = |(reason, count): (&Reason, &u64)| Bar {
            label: format!("{} {reason}", reason.status()),
            value: *count,
            tone: tone(reason.status()),
        };
        let most = counts.first().map(|(reason, count)| format!("{reason} {count}")).unwrap_or_default();
        Bars {
            title: phrases.reasons.to_owned(),
            description: format!("{}: {}; {}: {most}", phrases.items, self.total(), phrases.most),
            heads: [phrases.reason.to_owned(), phrases.items.to_owned()],
            bars: counts.into_iter().map(bar).collect(),
        }
    }

    /// Draws how long calls and items took, where that was measured.
    fn histograms(&self, phrases: &Phrases) -> impl Iterator<Item = Histogram> {
        let of = |title: &str, range: &str, counted: &str, values: &Spread| {
            let words = HistogramWords {
                title: title.to_owned(),
                description: format!("{counted}: {}", values.total()),
                heads: [range.to_owned(), counted.to_owned()],
                unit: "ms".to_owned(),
            };
            (!values.is_empty()).then(|| Histogram::of(words, values))
        };
        let latency = of(phrases.latency, phrases.time, phrases.calls, &self.latencies);
        let time = of(phrases.times, phrases.time, phrases.items, &self.times);
        latency.into_iter().chain(time)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::chart::text::Canvas;

    pub(super) fn report() -> Report {
        Report {
            subject: "<items>.csv".into(),
            facts: vec![("took".into(), "4.2 s".into())],
            outcomes: BTreeMap::from([(Reason::TakenDown, 312), (Reason::ItemNotFound, 40), (Reason::UnknownCode, 4)]),
            latencies: [3, 4, 12].into_iter().collect(),
            times: [150, 900].into_iter().collect(),
            left: 2,
        }
    }

    #[test]
    fn the_charts_of_a_terminal_tell_reasons_and_times() {
        let text = report().text(&Canvas::FILE, Language::English);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "Outcomes by reason");
        assert!(lines[1].starts_with("success taken_down       312  ####"), "{text}");
        assert!(lines[3].starts_with("dead unknown_code          4  #"), "{text}");
        assert!(text.contains("Gateway latency\n2-5 ms    2  ###"), "{text}");
        assert!(text.contains("p50 4 ms, p95 12 ms, p99 12 ms, max 12 ms"), "{text}");
    }

    #[test]
    fn what_was_not_measured_is_not_drawn() {
        let none = Report { latencies: Spread::default(), times: Spread::default(), ..report() };
        assert!(!none.text(&Canvas::FILE, Language::English).contains("latency"));
    }
}
