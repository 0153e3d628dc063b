//! Looking at dead letters: groups, list, one whole, export. Nothing here changes any.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::Value;
use tempfile::NamedTempFile;

use super::selection::{Place, Selection};
use super::view;
use crate::desk::letters::{Counted, LetterDesk};
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::{Output, counted};
use crate::ops::cli::terminal::Terminal;
use crate::ops::letters::{COLUMNS, cells, group_json, json_of};
use crate::queue::letters::{Place as Position, Seen};
use crate::queue::{DeadLetter, DeadLetters, DeskLog};

/// Count dead letters by account, reason and code, with what each group means and what to do.
#[derive(Debug, Args)]
pub(super) struct Groups {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    output: Output,
}

/// List dead letters, the longest dead first, each with what it means.
#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
    /// At most this many.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = limit)]
    limit: usize,
    /// Go on after this place, which the page before ended with.
    #[arg(long, value_name = "PLACE")]
    after: Option<Position>,
    #[command(flatten)]
    output: Output,
}

/// Show one dead letter whole, with what happened to it; secrets masked.
#[derive(Debug, Args)]
pub(super) struct Show {
    /// The takedown's id, as `list` shows it.
    id: String,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    output: Output,
}

/// Write dead letters into a file, secrets masked; they stay where they are.
#[derive(Debug, Args)]
pub(super) struct Export {
    /// The file, readable by its owner alone; `-` is the standard output.
    file: PathBuf,
    /// One JSON object a line, or a table whose cells no program takes for formulas.
    #[arg(long, value_enum, default_value = "jsonl")]
    format: Format,
    /// Write over a file that exists.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
}

/// How an export is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Jsonl,
    Csv,
}

fn limit(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| "write a number from 1".to_owned())
}

/// Says that there may be more than was seen.
pub(super) fn warn(seen: Seen, terminal: &Terminal) {
    match seen {
        Seen::All => {}
        Seen::NotAll => terminal.say(
            "somebody else has dead letters in hand at this moment (a replay, a look): there may be more than these; look \
             again once that is over",
        ),
    }
}

impl Groups {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let Counted { groups, seen } = desk.groups(&self.selection.filter()).await?;
        let text = if self.output.json {
            groups.iter().map(group_json).collect::<Value>().to_string()
        } else {
            view::groups(&groups)
        };
        terminal.result(&text)?;
        warn(seen, terminal);
        Ok(Exit::Done)
    }
}

impl List {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let page = desk.page(&self.selection.filter(), self.after.as_ref(), self.limit).await?;
        if self.output.json {
            terminal.result(&page.letters.iter().map(json_of).collect::<Value>().to_string())?;
        } else {
            terminal.result(&view::page(&page))?;
        }
        warn(page.seen, terminal);
        Ok(Exit::Done)
    }
}

impl Show {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let letters = desk.find(&self.id).await?;
        if self.output.json {
            terminal.result(&letters.iter().map(json_of).collect::<Value>().to_string())?;
            return Ok(Exit::Done);
        }
        for letter in &letters {
            terminal.result(&view::whole(letter))?;
        }
        Ok(Exit::Done)
    }
}

impl Export {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let failed = |error: io::Error| {
            let problem = format!("{} cannot be written: {error}", self.file.display());
            Failure::new(Exit::Unexpected, problem).remedy("name another file, or free some space")
        };
        let filter = self.selection.filter();
        if self.file == Path::new("-") {
            let mut written = Lines::new(self.format, io::stdout());
            written.start().map_err(failed)?;
            let seen = desk.export(&filter, &mut |letter| written.add(&letter)).await?;
            warn(seen, terminal);
            return match written.end() {
                // A reader that has gone (`| head`) is no fault.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(failed(error)),
                Ok(_) | Err(_) => Ok(Exit::Done),
            };
        }
        if self.file.exists() && !self.force {
            let problem = format!("{} exists", self.file.display());
            return Err(Failure::new(Exit::Usage, problem).remedy("name another file, or add --force"));
        }
        // Whole or not at all.
        let directory = self.file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let file = NamedTempFile::new_in(directory).map_err(failed)?;
        let mut written = Lines::new(self.format, file.as_file().try_clone().map_err(failed)?);
        written.start().map_err(failed)?;
        let seen = desk.export(&filter, &mut |letter| written.add(&letter)).await?;
        let count = written.end().map_err(failed)?;
        file.as_file().sync_all().map_err(failed)?;
        // Another one may have made it meanwhile.
        let kept = if self.force { file.persist(&self.file) } else { file.persist_noclobber(&self.file) };
        let _kept: File = kept.map_err(|error| failed(error.error))?;
        let letters = counted(count, "dead letter", "dead letters");
        terminal.result(&format!("{letters} written to {}, secrets masked", self.file.display()))?;
        warn(seen, terminal);
        Ok(Exit::Done)
    }
}

/// The lines of an export; the first fault is told in the end, since nobody can be told in between.
struct Lines<W: Write> {
    format: Format,
    to: BufWriter<W>,
    count: u64,
    fault: Option<io::Error>,
}

impl<W: Write> Lines<W> {
    fn new(format: Format, to: W) -> Self {
        Self { format, to: BufWriter::new(to), count: 0, fault: None }
    }

    fn start(&mut self) -> io::Result<()> {
        match self.format {
            Format::Jsonl => Ok(()),
            Format::Csv => self.row(&COLUMNS),
        }
    }

    fn add(&mut self, letter: &DeadLetter) {
        if self.fault.is_some() {
            return;
        }
        let added = match self.format {
            Format::Jsonl => writeln!(self.to, "{}", json_of(letter)),
            Format::Csv => self.row(&cells(letter)),
        };
        self.count += 1;
        self.fault = added.err();
    }

    fn row<T: AsRef<[u8]>>(&mut self, cells: &[T]) -> io::Result<()> {
        let mut writer = ::csv::Writer::from_writer(&mut self.to);
        writer.write_record(cells)?;
        writer.flush()
    }

    fn end(mut self) -> io::Result<u64> {
        match self.fault.take() {
            Some(fault) => Err(fault),
            None => self.to.flush().map(|()| self.count),
        }
    }
}
