//! Files of items, CSV or JSONL, read whole and checked row by row before anything is enqueued.
//!
//! Rows obey the rules of messages, because each becomes a message and is decoded as one. Promise: every row of the file
//! is either accepted or rejected with its line and a reason that names the column; none is skipped, mended or guessed.

mod csv;
mod jsonl;
mod rejects;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, BatchId, RequestId};
use crate::domain::takedown::{Gateway, Item, Takedown};
use crate::signing::charset::Charset;

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

/// What a file holds.
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

/// A row as it came, in the file's charset.
#[derive(Clone, PartialEq, Eq)]
enum Record {
    Cells(Vec<Vec<u8>>),
    Line(Vec<u8>),
}

impl Record {
    /// Length of its longest cell, in bytes.
    fn longest(&self) -> usize {
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

/// What the file of rejected rows takes over from the file of items.
#[derive(Debug, Clone, Default)]
struct Layout {
    charset: Charset,
    /// Whether the file began with a byte order mark, without which spreadsheets misread UTF-8.
    has_mark: bool,
    /// Names of the columns; `None` for JSONL.
    columns: Option<Vec<String>>,
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
    #[error("{}", unknown_account(.account, .known))]
    Account {
        /// The account.
        account: AccountId,
        /// The accounts there are.
        known: Vec<AccountId>,
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

/// Reads and checks a whole file.
///
/// # Errors
/// [`ItemsError`] for what is wrong with the file as a whole; a bad row is no error but in [`Items::rejected`].
pub fn read(path: &Path, options: &Options<'_>) -> Result<Items, ItemsError> {
    let bytes = fs::read(path).map_err(|source| ItemsError::Read { path: path.display().to_string(), source })?;
    read_bytes(path, &bytes, options)
}

/// Checks what a file holds; the path is for the format and for errors alone.
///
/// # Errors
/// As [`read`], but for [`ItemsError::Read`].
pub fn read_bytes(path: &Path, bytes: &[u8], options: &Options<'_>) -> Result<Items, ItemsError> {
    let name = || path.display().to_string();
    let format = options.format.or_else(|| Format::of(path)).ok_or_else(|| ItemsError::Format { path: name() })?;
    if let Some(account) = options.account.filter(|account| !options.accounts.contains_key(account)) {
        return Err(ItemsError::Account {
            account: account.clone(),
            known: options.accounts.keys().cloned().collect(),
        });
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Err(ItemsError::NotText { path: name(), found: "UTF-16 (\"Unicode text\")" });
    }
    if bytes.starts_with(b"PK\x03\x04") {
        return Err(ItemsError::NotText { path: name(), found: "a spreadsheet or an archive" });
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if text.iter().all(u8::is_ascii_whitespace) {
        return Err(ItemsError::Empty { path: name() });
    }
    let layout = Layout { charset: options.charset, has_mark: text.len() < bytes.len(), columns: None };
    let mut sieve = Sieve::new(options, layout);
    match format {
        Format::Csv => csv::read(text, &mut sieve).map_err(|problem| ItemsError::Header { path: name(), problem })?,
        Format::Jsonl => jsonl::read(text, &mut sieve),
    }
    Ok(sieve.items)
}

/// A row that decoded, whose account and id are still to be looked at.
#[derive(Debug)]
struct Candidate {
    takedown: Takedown,
    id: IdOrigin,
}

/// Where a candidate's id comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum IdOrigin {
    /// The row.
    Given,
    /// Nowhere yet: [`PLACEHOLDER_ID`] stands in for it.
    Derived,
}

/// Stands in for an absent id while a row is decoded.
const PLACEHOLDER_ID: &str = "td-";

/// Sorts rows into accepted and rejected.
struct Sieve<'a> {
    options: &'a Options<'a>,
    /// Line of the first row with this id.
    lines: HashMap<RequestId, u64>,
    items: Items,
}

impl<'a> Sieve<'a> {
    fn new(options: &'a Options<'a>, layout: Layout) -> Self {
        let items = Items { accepted: Vec::new(), rejected: Vec::new(), layout };
        Self { options, lines: HashMap::new(), items }
    }

    /// Takes one row in: what it decoded to, or why it did not.
    fn row(&mut self, line: u64, decoded: Result<Candidate, String>, record: impl FnOnce() -> Record) {
        match decoded.and_then(|candidate| self.check(line, candidate)) {
            Ok(takedown) => self.items.accepted.push(Accepted { line, takedown }),
            Err(reason) => self.items.rejected.push(Rejected { line, reason, record: record() }),
        }
    }

    fn check(&mut self, line: u64, candidate: Candidate) -> Result<Takedown, String> {
        let Candidate { mut takedown, id } = candidate;
        let accounts = self.options.accounts;
        let asked = takedown.item.gateway();
        match accounts.get(&takedown.account) {
            Some(gateway) if *gateway == asked => {}
            Some(gateway) => return Err(other_gateway(&takedown.account, *gateway, asked, accounts)),
            None => return Err(unknown_account(&takedown.account, accounts.keys())),
        }
        if id == IdOrigin::Derived {
            takedown.id = digest(&takedown.account, &takedown.item);
        }
        match (self.lines.get(&takedown.id), id) {
            (Some(first), IdOrigin::Given) => return Err(format!("id `{}` is on line {first} already", takedown.id)),
            (Some(first), IdOrigin::Derived) => return Err(format!("the same item is on line {first} already")),
            (None, _) => {}
        }
        self.lines.insert(takedown.id.clone(), line);
        Ok(takedown)
    }
}

fn unknown_account<'a>(account: &AccountId, known: impl IntoIterator<Item = &'a AccountId>) -> String {
    let known: Vec<&str> = known.into_iter().map(AccountId::as_str).collect();
    // Where columns have slipped, a user key or a token stands in its place.
    let shown = match account.as_str().len() {
        ..MIN_KEY => format!("`{account}`"),
        length => format!("(a text of {length} characters, not shown: it may be a key)"),
    };
    format!("account {shown} is not configured; configured are: {}", listed(&known))
}

/// Keys and tokens have 32 characters and more, names of accounts fewer as a rule.
const MIN_KEY: usize = 32;

fn other_gateway(
    account: &AccountId,
    gateway: Gateway,
    asked: Gateway,
    accounts: &BTreeMap<AccountId, Gateway>,
) -> String {
    let fit: Vec<&str> = accounts.iter().filter(|(_, g)| **g == asked).map(|(name, _)| name.as_str()).collect();
    format!("account `{account}` is of {gateway}, this row is for {asked}; its accounts are: {}", listed(&fit))
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

/// The id of a row without one: the same account and item always give the same, and any difference another.
fn digest(account: &AccountId, item: &Item) -> RequestId {
    let mut hash = Sha256::new();
    // Lengths keep neighbours apart: "a" + "bc" is not "ab" + "c".
    let mut part = |text: Option<&str>| match text {
        Some(text) => {
            hash.update((text.len() as u64 + 1).to_be_bytes());
            hash.update(text);
        }
        None => hash.update(0_u64.to_be_bytes()),
    };
    part(Some(account.as_str()));
    part(Some(item.gateway().as_str()));
    match item {
        Item::Mapi(item) => {
            part(Some(&item.sns_user_id));
            part(Some(item.key.expose()));
            part(item.close_reason.as_deref());
            part(item.goods_id.as_deref());
        }
        Item::OpenPlatform(item) => {
            part(Some(&item.commodity_id));
            part(Some(&item.shop_id));
            part(item.merchant.as_ref().map(|merchant| merchant.as_str()));
            part(item.app_auth_token.as_ref().map(|token| token.expose()));
        }
    }
    let digest = hex(&hash.finalize()[..16]);
    RequestId::new(format!("{PLACEHOLDER_ID}{digest}")).expect("invariant: hex digits make an id")
}

impl Items {
    /// Writes the rejected rows beside the file they came from, with `line` and `reason` in front, or does nothing if
    /// there are none. Mended, the file can be read again as it is.
    ///
    /// # Errors
    /// [`ItemsError::Write`]; a file of that name is then as it was.
    pub fn write_rejected(&self, path: &Path) -> Result<Option<PathBuf>, ItemsError> {
        rejects::write(self, path)
    }

    /// Returns what [`Items::write_rejected`] writes.
    ///
    /// # Errors
    /// Only where there is no memory for it.
    pub fn rejected_rows(&self) -> io::Result<Vec<u8>> {
        rejects::rows(self)
    }
}

#[cfg(test)]
mod tests;
