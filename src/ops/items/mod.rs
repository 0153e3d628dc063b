//! Files of items, CSV or JSONL, read twice: every row is checked before the first is used.
//!
//! Rows obey the rules of messages, because each becomes a message. Promise: every row of the file is either accepted or
//! rejected with its line and a reason that names the column; none is skipped, mended or guessed, and none is handed on
//! that was not checked. A file takes the memory of some 20 bytes a row, whatever its rows hold.

mod checked;
mod csv;
mod jsonl;
mod lines;
mod rejects;
mod rows;
mod seen;
mod sieve;
mod twice;

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::Path;

use crate::domain::ids::{AccountId, BatchId};
use crate::domain::takedown::{Gateway, Takedown};
use crate::ops::items::lines::TooLong;
use crate::ops::items::rows::{Fault, Layout, Record, Rows};
use crate::ops::items::sieve::Sieve;
use crate::ops::items::twice::Changed;
use crate::signing::charset::Charset;

pub use crate::ops::items::checked::{Checked, Takedowns, check};

/// Bytes read at once.
const BLOCK: usize = 64 * 1024;

/// How a file of items is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A header, then one item a row.
    Csv,
    /// One message a line, as `schemas/takedown.v1.json` describes it; `.ndjson` is the same.
    Jsonl,
}

impl Format {
    /// Tells the format by the file's extension, in any letter case.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            _ => None,
        }
    }
}

/// How to read a file, and what to take for granted.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The accounts of the configuration; a row for another one is rejected.
    pub accounts: &'a BTreeMap<AccountId, Gateway>,
    /// The charset of a CSV; JSON is UTF-8 whatever this says.
    pub charset: Charset,
    /// The format, where the extension does not tell.
    pub format: Option<Format>,
    /// The account of rows that name none.
    pub account: Option<&'a AccountId>,
    /// The batch of rows that name none.
    pub batch: Option<&'a BatchId>,
}

/// What a file holds, as long as it is small.
#[derive(Debug)]
pub struct Items {
    /// Rows that are takedowns, in the order of the file; their ids are distinct.
    pub accepted: Vec<Accepted>,
    /// Rows that are not, in the order of the file.
    pub rejected: Vec<Rejected>,
    layout: Layout,
}

/// A row that is a takedown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// Line its row begins on, from 1.
    pub line: u64,
    /// The takedown.
    pub takedown: Takedown,
}

/// A row that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Line its row begins on, from 1.
    pub line: u64,
    /// What is wrong, naming the column; holds no secret.
    pub reason: String,
    /// The row as it came, secrets included; for the file of rejected rows alone.
    record: Record,
}

