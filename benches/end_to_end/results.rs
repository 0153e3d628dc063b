//! What a run came to, as Markdown: a chapter a scenario, and at its head what was to be reached.
//!
//! Promise: "reached" is computed from what was measured, never written by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::machine::Machine;
use crate::plot::Plot;
use crate::sample::number;
use crate::stage::Effort;

/// A whole run.
pub(crate) struct Results {
    machine: Machine,
    effort: Effort,
    arguments: Vec<String>,
    broker: Option<String>,
    chapters: Vec<Chapter>,
}

/// What one scenario came to.
pub(crate) struct Chapter {
    title: String,
    blocks: Vec<Block>,
    reach: Vec<Reach>,
    plots: Vec<Plot>,
}

enum Block {
    Prose(String),
    Table(Table),
}

/// Rows under a head.
pub(crate) struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

/// A value that was to be reached.
pub(crate) struct Reach {
    pub(crate) what: String,
    pub(crate) bound: Bound,
    pub(crate) measured: f64,
    pub(crate) unit: &'static str,
}

/// How far it was to go.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    AtMost(f64),
    AtLeast(f64),
}

impl Reach {
    fn is_reached(&self) -> bool {
        match self.bound {
            Bound::AtMost(most) => self.measured <= most,
            Bound::AtLeast(least) => self.measured >= least,
        }
    }

    fn row(&self) -> Vec<String> {
        let Self { what, bound, measured, unit } = self;
        let bound = match bound {
            Bound::AtMost(most) => format!("≤ {} {unit}", number(*most)),
            Bound::AtLeast(least) => format!("≥ {} {unit}", number(*least)),
        };
        let verdict = if self.is_reached() { "reached" } else { "**not reached**" };
        vec![what.clone(), bound, format!("{} {unit}", number(*measured)), verdict.to_owned()]
    }
}

impl Table {
    pub(crate) fn new<const N: usize>(head: [&str; N]) -> Self {
        Self { head: head.map(str::to_owned).into(), rows: Vec::new() }
    }

    pub(crate) fn row(&mut self, row: impl IntoIterator<Item = String>) {
        self.rows.push(row.into_iter().collect());
    }

    /// Numbers stand to the right: every column but the first.
    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let rule: Vec<String> =
            (0..self.head.len()).map(|place| if place == 0 { "---" } else { "---:" }.to_owned()).collect();
        let rows: String = self.rows.iter().map(|row| line(row)).collect();
        format!("{}{}{rows}", line(&self.head), line(&rule))
    }
}

impl Chapter {
    pub(crate) fn new(title: impl Into<String>) -> Self {
        Self { title: title.into(), blocks: Vec::new(), reach: Vec::new(), plots: Vec::new() }
    }

    pub(crate) fn prose(&mut self, text: impl Into<String>) {
        self.blocks.push(Block::Prose(text.into()));
    }

    pub(crate) fn table(&mut self, table: Table) {
        self.blocks.push(Block::Table(table));
    }

    pub(crate) fn reach(&mut self, what: impl Into<String>, bound: Bound, measured: f64, unit: &'static str) {
        self.reach.push(Reach { what: what.into(), bound, measured, unit });
    }

    pub(crate) fn plot(&mut self, plot: Plot) {
        self.plots.push(plot);
    }

    pub(crate) fn markdown(&self) -> String {
        let mut text = format!("## {}\n", self.title);
        for block in &self.blocks {
            match block {
                Block::Prose(prose) => write!(text, "\n{prose}\n"),
                Block::Table(table) => write!(text, "\n{}", table.markdown()),
            }
            .unwrap_or_default();
        }
        for Plot { file, title, .. } in &self.plots {
            write!(text, "\n![{title}](plots/{file}.svg)\n").unwrap_or_default();
        }
        text
    }
}

impl Results {
    pub(crate) fn new(machine: Machine, effort: Effort, arguments: Vec<String>) -> Self {
        Self { machine, effort, arguments, broker: None, chapters: Vec::new() }
    }

    pub(crate) fn add(&mut self, chapter: Chapter) {
        self.chapters.push(chapter);
    }

    pub(crate) fn note_broker(&mut self, version: Option<String>) {
        self.broker = version;
    }

    /// Returns the table of what was to be reached.
    pub(crate) fn reach(&self) -> String {
        let mut table = Table::new(["", "to reach", "measured", ""]);
        let all = self.chapters.iter().flat_map(|chapter| &chapter.reach);
        all.for_each(|reach| table.row(reach.row()));
        table.markdown()
    }

    fn markdown(&self) -> String {
        let Machine { processor, cores, memory, kernel, rustc, openssl, commit, date, profile } = &self.machine;
        let broker = self.broker.as_deref().unwrap_or("none was asked");
        let arguments: Vec<&str> =
            self.arguments.iter().map(String::as_str).filter(|argument| *argument != "--bench").collect();
        let command = match arguments[..] {
            [] => "cargo bench --bench end_to_end".to_owned(),
            _ => format!("cargo bench --bench end_to_end -- {}", arguments.join(" ")),
        };
        let mut text = format!(
            "# Results\n\nWritten by `benches/end_to_end`; not to be edited. Ratios are of values of one run, on one machine.\n\n\
             | | |\n| --- | --- |\n| command | `{command}` |\n| commit | {commit} |\n| date | {date} |\n\
             | processor | {processor}, {cores} cores |\n| memory | {memory} |\n| kernel | {kernel} |\n\
             | rustc | {rustc} |\n| RabbitMQ | {broker} |\n| OpenSSL | {openssl} |\n"
        );
        if !profile.is_empty() {
            text.push_str(&format!("| built otherwise | `{}` |\n", profile.join(" ")));
        }
        if self.effort == Effort::Quick {
            text.push_str("\nA quick run: short windows, small backlogs. Its numbers are a hint.\n");
        }
        write!(text, "\n## What was to be reached\n\n{}", self.reach()).unwrap_or_default();
        for chapter in &self.chapters {
            write!(text, "\n{}", chapter.markdown()).unwrap_or_default();
        }
        text
    }

    /// Writes everything; returns where.
    pub(crate) fn write(&self) -> Result<PathBuf> {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches");
        let plots = directory.join("plots");
        fs::create_dir_all(&plots)?;
        for plot in self.chapters.iter().flat_map(|chapter| &chapter.plots) {
            plot.draw(&plots.join(format!("{}.svg", plot.file)))?;
        }
        let path = directory.join("RESULTS.md");
        fs::write(&path, self.markdown())?;
        Ok(path)
    }
}
