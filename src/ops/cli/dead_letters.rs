//! `takedown dead-letters`: look, understand, mend, put back to work; on the broker or in a queue file.

mod looking;
mod mending;
mod selection;
mod view;

use std::path::Path;

use clap::{Args, Subcommand};

use self::looking::{Export, Groups, List, Show};
use self::mending::{EditOne, PlanCommand, Purge, ReplayCommand};
use crate::desk::letters::{DeskSettings, LetterDesk, LetterError};
use crate::domain::cause::chain;
use crate::domain::ids::AccountId;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::terminal::Terminal;
use crate::ops::config::Outline;
use crate::ops::operator;
use crate::queue::amqp::dead_letters::AmqpDeadLetters;
use crate::queue::amqp::desk_log::AmqpDeskLog;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeadLetters, DeskLog};

/// Look at what could not be resolved, mend it, and put it back to work.
///
/// A dead letter is an item whose fate is not settled: its attempts ran out, its code is in no table, its message cannot
/// be read. It waits until somebody looks at it, mends the cause, and replays or purges it. Looking changes nothing.
/// Secrets are masked in every view. Needs no keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown dead-letters groups --newer-than 12h\n  \
    takedown dead-letters list --reason outcome_unknown --limit 20\n  \
    takedown dead-letters show case-4711-1\n  \
    takedown dead-letters plan --account shops --code isp.unknow-error\n  \
    takedown dead-letters replay --plan k7mq2x --rate 5/s\n  \
    takedown dead-letters edit case-4711-1 --set shop_id=2088001 --set deadline=\n  \
    takedown dead-letters list --queue items.csv.queue     # of `takedown run`")]
pub(super) struct DeadLettersCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Groups(Groups),
    List(List),
    Show(Show),
    Plan(PlanCommand),
    Replay(ReplayCommand),
    Edit(EditOne),
    Export(Export),
    Purge(Purge),
}

impl Action {
    fn queue(&self) -> Option<&Path> {
        let place = match self {
            Self::Groups(groups) => &groups.place,
            Self::List(list) => &list.place,
            Self::Show(show) => &show.place,
            Self::Plan(plan) => &plan.place,
            Self::Replay(replay) => &replay.place,
            Self::Edit(edit) => &edit.place,
            Self::Export(export) => &export.place,
            Self::Purge(purge) => &purge.place,
        };
        place.queue.as_deref()
    }

    fn accounts(&self) -> &[AccountId] {
        match self {
            Self::Groups(groups) => groups.selection.accounts(),
            Self::List(list) => list.selection.accounts(),
            Self::Plan(plan) => plan.selection.accounts(),
            Self::Export(export) => export.selection.accounts(),
            Self::Purge(purge) => purge.selection.accounts(),
            Self::Show(_) | Self::Replay(_) | Self::Edit(_) => &[],
        }
    }

    async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        match self {
            Self::Groups(groups) => groups.execute(desk, terminal).await,
            Self::List(list) => list.execute(desk, terminal).await,
            Self::Show(show) => show.execute(desk, terminal).await,
            Self::Plan(plan) => plan.execute(desk, terminal).await,
            Self::Replay(replay) => replay.execute(desk, terminal).await,
            Self::Edit(edit) => edit.execute(desk, terminal).await,
            Self::Export(export) => export.execute(desk, terminal).await,
            Self::Purge(purge) => purge.execute(desk, terminal).await,
        }
    }
}

impl DeadLettersCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        if let Some(file) = self.action.queue() {
            let queue = EmbeddedQueue::open_existing(file)?;
            // Nobody else works on the file meanwhile, and no configuration need be there: no accounts and no rates.
            let settings = DeskSettings { by: operator::name(), ..DeskSettings::default() };
            return self.action.execute(&LetterDesk::new(queue.clone(), queue, settings), terminal).await;
        }
        let config = surroundings.load_outline()?;
        let accounts: Vec<AccountId> = config.accounts.keys().cloned().collect();
        let strange = self.action.accounts().iter().find(|account| !accounts.contains(account)).cloned();
        let rates = config.rates.iter().map(|(account, rate)| (account.clone(), rate.per_second())).collect();
        let letters = AmqpDeadLetters::connect(&config.amqp, accounts).await?;
        let log = AmqpDeskLog::connect(&config.amqp).await?;
        let desk = LetterDesk::new(
            letters,
            log,
            DeskSettings { accounts: config.accounts.clone(), rates, by: operator::name() },
        );
        // One that left the configuration may still have its queue; one that never was in it has none.
        match (self.action.execute(&desk, terminal).await, strange) {
            (Err(Failure { exit: Exit::Topology, .. }), Some(account)) => Err(never_heard_of(&account, &config)),
            (acted, _) => acted,
        }
    }
}

fn never_heard_of(account: &AccountId, config: &Outline) -> Failure {
    let names: Vec<&str> = config.accounts.keys().map(AccountId::as_str).collect();
    let problem = format!("account `{account}` is not configured, and the broker has no dead letters of it");
    Failure::new(Exit::Usage, problem).remedy(format!("name one of: {}", names.join(", ")))
}

impl From<LetterError> for Failure {
    fn from(error: LetterError) -> Self {
        let text = view::plain(&chain(&error));
        match error {
            LetterError::Queue(error) => error.into(),
            LetterError::NoPlan { .. } => Self::new(Exit::Usage, text)
                .remedy("takedown dead-letters plan makes one and prints its id; plans are kept for 30 days"),
            LetterError::NothingMeant => Self::new(Exit::Findings, text)
                .remedy("takedown dead-letters groups shows what there is; a replayed letter is back at work"),
            LetterError::NoLetter { .. } => Self::new(Exit::Findings, text).remedy(
                "takedown dead-letters list shows the ids; a replayed letter is back at work, and what a replay under \
                     way has in hand is not seen until it is over",
            ),
            LetterError::Changed { .. } => Self::new(Exit::Findings, text),
            LetterError::Edit(_) => {
                Self::new(Exit::Usage, text).remedy("mend the value; the letter is as it was, `show` prints it")
            }
            LetterError::NoFilter => Self::new(Exit::Usage, text)
                .remedy("say which, such as --reason invalid_message, or --older-than 0s for every one"),
            LetterError::NotAsPlanned { found, .. } => Self::new(Exit::Findings, text)
                .remedy(format!("look again with the same filter; if these are meant, --expect {found}")),
            LetterError::InHand => Self::new(Exit::Findings, text)
                .remedy("try again once the replay or look of the other is over, or have it stopped"),
            LetterError::NotNoted { .. } => {
                Self::new(Exit::Broker, text).remedy("it is done; tell whoever keeps the record")
            }
        }
    }
}
