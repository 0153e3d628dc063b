//! `takedown dead-letters`: look, understand, replay, purge; on the broker or in a queue file.

mod view;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use crate::domain::ids::{AccountId, RequestId};
use crate::domain::notice::LetterFilter;
use crate::domain::outcome::{Reason, Status};
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::account;
use crate::ops::cli::tables::{Output, counted};
use crate::ops::cli::terminal::Terminal;
use crate::ops::config::Outline;
use crate::queue::DeadLetters;
use crate::queue::amqp::dead_letters::AmqpDeadLetters;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::letters::{Purged, Replay};

/// Look at what could not be resolved, and put it back to work.
///
/// A dead letter is an item whose fate is not settled: its attempts ran out, its code is in no table, its message cannot
/// be read. It waits until somebody looks at it, mends the cause, and replays or purges it. Secrets are masked in every
/// view. Needs no keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown dead-letters list --reason outcome_unknown\n  \
    takedown dead-letters show case-4711-1\n  \
    takedown dead-letters replay --account shops --code isp.unknow-error\n  \
    takedown dead-letters list --queue items.csv.queue     # of `takedown run`")]
pub(super) struct DeadLettersCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List dead letters, oldest first, each with what it means. Looking never removes.
    List {
        #[command(flatten)]
        selection: Selection,
        #[command(flatten)]
        output: Output,
    },
    /// Show one dead letter whole, secrets masked.
    Show {
        /// The takedown's id, as `list` shows it.
        id: String,
        /// A queue file instead of the broker.
        #[arg(long, value_name = "FILE")]
        queue: Option<PathBuf>,
    },
    /// Put dead letters back to work: attempts reset, id kept, the replay counted.
    ///
    /// Without a filter, all of them. In a queue file they wait for the next `takedown run`.
    Replay {
        #[command(flatten)]
        selection: Selection,
    },
    /// Delete dead letters for good. Their outcomes were published; the messages are gone.
    Purge {
        #[command(flatten)]
        selection: Selection,
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
}

/// Which dead letters are meant.
#[derive(Debug, Args)]
struct Selection {
    /// A queue file instead of the broker.
    #[arg(long, value_name = "FILE")]
    queue: Option<PathBuf>,
    /// Only of this account; may be given several times.
    #[arg(long, value_name = "NAME", value_parser = account)]
    account: Vec<AccountId>,
    /// Only of this reason, such as `outcome_unknown`.
    #[arg(long, value_parser = reason)]
    reason: Option<Reason>,
    /// Only of this gateway code, such as `isp.unknow-error`.
    #[arg(long)]
    code: Option<String>,
    /// Only this one.
    #[arg(long, value_parser = id)]
    id: Option<RequestId>,
    /// At most this many, the oldest first.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
}

fn id(text: &str) -> Result<RequestId, String> {
    RequestId::new(text).map_err(|error| format!("an id {error}"))
}

fn reason(text: &str) -> Result<Reason, String> {
    let is_dead = |reason: &&Reason| reason.status() == Status::Dead;
    text.parse().ok().filter(|reason| is_dead(&reason)).ok_or_else(|| {
        let words: Vec<_> = Reason::ALL.iter().filter(is_dead).map(|reason| reason.as_str()).collect();
        format!("dead letters have one of {}", words.join(", "))
    })
}

impl Selection {
    fn filter(&self) -> LetterFilter {
        LetterFilter {
            accounts: self.account.clone(),
            reason: self.reason,
            code: self.code.clone(),
            id: self.id.clone(),
            ..LetterFilter::default()
        }
    }
}

impl Action {
    fn queue(&self) -> Option<&Path> {
        match self {
            Self::List { selection, .. } | Self::Replay { selection } | Self::Purge { selection, .. } => {
                selection.queue.as_deref()
            }
            Self::Show { queue, .. } => queue.as_deref(),
        }
    }

    fn accounts(&self) -> &[AccountId] {
        match self {
            Self::List { selection, .. } | Self::Replay { selection } | Self::Purge { selection, .. } => {
                &selection.account
            }
            Self::Show { .. } => &[],
        }
    }
}

