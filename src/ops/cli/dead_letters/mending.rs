//! Mending: plan, replay, edit, purge.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::looking::warn;
use super::selection::{Place, Selection, options};
use super::view;
use crate::desk::letters::{Edit, LetterDesk, LetterError, Planned, ReplayPace, ReplayProgress, ReplayState};
use crate::domain::ids::{PlanId, RequestId};
use crate::domain::notice::ReplayEnd;
use crate::domain::takedown::{MAX_MESSAGE_BYTES, rfc3339};
use crate::limits::rate::Rate;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::Progress;
use crate::ops::cli::signals::Signals;
use crate::ops::cli::tables::{Output, counted};
use crate::ops::cli::terminal::Terminal;
use crate::ops::letters::group_json;
use crate::queue::letters::Seen;
use crate::queue::{DeadLetters, DeskLog};

/// Fields whose values have no place on a command line, which others on the machine can read.
const SECRETS: [&str; 4] = ["key", "takedown.key", "app_auth_token", "takedown.app_auth_token"];

/// Fix what a replay would mean, before anything is done: how many letters, of which kinds, and how long it takes.
///
/// Prints the plan's id. What dies after the plan was made is not in it. Changes nothing; plans are kept for 30 days.
#[derive(Debug, Args)]
pub(super) struct PlanCommand {
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
    #[command(flatten)]
    output: Output,
}

/// Put dead letters back to work: attempts reset, id kept, the replay counted.
///
/// Many by a plan, which `plan` makes; one by its id. Keeps to each account's configured rate unless told otherwise. Stop
/// it with Ctrl-C, or lose it to a crash: nothing is lost or doubled, and the same command goes on. What dies again
/// meanwhile is not replayed a second time. In a queue file the letters wait for the next `takedown run`.
#[derive(Debug, Args)]
pub(super) struct ReplayCommand {
    /// The plan, by the id that `plan` printed.
    #[arg(long, value_name = "ID", value_parser = |text: &str| PlanId::new(text.trim()).map_err(|error| format!("a plan's id {error}")))]
    plan: Option<PlanId>,
    /// One letter, without a plan.
    #[arg(long, value_parser = |text: &str| RequestId::new(text).map_err(|error| format!("an id {error}")), conflicts_with = "plan")]
    id: Option<RequestId>,
    /// Letters put back to work in a time, such as 5/s or 100/min; by default each account's rate.
    #[arg(long, requires = "plan", value_parser = |text: &str| text.parse::<Rate>().map_err(|error| error.to_string()))]
    rate: Option<Rate>,
    /// At most this many now; the rest waits for the next time.
    #[arg(long, value_name = "N", requires = "plan")]
    limit: Option<u64>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Change the message of one dead letter; it stays one until it is replayed.
///
/// The changed message is checked as any other; its id cannot change. The operators' log keeps who changed which fields,
/// and no values.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("change").required(true))]
pub(super) struct EditOne {
    /// The takedown's id, as `list` shows it.
    id: String,
    /// A field and its value, such as `shop_id=2088001`; several times for several. Nothing after the `=` takes the field out;
    /// `@FILE` reads the value from a file, and a secret can be given in no other way.
    #[arg(long, value_name = "FIELD=VALUE", group = "change")]
    set: Vec<String>,
    /// A whole message; secrets shown as `***` stay what they were.
    #[arg(long, value_name = "FILE", group = "change", conflicts_with = "set")]
    file: Option<PathBuf>,
    #[command(flatten)]
    pub(super) place: Place,
}

/// Delete dead letters for good. Their outcomes were published; the messages are gone.
///
/// Wants a filter, and the number of letters you expect to delete: if it is another, none is deleted. Without the number,
/// it is only told.
#[derive(Debug, Args)]
pub(super) struct Purge {
    /// How many there are, by what you have looked at.
    #[arg(long, value_name = "N")]
    expect: Option<u64>,
    #[command(flatten)]
    pub(super) place: Place,
    #[command(flatten)]
    pub(super) selection: Selection,
}

impl PlanCommand {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let planned = desk.plan(&self.selection.filter()).await?;
        let queue = self.place.queue.as_ref().map(|file| format!(" --queue {}", file.display())).unwrap_or_default();
        let text = if self.output.json {
            plan_json(&planned).to_string()
        } else {
            format!(
                "{}\n\nPut them back to work with\n  takedown dead-letters replay --plan {}{queue}",
                view::planned(&planned),
                planned.plan.id
            )
        };
        terminal.result(&text)?;
        warn(planned.seen, terminal);
        Ok(Exit::Done)
    }
}

