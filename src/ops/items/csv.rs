//! CSV: a header in any order, then one item a row.
//!
//! Read as bytes and decoded cell by cell, so that a bad byte costs one row. That is sound for GBK too: no byte of a
//! two-byte or four-byte character is a comma, a quote or a line break.

use std::borrow::Cow;
use std::io::{self, Read};

use ::csv::{ByteRecord, Reader, ReaderBuilder};

use crate::domain::takedown::{Draft, Gateway, MessageError};
use crate::ops::config::suggest::nearest;
use crate::ops::items::lines::Lines;
use crate::ops::items::rows::{Candidate, Fault, IdOrigin, PLACEHOLDER_ID, Record};
use crate::ops::items::sieve::unknown_account;
use crate::ops::items::{BLOCK, Options};

/// What a column is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// A member of the message.
    Message,
    /// The item's gateway.
    Gateway,
    /// A member of the item, at this gateway.
    Item(Gateway),
    /// Written by us beside a rejected row.
    Note,
}

/// Every column there may be.
const COLUMNS: &[(&str, Place)] = &[
    ("account", Place::Message),
    ("gateway", Place::Gateway),
    ("id", Place::Message),
    ("sns_user_id", Place::Item(Gateway::Mapi)),
    ("key", Place::Item(Gateway::Mapi)),
    ("close_reason", Place::Item(Gateway::Mapi)),
    ("goods_id", Place::Item(Gateway::Mapi)),
    ("commodity_id", Place::Item(Gateway::OpenPlatform)),
    ("shop_id", Place::Item(Gateway::OpenPlatform)),
    ("merchant", Place::Item(Gateway::OpenPlatform)),
    ("app_auth_token", Place::Item(Gateway::OpenPlatform)),
    ("batch", Place::Message),
    ("deadline", Place::Message),
    ("priority", Place::Message),
    ("line", Place::Note),
    ("reason", Place::Note),
];

/// Columns without which no row of a gateway can be an item.
const REQUIRED: [(Gateway, [&str; 2]); 2] =
    [(Gateway::OpenPlatform, ["commodity_id", "shop_id"]), (Gateway::Mapi, ["sns_user_id", "key"])];

/// Columns of digits that a spreadsheet likes to take for numbers.
const DIGITS: [&str; 3] = ["goods_id", "commodity_id", "shop_id"];

/// Longest cell shown or thought about, in bytes: what is longer is neither a column's name nor an id.
const LONGEST_QUOTED: usize = 32;

/// Added where a row seems to have swallowed the next ones.
const UNCLOSED: &str = "; perhaps a quote opened here is never closed";

