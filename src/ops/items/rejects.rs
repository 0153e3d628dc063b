//! The file of rejected rows: each as it came, byte for byte, with `line` and `reason` in front.
//!
//! Written row by row into a file without a name, which is gone with the process however that ends, and put in its place
//! whole or not at all, by a copy beside it (`.takedown-….part`; a process killed while it copies leaves that behind).
//! Readable by its owner alone (rows hold keys), in the charset of the file it came from, and fit to be mended and read
//! again: the two notes are then ignored.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use ::csv::{Writer, WriterBuilder};
use serde_json::Value;

use crate::ops::items::jsonl::Members;
use crate::ops::items::lines::MAX_ROW;
use crate::ops::items::rows::{Layout, MARK, Record};
use crate::ops::items::{BLOCK, ItemsError};
use crate::signing::charset::Charset;

/// Columns that the notes of an earlier rejection stand in; they are written anew.
const NOTES: [&str; 2] = ["line", "reason"];

/// The rejected rows of one file, on their way to the file beside it, which is begun with the first of them.
pub(super) struct Rejects {
    target: PathBuf,
    layout: Layout,
    notes: Option<Notes<File>>,
}

impl Rejects {
    /// Nothing is written yet.
    pub(super) fn new(path: &Path, layout: Layout) -> Self {
        let mut name = neighbour(path).into_os_string();
        name.push(if layout.columns.is_some() { ".rejected.csv" } else { ".rejected.jsonl" });
        Self { target: PathBuf::from(name), layout, notes: None }
    }

    /// Writes one.
    ///
    /// # Errors
    /// [`ItemsError::Write`].
    pub(super) fn row(&mut self, line: u64, reason: &str, record: &Record) -> Result<(), ItemsError> {
        let written = match &mut self.notes {
            Some(notes) => notes.row(line, reason, record),
            None => self.begin().and_then(|notes| notes.row(line, reason, record)),
        };
        written.map_err(|source| self.failed(source))
    }

    fn begin(&mut self) -> io::Result<&mut Notes<File>> {
        let file = tempfile::tempfile_in(self.directory())?;
        // A quarter of the longest row: the writer looks through all that is left of a cell each time it is full.
        let notes = Notes::begin(self.layout.clone(), MAX_ROW / 4, file)?;
        Ok(self.notes.insert(notes))
    }

    /// Puts the file in its place, if any row was written, and returns where that is.
    ///
    /// # Errors
    /// [`ItemsError::Write`]; a file of that name is then as it was.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>, ItemsError> {
        let Some(notes) = self.notes.take() else { return Ok(None) };
        let placed = notes.finish().and_then(|file| self.place(file));
        placed.map_err(|source| self.failed(source))?;
        Ok(Some(self.target))
    }

    /// Copies it to a name beside its place, and moves that there.
    fn place(&self, mut rows: File) -> io::Result<()> {
        let mut named = tempfile::Builder::new().prefix(".takedown-").suffix(".part").tempfile_in(self.directory())?;
        rows.rewind()?;
        io::copy(&mut rows, &mut named)?;
        named.as_file().sync_all()?;
        named.persist(&self.target)?;
        Ok(())
    }

    fn directory(&self) -> &Path {
        self.target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
    }

    fn failed(&self, source: io::Error) -> ItemsError {
        ItemsError::Write { path: self.target.display().to_string(), source }
    }
}

/// What the rejected rows stand beside: the file they came from, or in the working directory, where that is no
/// file but a device.
fn neighbour(path: &Path) -> PathBuf {
    match path.file_name() {
        Some(name) if path.starts_with("/dev") || path.starts_with("/proc") => PathBuf::from(name),
        Some(_) | None => path.to_owned(),
    }
}

/// Rejected rows being written.
pub(super) enum Notes<W: Write> {
    Table { writer: Box<Writer<W>>, columns: Vec<String>, charset: Charset },
    Lines(io::BufWriter<W>),
}

impl<W: Write> Notes<W> {
    /// Writes what stands above the rows; a table's rows are gathered up to so many bytes.
    pub(super) fn begin(layout: Layout, room: usize, mut to: W) -> io::Result<Self> {
        let Layout { charset, has_mark, columns } = layout;
        let Some(columns) = columns else {
            return Ok(Self::Lines(io::BufWriter::with_capacity(BLOCK, to)));
        };
        if has_mark {
            to.write_all(MARK)?;
        }
        let mut writer = WriterBuilder::new().flexible(true).buffer_capacity(room).from_writer(to);
        let names = columns.iter().map(String::as_str).filter(|column| !NOTES.contains(column));
        writer.write_record(NOTES.into_iter().chain(names))?;
        Ok(Self::Table { writer: Box::new(writer), columns, charset })
    }

    /// Writes one row.
    pub(super) fn row(&mut self, line: u64, reason: &str, record: &Record) -> io::Result<()> {
        match self {
            Self::Table { writer, columns, charset } => {
                let is_note =
                    |position: usize| columns.get(position).is_some_and(|name| NOTES.contains(&name.as_str()));
                writer.write_field(line.to_string())?;
                writer.write_field(encoded(reason, *charset))?;
                match record {
                    Record::Cells(cells) => {
                        for (_, cell) in cells.iter().enumerate().filter(|(position, _)| !is_note(*position)) {
                            writer.write_field(cell)?;
                        }
                    }
                    Record::Line(text) => writer.write_field(text)?,
                }
                writer.write_record(None::<&[u8]>)?;
                Ok(())
            }
            Self::Lines(to) => write_line(to, line, reason, record),
        }
    }

    /// Ends, and returns what it was written to.
    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Self::Table { writer, .. } => writer.into_inner().map_err(::csv::IntoInnerError::into_error),
            Self::Lines(to) => to.into_inner().map_err(io::IntoInnerError::into_error),
        }
    }
}

/// A reason may quote the row, and so hold what the charset reads but does not write.
fn encoded(reason: &str, charset: Charset) -> Vec<u8> {
    charset
        .encode(reason)
        .unwrap_or_else(|_| reason.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
}

fn write_line(to: &mut impl Write, line: u64, reason: &str, record: &Record) -> io::Result<()> {
    let raw: &[u8] = match record {
        Record::Line(raw) => raw,
        Record::Cells(_) => &[],
    };
    let notes = [("line", Value::from(line)), ("reason", Value::from(reason))];
    if let Some(members) = Members::read(raw).filter(|members| !members.is_empty()) {
        to.write_all(members.write(&notes).as_bytes())?;
    } else {
        // No members to put the notes before: they stand in a line of their own, and are told by standing alone.
        writeln!(to, "{}", Value::from_iter(notes))?;
        to.write_all(raw)?;
    }
    to.write_all(b"\n")
}
