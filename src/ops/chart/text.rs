//! Charts as lines for a terminal, or for a file.

use std::fmt::Write as _;

use anstyle::{AnsiColor, Style};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::ops::chart::scale::{ceiling, part};
use crate::ops::chart::{Bar, Bars, Column, Histogram, Stacked, Tone};

/// Rows of a plot over time.
const HEIGHT: u64 = 8;

/// Least room for bars; in a narrower place they stand below their labels' first letters.
const LEAST_BAR: usize = 8;

/// What may be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Glyphs {
    /// Blocks, down to an eighth of a cell.
    Unicode,
    /// Letters and signs every terminal has.
    Ascii,
}

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Paint {
    /// ANSI colours.
    Coloured,
    /// None.
    Plain,
}

/// Where a chart is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Canvas {
    /// Cells of a line, 20 at least are used.
    pub width: usize,
    /// What may be written.
    pub glyphs: Glyphs,
    /// Whether colours are wanted.
    pub paint: Paint,
}

impl Tone {
    /// Returns the colour of a terminal; the eight that every theme adapts to light and dark.
    #[must_use]
    pub fn style(self) -> Style {
        match self {
            Self::Good => AnsiColor::Green.on_default(),
            Self::Mild => AnsiColor::Magenta.on_default(),
            Self::Waiting => AnsiColor::Yellow.on_default(),
            Self::Bad => AnsiColor::Red.on_default(),
            Self::Plain => AnsiColor::Cyan.on_default(),
        }
    }
}

impl Canvas {
    /// A file, or a pipe: plain, 80 cells wide.
    pub const FILE: Self = Self { width: 80, glyphs: Glyphs::Ascii, paint: Paint::Plain };

    /// Colours a text.
    #[must_use]
    pub fn painted(&self, text: &str, style: Style) -> String {
        match self.paint {
            Paint::Coloured if !text.is_empty() => format!("{style}{text}{style:#}"),
            Paint::Coloured | Paint::Plain => text.to_owned(),
        }
    }

    fn cells(&self) -> usize {
        self.width.max(20)
    }

    /// Cuts what is wider than so many cells, and takes control characters out; nothing of others steers a terminal.
    #[must_use]
    pub fn cut(&self, text: &str, cells: usize) -> String {
        let text = visible(text);
        let text = match self.glyphs {
            Glyphs::Unicode => text,
            Glyphs::Ascii => text.replace('\u{2013}', "-"),
        };
        if text.width() <= cells {
            return text;
        }
        let more = match self.glyphs {
            Glyphs::Unicode => "…",
            Glyphs::Ascii => "..",
        };
        let mut left = cells.saturating_sub(more.width());
        let fits = |c: &char| {
            let wide = c.width().unwrap_or(0);
            let has_room = wide <= left;
            left = left.saturating_sub(wide);
            has_room
        };
        let mut kept: String = text.chars().take_while(fits).collect();
        kept.push_str(more);
        kept
    }

    /// A bar of a part of so many cells; what is not 0 is never invisible.
    fn bar(&self, value: u64, most: u64, cells: usize) -> String {
        const EIGHTHS: [char; 7] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉'];
        let whole = u64::try_from(cells).unwrap_or(u64::MAX).saturating_mul(8);
        let eighths = scaled(value, most, whole).max(u64::from(value > 0));
        let (full, rest) = (usize::try_from(eighths / 8).unwrap_or(cells), eighths % 8);
        match self.glyphs {
            Glyphs::Unicode => {
                let tip = usize::try_from(rest).unwrap_or(0).checked_sub(1).and_then(|at| EIGHTHS.get(at));
                "█".repeat(full).chars().chain(tip.copied()).collect()
            }
            Glyphs::Ascii => "#".repeat(full.max(usize::from(value > 0))),
        }
    }
}

impl Bars {
    /// Writes it, a line a bar.
    #[must_use]
    pub fn text(&self, canvas: &Canvas) -> String {
        let most = self.bars.iter().map(|bar| bar.value).max().unwrap_or(0);
        let number = most.to_string().len();
        let room = canvas.cells().saturating_sub(number + 4);
        let widest = self.bars.iter().map(|bar| visible(&bar.label).width()).max().unwrap_or(0);
        let label = widest.min(room.saturating_sub(LEAST_BAR).max(room / 2));
        let cells = room.saturating_sub(label);
        let mut text = format!("{}\n", canvas.cut(&self.title, canvas.cells()));
        for Bar { label: name, value, tone } in &self.bars {
            let name = canvas.cut(name, label);
            let gap = " ".repeat(label.saturating_sub(name.width()));
            let bar = canvas.painted(&canvas.bar(*value, most, cells), tone.style());
            line(&mut text, format!("{name}{gap}  {value:>number$}  {bar}").trim_end());
        }
        text
    }
}

