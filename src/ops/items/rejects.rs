//! The file of rejected rows: each as it came, byte for byte, with `line` and `reason` in front.
//!
//! Written whole or not at all, readable by its owner alone (rows hold keys), in the charset of the file it came from,
//! and fit to be mended and read again: the two notes are then ignored.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use ::csv::Writer;
use serde_json::Value;
use tempfile::NamedTempFile;

use crate::ops::items::jsonl::Members;
use crate::ops::items::{Items, ItemsError, Layout, Record, Rejected};
use crate::signing::charset::Charset;

/// Columns that the notes of an earlier rejection stand in; they are written anew.
const NOTES: [&str; 2] = ["line", "reason"];

/// Writes the rejected rows of `path` beside it, if there are any.
///
/// # Errors
/// [`ItemsError::Write`].
pub(super) fn write(items: &Items, path: &Path) -> Result<Option<PathBuf>, ItemsError> {
    if items.rejected.is_empty() {
        return Ok(None);
    }
    let mut name = path.as_os_str().to_owned();
    name.push(if items.layout.columns.is_some() { ".rejected.csv" } else { ".rejected.jsonl" });
    let target = PathBuf::from(name);
    let failed = |source| ItemsError::Write { path: target.display().to_string(), source };
    let bytes = rows(items).map_err(failed)?;
    replace(&target, &bytes).map_err(failed)?;
    Ok(Some(target))
}

/// Returns the rejected rows as a file of their own.
pub(super) fn rows(items: &Items) -> io::Result<Vec<u8>> {
    match &items.layout.columns {
        Some(columns) => table(columns, items),
        None => Ok(lines(items)),
    }
}

fn replace(target: &Path, bytes: &[u8]) -> io::Result<()> {
    let directory = target.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::new_in(directory)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(target)?;
    Ok(())
}

fn table(columns: &[String], items: &Items) -> io::Result<Vec<u8>> {
    let Layout { charset, has_mark, .. } = items.layout;
    let start = if has_mark { b"\xef\xbb\xbf".to_vec() } else { Vec::new() };
    // Room for the longest cell, quoted: the writer looks through all that is left of a cell each time its buffer is full.
    let longest = items.rejected.iter().map(|row| row.record.longest()).max().unwrap_or_default();
    let mut builder = ::csv::WriterBuilder::new();
    let mut writer = builder.flexible(true).buffer_capacity(2 * longest + 8192).from_writer(start);
    let is_note = |position: usize| columns.get(position).is_some_and(|name| NOTES.contains(&name.as_str()));
    writer
        .write_record(NOTES.iter().copied().chain(columns.iter().map(String::as_str).filter(|c| !NOTES.contains(c))))?;
    for Rejected { line, reason, record } in &items.rejected {
        write_cell(&mut writer, line.to_string().as_bytes())?;
        write_cell(&mut writer, &encoded(reason, charset))?;
        match record {
            Record::Cells(cells) => {
                for (_, cell) in cells.iter().enumerate().filter(|(position, _)| !is_note(*position)) {
                    write_cell(&mut writer, cell)?;
                }
            }
            Record::Line(text) => write_cell(&mut writer, text)?,
        }
        writer.write_record(None::<&[u8]>)?;
    }
    writer.into_inner().map_err(::csv::IntoInnerError::into_error)
}

fn write_cell(writer: &mut Writer<Vec<u8>>, cell: &[u8]) -> io::Result<()> {
    writer.write_field(cell).map_err(io::Error::from)
}

/// A reason may quote the row, and so hold what the charset reads but does not write.
fn encoded(reason: &str, charset: Charset) -> Vec<u8> {
    charset
        .encode(reason)
        .unwrap_or_else(|_| reason.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
}

fn lines(items: &Items) -> Vec<u8> {
    let mut bytes = Vec::new();
    for Rejected { line, reason, record } in &items.rejected {
        let raw: &[u8] = match record {
            Record::Line(raw) => raw,
            Record::Cells(_) => &[],
        };
        let notes = [("line", Value::from(*line)), ("reason", Value::from(reason.as_str()))];
        if let Some(members) = Members::read(raw).filter(|members| !members.is_empty()) {
            bytes.extend(members.write(&notes).into_bytes());
        } else {
            // No members to put the notes before: they stand in a line of their own, and are told by standing alone.
            bytes.extend(Value::from_iter(notes).to_string().into_bytes());
            bytes.push(b'\n');
            bytes.extend(raw);
        }
        bytes.push(b'\n');
    }
    bytes
}