/// A column of the file at hand.
type Column = (&'static str, Place);

/// The rows of a table, one after the other.
pub(super) struct Table<R> {
    reader: Reader<Lines<R>>,
    columns: Vec<Column>,
    record: ByteRecord,
}

impl<R: Read> Table<R> {
    /// Reads the header, unless there is none, nor any row.
    ///
    /// # Errors
    /// What is wrong with the header.
    pub(super) fn begin(text: R, options: &Options<'_>) -> Result<Self, Fault> {
        let mut builder = ReaderBuilder::new();
        let builder = builder.has_headers(false).flexible(true).buffer_capacity(BLOCK);
        let mut table =
            Self { reader: builder.from_reader(Lines::new(text)), columns: Vec::new(), record: ByteRecord::new() };
        if table.read()?.is_some() {
            table.columns = read_header(&table.record, options).map_err(Fault::Header)?;
        }
        Ok(table)
    }

    /// Goes on to the next row that is not of empty cells alone, and returns the line it begins on.
    ///
    /// # Errors
    /// When reading fails: rows may be ragged and need not be UTF-8.
    pub(super) fn advance(&mut self) -> Result<Option<u64>, Fault> {
        while let Some(line) = self.read()? {
            // What a spreadsheet leaves below the last row is of empty cells.
            if !self.record.iter().all(<[u8]>::is_empty) {
                return Ok(Some(line));
            }
        }
        Ok(None)
    }

    fn read(&mut self) -> Result<Option<u64>, Fault> {
        if !self.reader.read_byte_record(&mut self.record).map_err(unread)? {
            return Ok(None);
        }
        // The reader itself counts LF only. Its place is where a row ended, ahead of the rest of a CR LF and of blank lines.
        let end = self.reader.position().byte();
        let lines = self.reader.get_mut();
        let line = lines.next();
        lines.count_to(end);
        Ok(Some(line))
    }

    /// Returns the names of the columns.
    pub(super) fn columns(&self) -> Vec<String> {
        self.columns.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    /// Returns the row as it came.
    pub(super) fn record(&self) -> Record {
        Record::Cells(self.record.iter().map(<[u8]>::to_vec).collect())
    }

    /// Makes a takedown of the row, or says why it is none.
    pub(super) fn decode(&self, options: &Options<'_>) -> Result<Candidate, String> {
        decode(&self.columns, &self.record, options).map_err(|reason| {
            // No cell of an item goes over lines.
            let hint = if self.record.iter().any(|cell| cell.contains(&b'\n')) { UNCLOSED } else { "" };
            format!("{reason}{hint}")
        })
    }
}

fn unread(error: ::csv::Error) -> Fault {
    Fault::Read(match error.into_kind() {
        ::csv::ErrorKind::Io(error) => error,
        other => io::Error::other(format!("{other:?}")),
    })
}

fn read_header(record: &ByteRecord, options: &Options<'_>) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::with_capacity(record.len());
    for (position, cell) in record.iter().enumerate() {
        let name = String::from_utf8_lossy(cell);
        let name = name.trim();
        if name.is_empty() {
            return Err(format!("column {} of the header has no name", position + 1));
        }
        let Some(column) = COLUMNS.iter().find(|(known, _)| *known == name) else {
            return Err(unknown_column(position + 1, name, record.len()));
        };
        if columns.contains(column) {
            return Err(format!("column `{name}` is in the header twice"));
        }
        columns.push(*column);
    }
    let has = |name: &str| columns.iter().any(|(column, _)| *column == name);
    if options.account.is_none() && !has("account") {
        return Err("column `account` is missing; add it, or name one account for all rows".to_owned());
    }
    let missing = |names: &[&str]| names.iter().filter(|name| !has(name)).map(|n| format!("`{n}`")).collect::<Vec<_>>();
    let lacks = REQUIRED.map(|(gateway, names)| (gateway, missing(&names), names.len()));
    if lacks.iter().any(|(_, missing, _)| missing.is_empty()) {
        return Ok(columns);
    }
    // Whichever gateway the header has begun to describe is the one that was meant.
    let begun: Vec<String> = lacks
        .iter()
        .filter(|(_, missing, all)| missing.len() < *all || lacks.iter().all(|(_, m, n)| m.len() == *n))
        .map(|(gateway, missing, _)| format!("{} (needed for {gateway})", missing.join(" and ")))
        .collect();
    Err(format!("missing column {}", begun.join(", or ")))
}

/// A file without a header begins with an item, so that the cell is quoted only where it can be no secret.
fn unknown_column(number: usize, name: &str, columns: usize) -> String {
    let known: Vec<&str> = COLUMNS.iter().filter(|(_, place)| *place != Place::Note).map(|(name, _)| *name).collect();
    if let Some(separator) = name.chars().find(|c| matches!(c, ';' | '\t' | '|')).filter(|_| columns == 1) {
        return format!("cells seem to be separated by {separator:?}, separate them by commas");
    }
    let is_word =
        name.len() <= LONGEST_QUOTED && name.chars().all(|c| c.is_alphabetic() || matches!(c, '_' | '-' | ' '));
    let column = if is_word { format!("column `{name}`") } else { format!("column {number} of the header") };
    let near = Some(name).filter(|name| name.len() <= LONGEST_QUOTED);
    let hint = match near.and_then(|name| nearest(&name.replace(' ', "_"), known.iter().copied())) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "is the first line a header?".to_owned(),
    };
    format!("{column} is not known; known are: {}; {hint}", known.join(", "))
}

fn decode(columns: &[Column], record: &ByteRecord, options: &Options<'_>) -> Result<Candidate, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} cells, the header has {}", record.len(), columns.len()));
    }
    let mut cells: Vec<(&'static str, Place, Cow<'_, str>)> = Vec::with_capacity(columns.len());
    for ((name, place), cell) in
        columns.iter().zip(record).filter(|((_, place), cell)| *place != Place::Note && !cell.is_empty())
    {
        cells.push((name, *place, text(name, cell, options)?));
    }
    let value = |name: &str| cells.iter().find(|(column, _, _)| *column == name).map(|(_, _, text)| text.as_ref());

    let account = value("account").or(options.account.map(|account| account.as_str()));
    let account = account.ok_or("column `account` is empty")?;
    let gateway = match value("gateway") {
        Some(gateway) => gateway,
        None => gateway_of(account, options)?.as_str(),
    };
    let stray = cells.iter().find_map(|(name, place, _)| match place {
        Place::Item(of) if of.as_str() != gateway && is_gateway(gateway) => Some((name, of)),
        Place::Item(_) | Place::Message | Place::Gateway | Place::Note => None,
    });
    if let Some((name, of)) = stray {
        return Err(format!("column `{name}` is for {of}, this row is for {gateway}"));
    }
    let draft = Draft {
        id: value("id").or(Some(PLACEHOLDER_ID)),
        account: Some(account),
        batch: value("batch").or(options.batch.map(|batch| batch.as_str())),
        deadline: value("deadline"),
        priority: value("priority"),
        gateway: Some(gateway),
        sns_user_id: value("sns_user_id"),
        key: value("key"),
        close_reason: value("close_reason"),
        goods_id: value("goods_id"),
        commodity_id: value("commodity_id"),
        shop_id: value("shop_id"),
        merchant: value("merchant"),
        app_auth_token: value("app_auth_token"),
    };
    let takedown = draft.check().map_err(|e| fault(&e))?;
    let id = if value("id").is_some() { IdOrigin::Given } else { IdOrigin::Derived };
    Ok(Candidate { takedown, id })
}

