//! `takedown run`: a file of items to the end, through a queue file beside it.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::json;

use crate::domain::ids::AccountId;
use crate::domain::outcome::{FinalOutcome, Reason};
use crate::domain::takedown::{Gateway, Takedown};
use crate::ops::chart::spread::Spread;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::{COLUMNS, ItemsFile, beside};
use crate::ops::cli::progress::Progress;
use crate::ops::cli::report::{ReportFile, language, took_ms};
use crate::ops::cli::tables::{Output, Tally, counted};
use crate::ops::cli::to_the_end;
use crate::ops::cli::watch::Watch;
use crate::ops::cli::{Surroundings, assemble, canvas, signals};
use crate::ops::items::ItemsError;
use crate::ops::metrics::Metrics;
use crate::ops::observe::observer;
use crate::ops::report::Report;
use crate::ops::telemetry::Telemetry;
use crate::queue::embedded::{Counts, EmbeddedQueue};
use crate::queue::{Enqueued, Intake};
use crate::worker::shutdown::Shutdown;

/// Items put into the queue file in one go.
const CHUNK: usize = 1000;

/// Such goes at once: one is written while the next is read.
const UNDER_WAY: usize = 2;

/// Outcomes read from the queue file at once.
const PAGE: usize = 1000;

/// Work a file of items to the end, without a broker.
///
/// The items wait in FILE.queue, a SQLite file beside the input; kill the command at any moment and run it again: it goes
/// on where it was, and no row is taken twice. Outcomes are written to FILE.outcomes.jsonl, one a line, as
/// schemas/outcome.v1.json describes them. Dead letters stay in the queue file:
/// `takedown dead-letters list --queue FILE.queue`; after a replay, run the command again.
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  takedown run items.csv\n  \
    takedown run goods.csv --account desk --charset gbk\n  takedown run items.csv --report report.html\n\n{COLUMNS}"))]
pub(super) struct Run {
    #[command(flatten)]
    items: ItemsFile,
    #[command(flatten)]
    report: ReportFile,
    #[command(flatten)]
    output: Output,
}

impl Run {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        let config = surroundings.load_config()?;
        let accounts: BTreeMap<_, _> =
            config.accounts.iter().map(|(id, account)| (id.clone(), account.gateway.gateway())).collect();
        let options = self.items.options(&accounts);
        let checked = self.items.check(&options, terminal, |_, _| {})?;
        let file = beside(&self.items.file, "queue");
        let page = self.report.begin()?;
        let queue = EmbeddedQueue::open(&file)?;
        refuse_strangers(&queue.accounts().await?, &accounts, &file)?;
        let enqueued = take_in(&queue, checked.takedowns(&options)?).await?;
        let counts = queue.counts().await?;
        let left = counts.waiting + counts.in_hand;
        if enqueued.repeated > 0 {
            let known = counted(enqueued.repeated, "row is", "rows are");
            let left = counted(left, "item is", "items are");
            terminal.say(&format!("{known} known from an earlier run; {left} left to do"));
        }
        let shutdown = Shutdown::new();
        let signals = signals::watch(shutdown.clone(), Some(terminal.clone()))?;
        let watch = Arc::new(Watch::default());
        let metrics = Arc::new(Metrics::new());
        let telemetry = Telemetry::start(&config.telemetry, None, metrics.spans());
        let context = assemble::context(config, telemetry.tracer(), watch.observer(observer(metrics)))?;
        let progress = Progress::new(terminal, "ended", left);
        let worked = to_the_end::work(queue, context, shutdown, &watch, &progress).await;
        progress.finish();
        signals.abort();
        telemetry.finish().await;
        worked?;

        let queue = EmbeddedQueue::open(&file)?;
        let outcomes = beside(&self.items.file, "outcomes.jsonl");
        let Written { tally, times } = write_outcomes(&queue, &outcomes).await?;
        let Counts { waiting, in_hand, dead, .. } = queue.counts().await?;
        let left = waiting + in_hand;
        let report = self.report_of(&tally, times, &watch, left, progress.elapsed());
        terminal.result(&if self.output.json {
            json!({ "outcomes": tally.json(), "dead_letters": dead, "left": left, "file": outcomes }).to_string()
        } else {
            self.summary(&tally, dead, &watch, &report, &outcomes)
        })?;
        page.map_or(Ok(()), |page| page.place(&report.html(language())))?;
        if left > 0 {
            let left = counted(left, "item", "items");
            terminal.say(&format!("stopped with {left} left; the same command goes on"));
            return Ok(Exit::Interrupted);
        }
        Ok(if dead == 0 { Exit::Done } else { Exit::Findings })
    }

    fn report_of(&self, tally: &Tally, times: Spread, watch: &Watch, left: u64, took: Duration) -> Report {
        let name = self.items.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Report {
            subject: name,
            facts: vec![("took, this time".to_owned(), format!("{:.1} s", took.as_secs_f64()))],
            outcomes: tally.counts(),
            latencies: watch.latencies(),
            times,
            left,
        }
    }

    fn summary(&self, tally: &Tally, dead: u64, watch: &Watch, report: &Report, outcomes: &Path) -> String {
        let charts = report.text(&canvas::stdout(), language());
        let (table, lines, file) = (tally.table(), watch.lines(), outcomes.display());
        let mut text = format!("{table}\n{lines}.\n\n{charts}\noutcomes: {file}\n");
        if dead > 0 {
            let queue = beside(&self.items.file, "queue");
            text.push_str(&format!(
                "{}: takedown dead-letters list --queue {}\n",
                counted(dead, "dead letter waits", "dead letters wait"),
                queue.display()
            ));
        }
        text
    }
}

