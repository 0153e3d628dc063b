//! `takedown batch export`: a batch's outcomes as lines of a file.

use std::fs::OpenOptions;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Desk, Which};
use crate::domain::outcome::FinalOutcome;
use crate::domain::takedown::rfc3339;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::counted;
use crate::ops::letters::cell;

/// Outcomes read at once.
const PAGE: u32 = 1000;

const COLUMNS: [&str; 18] = [
    "id",
    "batch",
    "account",
    "gateway",
    "status",
    "reason",
    "gateway_code",
    "gateway_message",
    "goods_id",
    "commodity_id",
    "shop_id",
    "attempts",
    "deferrals",
    "replays",
    "verified",
    "first_seen",
    "finished_at",
    "worker",
];

/// Write a batch's outcomes into a file: of each item the latest.
///
/// A JSONL line is an outcome as schemas/outcome.v1.json describes it. No outcome holds a secret.
#[derive(Debug, Args)]
pub(super) struct ExportBatch {
    #[command(flatten)]
    which: Which,
    /// The file; `-` is the standard output.
    #[arg(default_value = "-")]
    file: PathBuf,
    /// One JSON object a line, or a table whose cells no program takes for formulas.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Write over a file that exists.
    #[arg(long)]
    force: bool,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

impl ExportBatch {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let desk = Desk::open(surroundings).await?;
        let batch = desk.find(&self.which.batch)?;
        desk.streams.close().await;
        let written = if self.file == Path::new("-") {
            self.write(&desk, io::stdout().lock())?
        } else {
            let mut options = OpenOptions::new();
            options.write(true).truncate(true);
            if self.force {
                options.create(true)
            } else {
                options.create_new(true)
            };
            let file = options.open(&self.file).map_err(|error| self.unwritten(&error))?;
            self.write(&desk, file)?
        };
        let outcomes = counted(written, "outcome", "outcomes");
        surroundings.terminal.say(&format!("{outcomes} of batch {} written", batch.id));
        Ok(Exit::Done)
    }

    fn write(&self, desk: &Desk, to: impl Write) -> Result<u64, Failure> {
        let mut lines = Lines { format: self.format, to: BufWriter::new(to) };
        lines.start().map_err(|error| self.unwritten(&error))?;
        let (mut after, mut count) = (0, 0);
        loop {
            let page = desk.store.outcomes(&self.which.batch, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, outcome) in &page {
                lines.add(outcome).map_err(|error| self.unwritten(&error))?;
                count += 1;
            }
        }
        lines.to.flush().map_err(|error| self.unwritten(&error))?;
        Ok(count)
    }

    fn unwritten(&self, error: &io::Error) -> Failure {
        let failure = Failure::new(Exit::Unexpected, format!("{} cannot be written: {error}", self.file.display()));
        match error.kind() {
            io::ErrorKind::AlreadyExists => {
                let problem = format!("{} exists", self.file.display());
                Failure::new(Exit::Usage, problem).remedy("name another, or write over it: --force")
            }
            _ => failure.remedy("free some space on its disk, or mend its directory's permissions"),
        }
    }
}

struct Lines<W: Write> {
    format: Format,
    to: BufWriter<W>,
}

impl<W: Write> Lines<W> {
    fn start(&mut self) -> io::Result<()> {
        match self.format {
            Format::Jsonl => Ok(()),
            Format::Csv => self.row(&COLUMNS),
        }
    }

    fn add(&mut self, outcome: &FinalOutcome) -> io::Result<()> {
        match self.format {
            Format::Jsonl => {
                self.to.write_all(&outcome.encode())?;
                self.to.write_all(b"\n")
            }
            Format::Csv => self.row(&cells(outcome)),
        }
    }

    fn row<T: AsRef<[u8]>>(&mut self, cells: &[T]) -> io::Result<()> {
        let mut writer = csv::Writer::from_writer(&mut self.to);
        writer.write_record(cells)?;
        writer.flush()
    }
}

fn cells(outcome: &FinalOutcome) -> [String; COLUMNS.len()] {
    let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    [
        cell(&outcome.id),
        text(&outcome.batch),
        cell(&outcome.account),
        outcome.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        outcome.status().to_string(),
        outcome.reason.to_string(),
        text(&outcome.gateway_code),
        text(&outcome.gateway_message),
        text(&outcome.item.goods_id),
        text(&outcome.item.commodity_id),
        text(&outcome.item.shop_id),
        outcome.attempts.to_string(),
        outcome.deferrals.to_string(),
        outcome.replays.to_string(),
        outcome.verified.to_string(),
        rfc3339(outcome.first_seen),
        rfc3339(outcome.finished_at),
        cell(&outcome.worker),
    ]
}
