//! The rows of a file, one after the other, whatever its format.

use std::io::{self, Chain, Cursor, Read};

use crate::domain::takedown::Takedown;
use crate::ops::items::lines::MAX_ROW;
use crate::ops::items::{Format, Options, csv, jsonl};
use crate::signing::charset::Charset;

/// Why there is no next row.
#[derive(Debug)]
pub(super) enum Fault {
    /// The file cannot be read.
    Read(io::Error),
    /// Nothing but blanks in it.
    Empty,
    /// Not text in a charset that can be named; what it seems to be.
    NotText(&'static str),
    /// The CSV's header is wrong; what is wrong with it.
    Header(String),
}

/// A row as it came, in the file's charset; secrets included.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Record {
    Cells(Vec<Vec<u8>>),
    Line(Vec<u8>),
}

impl Record {
    /// Length of its longest cell, in bytes.
    pub(super) fn longest(&self) -> usize {
        match self {
            Self::Cells(cells) => cells.iter().map(Vec::len).max().unwrap_or_default(),
            Self::Line(line) => line.len(),
        }
    }
}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("***")
    }
}

/// A row that decoded, whose account and id are still to be looked at.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) takedown: Takedown,
    pub(super) id: IdOrigin,
}

/// Where a candidate's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdOrigin {
    /// The row.
    Given,
    /// Nowhere yet: [`PLACEHOLDER_ID`] stands in for it.
    Derived,
}

/// Stands in for an absent id while a row is decoded.
pub(super) const PLACEHOLDER_ID: &str = "td-";

/// What the file of rejected rows takes over from the file of items.
#[derive(Debug, Clone, Default)]
pub(super) struct Layout {
    pub(super) charset: Charset,
    /// Whether the file began with a byte order mark, without which spreadsheets misread UTF-8.
    pub(super) has_mark: bool,
    /// Names of the columns; `None` for JSONL.
    pub(super) columns: Option<Vec<String>>,
}

/// What was read to see what the file is, then the rest of it.
type Text<R> = Chain<Cursor<Vec<u8>>, R>;

enum Reading<R> {
    Csv(Box<csv::Table<Text<R>>>),
    Jsonl(jsonl::Lines<Text<R>>),
}

/// The rows of one file.
pub(super) struct Rows<R> {
    reading: Reading<R>,
    has_mark: bool,
}

impl<R: Read> Rows<R> {
    /// Looks what the file is, and reads a table's header.
    ///
    /// # Errors
    /// [`Fault`], if it holds no rows that could be looked at one by one.
    pub(super) fn begin(mut text: R, format: Format, options: &Options<'_>) -> Result<Self, Fault> {
        let mut head = first_of(&mut text).map_err(Fault::Read)?;
        if head.starts_with(b"\xff\xfe") || head.starts_with(b"\xfe\xff") {
            return Err(Fault::NotText("UTF-16 (\"Unicode text\")"));
        }
        if head.starts_with(b"PK\x03\x04") {
            return Err(Fault::NotText("a spreadsheet or an archive"));
        }
        let has_mark = head.starts_with(MARK);
        if has_mark {
            head.drain(..MARK.len());
        }
        if head.iter().all(u8::is_ascii_whitespace) && head.len() < MAX_ROW {
            return Err(Fault::Empty);
        }
        let text = Cursor::new(head).chain(text);
        let reading = match format {
            Format::Csv => Reading::Csv(Box::new(csv::Table::begin(text, options)?)),
            Format::Jsonl => Reading::Jsonl(jsonl::Lines::begin(text)),
        };
        Ok(Self { reading, has_mark })
    }

    /// Goes on to the next row, and returns the line it begins on, from 1.
    ///
    /// # Errors
    /// [`Fault::Read`].
    pub(super) fn advance(&mut self) -> Result<Option<u64>, Fault> {
        match &mut self.reading {
            Reading::Csv(table) => table.advance(),
            Reading::Jsonl(lines) => lines.advance(),
        }
    }

    /// Makes a takedown of the row at hand, or says why it is none.
    pub(super) fn decode(&self, options: &Options<'_>) -> Result<Candidate, String> {
        match &self.reading {
            Reading::Csv(table) => table.decode(options),
            Reading::Jsonl(lines) => lines.decode(options),
        }
    }

    /// Returns the row at hand as it came.
    pub(super) fn record(&self) -> Record {
        match &self.reading {
            Reading::Csv(table) => table.record(),
            Reading::Jsonl(lines) => lines.record(),
        }
    }

    /// Returns how the file is laid out.
    pub(super) fn layout(&self, charset: Charset) -> Layout {
        let columns = match &self.reading {
            Reading::Csv(table) => Some(table.columns()),
            Reading::Jsonl(_) => None,
        };
        Layout { charset, has_mark: self.has_mark, columns }
    }
}

/// The byte order mark of UTF-8.
pub(super) const MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads up to the first byte that is no blank, a mark aside, or as far as a row may go.
fn first_of(text: &mut impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    loop {
        let before = head.len();
        if text.take(4096).read_to_end(&mut head)? == 0
            || head.len() >= MAX_ROW
            || !head.strip_prefix(MARK).unwrap_or(&head)[before.saturating_sub(MARK.len())..]
                .iter()
                .all(u8::is_ascii_whitespace)
        {
            return Ok(head);
        }
    }
}
