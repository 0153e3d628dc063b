//! `takedown batch watch`: a batch until it is finished.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use clap::Args;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval};

use super::{Desk, Which, line, report};
use crate::clock;
use crate::desk::DeskError;
use crate::desk::batch::{Batch, Stage};
use crate::desk::fleet::FleetReport;
use crate::desk::fleet::account::AccountState;
use crate::desk::fleet::watch::{COUNT_EVERY, FleetWatch};
use crate::desk::follow::{Following, follow};
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::{Pace, Progress};
use crate::ops::cli::report::ReportFile;
use crate::ops::cli::signals::Signals;
use crate::ops::cli::status::words;
use crate::ops::cli::tables::Output;

/// How often one looks.
const EVERY: Duration = Duration::from_millis(500);

/// Over how long a rate is measured.
const SPAN: Duration = Duration::from_secs(20);

/// How long nothing ends before one asks whether anything will: longer than counts are old.
const STILL: Duration = Duration::from_secs(15);

/// Follow a batch until every item has ended, and print its report.
///
/// Shows how many ended and how, how many a second, how long the rest takes at the rate its accounts truly have, and what
/// holds them. Interrupt it at any time: the batch goes on, and so does the counting at the next look.
#[derive(Debug, Args)]
pub(super) struct WatchBatch {
    #[command(flatten)]
    which: Which,
    #[command(flatten)]
    report: ReportFile,
    #[command(flatten)]
    output: Output,
}

impl WatchBatch {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        let page = self.report.begin()?;
        let mut signals = Signals::new()?;
        let desk = tokio::select! {
            opened = Desk::open(surroundings) => opened?,
            () = signals.next() => return Ok(Exit::Interrupted),
        };
        let batch = desk.find(&self.which.batch)?;
        desk.streams.close().await;
        let fleet = FleetWatch::start(&desk.outline.amqp, desk.outline.accounts.keys().cloned(), COUNT_EVERY).await?;
        let heard_by = Instant::now() + desk.outline.pace.lease();
        let following = watch::Sender::new(Following::Catching);
        let mut followed = Box::pin(follow(&desk.outline.amqp, &desk.store, &following));
        let progress = Progress::new(terminal, "ended", batch.total().unwrap_or_default());
        let mut looks = Looks { progress: &progress, told: BTreeMap::new(), done: VecDeque::new(), json_done: None };
        let mut timer = interval(EVERY);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let end = loop {
            tokio::select! {
                failed = &mut followed => match failed {
                    Ok(never) => match never {},
                    Err(error) => break Err(DeskError::into(error)),
                },
                () = signals.next() => break Ok(None),
                _ = timer.tick() => {}
            }
            let batch = desk.find(&self.which.batch)?;
            let told = following.borrow().clone();
            let mut report = fleet.look();
            if Instant::now() < heard_by {
                // Who serves them may not have been heard yet.
                report.accounts.retain(|account| account.state != AccountState::Unserved);
            }
            looks.look(&batch, &report, &told, surroundings, self.output)?;
            if batch.stage() == Stage::Finished {
                break Ok(Some(batch));
            }
        };
        progress.finish();
        fleet.close();
        match end {
            Ok(Some(batch)) => report::print(&batch, &desk.store, (self.output, page), None, terminal),
            Ok(None) => {
                terminal.goes_on(&self.which.batch);
                Ok(Exit::Interrupted)
            }
            Err(failure) => Err(failure),
        }
    }
}

/// What was shown so far.
struct Looks<'a> {
    progress: &'a Progress,
    /// What keeps each account, as it was told last.
    told: BTreeMap<String, String>,
    /// How many had ended, and when.
    done: VecDeque<(Instant, u64)>,
    json_done: Option<u64>,
}