fn plan_json(Planned { plan, groups, cancelled, seen, takes }: &Planned) -> Value {
    json!({
        "plan": plan.id.as_str(),
        "letters": plan.count,
        "cut_off": rfc3339(plan.cut_off),
        "filter": plan.filter,
        "takes_seconds": takes.as_ref().map(Duration::as_secs),
        "cancelled": cancelled.iter().map(|of| json!({ "batch": of.batch.as_str(), "letters": of.letters })).collect::<Value>(),
        "is_whole": *seen == Seen::All,
        "groups": groups.iter().map(group_json).collect::<Value>(),
    })
}

impl ReplayCommand {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        match (&self.plan, &self.id) {
            (Some(plan), _) => self.carry_out(plan, desk, terminal).await,
            (None, Some(id)) => {
                let count = desk.replay_one(id.as_str()).await?;
                terminal.result(&format!("{count} put back to work"))?;
                Ok(Exit::Done)
            }
            (None, None) => {
                Err(Failure::new(Exit::Usage, "a replay of many letters wants a plan, and one of one letter its id")
                    .remedy(
                        "takedown dead-letters plan, with any filter, counts the letters and prints a plan's id for \
                         --plan; or give --id",
                    ))
            }
        }
    }

    async fn carry_out<D: DeadLetters, L: DeskLog>(
        &self,
        id: &PlanId,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let plan = desk.plan_by_id(id).await?.plan;
        let pace = ReplayPace { rate: self.rate.map(|rate| rate.per_second()), limit: self.limit };
        let (progress, stop) = (watch::Sender::new(ReplayProgress::default()), CancellationToken::new());
        let mut signals = Signals::new()?;
        let watched = watch_over(&progress, self.limit, &mut signals, &stop, terminal);
        let both = futures_util::future::try_join(
            async {
                let ended = desk.replay(&plan.id, pace, &progress, &stop).await;
                progress.send_modify(|progress| {
                    // So that the watcher ends, whatever was told last.
                    if !matches!(progress.state, ReplayState::Ended(_)) {
                        progress.state = ReplayState::Ended(ReplayEnd::Failed);
                    }
                });
                Ok(ended)
            },
            watched,
        );
        // At once is without the replay's last words; see there what that leaves.
        let Ok((ended, ())) = both.await else {
            let told = progress.borrow().replayed;
            terminal.result(&format!(
                "{told} put back to work, then left at once: takedown dead-letters replay --plan {id} goes on"
            ))?;
            return Ok(Exit::Interrupted);
        };
        let again = format!("takedown dead-letters replay --plan {id} goes on");
        let told = progress.borrow().replayed;
        let ended = ended.map_err(|error| {
            let failure = Failure::from(error);
            let problem = format!("{}; {told} were put back to work before", failure.problem);
            Failure {
                problem,
                remedy: Some(failure.remedy.map_or(again.clone(), |own| format!("{own}; {again}"))),
                ..failure
            }
        })?;
        let rest = ended.total.saturating_sub(ended.replayed);
        let how = match ended.state {
            ReplayState::Ended(ReplayEnd::Cancelled) => {
                let rest = counted(rest, "is a dead letter", "are dead letters");
                terminal.result(&format!("{told} put back to work, then stopped; {rest} still: {again}"))?;
                return Ok(Exit::Interrupted);
            }
            ReplayState::Ended(ReplayEnd::Limited) if rest > 0 => format!("; {rest} of the plan wait: {again}"),
            ReplayState::Ended(_) | ReplayState::Counting | ReplayState::Running => String::new(),
        };
        terminal.result(&format!("{told} put back to work{how}"))?;
        warn(ended.seen, terminal);
        Ok(Exit::Done)
    }
}

/// The second signal: whoever gives it waits for nothing.
struct AtOnce;

