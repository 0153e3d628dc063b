//! Tables for people, and the same as JSON for programs.

use std::collections::BTreeMap;

use anstyle::Style;
use comfy_table::presets::{ASCII_HORIZONTAL_ONLY, UTF8_HORIZONTAL_ONLY};
use comfy_table::{Attribute, Cell, CellAlignment, Color, ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::domain::outcome::Reason;
use crate::ops::chart::Tone;
use crate::ops::chart::text::{Canvas, Glyphs, Paint, visible};
use crate::ops::cli::canvas;
use crate::ops::report::tone;

/// Whether a person or a program reads.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Output {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

/// Writes `1 item`, `2 items`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// One field of a table; its colour says nothing that its words do not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Field {
    text: String,
    tone: Option<Tone>,
    is_number: bool,
}

impl Field {
    /// A text in the colour of what it stands for.
    pub(super) fn toned(text: impl Into<String>, tone: Tone) -> Self {
        Self { tone: Some(tone), ..Self::from(text.into()) }
    }

    /// A number, set to the right.
    pub(super) fn number(text: impl ToString) -> Self {
        Self { is_number: true, ..Self::from(text.to_string()) }
    }

    /// Colours it after all, if that is so.
    #[must_use]
    pub(super) fn toned_if(self, tone: Tone, is_so: bool) -> Self {
        Self { tone: if is_so { Some(tone) } else { self.tone }, ..self }
    }

    fn cell(self) -> Cell {
        let Self { text, tone, is_number } = self;
        let mut cell = Cell::new(text);
        if is_number {
            cell = cell.set_alignment(CellAlignment::Right);
        }
        match tone {
            None | Some(Tone::Plain) => cell,
            Some(Tone::Good) => cell.fg(Color::DarkGreen),
            Some(Tone::Mild) => cell.fg(Color::DarkMagenta),
            Some(Tone::Waiting) => cell.fg(Color::DarkYellow),
            Some(Tone::Bad) => cell.fg(Color::DarkRed).add_attribute(Attribute::Bold),
        }
    }
}

impl From<String> for Field {
    /// What others wrote loses its control characters; lines stay lines.
    fn from(text: String) -> Self {
        let lines: Vec<String> = text.lines().map(visible).collect();
        Self { text: lines.join("\n"), tone: None, is_number: false }
    }
}

/// Least cells a column needs on a terminal; with fewer, every row becomes a paragraph of its own.
const LEAST_COLUMN: usize = 9;

/// Lays out rows under a header, as wide as the terminal.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    toned_table(header, rows.into_iter().map(|row| row.map(Field::from)))
}

/// Lays out rows with colours under a header, as wide as the terminal; a narrow one gets paragraphs.
pub(super) fn toned_table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [Field; N]>) -> String {
    let canvas = canvas::stdout();
    let size = canvas::size();
    if let Some((columns, _)) = size.filter(|(columns, _)| *columns < N * LEAST_COLUMN) {
        return rows.into_iter().map(|row| paragraph(&header, row, &canvas, columns)).collect::<Vec<_>>().join("\n");
    }
    let mut table = Table::new();
    // Lines above, below and under the header only.
    let style: TableStyle = match (size, canvas.glyphs) {
        (Some(_), Glyphs::Ascii) => ASCII_HORIZONTAL_ONLY,
        (Some(_), Glyphs::Unicode) | (None, _) => UTF8_HORIZONTAL_ONLY,
    };
    table.load_style(style.row_separator(LineStyle::none())).set_content_arrangement(ContentArrangement::Dynamic);
    table.force_no_tty().style_text_only();
    if let Some((columns, _)) = size {
        table.set_width(u16::try_from(columns).unwrap_or(u16::MAX));
    }
    if canvas.paint == Paint::Coloured {
        table.enforce_styling();
    }
    table.set_header(header.map(|head| Cell::new(head).add_attribute(Attribute::Bold)));
    for row in rows {
        table.add_row(row.map(Field::cell));
    }
    table.trim_fmt()
}

/// Writes a row as its first field, and the others below it with their heads.
fn paragraph<const N: usize>(header: &[&str; N], row: [Field; N], canvas: &Canvas, columns: usize) -> String {
    let (mut lines, mut line, mut filled) = (Vec::new(), String::new(), 0);
    for (at, (head, field)) in header.iter().zip(row).enumerate() {
        let style = field.tone.map_or_else(Style::new, Tone::style);
        let text = field.text.replace('\n', " ");
        if at == 0 {
            lines.push(canvas.painted(&canvas.cut(&text, columns), style.bold()));
            continue;
        }
        if text.is_empty() {
            continue;
        }
        let text = canvas.cut(&text, columns.saturating_sub(head.width() + 3));
        let width = head.width() + 1 + text.width();
        if filled > 0 && 2 + filled + 3 + width > columns {
            lines.push(format!("  {}", std::mem::take(&mut line)));
            filled = 0;
        }
        if filled > 0 {
            line.push_str("   ");
            filled += 3;
        }
        line.push_str(&format!("{head} {}", canvas.painted(&text, style)));
        filled += width;
    }
    if filled > 0 {
        lines.push(format!("  {line}"));
    }
    lines.join("\n")
}

/// How many items ended for which reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<Reason, u64>);

impl Tally {
    /// Counts one.
    pub(super) fn add(&mut self, reason: Reason) {
        *self.0.entry(reason).or_default() += 1;
    }

    /// Returns the counts.
    pub(super) fn counts(&self) -> BTreeMap<Reason, u64> {
        self.0.clone()
    }

    /// Returns the items counted.
    pub(super) fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Writes `312 success, 4 dead`, for a line of progress.
    pub(super) fn line(&self) -> String {
        let mut by_status = BTreeMap::new();
        for (reason, count) in &self.0 {
            *by_status.entry(reason.status()).or_insert(0) += count;
        }
        let parts: Vec<String> = by_status.into_iter().map(|(status, count)| format!("{count} {status}")).collect();
        parts.join(", ")
    }

    /// Lays it out for people.
    pub(super) fn table(&self) -> String {
        let row = |(reason, count): (&Reason, &u64)| {
            let status = Field::toned(reason.status().to_string(), tone(reason.status()));
            let field = |text: &str| Field::from(text.to_owned());
            [status, field(reason.as_str()), Field::number(count), field(reason.explain())]
        };
        toned_table(["status", "reason", "items", "what it means"], self.0.iter().map(row))
    }

    /// Writes it for programs.
    pub(super) fn json(&self) -> Value {
        let row = |(reason, count): (&Reason, &u64)| json!({ "status": reason.status().as_str(), "reason": reason.as_str(), "items": count });
        self.0.iter().map(row).collect()
    }
}
