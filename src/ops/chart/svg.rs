//! Charts as figures of a page: an SVG with title and description, and the numbers as a table below it.
//!
//! No script, no `style` attribute, nothing fetched: fit for the strictest content security policy. The colours come from
//! [`STYLE`](super::STYLE). Every figure wants an id of its own, of letters, digits and `-`.

use maud::{Markup, html};

use crate::ops::chart::scale::{ceiling, part};
use crate::ops::chart::{Bar, Bars, Column, Histogram, Series, Stacked, Tone};

const WIDTH: f64 = 640.0;
/// Height of a bar with its label.
const ROW: f64 = 38.0;
const PLOT_HEIGHT: f64 = 180.0;
const LEFT: f64 = 48.0;
const BOTTOM: f64 = 24.0;
const TOP: f64 = 10.0;
/// Labels below an axis that have room beside each other.
const MAX_LABELS: usize = 8;

/// What a figure says beside its data, in the reader's language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Words {
    /// What opens the table: `The numbers`.
    pub numbers: String,
}

impl Default for Words {
    fn default() -> Self {
        Self { numbers: "The numbers".into() }
    }
}

impl Bars {
    /// Draws it.
    #[must_use]
    pub fn figure(&self, id: &str, words: &Words) -> Markup {
        let rows = || self.bars.iter().map(|Bar { label, value, .. }| (label.clone(), vec![*value]));
        figure(id, &self.title, &self.bars_svg(id), &html! {}, &numbers(&self.title, &self.heads, rows(), words))
    }

    fn bars_svg(&self, id: &str) -> Markup {
        let most = self.bars.iter().map(|bar| bar.value).max().unwrap_or(0);
        let height = ROW * count(self.bars.len().max(1));
        let row = |(at, bar): (usize, &Bar)| {
            let y = ROW * count(at);
            // One that is not 0 is never invisible.
            let width = if bar.value == 0 { 0.0 } else { (part(bar.value, most) * WIDTH).max(2.0) };
            html! {
                text x="0" y=(num(y + 14.0)) { (shown(&bar.label)) }
                text x=(num(WIDTH)) y=(num(y + 14.0)) text-anchor="end" { (bar.value) }
                rect class=(bar.tone.class()) x="0" y=(num(y + 19.0)) width=(num(width)) height="12" rx="2" {}
            }
        };
        let rows = html! { @for entry in self.bars.iter().enumerate() { (row(entry)) } };
        svg(id, (&self.title, &self.description), height, &rows)
    }
}

impl Histogram {
    /// Draws it.
    #[must_use]
    pub fn figure(&self, id: &str, words: &Words) -> Markup {
        let Self { title, description, heads, unit, buckets, .. } = self;
        let series = vec![Series { label: heads[1].clone(), tone: Tone::Plain }];
        let column =
            |&(from, to, value): &(u64, u64, u64)| Column { label: format!("{from}\u{2013}{to}"), values: vec![value] };
        let columns = buckets.iter().map(column).collect();
        let head = format!("{} ({unit})", heads[0]);
        let stacked = Stacked { title: title.clone(), description: description.clone(), head, series, columns };
        let summary = html! { p class="summary" { (shown(&self.summary())) } };
        figure(id, title, &stacked.plot(id), &summary, &stacked.numbers(words))
    }
}

impl Stacked {
    /// Draws it.
    #[must_use]
    pub fn figure(&self, id: &str, words: &Words) -> Markup {
        let legend = html! {
            ul class="legend" {
                @for (at, series) in self.series.iter().enumerate() {
                    li {
                        svg viewBox="0 0 12 12" aria-hidden="true" {
                            rect x="0" y="0" width="12" height="12" fill=(fill(id, at)) {}
                        }
                        (shown(&series.label))
                    }
                }
            }
        };
        figure(id, &self.title, &self.plot(id), &legend, &self.numbers(words))
    }

    fn numbers(&self, words: &Words) -> Markup {
        let heads: Vec<&String> = [&self.head].into_iter().chain(self.series.iter().map(|part| &part.label)).collect();
        let row = |column: &Column| {
            let values = (0..self.series.len()).map(|at| column.values.get(at).copied().unwrap_or(0));
            (column.label.clone(), values.collect())
        };
        numbers(&self.title, &heads, self.columns.iter().map(row), words)
    }

