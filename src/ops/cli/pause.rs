//! `takedown pause` and `takedown resume`: one account stopped, or started again, in every replica.
//!
//! The order goes over the replicas' own line, and counts once their beats tell that they carried it out. Nothing keeps
//! it but the replicas: a pause lasts as long as any of them lives.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::Args;
use tokio::time::{Instant, timeout_at};

use crate::domain::fleet::hold::{HoldNotice, HoldState, MAX_REASON, Order, OrderKind};
use crate::domain::fleet::{Heartbeat, Member, VERSION};
use crate::domain::ids::AccountId;
use crate::limits::fleet::Pace;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::account;
use crate::ops::cli::tables::counted;
use crate::queue::amqp::fleet::{AmqpFleet, FleetSession};

/// Longest name of a party, in characters.
const MAX_PARTY: usize = 128;

/// Stop an account's calls in every replica until `takedown resume`.
///
/// Messages stay in their queue, or wait in the retry queues; none uses an attempt. A pause is never probed. It is kept
/// by the replicas alone, who tell it to every newcomer: it ends when the last of them does, and a later one starts
/// without it. `takedown run` and `takedown demo` have no fleet: stop them instead.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown pause shops --reason \"key rotation\"\n  \
    takedown pause shops --party m1     # one merchant only")]
pub(super) struct Pause {
    #[command(flatten)]
    whom: Whom,
    /// Why, for whoever finds it paused; shown by `takedown status` and in the logs of the replicas.
    #[arg(long, value_name = "TEXT", value_parser = |text: &str| within(text, MAX_REASON))]
    reason: Option<String>,
}

/// Lift a pause, or probe at once what is held for another cause.
///
/// A pause ends. An account held for a fault of its credentials is probed with its next message, instead of when the
/// wait is over, and the hold ends if that passes. Holds of single merchants are resumed one by one with --party.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown resume shops\n  takedown resume desk --party admin")]
pub(super) struct Resume {
    #[command(flatten)]
    whom: Whom,
}

#[derive(Debug, Args)]
struct Whom {
    /// The account, as the configuration names it.
    #[arg(value_name = "ACCOUNT", value_parser = account)]
    account: AccountId,
    /// Only this merchant, or administrator, of the account.
    #[arg(long, value_name = "NAME", value_parser = |text: &str| within(text, MAX_PARTY))]
    party: Option<String>,
}

fn within(text: &str, most: usize) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("it is empty".to_owned()),
        count if count > most => Err(format!("it has {count} characters, at most {most} are told")),
        _ => Ok(text.to_owned()),
    }
}

impl Pause {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        self.whom.order(surroundings, OrderKind::Pause { reason: self.reason.clone() }).await
    }
}

impl Resume {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        self.whom.order(surroundings, OrderKind::Resume).await
    }
}

impl Whom {
    async fn order(&self, surroundings: &Surroundings, kind: OrderKind) -> Result<Exit, Failure> {
        let config = surroundings.load_outline()?;
        if !config.accounts.contains_key(&self.account) {
            let names: Vec<&str> = config.accounts.keys().map(AccountId::as_str).collect();
            let problem = format!("account `{}` is not configured", self.account);
            return Err(Failure::new(Exit::Usage, problem).remedy(format!("name one of: {}", names.join(", "))));
        }
        let order = Order {
            version: VERSION,
            number: rand::random(),
            account: self.account.clone(),
            party: self.party.clone(),
            order: kind,
        };
        let line = AmqpFleet::visit(&config.amqp).await?;
        let mut session = line.open().await?;
        session.tell(&order.encode()).await?;
        let heard = Answers::hear(&mut session, &order, config.pace).await;
        session.close().await;
        line.close().await;
        self.report(surroundings, &order, &heard?)
    }

    fn report(&self, surroundings: &Surroundings, order: &Order, answers: &Answers) -> Result<Exit, Failure> {
        let name = match &self.party {
            Some(party) => format!("{party} of {}", self.account),
            None => self.account.to_string(),
        };
        let (took, silent): (Vec<_>, Vec<_>) = answers.members.iter().partition(|(_, took)| **took);
        let names = |members: &[(&Member, &bool)]| {
            members.iter().map(|(member, _)| member.worker.as_str()).collect::<Vec<_>>().join(", ")
        };
        if took.is_empty() {
            let problem = match silent.len() {
                0 => format!("no replica serves account `{}`, so nobody took the order", self.account),
                _ => format!("no replica took the order, though some serve the account: {}", names(&silent)),
            };
            let remedy = "start a worker first (orders live in the replicas alone), or compare `amqp.url`, \
                          `amqp.prefix` and the version of the program with theirs";
            return Err(Failure::new(Exit::Nobody, problem).remedy(remedy));
        }
        let count = counted(took.len() as u64, "replica", "replicas");
        let done = match (&order.order, answers.state.as_ref()) {
            (OrderKind::Pause { .. }, _) => format!("paused {name}"),
            (OrderKind::Resume, Some(HoldState::Held { cause, .. })) => {
                format!("{name} is held ({cause}): probed with its next message")
            }
            (OrderKind::Resume, _) => format!("resumed {name}"),
        };
        surroundings.terminal.result(&format!("{done}; {count} took it: {}", names(&took)))?;
        if silent.is_empty() {
            return Ok(Exit::Done);
        }
        let missing = names(&silent);
        surroundings.terminal.say(&format!("not heard from yet, the others will tell them: {missing}"));
        Ok(Exit::Findings)
    }
}

/// What the replicas that serve the account told since the order.
#[derive(Default)]
struct Answers {
    /// Whether each took it.
    members: BTreeMap<Member, bool>,
    /// What those that did say of the hold.
    state: Option<HoldState>,
}

impl Answers {
    /// Hears until everybody must have spoken.
    async fn hear(session: &mut FleetSession, order: &Order, pace: Pace) -> Result<Self, Failure> {
        let (start, mut answers) = (Instant::now(), Self::default());
        let mut heartbeat = pace.heartbeat;
        loop {
            let is_complete = !answers.members.is_empty() && answers.members.values().all(|took| *took);
            let until = start + if is_complete { heartbeat * 2 } else { heartbeat * 6 };
            let Ok(heard) = timeout_at(until, session.hear()).await else { return Ok(answers) };
            if let Ok(beat) = Heartbeat::decode(&heard?) {
                heartbeat = heartbeat.max(beat.interval().min(Duration::from_mins(1)));
                answers.take_note(beat, order);
            }
        }
    }

    fn take_note(&mut self, beat: Heartbeat, order: &Order) {
        let Some(told) = beat.accounts.get(&order.account) else {
            self.members.remove(&beat.member);
            return;
        };
        let took = told.order == Some(order.number);
        if took {
            let of_party = |notice: &&HoldNotice| notice.party == order.party;
            self.state = told.holds.iter().find(of_party).map(|notice| notice.state.clone());
        }
        *self.members.entry(beat.member).or_default() |= took;
    }
}