fn text<'a>(name: &str, cell: &'a [u8], options: &Options<'_>) -> Result<Cow<'a, str>, String> {
    let charset = options.charset;
    let text = if cell.is_ascii() {
        String::from_utf8_lossy(cell)
    } else {
        let text = charset.decode(cell).ok_or_else(|| {
            format!("column `{name}` is not {}; name the file's charset, or mend the text", charset.as_str())
        })?;
        Cow::Owned(text)
    };
    if DIGITS.contains(&name) && text.len() <= LONGEST_QUOTED && is_mangled(&text) {
        return Err(format!(
            "column `{name}` is {text:?}: a spreadsheet has cut it down to a number; format the column as text"
        ));
    }
    Ok(text)
}

/// Tells 2.01600102E+22 from an id.
fn is_mangled(text: &str) -> bool {
    let Some((number, exponent)) = text.split_once(['E', 'e']) else { return false };
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    exponent.strip_prefix('+').is_some_and(digits) && number.split(['.', ',']).all(digits)
}

fn gateway_of(account: &str, options: &Options<'_>) -> Result<Gateway, String> {
    let account = account.parse().map_err(|error| format!("column `account` {error}"))?;
    let accounts = options.accounts;
    accounts.get(&account).copied().ok_or_else(|| unknown_account(&account, accounts.keys()))
}

fn is_gateway(text: &str) -> bool {
    [Gateway::Mapi, Gateway::OpenPlatform].iter().any(|gateway| gateway.as_str() == text)
}

/// Says a message's fault in the words of a table.
fn fault(error: &MessageError) -> String {
    match error {
        MessageError::Field { field, problem } => {
            let column = field.strip_prefix("takedown.").unwrap_or(field);
            let problem =
                if problem == "is missing" { "is empty".to_owned() } else { problem.replace("`takedown.", "`") };
            format!("column `{column}` {problem}")
        }
        MessageError::TooLarge { .. } | MessageError::NotUtf8 { .. } | MessageError::NotJson { .. } => {
            error.to_string()
        }
    }
}
