//! A file of items as `enqueue` and `run` take it: every row checked first, the bad ones written beside it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::domain::ids::{AccountId, BatchId};
use crate::domain::takedown::{Gateway, Takedown};
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::tables::counted;
use crate::ops::cli::terminal::Terminal;
use crate::ops::items::{self, Checked, Format, ItemsError, Options};
use crate::signing::charset::Charset;

/// What the columns are; shown by the help of both commands.
pub(super) const COLUMNS: &str = "\
Columns of a CSV, with a header (a JSONL has one message a line):
  account                    which credentials; --account gives the default
  gateway                    mapi or open_platform; if absent, the account tells
  id                         if absent, a digest of account and item: the same
                             row is the same takedown
  sns_user_id, key           mapi, required
  close_reason, goods_id     mapi
  commodity_id, shop_id      Open Platform, required
  merchant, app_auth_token   Open Platform
  batch, deadline, priority  as in the message";

/// The file and how to read it.
#[derive(Debug, Args)]
pub(super) struct ItemsFile {
    /// CSV or JSONL file of items.
    pub(super) file: PathBuf,
    /// Account of rows that name none.
    #[arg(long, value_name = "NAME", value_parser = account)]
    account: Option<AccountId>,
    /// Batch of rows that name none.
    #[arg(long, value_name = "ID", value_parser = batch)]
    pub(super) batch: Option<BatchId>,
    /// The file's charset: utf-8, gbk or gb2312.
    #[arg(long, default_value = "utf-8", value_parser = charset)]
    charset: Charset,
    /// The file's format, where its name does not tell.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Go on without the rejected rows.
    #[arg(long)]
    skip_rejected: bool,
}

/// Reads an account's name from the command line.
pub(super) fn account(text: &str) -> Result<AccountId, String> {
    AccountId::new(text).map_err(|error| format!("an account's name {error}"))
}

/// Reads a batch's id from the command line.
pub(super) fn batch(text: &str) -> Result<BatchId, String> {
    BatchId::new(text).map_err(|error| format!("a batch's id {error}"))
}

/// Reads a charset's name from the command line.
pub(super) fn charset(text: &str) -> Result<Charset, String> {
    Charset::from_label(text).ok_or_else(|| "it must be utf-8, gbk or gb2312".to_owned())
}

impl ItemsFile {
    /// How the file is read.
    pub(super) fn options<'a>(&'a self, accounts: &'a BTreeMap<AccountId, Gateway>) -> Options<'a> {
        let (account, batch) = (self.account.as_ref(), self.batch.as_ref());
        Options { accounts, charset: self.charset, format: self.format, account, batch }
    }

    /// Checks the whole file; rejected rows are told, written to a file, and end it unless they may be skipped. `accepted`
    /// hears of each takedown, and of the SHA-256 of its id.
    pub(super) fn check(
        &self,
        options: &Options<'_>,
        terminal: &Terminal,
        accepted: impl FnMut(&Takedown, &[u8; 32]),
    ) -> Result<Checked, Failure> {
        let checked = items::check(&self.file, options, accepted)?;
        if checked.rejected() > 0 {
            self.tell_rejected(&checked, terminal)?;
        } else if checked.accepted() == 0 {
            terminal.say(&format!("{} holds no items: nothing stands below its header", self.file.display()));
        }
        Ok(checked)
    }

    fn tell_rejected(&self, checked: &Checked, terminal: &Terminal) -> Result<(), Failure> {
        let bad = checked.rejected();
        let is = if bad == 1 { "is" } else { "are" };
        let rows = counted(bad + checked.accepted(), "row", "rows");
        let mut text = format!("{bad} of {rows} of {} {is} rejected:", self.file.display());
        for (line, reason) in checked.told() {
            text.push_str(&format!("\n  line {line}: {reason}"));
        }
        let told = checked.told().len() as u64;
        if bad > told {
            text.push_str(&format!("\n  … and {} more", bad - told));
        }
        if let Some(file) = checked.rejects() {
            text.push_str(&format!(
                "\nall of them, each with its reason (they hold keys: nobody else may read the file): {}",
                file.display()
            ));
        }
        if self.skip_rejected {
            terminal.say(&text);
            return Ok(());
        }
        Err(Failure::new(Exit::Rows, text)
            .remedy("mend the rows; or go on without them: --skip-rejected. Nothing was enqueued"))
    }
}

/// `items.csv` and `queue` give `items.csv.queue`.
pub(super) fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    PathBuf::from(name)
}

impl From<ItemsError> for Failure {
    fn from(error: ItemsError) -> Self {
        let failure = Self::new(Exit::Rows, chain(&error));
        match error {
            ItemsError::Write { .. } => failure
                .remedy("free some space on its disk, or mend its directory's permissions; nothing was enqueued"),
            ItemsError::Spool { .. } => failure
                .remedy("free some space there, or name another directory: TMPDIR=DIRECTORY; nothing was enqueued"),
            ItemsError::Changed { .. } => failure.remedy(
                "run the same command again once nobody writes to it: it is checked anew, and what is enqueued twice is \
                 told by its stable id",
            ),
            ItemsError::Read { .. }
            | ItemsError::Format { .. }
            | ItemsError::Empty { .. }
            | ItemsError::NotText { .. }
            | ItemsError::Header { .. }
            | ItemsError::RowTooLong { .. }
            | ItemsError::Account { .. } => failure,
        }
    }
}
