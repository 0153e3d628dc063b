//! `takedown explain`: one item's canonical string, signature and request; and what is wrong with a pasted one.
//!
//! Nothing is sent. Promise: without --reveal no key and no token comes out, in no form; and no control character of a
//! pasted text reaches the terminal.

mod advice;
mod curl;
mod json;
mod meaning;
mod paste;
mod subject;
mod text;
mod veil;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;
use jiff::Timestamp;

use crate::clock;
use crate::domain::ids::AccountId;
use crate::domain::reply::{Claim, Reply, Signature};
use crate::domain::retry::RetryPolicy;
use crate::domain::takedown::Item;
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::own::{self, Own};
use crate::gateway::diagnosis::pasted::Pasted;
use crate::gateway::diagnosis::{Diagnosis, Verdict, answer, request};
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::explain::veil::Veil;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::{account, charset};
use crate::ops::cli::tables::Output;
use crate::ops::config::Config;
use crate::ops::items::Format;
use crate::signing::charset::Charset;

/// Show how one item is signed, and find out why a signature is refused (`ILLEGAL_SIGN`, `isv.invalid-signature`).
///
/// Prints the parameters, the canonical string, the signature and a request ready for curl. Given a request or an answer
/// of yours, it says what differs, whether its signature verifies, and if not, why: more than fifty known mistakes are
/// tried on it, two at a time. Nothing is sent, and browsing a dead letter never removes it. Exit code 9 if anything is
/// wrong with what was pasted.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    takedown explain --account shops --request refused.txt\n  \
    takedown explain items.csv --line 3 --hex\n  \
    takedown explain --dead-letter case-4711-1 --answer answer.txt\n  \
    pbpaste | takedown explain --request -\n  \
    takedown explain --account shops --item \\\n    \
    '{\"commodity_id\":\"2016\",\"shop_id\":\"2015\"}'\n\n\
    A request may be a curl command line, raw HTTP text, a URL, or a bare query or\n\
    form body; an answer the body alone, or HTTP text with its headers (curl -i).")]
pub(super) struct Explain {
    /// A CSV or JSONL file of items, as `run` and `enqueue` read it; --line names the row.
    file: Option<PathBuf>,
    /// The line the row begins on, from 1 (the header is a line too).
    #[arg(long, value_name = "N", requires = "file")]
    line: Option<u64>,
    /// The file's charset: utf-8, gbk or gb2312.
    #[arg(long, default_value = "utf-8", value_parser = charset)]
    charset: Charset,
    /// The file's format, where its name does not tell.
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// The item: the `takedown` object of a message, or the whole message; - reads it from stdin.
    #[arg(long, value_name = "JSON", conflicts_with = "file")]
    item: Option<String>,
    /// The item of a dead letter, by its id.
    #[arg(long, value_name = "ID", conflicts_with_all = ["file", "item"])]
    dead_letter: Option<String>,
    /// A queue file instead of the broker, for --dead-letter.
    #[arg(long, visible_alias = "embedded", value_name = "FILE", requires = "dead_letter")]
    queue: Option<PathBuf>,
    /// Whose keys sign; needed where neither the item nor the request tells.
    #[arg(long, value_name = "NAME", value_parser = account)]
    account: Option<AccountId>,
    /// A request that was refused, in a file; - is stdin.
    #[arg(long, value_name = "FILE")]
    request: Option<PathBuf>,
    /// An answer of the gateway, in a file; - is stdin.
    #[arg(long, value_name = "FILE")]
    answer: Option<PathBuf>,
    /// The moment to sign for, RFC 3339; now if absent.
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<SystemTime>,
    /// The nonce to sign with (protocol v3); drawn if absent.
    #[arg(long)]
    nonce: Option<String>,
    /// Show canonical bytes in hex too.
    #[arg(long)]
    hex: bool,
    /// Show keys and tokens; they are masked otherwise.
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    output: Output,
}

fn moment(text: &str) -> Result<SystemTime, String> {
    let moment = text.parse::<Timestamp>().ok().and_then(|moment| SystemTime::try_from(moment).ok());
    moment.ok_or_else(|| "write a moment with its zone, such as 2026-11-24T22:00:00+08:00".to_owned())
}

