//! Tables for people, and the same as JSON for programs.

use std::collections::BTreeMap;

use comfy_table::presets::UTF8_HORIZONTAL_ONLY;
use comfy_table::{ContentArrangement, LineStyle, Table, TableStyle};
use serde_json::{Value, json};

use crate::domain::outcome::Reason;

/// Whether a person or a program reads.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub(super) struct Output {
    /// Print JSON instead of a table.
    #[arg(long)]
    pub(super) json: bool,
}

/// Lines above, below and under the header only.
const STYLE: TableStyle = UTF8_HORIZONTAL_ONLY.row_separator(LineStyle::none());

/// Writes `1 item`, `2 items`.
pub(super) fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// Lays out rows under a header, as wide as the terminal.
pub(super) fn table<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    table.to_string()
}

/// How many items ended for which reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally(BTreeMap<Reason, u64>);

impl Tally {
    /// Counts one.
    pub(super) fn add(&mut self, reason: Reason) {
        *self.0.entry(reason).or_default() += 1;
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
            [reason.status().to_string(), reason.to_string(), count.to_string(), reason.explain().to_owned()]
        };
        table(["status", "reason", "items", "what it means"], self.0.iter().map(row))
    }

    /// Writes it for programs.
    pub(super) fn json(&self) -> Value {
        let row = |(reason, count): (&Reason, &u64)| json!({ "status": reason.status().as_str(), "reason": reason.as_str(), "items": count });
        self.0.iter().map(row).collect()
    }
}
