//! What is to be explained: an item from one of four places, and the account whose keys sign it.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::domain::ids::{AccountId, RequestId};
use crate::domain::notice::LetterFilter;
use crate::domain::takedown::{Gateway, Item, MAX_MESSAGE_BYTES, Takedown};
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::pasted::Pasted;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::explain::Explain;
use crate::ops::cli::explain::paste::Stdin;
use crate::ops::cli::failure::Failure;
use crate::ops::config::Config;
use crate::ops::items::{self, Options};
use crate::queue::amqp::dead_letters::AmqpDeadLetters;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeadLetter, DeadLetters};

/// An account of the configuration, and the item if there is one.
pub(super) struct Subject {
    pub(super) account: AccountId,
    pub(super) item: Option<Item>,
}

pub(super) async fn find(
    asked: &Explain,
    config: &Config,
    pasted: Option<&Pasted>,
    stdin: &Stdin,
) -> Result<Subject, Failure> {
    let named = match &asked.account {
        Some(account) if !config.accounts.contains_key(account) => return Err(unknown(account, config)),
        named => named.clone(),
    };
    let found = if let Some(text) = &asked.item {
        let text = if text == "-" {
            stdin.read(Path::new("-"), "--item", MAX_MESSAGE_BYTES)?
        } else {
            text.clone().into_bytes()
        };
        Some(inline(&text, named.as_ref(), pasted, config)?)
    } else if let Some(id) = &asked.dead_letter {
        Some(dead_letter(asked, config, id).await?)
    } else if let Some(file) = &asked.file {
        Some(row(asked, file, config)?)
    } else {
        None
    };
    let Some((account, item)) = found else {
        let account = named.map_or_else(|| alone(pasted, None, config), Ok)?;
        return Ok(Subject { account, item: None });
    };
    // The account that was named wins over the item's own: the same item may be tried with other keys.
    let account = named.unwrap_or(account);
    let Some(known) = config.accounts.get(&account) else { return Err(unknown(&account, config)) };
    if known.gateway.gateway() != item.gateway() {
        let problem =
            format!("the item is for {}, account `{account}` is of {}", item.gateway(), known.gateway.gateway());
        return Err(Failure::new(Exit::Usage, problem).remedy("name an account of the item's gateway with --account"));
    }
    Ok(Subject { account, item: Some(item) })
}

fn unknown(account: &AccountId, config: &Config) -> Failure {
    let problem = format!("account `{account}` is not configured");
    Failure::new(Exit::Usage, problem).remedy(format!("name one of: {}", names(config)))
}

fn names(config: &Config) -> String {
    config.accounts.keys().map(AccountId::as_str).collect::<Vec<_>>().join(", ")
}

/// Tells the account by caller and protocol of the request, else by there being no other.
fn alone(pasted: Option<&Pasted>, gateway: Option<Gateway>, config: &Config) -> Result<AccountId, Failure> {
    let mut candidates: Vec<_> = config.accounts.iter().collect();
    let mut keep = |is_meant: &dyn Fn(&GatewayAccount) -> bool| {
        let kept: Vec<_> = candidates.iter().copied().filter(|(_, account)| is_meant(&account.gateway)).collect();
        // Where nobody fits, the request is wrong in just that.
        if !kept.is_empty() {
            candidates = kept;
        }
    };
    keep(&|account| gateway.is_none_or(|gateway| gateway == account.gateway()));
    if let Some(pasted) = pasted {
        keep(&|account| pasted.names(account.identity()));
        keep(&|account| pasted.is_of(account));
    }
    match candidates.as_slice() {
        [(id, _)] => Ok((*id).clone()),
        several => {
            let names: Vec<_> = several.iter().map(|(id, _)| id.as_str()).collect();
            Err(Failure::new(Exit::Usage, "whose keys sign is not told")
                .remedy(format!("name the account: --account with one of {}", names.join(", "))))
        }
    }
}