impl Looks<'_> {
    fn look(
        &mut self,
        batch: &Batch,
        fleet: &FleetReport,
        following: &Following,
        surroundings: &Surroundings,
        output: Output,
    ) -> Result<(), Failure> {
        let now = Instant::now();
        self.done.push_back((now, batch.done()));
        while self.done.front().is_some_and(|(at, _)| now.duration_since(*at) > SPAN) {
            self.done.pop_front();
        }
        let (rate, left) = (self.rate(), time_left(batch, fleet));
        let mut held = kept(batch, fleet);
        if self.is_still(now) && waits_nowhere(batch, fleet) {
            let text = format!("what is left waits in no queue: takedown batch report {} says why", batch.id);
            held.insert(batch.id.to_string(), text);
        }
        if output.json {
            if self.json_done != Some(batch.done()) {
                self.json_done = Some(batch.done());
                let mut value = report::json(batch);
                if let Some(fields) = value.as_object_mut() {
                    fields.insert("rate_per_second".into(), json!(rate));
                    fields.insert("seconds_left".into(), json!(left.map(|left| left.as_secs())));
                    fields.insert("kept_by".into(), json!(held));
                }
                surroundings.terminal.result(&value.to_string())?;
            }
            return Ok(());
        }
        let mut notes = vec![line(batch)];
        self.progress.pace(match left {
            None if !held.is_empty() => Pace::Held(held.values().cloned().collect::<Vec<_>>().join("; ")),
            left => Pace::Known { rate, left },
        });
        if let Following::Lost(_) = following {
            notes.push("the broker cannot be read now".to_owned());
        }
        if left.is_some() {
            notes.extend(held.values().cloned());
        }
        notes.retain(|note| !note.is_empty());
        self.progress.set(batch.done(), &notes.join("; "));
        // The times in a text change by themselves; what it begins with does not.
        let key = |text: &String| text.split(" (").next().unwrap_or_default().to_owned();
        for (account, text) in &held {
            if self.told.get(account).map(&key) != Some(key(text)) {
                surroundings.terminal.say(text);
            }
        }
        for account in self.told.keys().filter(|account| !held.contains_key(*account)) {
            surroundings.terminal.say(&format!("{account} goes on"));
        }
        self.told = held;
        Ok(())
    }

    /// Says whether nothing ended for a while.
    fn is_still(&self, now: Instant) -> bool {
        let ((first_at, first), (_, last)) = match (self.done.front(), self.done.back()) {
            (Some(first), Some(last)) => (*first, *last),
            _ => return false,
        };
        first == last && now.duration_since(first_at) >= STILL
    }

    /// Returns the items that ended a second, of late.
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn rate(&self) -> Option<f64> {
        let ((first_at, first), (last_at, last)) = (self.done.front()?, self.done.back()?);
        let span = last_at.duration_since(*first_at);
        (span >= Duration::from_secs(1)).then(|| last.saturating_sub(*first) as f64 / span.as_secs_f64())
    }
}

/// The accounts work side by side: the slowest of them tells. `None` where one of them does not move, or nobody knows.
fn time_left(batch: &Batch, fleet: &FleetReport) -> Option<Duration> {
    let left = batch.left_by_account();
    if left.is_empty() {
        return None;
    }
    let times = left.iter().map(|(account, items)| fleet.account(account)?.time_for(*items));
    times.collect::<Option<Vec<_>>>()?.into_iter().max()
}

/// Says whether nothing of the accounts that have items left is with the broker or with a worker.
fn waits_nowhere(batch: &Batch, fleet: &FleetReport) -> bool {
    let is_empty = |account: &crate::domain::ids::AccountId| {
        fleet.account(account).is_some_and(|view| view.backlog() == Some(0) && view.in_flight == 0)
    };
    let retries = fleet.retries.as_ref().map(|rungs| rungs.iter().map(|(_, count)| count).sum::<u64>());
    let left = batch.left_by_account();
    retries == Some(0) && !left.is_empty() && left.keys().all(is_empty)
}

/// What keeps the accounts that have items left.
fn kept(batch: &Batch, fleet: &FleetReport) -> BTreeMap<String, String> {
    let now = clock::now();
    let kept = |account: &crate::domain::ids::AccountId| {
        let view = fleet.account(account)?;
        match (&view.hold, view.state) {
            (Some(hold), _) => Some(format!("{account} {}", words::hold(hold, now))),
            (None, AccountState::Unserved) => Some(format!("no worker serves {account}")),
            (None, _) => None,
        }
    };
    let left = batch.left_by_account();
    left.keys().filter_map(|account| Some((account.to_string(), kept(account)?))).collect()
}