/// Says why a file of items cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum ItemsError {
    /// The file cannot be read.
    #[error("{path} cannot be read")]
    Read {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The extension says nothing.
    #[error("{path}: the format cannot be told by the name; call it .csv, .jsonl or .ndjson, or name the format")]
    Format {
        /// The file.
        path: String,
    },
    /// Not a byte of text in it.
    #[error("{path} is empty: not even a header; is it still being written?")]
    Empty {
        /// The file.
        path: String,
    },
    /// Not text in a charset that can be named.
    #[error("{path} is {found}; save it as CSV in UTF-8")]
    NotText {
        /// The file.
        path: String,
        /// What it seems to be.
        found: &'static str,
    },
    /// The CSV's header is wrong.
    #[error("{path}: {problem}")]
    Header {
        /// The file.
        path: String,
        /// What is wrong, naming the column.
        problem: String,
    },
    /// The default account is not configured.
    #[error("{}", sieve::unknown_account(.account, .known))]
    Account {
        /// The account.
        account: AccountId,
        /// The accounts there are.
        known: Vec<AccountId>,
    },
    /// A row without an end.
    #[error("{path}: the row that begins on line {line} does not end within {} MiB; is a quote opened there that is never closed?", lines::MAX_ROW >> 20)]
    RowTooLong {
        /// The file.
        path: String,
        /// Line it begins on, from 1.
        line: u64,
    },
    /// It is not what was checked any more; what was handed on before was checked.
    #[error("{path} was written to after it was checked")]
    Changed {
        /// The file.
        path: String,
    },
    /// What can be read once only has no room to be kept in.
    #[error("{path} cannot be read twice, nor be kept in a temporary file in {}", std::env::temp_dir().display())]
    Spool {
        /// What was to be kept.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file of rejected rows cannot be written.
    #[error("{path} cannot be written")]
    Write {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl ItemsError {
    fn of(path: &Path, fault: Fault) -> Self {
        let path = path.display().to_string();
        match fault {
            Fault::Empty => Self::Empty { path },
            Fault::NotText(found) => Self::NotText { path, found },
            Fault::Header(problem) => Self::Header { path, problem },
            Fault::Read(source) => {
                let cause = source.get_ref();
                if let Some(TooLong { line }) = cause.and_then(|cause| cause.downcast_ref()) {
                    Self::RowTooLong { path, line: *line }
                } else if cause.is_some_and(|cause| cause.is::<Changed>()) {
                    Self::Changed { path }
                } else {
                    Self::Read { path, source }
                }
            }
        }
    }
}

impl Options<'_> {
    /// Tells the format, and makes sure that the account of rows without one is there.
    fn format(&self, path: &Path) -> Result<Format, ItemsError> {
        let format = self.format.or_else(|| Format::of(path));
        let format = format.ok_or_else(|| ItemsError::Format { path: path.display().to_string() })?;
        match self.account.filter(|account| !self.accounts.contains_key(account)) {
            Some(account) => {
                Err(ItemsError::Account { account: account.clone(), known: self.accounts.keys().cloned().collect() })
            }
            None => Ok(format),
        }
    }
}

/// Reads and checks a whole file into memory, for who looks for single rows.
///
/// # Errors
/// [`ItemsError`] for what is wrong with the file as a whole; a bad row is no error but in [`Items::rejected`].
pub fn read(path: &Path, options: &Options<'_>) -> Result<Items, ItemsError> {
    let file = File::open(path).map_err(|error| ItemsError::of(path, Fault::Read(error)))?;
    read_from(path, file, options)
}

/// Checks what a file holds; the path is for the format and for errors alone.
///
/// # Errors
/// As [`read`].
pub fn read_bytes(path: &Path, bytes: &[u8], options: &Options<'_>) -> Result<Items, ItemsError> {
    read_from(path, bytes, options)
}

fn read_from(path: &Path, text: impl io::Read, options: &Options<'_>) -> Result<Items, ItemsError> {
    let named = |fault| ItemsError::of(path, fault);
    let mut rows = Rows::begin(text, options.format(path)?, options).map_err(named)?;
    let mut items = Items { accepted: Vec::new(), rejected: Vec::new(), layout: rows.layout(options.charset) };
    let mut sieve = Sieve::new(*options);
    while let Some(line) = rows.advance().map_err(named)? {
        match rows.decode(options).and_then(|candidate| sieve.check(line, candidate)) {
            Ok((takedown, _)) => items.accepted.push(Accepted { line, takedown }),
            Err(reason) => items.rejected.push(Rejected { line, reason, record: rows.record() }),
        }
    }
    Ok(items)
}

impl Items {
    /// Returns what a file of the rejected rows holds: each as it came, with `line` and `reason` in front.
    ///
    /// # Errors
    /// Only where there is no memory for it.
    pub fn rejected_rows(&self) -> io::Result<Vec<u8>> {
        // Room for the longest cell, quoted: the writer looks through all that is left of a cell each time it is full.
        let longest = self.rejected.iter().map(|row| row.record.longest()).max().unwrap_or_default();
        let mut notes = rejects::Notes::begin(self.layout.clone(), 2 * longest + BLOCK, Vec::new())?;
        for Rejected { line, reason, record } in &self.rejected {
            notes.row(*line, reason, record)?;
        }
        notes.finish()
    }
}

#[cfg(test)]
mod tests;