/// Reads `--item`: a whole message, or the object inside one, its gateway told by the account if it is absent.
fn inline(
    text: &[u8],
    named: Option<&AccountId>,
    pasted: Option<&Pasted>,
    config: &Config,
) -> Result<(AccountId, Item), Failure> {
    let refuse = |problem: String| {
        let remedy = "give the `takedown` object of a message, such as {\"commodity_id\":\"…\",\"shop_id\":\"…\"}, or the whole message";
        Failure::new(Exit::Usage, format!("the item cannot be used: {problem}")).remedy(remedy)
    };
    let value: Value = serde_json::from_slice(text)
        .map_err(|error| refuse(format!("it is not JSON (line {} column {})", error.line(), error.column())))?;
    let Value::Object(mut object) = value else { return Err(refuse("it is not an object".to_owned())) };
    if object.contains_key("takedown") {
        let message = Takedown::decode(text).map_err(|error| refuse(error.to_string()))?;
        return Ok((message.account, message.item));
    }
    let asked = gateway_of(&object);
    let account = named.cloned().map_or_else(|| alone(pasted, asked, config), Ok)?;
    let gateway = config.accounts.get(&account).map(|account| account.gateway.gateway());
    if let Some(gateway) = gateway {
        object.entry("gateway").or_insert_with(|| gateway.as_str().into());
    }
    let message = json!({ "version": 1, "id": "explain", "account": account.as_str(), "takedown": object });
    let message = Takedown::decode(message.to_string().as_bytes()).map_err(|error| refuse(error.to_string()))?;
    Ok((account, message.item))
}

/// The gateway an object names, or has the members of.
fn gateway_of(object: &Map<String, Value>) -> Option<Gateway> {
    match object.get("gateway").and_then(Value::as_str) {
        Some("mapi") => Some(Gateway::Mapi),
        Some("open_platform") => Some(Gateway::OpenPlatform),
        Some(_) => None,
        None if object.contains_key("sns_user_id") => Some(Gateway::Mapi),
        None if object.contains_key("commodity_id") => Some(Gateway::OpenPlatform),
        None => None,
    }
}

/// Reads one row of a file as `run` and `enqueue` do.
fn row(asked: &Explain, file: &Path, config: &Config) -> Result<(AccountId, Item), Failure> {
    let accounts: BTreeMap<_, _> =
        config.accounts.iter().map(|(id, account)| (id.clone(), account.gateway.gateway())).collect();
    let options = Options {
        accounts: &accounts,
        charset: asked.charset,
        format: asked.format,
        account: asked.account.as_ref(),
        batch: None,
    };
    let items = items::read(file, &options)?;
    let is_asked = |line: u64| asked.line.is_none_or(|asked| asked == line);
    if let Some(row) = items.rejected.iter().find(|row| is_asked(row.line)) {
        let problem = format!("line {} of {} is rejected: {}", row.line, file.display(), row.reason);
        return Err(Failure::new(Exit::Rows, problem).remedy("mend the row"));
    }
    let mut rows = items.accepted.into_iter().filter(|row| is_asked(row.line));
    match (rows.next(), rows.next(), asked.line) {
        (Some(row), None, _) => Ok((row.takedown.account, row.takedown.item)),
        (Some(row), Some(_), _) => {
            let problem = format!("{} holds several items", file.display());
            Err(Failure::new(Exit::Usage, problem).remedy(format!("name the row: --line {}", row.line)))
        }
        (None, _, Some(line)) => {
            Err(Failure::new(Exit::Usage, format!("no row begins on line {line} of {}", file.display()))
                .remedy("count lines from 1, the header included"))
        }
        (None, _, None) => Err(Failure::new(Exit::Rows, format!("{} holds no items", file.display()))),
    }
}

/// Looks a dead letter up; looking never removes.
async fn dead_letter(asked: &Explain, config: &Config, id: &str) -> Result<(AccountId, Item), Failure> {
    let filter = LetterFilter { id: RequestId::new(id).ok(), ..LetterFilter::default() };
    let letters = match &asked.queue {
        Some(file) => EmbeddedQueue::open_existing(file)?.list(&filter).await?,
        None => {
            let accounts: Vec<AccountId> = config.accounts.keys().cloned().collect();
            AmqpDeadLetters::connect(&config.amqp, accounts).await?.list(&filter).await?
        }
    };
    let is_meant = |letter: &DeadLetter| {
        letter.id == id && asked.account.as_ref().is_none_or(|account| account.as_str() == letter.account)
    };
    let Some(letter) = letters.into_iter().find(is_meant) else {
        return Err(Failure::new(Exit::Findings, format!("there is no dead letter {id}"))
            .remedy("takedown dead-letters list shows the ids; a replayed letter is back at work"));
    };
    let takedown = Takedown::decode(&letter.body).map_err(|error| {
        Failure::new(Exit::Findings, format!("the dead letter {id} holds no item: {error}"))
            .remedy(format!("takedown dead-letters show {id}"))
    })?;
    Ok((takedown.account, takedown.item))
}
