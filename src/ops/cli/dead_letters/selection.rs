//! Which dead letters are meant, as options.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use clap::Args;

use crate::clock;
use crate::domain::ids::{AccountId, BatchId, MerchantId, RequestId};
use crate::domain::notice::LetterFilter;
use crate::domain::outcome::{Reason, Status};
use crate::domain::takedown::rfc3339;
use crate::ops::cli::intake::account;
use crate::ops::config::units;

/// A queue file, or the broker.
#[derive(Debug, Args)]
pub(super) struct Place {
    /// A queue file instead of the broker.
    #[arg(long, value_name = "FILE")]
    pub(super) queue: Option<PathBuf>,
}

/// Filters; letters must meet all of them.
#[derive(Debug, Args)]
#[command(next_help_heading = "Which letters")]
pub(super) struct Selection {
    /// Only of this account; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = account)]
    account: Vec<AccountId>,
    /// Only of this reason, such as `outcome_unknown`.
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only of this gateway code, such as `isp.unknow-error`.
    #[arg(long)]
    code: Option<String>,
    /// Only of this batch.
    #[arg(long, value_name = "ID", value_parser = |text: &str| BatchId::new(text).map_err(|error| format!("a batch {error}")))]
    batch: Option<BatchId>,
    /// Only for this merchant, by the name in the messages.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| MerchantId::new(text).map_err(|error| format!("a merchant {error}")))]
    merchant: Option<MerchantId>,
    /// Only those that died longer ago than this, such as 30m or 2h.
    #[arg(long, value_name = "TIME", value_parser = age)]
    older_than: Option<Duration>,
    /// Only those that died within this time, such as 30m or 2h.
    #[arg(long, value_name = "TIME", value_parser = age)]
    newer_than: Option<Duration>,
    /// Only those that died at this moment or later, such as 2026-11-24T22:00:00+08:00.
    #[arg(long, value_name = "MOMENT", value_parser = moment, conflicts_with = "newer_than")]
    since: Option<SystemTime>,
    /// Only those that died at this moment or earlier.
    #[arg(long, value_name = "MOMENT", value_parser = moment, conflicts_with = "older_than")]
    until: Option<SystemTime>,
    /// Only those with this text in an id, the code, the wording or the reason for closing, in capitals or not.
    #[arg(long)]
    text: Option<String>,
    /// Only this one.
    #[arg(long, value_parser = |text: &str| RequestId::new(text).map_err(|error| format!("an id {error}")))]
    id: Option<RequestId>,
}

fn age(text: &str) -> Result<Duration, String> {
    units::duration(text).map_err(|_| "write a time such as 90s, 30m or 2h".to_owned())
}

fn moment(text: &str) -> Result<SystemTime, String> {
    let stamp: Option<jiff::Timestamp> = text.parse().ok();
    let moment = stamp.and_then(|stamp| SystemTime::try_from(stamp).ok());
    moment.ok_or_else(|| "write a moment with its zone, such as 2026-11-24T22:00:00+08:00".to_owned())
}

fn reason(text: &str) -> Result<Reason, String> {
    let is_dead = |reason: &&Reason| reason.status() == Status::Dead;
    text.parse().ok().filter(|reason| is_dead(&reason)).ok_or_else(|| {
        let words: Vec<_> = Reason::ALL.iter().filter(is_dead).map(|reason| reason.as_str()).collect();
        format!("dead letters have one of {}", words.join(", "))
    })
}

impl Selection {
    /// Returns the accounts named.
    pub(super) fn accounts(&self) -> &[AccountId] {
        &self.account
    }

    /// Works the ages out against the clock.
    pub(super) fn filter(&self) -> LetterFilter {
        let now = clock::now();
        let ago = |age: Duration| now.checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
        LetterFilter {
            accounts: self.account.clone(),
            reason: self.reason,
            code: self.code.clone(),
            batch: self.batch.clone(),
            merchant: self.merchant.clone(),
            text: self.text.clone(),
            id: self.id.clone(),
            died_since: self.since.or_else(|| self.newer_than.map(ago)),
            died_until: self.until.or_else(|| self.older_than.map(ago)),
        }
    }
}

/// Writes a filter as options, for a person to repeat.
pub(super) fn options(filter: &LetterFilter) -> String {
    let LetterFilter { accounts, reason, code, batch, merchant, text, id, died_since, died_until } = filter;
    let mut parts: Vec<String> = accounts.iter().map(|account| format!("--account {account}")).collect();
    parts.extend(reason.map(|reason| format!("--reason {reason}")));
    parts.extend(code.as_ref().map(|code| format!("--code {}", quoted(code))));
    parts.extend(batch.as_ref().map(|batch| format!("--batch {batch}")));
    parts.extend(merchant.as_ref().map(|merchant| format!("--merchant {merchant}")));
    parts.extend(text.as_ref().map(|text| format!("--text {}", quoted(text))));
    parts.extend(id.as_ref().map(|id| format!("--id {id}")));
    parts.extend(died_since.map(|time| format!("--since {}", rfc3339(time))));
    parts.extend(died_until.map(|time| format!("--until {}", rfc3339(time))));
    parts.join(" ")
}

/// Quotes for a shell what is more than a word; control characters have no place on a terminal.
fn quoted(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect();
    let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || "._:-/@".contains(c));
    if is_word { text } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_written_as_a_shell_reads_it() {
        let filter = LetterFilter {
            accounts: vec![AccountId::new("shops").unwrap()],
            code: Some("it's\u{1b} odd".into()),
            died_until: Some(SystemTime::UNIX_EPOCH),
            ..LetterFilter::default()
        };
        assert_eq!(options(&filter), "--account shops --code 'it'\\''s\u{fffd} odd' --until 1970-01-01T00:00:00Z");
    }
}