impl Histogram {
    /// Writes it, a line a bucket, and the quantiles below.
    #[must_use]
    pub fn text(&self, canvas: &Canvas) -> String {
        let mut text = self.bars().text(canvas);
        let summary = self.summary();
        if !summary.is_empty() {
            line(&mut text, &canvas.cut(&summary, canvas.cells()));
        }
        text
    }
}

impl Stacked {
    /// Writes it as columns over time; where there are more of them than cells, neighbours are added up.
    #[must_use]
    pub fn text(&self, canvas: &Canvas) -> String {
        let scale = self.tallest().to_string().len().max(2);
        let cells = canvas.cells() - scale - 2;
        let columns = self.joined(cells);
        let tall = |column: &Column| column.values.iter().sum::<u64>();
        let most = ceiling(columns.iter().map(tall).max().unwrap_or(0));
        let scale = most.to_string().len();
        let each = (cells / columns.len().max(1)).clamp(1, 6);
        let bar = " ".repeat(usize::from(each > 2));
        let mut text = format!("{}\n", canvas.cut(&self.title, canvas.cells()));
        for row in (0..HEIGHT).rev() {
            let tick = if row == HEIGHT - 1 { most.to_string() } else { String::new() };
            let mut drawn = String::new();
            for column in &columns {
                // Judged in the middle of the cell; the lowest shows everything that is not 0.
                let part = self.part_at(column, most, row);
                let cell = part.map_or_else(
                    || " ".repeat(each),
                    |at| {
                        let glyphs = self.glyph(canvas, at).to_string().repeat(each - bar.len());
                        format!("{}{bar}", canvas.painted(&glyphs, self.series[at].tone.style()))
                    },
                );
                drawn.push_str(&cell);
            }
            line(&mut text, format!("{tick:>scale$} {}{drawn}", axis(canvas)).trim_end());
        }
        let floor = if canvas.glyphs == Glyphs::Unicode { "└" } else { "+" };
        let dash = if canvas.glyphs == Glyphs::Unicode { "─" } else { "-" };
        line(&mut text, &format!("{:>scale$} {floor}{}", 0, dash.repeat(each * columns.len())));
        if let (Some(first), Some(last)) = (columns.first(), columns.last()) {
            let (first, last) = (canvas.cut(&first.label, cells / 2), canvas.cut(&last.label, cells / 2));
            let gap = (each * columns.len()).saturating_sub(first.width() + last.width()).max(1);
            line(&mut text, &format!("{:scale$}  {first}{}{last}", "", " ".repeat(gap)));
        }
        let name = |at: usize| {
            let glyph = canvas.painted(&self.glyph(canvas, at).to_string(), self.series[at].tone.style());
            let total: u64 = self.columns.iter().filter_map(|column| column.values.get(at)).sum();
            format!("{glyph} {} {total}", canvas.cut(&self.series[at].label, 24))
        };
        let legend: Vec<String> = (0..self.series.len()).map(name).collect();
        line(&mut text, &format!("{:scale$}  {}", "", legend.join("   ")));
        text
    }

    fn joined(&self, cells: usize) -> Vec<Column> {
        let each = self.columns.len().div_ceil(cells.max(1)).max(1);
        let join = |columns: &[Column]| {
            let sum = |at| columns.iter().filter_map(|column| column.values.get(at)).sum();
            let label = columns.first().map(|column| column.label.clone()).unwrap_or_default();
            Column { label, values: (0..self.series.len()).map(sum).collect() }
        };
        self.columns.chunks(each).map(join).collect()
    }

    /// Which part of a column is in a row, counted from below.
    fn part_at(&self, column: &Column, most: u64, row: u64) -> Option<usize> {
        let mut below = 0;
        let middle = part(row * 2 + 1, HEIGHT * 2);
        let place = column.values.iter().position(|value| {
            below += value;
            part(below, most) >= middle
        });
        place.or_else(|| column.values.iter().position(|value| *value > 0).filter(|_| row == 0))
    }

    fn glyph(&self, canvas: &Canvas, at: usize) -> char {
        let glyphs = match canvas.glyphs {
            Glyphs::Unicode => ['█', '▒', '░', '▓'],
            Glyphs::Ascii => ['#', '=', '.', '%'],
        };
        glyphs[at % glyphs.len()]
    }
}

fn axis(canvas: &Canvas) -> char {
    match canvas.glyphs {
        Glyphs::Unicode => '│',
        Glyphs::Ascii => '|',
    }
}