impl DeadLettersCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        match self.action.queue() {
            Some(file) => {
                let queue = EmbeddedQueue::open_existing(file)?;
                self.act(&queue, &surroundings.terminal).await
            }
            None => {
                let config = surroundings.load_outline()?;
                let accounts: Vec<AccountId> = config.accounts.keys().cloned().collect();
                let strange = self.action.accounts().iter().find(|account| !accounts.contains(account)).cloned();
                let store = AmqpDeadLetters::connect(&config.amqp, accounts).await?;
                let acted = self.act(&store, &surroundings.terminal).await;
                // One that left the configuration may still have its queue; one that never was in it has none.
                match (acted, strange) {
                    (Err(Failure { exit: Exit::Topology, .. }), Some(account)) => {
                        Err(never_heard_of(&account, &config))
                    }
                    (acted, _) => acted,
                }
            }
        }
    }

    async fn act<D: DeadLetters>(&self, store: &D, terminal: &Terminal) -> Result<Exit, Failure> {
        match &self.action {
            Action::List { selection, output } => {
                let letters = store.list(&selection.filter()).await?;
                terminal.result(&if output.json { view::list_json(&letters) } else { view::list(&letters) })?;
                Ok(Exit::Done)
            }
            Action::Show { id, .. } => show(store, id, terminal).await,
            Action::Replay { selection } => {
                let count = store
                    .replay(
                        &(&selection.filter()).into(),
                        &Replay { plan: None, by: String::new(), at: crate::clock::now() },
                    )
                    .await?;
                terminal.result(&format!("{count} put back to work"))?;
                Ok(Exit::Done)
            }
            Action::Purge { selection, yes } => purge(store, &selection.filter(), *yes, terminal).await,
        }
    }
}

fn never_heard_of(account: &AccountId, config: &Outline) -> Failure {
    let names: Vec<&str> = config.accounts.keys().map(AccountId::as_str).collect();
    let problem = format!("account `{account}` is not configured, and the broker has no dead letters of it");
    Failure::new(Exit::Usage, problem).remedy(format!("name one of: {}", names.join(", ")))
}

/// The id of a message without a readable one is a digest, so that it is compared as text.
async fn show<D: DeadLetters>(store: &D, id: &str, terminal: &Terminal) -> Result<Exit, Failure> {
    let filter = LetterFilter { id: RequestId::new(id).ok(), ..LetterFilter::default() };
    let mut letters = store.list(&filter).await?;
    letters.retain(|letter| letter.id == id);
    if letters.is_empty() {
        return Err(Failure::new(Exit::Findings, format!("there is no dead letter {id}"))
            .remedy("takedown dead-letters list shows the ids; a replayed letter is back at work"));
    }
    for letter in &letters {
        terminal.result(&view::whole(letter))?;
    }
    Ok(Exit::Done)
}

async fn purge<D: DeadLetters>(
    store: &D,
    filter: &LetterFilter,
    is_confirmed: bool,
    terminal: &Terminal,
) -> Result<Exit, Failure> {
    if !is_confirmed {
        let count = store.list(filter).await?.len() as u64;
        let letters = counted(count, "dead letter", "dead letters");
        if count == 0 {
            terminal.result("0 deleted")?;
            return Ok(Exit::Done);
        }
        if !std::io::stdin().is_terminal() {
            let problem = format!("this would delete {letters} for good, and nobody can be asked");
            return Err(Failure::new(Exit::Usage, problem).remedy("add --yes"));
        }
        if !ask(&format!("Delete {letters} for good? The messages are gone then. [y/N] "))? {
            terminal.say("nothing was deleted");
            return Ok(Exit::Interrupted);
        }
    }
    let planned = store.list(filter).await?.len() as u64;
    let (Purged::AsPlanned(count) | Purged::Otherwise(count)) = store.purge(&filter.into(), planned).await?;
    terminal.result(&format!("{count} deleted"))?;
    Ok(Exit::Done)
}

fn ask(question: &str) -> Result<bool, Failure> {
    let unasked = |error| Failure::new(Exit::Unexpected, format!("the question cannot be asked: {error}"));
    let mut stderr = std::io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush()).map_err(unasked)?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).map_err(unasked)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
