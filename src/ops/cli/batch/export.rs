//! `takedown batch export`: a batch's outcomes as lines of a file.

use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};

use super::{Desk, Which};
use crate::desk::DeskError;
use crate::domain::outcome::FinalOutcome;
use crate::domain::takedown::rfc3339;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::counted;
use crate::ops::cli::whole_file::WholeFile;
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
    /// The file, which is there whole or not at all; `-` is the standard output.
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
        let file = self.begin()?;
        let desk = Desk::open(surroundings).await?;
        let batch = desk.find(&self.which.batch)?;
        desk.streams.close().await;
        let written = match file {
            None => match self.write(&desk, &mut io::stdout().lock()) {
                // A reader that has gone (`| head`) is no fault.
                Err(Unwritten::Lines(error)) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(Exit::Done),
                written => written.map_err(|unwritten| self.failed(unwritten))?,
            },
            Some(mut file) => {
                let written = self.write(&desk, &mut file).map_err(|unwritten| self.failed(unwritten))?;
                file.finish()?;
                written
            }
        };
        let outcomes = counted(written, "outcome", "outcomes");
        surroundings.terminal.say(&format!("{outcomes} of batch {} written", batch.id));
        Ok(Exit::Done)
    }

    /// Begins the file; `None` is the standard output.
    fn begin(&self) -> Result<Option<WholeFile>, Failure> {
        if self.file == Path::new("-") {
            return Ok(None);
        }
        if self.file.exists() && !self.force {
            let problem = format!("{} exists", self.file.display());
            return Err(Failure::new(Exit::Usage, problem).remedy("name another, or write over it: --force"));
        }
        WholeFile::begin(&self.file).map(Some)
    }

    fn write(&self, desk: &Desk, to: &mut impl Write) -> Result<u64, Unwritten> {
        let mut lines = Lines { format: self.format, to: BufWriter::new(to) };
        lines.start()?;
        let (mut after, mut count) = (0, 0);
        loop {
            let page = desk.store.outcomes(&self.which.batch, after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = *last;
            for (_, outcome) in &page {
                lines.add(outcome)?;
                count += 1;
            }
        }
        lines.to.flush()?;
        Ok(count)
    }

    fn failed(&self, unwritten: Unwritten) -> Failure {
        match unwritten {
            Unwritten::Lines(error) => {
                Failure::new(Exit::Unexpected, format!("{} cannot be written: {error}", self.file.display()))
                    .remedy("free some space on its disk, or mend its directory's permissions")
            }
            Unwritten::Desk(error) => error.into(),
        }
    }
}

/// Why outcomes were not written.
enum Unwritten {
    /// Their lines could not be.
    Lines(io::Error),
    /// The desk's file could not be read.
    Desk(DeskError),
}

impl From<io::Error> for Unwritten {
    fn from(error: io::Error) -> Self {
        Self::Lines(error)
    }
}

impl From<DeskError> for Unwritten {
    fn from(error: DeskError) -> Self {
        Self::Desk(error)
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