/// Everything found out, before it is written for people or programs.
struct Report<'a> {
    id: &'a AccountId,
    account: &'a GatewayAccount,
    item: Option<&'a Item>,
    own: Option<Result<Own, Reply>>,
    request: Option<(Pasted, request::Judged)>,
    answer: Option<answer::Judged>,
    retry: &'a RetryPolicy,
    veil: Veil,
    has_hex: bool,
}

impl Explain {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        let config = surroundings.load_config()?;
        let stdin = paste::Stdin::for_one_of([
            self.request.as_deref(),
            self.answer.as_deref(),
            self.item.as_deref().map(Path::new),
        ])?;
        let pasted = self.request.as_deref().map(|file| paste::request(file, &stdin)).transpose()?;
        let answered = self.answer.as_deref().map(|file| paste::answer(file, &stdin)).transpose()?;
        let subject = subject::find(self, &config, pasted.as_ref(), &stdin).await?;
        if subject.item.is_none() && pasted.is_none() && answered.is_none() {
            let problem = "there is nothing to explain";
            return Err(Failure::new(Exit::Usage, problem).remedy(
                "give an item (--item, FILE --line N, --dead-letter ID), or paste one: --request FILE, --answer FILE",
            ));
        }
        let report = self.report(&config, &subject, pasted, answered)?;
        terminal.result(&if self.output.json { json::write(&report) } else { text::write(&report) })?;
        Ok(report.exit())
    }

    fn report<'a>(
        &self,
        config: &'a Config,
        subject: &'a subject::Subject,
        pasted: Option<Pasted>,
        answered: Option<crate::gateway::http::HttpAnswer>,
    ) -> Result<Report<'a>, Failure> {
        let (id, account_config) =
            config.accounts.get_key_value(&subject.account).expect("invariant: it was found there");
        let account = &account_config.gateway;
        let item = subject.item.as_ref();
        let now = self.at.unwrap_or_else(clock::now);
        let accounts: BTreeMap<&AccountId, &GatewayAccount> =
            config.accounts.iter().map(|(id, account)| (id, &account.gateway)).collect();
        let keyring = Keyring::new(id, &accounts);
        let veil = Veil::new(self.reveal, item, &accounts, pasted.as_ref(), &keyring);
        let request = match pasted {
            None => None,
            Some(pasted) => {
                let judged = request::judge(account, &keyring, &pasted, item, now);
                let judged = judged.map_err(|reply| unbuildable(&reply))?;
                Some((pasted, judged))
            }
        };
        let answer = answered.map(|answer| answer::judge(account, &keyring, &answer, item));
        let own = item.map(|item| own::explain(account, item, now, self.nonce.as_deref()));
        Ok(Report { id, account, item, own, request, answer, retry: &config.retry, veil, has_hex: self.hex })
    }
}

/// Words why nothing would be sent for an item.
fn unbuildable(reply: &Reply) -> Failure {
    let why = reply.message().or_else(|| reply.code().map(str::to_owned)).unwrap_or_default();
    Failure::new(Exit::Usage, format!("takedown would send nothing for this item: {why}"))
        .remedy("mend the item or the account's configuration; or leave the item out, to judge the request alone")
}

impl Report<'_> {
    /// Something to look at ends as findings do.
    fn exit(&self) -> Exit {
        let is_wrong = |diagnosis: &Diagnosis| diagnosis.verdict != Verdict::Right;
        let request =
            self.request.as_ref().is_some_and(|(_, judged)| is_wrong(&judged.diagnosis) || !judged.remarks.is_empty());
        let answer = self.answer.as_ref().is_some_and(|judged| {
            let is_plain_refusal =
                judged.answer.signature == Signature::Unsigned && matches!(judged.answer.claim, Claim::Failure { .. });
            (is_wrong(&judged.diagnosis) || !judged.diagnosis.causes.is_empty()) && !is_plain_refusal
        });
        let own = matches!(self.own, Some(Err(_)));
        if request || answer || own { Exit::Findings } else { Exit::Done }
    }
}