/// Shows how far it has come until it is over; the first signal stops it between two letters.
async fn watch_over(
    progress: &watch::Sender<ReplayProgress>,
    limit: Option<u64>,
    signals: &mut Signals,
    stop: &CancellationToken,
    terminal: &Terminal,
) -> Result<(), AtOnce> {
    let mut news = progress.subscribe();
    let mut bar: Option<Progress> = None;
    let mut is_told = false;
    loop {
        let now = news.borrow_and_update().clone();
        if now.state != ReplayState::Counting && !std::mem::replace(&mut is_told, true) {
            now.cancelled.iter().for_each(|cancelled| terminal.say(&view::cancelled(cancelled)));
        }
        match now.state {
            ReplayState::Counting => {}
            ReplayState::Running => {
                let total = limit.map_or(now.total, |limit| limit.min(now.total));
                let bar = bar.get_or_insert_with(|| Progress::new(terminal, "put back to work", total));
                bar.set(now.replayed, "");
            }
            ReplayState::Ended(_) => break,
        }
        tokio::select! {
            changed = news.changed() => if changed.is_err() { break },
            () = signals.next() => {
                if stop.is_cancelled() {
                    return Err(AtOnce);
                }
                terminal.say(
                    "stopping: the letters in hand are finished, the others stay dead letters (once more to leave at once)",
                );
                stop.cancel();
            }
        }
    }
    if let Some(bar) = bar {
        bar.finish();
    }
    Ok(())
}

impl EditOne {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let edit = match &self.file {
            Some(file) => Edit::Whole(read(file)?),
            None => Edit::Set(self.set.iter().map(|text| field(text)).collect::<Result<_, _>>()?),
        };
        let fields = desk.edit(&self.id, &edit).await?;
        let id = view::plain(&self.id);
        let queue = self.place.queue.as_ref().map(|file| format!(" --queue {}", file.display())).unwrap_or_default();
        terminal.result(&format!(
            "{id}: changed {}; it is a dead letter still: takedown dead-letters replay --id {id}{queue}",
            view::plain(&fields.join(", "))
        ))?;
        Ok(Exit::Done)
    }
}

fn read(file: &std::path::Path) -> Result<Vec<u8>, Failure> {
    let unread = |problem: String| {
        Failure::new(Exit::Usage, format!("{} cannot be read: {problem}", file.display())).remedy("check the name")
    };
    let size = file.metadata().map_err(|error| unread(error.to_string()))?.len();
    if size > 4 * MAX_MESSAGE_BYTES as u64 {
        return Err(unread(format!("it has {size} bytes, a message at most {MAX_MESSAGE_BYTES}")));
    }
    std::fs::read(file).map_err(|error| unread(error.to_string()))
}

fn field(text: &str) -> Result<(String, Option<String>), Failure> {
    let wrong = |problem: String, remedy: &str| Failure::new(Exit::Usage, problem).remedy(remedy);
    let Some((name, value)) = text.split_once('=').filter(|(name, _)| !name.trim().is_empty()) else {
        return Err(wrong("--set wants a field and its value".to_owned(), "write --set shop_id=2088001"));
    };
    let name = name.trim();
    match value.strip_prefix('@') {
        Some(file) => {
            let bytes = read(std::path::Path::new(file))?;
            let text = String::from_utf8(bytes)
                .map_err(|_| wrong(format!("the value of `{name}` is not UTF-8"), "check the file"))?;
            Ok((name.to_owned(), Some(text.trim_end_matches(['\r', '\n']).to_owned())))
        }
        None if SECRETS.contains(&name) && !value.is_empty() => Err(wrong(
            format!("`{name}` is a secret, and a command line is no place for one: others on the machine can read it"),
            "write it into a file of your own and give --set NAME=@FILE",
        )),
        None => Ok((name.to_owned(), (!value.is_empty()).then(|| value.to_owned()))),
    }
}

impl Purge {
    pub(super) async fn execute<D: DeadLetters, L: DeskLog>(
        &self,
        desk: &LetterDesk<D, L>,
        terminal: &Terminal,
    ) -> Result<Exit, Failure> {
        let filter = self.selection.filter();
        let Some(expected) = self.expect else {
            if filter == crate::domain::notice::LetterFilter::default() {
                return Err(LetterError::NoFilter.into());
            }
            let found = desk.groups(&filter).await?;
            if found.seen == Seen::NotAll {
                return Err(LetterError::InHand.into());
            }
            let count = found.letters();
            let letters = counted(count, "dead letter meets", "dead letters meet");
            let problem = format!("{letters} this filter; none was deleted");
            let remedy = format!("look at them (list {}); if these are meant, add --expect {count}", options(&filter));
            return Err(Failure::new(Exit::Usage, problem).remedy(remedy));
        };
        let count = desk.purge(&filter, expected).await?;
        terminal.result(&format!("{count} deleted"))?;
        Ok(Exit::Done)
    }
}