    fn plot(&self, id: &str) -> Markup {
        let most = ceiling(self.tallest());
        let height = TOP + PLOT_HEIGHT + BOTTOM;
        let level = |value: u64| TOP + PLOT_HEIGHT * (1.0 - part(value, most));
        let step = (WIDTH - LEFT) / count(self.columns.len().max(1));
        let every = self.columns.len().div_ceil(MAX_LABELS).max(1);
        // Half of 1 is no number of items.
        let ticks = if most < 2 { vec![0, most] } else { vec![0, most / 2, most] };
        let column = |(at, column): (usize, &Column)| {
            let x = LEFT + step * count(at);
            let mut below = 0;
            let parts = column.values.iter().take(self.series.len()).enumerate().map(|(part, value)| {
                let from = level(below);
                below += value;
                (part, level(below), from - level(below))
            });
            html! {
                g {
                    title { (self.spoken(column)) }
                    @for (part, y, tall) in parts.filter(|(.., tall)| *tall > 0.0) {
                        rect x=(num(x + step * 0.08)) y=(num(y)) width=(num(step * 0.84)) height=(num(tall))
                            fill=(fill(id, part)) {}
                    }
                }
                @if at % every == 0 {
                    text class="dim" x=(num(x + step / 2.0)) y=(num(height - 8.0)) text-anchor="middle" {
                        (shown(&column.label))
                    }
                }
            }
        };
        let inner = html! {
            defs { @for (at, series) in self.series.iter().enumerate() { (pattern(id, at, series.tone)) } }
            @for tick in ticks {
                line class="line" x1=(num(LEFT)) x2=(num(WIDTH)) y1=(num(level(tick))) y2=(num(level(tick))) {}
                text class="dim" x=(num(LEFT - 6.0)) y=(num(level(tick) + 4.0)) text-anchor="end" { (tick) }
            }
            @for entry in self.columns.iter().enumerate() { (column(entry)) }
        };
        svg(id, (&self.title, &self.description), height, &inner)
    }

    /// What a pointer that rests on a column is told.
    fn spoken(&self, column: &Column) -> String {
        let part = |(series, value): (&Series, &u64)| format!("{} {value}", series.label);
        let parts: Vec<String> = self.series.iter().zip(&column.values).map(part).collect();
        shown(&format!("{}: {}", column.label, parts.join(", ")))
    }
}

fn figure(id: &str, title: &str, svg: &Markup, below: &Markup, numbers: &Markup) -> Markup {
    html! {
        figure class="chart" id=(id) {
            figcaption { (shown(title)) }
            (svg)
            (below)
            (numbers)
        }
    }
}

fn svg(id: &str, (title, description): (&str, &str), height: f64, inner: &Markup) -> Markup {
    html! {
        svg viewBox=(format!("0 0 {} {}", num(WIDTH), num(height))) role="img"
            aria-labelledby=(format!("{id}-title {id}-desc")) xmlns="http://www.w3.org/2000/svg" {
            title id=(format!("{id}-title")) { (shown(title)) }
            desc id=(format!("{id}-desc")) { (shown(description)) }
            (inner)
        }
    }
}

/// The colour of a series, and lines across it that tell it from its neighbours without one.
fn pattern(id: &str, at: usize, tone: Tone) -> Markup {
    let lines = match at % 4 {
        0 => None,
        1 => Some("M-2,2 l4,-4 M0,8 l8,-8 M6,10 l4,-4"),
        2 => Some("M0,4 h8"),
        _ => Some("M4,0 v8"),
    };
    html! {
        pattern id=(format!("{id}-{at}")) width="8" height="8" patternUnits="userSpaceOnUse" {
            rect class=(tone.class()) x="0" y="0" width="8" height="8" {}
            @if let Some(lines) = lines { path class="mark" d=(lines) {} }
        }
    }
}

fn fill(id: &str, at: usize) -> String {
    format!("url(#{id}-{at})")
}