fn scaled(value: u64, most: u64, whole: u64) -> u64 {
    let wide = u128::from(value) * u128::from(whole);
    u64::try_from(wide.checked_div(u128::from(most)).unwrap_or(0)).unwrap_or(whole)
}

/// Replaces control characters, and those that turn the direction of writing.
#[must_use]
pub fn visible(text: &str) -> String {
    let is_hidden = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("invariant: writing to a String never fails");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ops::chart::{HistogramWords, Series};

    const WIDE: Canvas = Canvas { width: 40, glyphs: Glyphs::Unicode, paint: Paint::Plain };
    const ASCII: Canvas = Canvas { width: 40, glyphs: Glyphs::Ascii, paint: Paint::Plain };

    fn bars(entries: &[(&str, u64)]) -> Bars {
        let bar = |(label, value): &(&str, u64)| Bar { label: (*label).into(), value: *value, tone: Tone::Good };
        Bars {
            title: "Outcomes".into(),
            description: String::new(),
            heads: ["reason".into(), "items".into()],
            bars: entries.iter().map(bar).collect(),
        }
    }

    #[test]
    fn bars_fill_the_line_and_no_more() {
        let bars = bars(&[("taken_down", 312), ("dead", 1), ("none", 0)]);
        assert_eq!(
            bars.text(&WIDE),
            "Outcomes\n\
             taken_down  312  ███████████████████████\n\
             dead          1  ▏\n\
             none          0\n"
        );
        assert_eq!(
            bars.text(&ASCII),
            "Outcomes\n\
             taken_down  312  #######################\n\
             dead          1  #\n\
             none          0\n"
        );
    }

    #[test]
    fn a_narrow_terminal_cuts_labels_and_wide_letters_count_twice() {
        let bars = bars(&[("社区后台商品下架接口一览", 10), ("a-label-of-thirty-characters-xx", 5)]);
        for width in [1, 20, 30, 40, 60, 200] {
            for glyphs in [Glyphs::Unicode, Glyphs::Ascii] {
                let text = bars.text(&Canvas { width, glyphs, paint: Paint::Plain });
                let widest = text.lines().map(UnicodeWidthStr::width).max().unwrap();
                assert!(widest <= width.max(20), "{width}: {widest}\n{text}");
            }
        }
    }

    #[test]
    fn control_characters_of_others_do_not_reach_the_terminal() {
        let text = bars(&[("\u{1b}[2Jx\r\n\u{202e}y", 1)]).text(&WIDE);
        assert!(text.chars().all(|c| c == '\n' || !c.is_control() && c != '\u{202e}'), "{text:?}");
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn colours_are_given_back() {
        let painted = Canvas { paint: Paint::Coloured, ..WIDE };
        let text = bars(&[("taken_down", 3)]).text(&painted);
        assert_eq!(text.matches('\u{1b}').count(), 2, "{text:?}");
        assert_eq!(anstream::adapter::strip_str(&text).to_string(), bars(&[("taken_down", 3)]).text(&WIDE));
    }

    #[test]
    fn a_histogram_ends_with_its_quantiles() {
        let words = HistogramWords {
            title: "Gateway latency".into(),
            description: String::new(),
            heads: ["latency".into(), "calls".into()],
            unit: "ms".into(),
        };
        let text = Histogram::of(words, &[1, 1, 3].into_iter().collect()).text(&ASCII);
        assert_eq!(
            text,
            "Gateway latency\n\
             1-2 ms  2  #############################\n\
             2-5 ms  1  ##############\n\
             p50 1 ms, p95 3 ms, p99 3 ms, max 3 ms\n"
        );
    }

    #[test]
    fn columns_over_time_stand_side_by_side_and_are_joined_where_there_is_no_room() {
        let column = |minute: u64| Column { label: format!("14:{minute:02}"), values: vec![minute, 60 - minute] };
        let series = |label: &str, tone| Series { label: label.into(), tone };
        let stacked = Stacked {
            title: "By minute".into(),
            description: String::new(),
            head: "minute".into(),
            series: vec![series("success", Tone::Good), series("dead", Tone::Bad)],
            columns: (0..60).map(column).collect(),
        };
        for width in [20, 40, 80, 200] {
            let text = stacked.text(&Canvas { width, ..ASCII });
            assert!(text.lines().all(|line| line.width() <= width || line.contains("success")), "{width}\n{text}");
            assert!(text.contains("# success 1770   = dead 1830"), "{text}");
        }
        let text = stacked.text(&Canvas { width: 80, ..ASCII });
        let rows: Vec<&str> = text.lines().collect();
        assert!(rows[1].starts_with("60 |") && rows[9].starts_with(" 0 +---"), "{text}");
        assert!(rows[8].ends_with('#') && rows[8].starts_with("   |="), "{text}");
    }
}
