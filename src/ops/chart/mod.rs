//! Charts: data in, SVG for pages or lines for a terminal out.
//!
//! Nothing here reads a clock, a terminal or a language: titles and words come with the data, the width and the glyphs
//! with the [`text::Canvas`]. Promise: whatever is drawn is told in words and numbers too (a title, a description, a
//! table), so that nobody needs to see it, or its colours; and no text of others gets out of its place, be it with
//! HTML or with control characters.

pub mod scale;
pub mod spread;
pub mod svg;
pub mod text;

use crate::ops::chart::scale::{Quantile, buckets, quantiles};
use crate::ops::chart::spread::Spread;

/// What a bar stands for; a style sheet or a terminal gives it a colour, and its label says the same in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Done as was wished.
    Good,
    /// Ended otherwise, and nobody need act.
    Mild,
    /// Not yet: waiting, held, slowed down.
    Waiting,
    /// Someone must look.
    Bad,
    /// A number without a judgement.
    #[default]
    Plain,
}

impl Tone {
    /// Every one.
    pub const ALL: [Self; 5] = [Self::Good, Self::Mild, Self::Waiting, Self::Bad, Self::Plain];

    /// Returns the class of [`STYLE`].
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "tone-good",
            Self::Mild => "tone-mild",
            Self::Waiting => "tone-waiting",
            Self::Bad => "tone-bad",
            Self::Plain => "tone-plain",
        }
    }
}

/// The rules of every SVG made here: for a style sheet of a page. Colours are variables that a page may set anew, with
/// one set for light schemes and one for dark; a page that lets a person choose sets `data-theme` on its root.
pub const STYLE: &str = include_str!("style.css");

/// One labelled number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bar {
    /// What was counted.
    pub label: String,
    /// How much.
    pub value: u64,
    /// What it stands for.
    pub tone: Tone,
}

/// Labelled numbers, one bar each, longest 1 to some 40 of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bars {
    /// What is shown, in a few words.
    pub title: String,
    /// The same as a sentence or two, with what stands out, for who cannot see it.
    pub description: String,
    /// Heads of the table: what is counted, and how much.
    pub heads: [String; 2],
    /// The bars, from above.
    pub bars: Vec<Bar>,
}

/// One part of every column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    /// What was counted.
    pub label: String,
    /// What it stands for.
    pub tone: Tone,
}

/// One moment, or stretch of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// When: short, as `14:02`.
    pub label: String,
    /// One number a series; those missing count as 0.
    pub values: Vec<u64>,
}

/// Parts that make up a whole, over time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stacked {
    /// What is shown, in a few words.
    pub title: String,
    /// The same as a sentence or two, with what stands out.
    pub description: String,
    /// Head of the table's first column: `minute`.
    pub head: String,
    /// The parts, from below.
    pub series: Vec<Series>,
    /// The columns, oldest first; a few or several hundred.
    pub columns: Vec<Column>,
}

impl Stacked {
    /// Returns the height of the tallest column.
    #[must_use]
    pub fn tallest(&self) -> u64 {
        self.columns.iter().map(|column| column.values.iter().sum()).max().unwrap_or(0)
    }
}

/// How often a quantity fell between which bounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    /// What is shown, in a few words.
    pub title: String,
    /// The same as a sentence or two.
    pub description: String,
    /// Heads of the table: the range, and how many.
    pub heads: [String; 2],
    /// Unit of the quantity, as `ms`.
    pub unit: String,
    /// Lower bound (included), upper bound (not included) and count, ascending and without gaps.
    pub buckets: Vec<(u64, u64, u64)>,
    /// Values that so many percent do not exceed.
    pub quantiles: Vec<Quantile>,
}

/// The words of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistogramWords {
    /// What is shown, in a few words.
    pub title: String,
    /// The same as a sentence or two.
    pub description: String,
    /// Heads of the table: the range, and how many.
    pub heads: [String; 2],
    /// Unit of the quantity, as `ms`.
    pub unit: String,
}

impl Histogram {
    /// Sorts values into buckets whose bounds are 1, 2 or 5 times a power of ten.
    #[must_use]
    pub fn of(words: HistogramWords, values: &Spread) -> Self {
        let HistogramWords { title, description, heads, unit } = words;
        let (buckets, quantiles) = (buckets(values), quantiles(values));
        Self { title, description, heads, unit, buckets, quantiles }
    }

    /// Returns the same as bars.
    #[must_use]
    pub fn bars(&self) -> Bars {
        let Self { title, description, heads, unit, buckets, .. } = self;
        let bar = |&(from, to, value): &(u64, u64, u64)| {
            let label = format!("{from}\u{2013}{to} {unit}");
            Bar { label, value, tone: Tone::Plain }
        };
        let bars = buckets.iter().map(bar).collect();
        Bars { title: title.clone(), description: description.clone(), heads: heads.clone(), bars }
    }

    /// Writes `p50 12 ms, p95 40 ms, p99 81 ms, max 90 ms`; empty where nothing was measured.
    #[must_use]
    pub fn summary(&self) -> String {
        let told = self.quantiles.iter().map(|Quantile { percent, value }| match percent {
            100 => format!("max {value} {}", self.unit),
            percent => format!("p{percent} {value} {}", self.unit),
        });
        told.collect::<Vec<_>>().join(", ")
    }
}