fn numbers(
    title: &str,
    heads: &[impl AsRef<str>],
    rows: impl Iterator<Item = (String, Vec<u64>)>,
    words: &Words,
) -> Markup {
    html! {
        details {
            summary { (words.numbers) }
            table {
                caption hidden { (shown(title)) }
                thead { tr { @for head in heads { th scope="col" { (shown(head.as_ref())) } } } }
                tbody {
                    @for (label, values) in rows {
                        tr {
                            th scope="row" { (shown(&label)) }
                            @for value in values { td class="number" { (value) } }
                        }
                    }
                }
            }
        }
    }
}

/// XML knows no control characters, however they are written; `maud` sees to the rest.
fn shown(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// A tenth of a unit is finer than anyone sees.
fn num(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(ToOwned::to_owned).unwrap_or(text)
}

#[expect(clippy::cast_precision_loss, reason = "for drawing")]
fn count(number: usize) -> f64 {
    number as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::chart::HistogramWords;

    fn bars() -> Bars {
        let bar = |label: &str, value, tone| Bar { label: label.into(), value, tone };
        Bars {
            title: "Outcomes <by> reason".into(),
            description: "312 taken down & 4 dead".into(),
            heads: ["reason".into(), "items".into()],
            bars: vec![
                bar("taken_down", 312, Tone::Good),
                bar("<script>alert(1)</script>\u{1b}[31m", 4, Tone::Bad),
                bar("none", 0, Tone::Plain),
            ],
        }
    }

    #[test]
    fn a_figure_says_in_words_and_numbers_what_it_draws() {
        let page = bars().figure("reasons", &Words::default()).into_string();
        for told in [
            r#"role="img" aria-labelledby="reasons-title reasons-desc""#,
            r#"<title id="reasons-title">Outcomes &lt;by&gt; reason</title>"#,
            r#"<desc id="reasons-desc">312 taken down &amp; 4 dead</desc>"#,
            r#"<th scope="row">taken_down</th><td class="number">312</td>"#,
            r#"<rect class="tone-good" x="0" y="19" width="640" height="12" rx="2">"#,
            r#"<rect class="tone-plain" x="0" y="95" width="0""#,
        ] {
            assert!(page.contains(told), "{told}: {page}");
        }
    }

    #[test]
    fn no_text_of_others_gets_out_of_its_place() {
        let page = bars().figure("reasons", &Words::default()).into_string();
        assert!(!page.contains("<script") && !page.contains('\u{1b}'), "{page}");
        assert!(!page.contains(" style="), "a strict policy lets no style attribute through: {page}");
    }

    #[test]
    fn parts_of_a_column_stand_on_each_other() {
        let series = |label: &str, tone| Series { label: label.into(), tone };
        let column = |label: &str, values: &[u64]| Column { label: label.into(), values: values.to_vec() };
        let stacked = Stacked {
            title: "Outcomes".into(),
            description: "by minute".into(),
            head: "minute".into(),
            series: vec![series("success", Tone::Good), series("dead", Tone::Bad)],
            columns: vec![column("14:01", &[60, 40]), column("14:02", &[5])],
        };
        let page = stacked.figure("minutes", &Words::default()).into_string();
        // 100 is the axis' end: 60 % of 180 from below, then 40 %.
        assert!(page.contains(r#"y="82" width="248.6" height="108" fill="url(#minutes-0)""#), "{page}");
        assert!(page.contains(r#"y="10" width="248.6" height="72" fill="url(#minutes-1)""#), "{page}");
        assert!(page.contains("<title>14:01: success 60, dead 40</title>"), "{page}");
        assert!(page.contains(r#"<th scope="row">14:02</th><td class="number">5</td><td class="number">0</td>"#));
    }

    #[test]
    fn a_histogram_tells_its_quantiles() {
        let words = HistogramWords {
            title: "Gateway latency".into(),
            description: "of 3 calls".into(),
            heads: ["latency".into(), "calls".into()],
            unit: "ms".into(),
        };
        let page =
            Histogram::of(words, &[4, 3, 120].into_iter().collect()).figure("latency", &Words::default()).into_string();
        assert!(page.contains("p50 4 ms, p95 120 ms, p99 120 ms, max 120 ms"), "{page}");
        assert!(page.contains(r#"<th scope="row">2–5</th><td class="number">2</td>"#), "{page}");
    }
}