/// Puts the items into the queue, reading the next while some are written.
async fn take_in(
    queue: &EmbeddedQueue,
    mut takedowns: impl Iterator<Item = Result<Takedown, ItemsError>>,
) -> Result<Enqueued, Failure> {
    let (mut sum, mut under_way) = (Enqueued::default(), FuturesUnordered::new());
    loop {
        let chunk: Vec<Takedown> = takedowns.by_ref().take(CHUNK).collect::<Result<_, _>>()?;
        let is_last = chunk.is_empty();
        if !is_last {
            under_way.push(queue.enqueue(chunk));
        }
        while is_last || under_way.len() == UNDER_WAY {
            let Some(enqueued) = under_way.next().await else { return Ok(sum) };
            let Enqueued { accepted, repeated } = enqueued?;
            sum = Enqueued { accepted: sum.accepted + accepted, repeated: sum.repeated + repeated };
        }
    }
}

/// Items of an account nobody works for would keep the run from ever ending.
fn refuse_strangers(held: &[String], known: &BTreeMap<AccountId, Gateway>, file: &Path) -> Result<(), Failure> {
    let is_known = |account: &str| known.keys().any(|known| known.as_str() == account);
    let Some(stranger) = held.iter().find(|account| !is_known(account)) else { return Ok(()) };
    let problem = format!("{} holds items of account `{stranger}`, which is not configured", file.display());
    Err(Failure::new(Exit::Configuration, problem)
        .remedy("configure the account again; or give these items up by moving the queue file away"))
}

/// Writes every outcome there is, and counts each item by its latest; a half-written file is never left, in its place or
/// beside it.
async fn write_outcomes(queue: &EmbeddedQueue, path: &Path) -> Result<Written, Failure> {
    let part: PathBuf = beside(path, "part");
    let written = write_part(queue, &part).await;
    let placed = written.and_then(|written| {
        fs::rename(&part, path).map_err(|error| unwritten(path, &error))?;
        Ok(written)
    });
    if placed.is_err()
        && let Err(error) = fs::remove_file(&part)
        && error.kind() != std::io::ErrorKind::NotFound
    {
        tracing::warn!(file = %part.display(), error = %error, "a half-written file could not be removed");
    }
    placed
}

/// What was written: items by reason, and how long each took, in milliseconds; each by its latest outcome.
#[derive(Default)]
struct Written {
    tally: Tally,
    times: Spread,
}

impl Written {
    fn add(&mut self, reason: Reason, took: u64) {
        self.tally.add(reason);
        self.times.add(took);
    }
}

async fn write_part(queue: &EmbeddedQueue, part: &Path) -> Result<Written, Failure> {
    let failed = |error: std::io::Error| unwritten(part, &error);
    let mut writer = std::io::BufWriter::new(fs::File::create(part).map_err(failed)?);
    let mut written = Written::default();
    // An item has one outcome in each round of replays: only those that were replayed have several.
    let mut replayed: BTreeMap<String, (Reason, u64)> = BTreeMap::new();
    each_outcome(queue, |outcome| {
        write_line(&mut writer, &outcome).map_err(failed)?;
        let (reason, took) = (outcome.reason, took_ms(&outcome));
        match outcome.replays {
            0 => written.add(reason, took),
            _ => drop(replayed.insert(outcome.id, (reason, took))),
        }
        Ok(())
    })
    .await?;
    let file = writer.into_inner().map_err(|error| failed(error.into_error()))?;
    file.sync_all().map_err(failed)?;
    if !replayed.is_empty() {
        written = Written::default();
        each_outcome(queue, |outcome| {
            if outcome.replays == 0 && !replayed.contains_key(&outcome.id) {
                written.add(outcome.reason, took_ms(&outcome));
            }
            Ok(())
        })
        .await?;
    }
    replayed.into_values().for_each(|(reason, took)| written.add(reason, took));
    Ok(written)
}

/// Reads every outcome, the oldest first, a page at a time.
async fn each_outcome(
    queue: &EmbeddedQueue,
    mut heard: impl FnMut(FinalOutcome) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut after = 0;
    loop {
        let page = queue.outcomes(after, PAGE).await?;
        let Some((last, _)) = page.last() else { return Ok(()) };
        after = *last;
        page.into_iter().try_for_each(|(_, outcome)| heard(outcome))?;
    }
}

fn unwritten(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Interrupted, format!("{} cannot be written: {error}", path.display())).remedy(
        "free some space on its disk, or mend its directory's permissions, then run the same command again: every \
         outcome is kept in the queue file",
    )
}

fn write_line(writer: &mut impl Write, outcome: &FinalOutcome) -> std::io::Result<()> {
    writer.write_all(&outcome.encode())?;
    writer.write_all(b"\n")
}
