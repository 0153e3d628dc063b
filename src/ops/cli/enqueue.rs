//! `takedown enqueue`: a file of items to RabbitMQ, every row checked before the first is published.

mod batches;

use std::time::Duration;

use clap::Args;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use self::batches::{Batches, Counts, Existing};
use crate::domain::takedown::Takedown;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::{COLUMNS, ItemsFile};
use crate::ops::cli::progress::Progress;
use crate::ops::cli::signals;
use crate::ops::cli::tables::counted;
use crate::ops::cli::terminal::Terminal;
use crate::ops::items::ItemsError;
use crate::ops::metrics::SpanCounters;
use crate::ops::telemetry::Telemetry;
use crate::queue::Intake;
use crate::queue::amqp::desk_log::AmqpDeskLog;
use crate::queue::amqp::intake::AmqpIntake;
use crate::worker::shutdown::Shutdown;

/// Handed to the queue together.
const CHUNK: usize = 256;

/// Chunks on their way at once: while the broker writes some down, the next are read. A lost connection leaves at most
/// so many in doubt.
const UNDER_WAY: usize = 4;

/// Publish a file of items to RabbitMQ, each confirmed by the broker.
///
/// Every row is checked before the first is published. A bad row stops the command and is written, with its line and
/// reason, to a file beside the input. The items make a batch, which `takedown batch watch ID` follows and
/// `takedown batch cancel ID` ends; without --batch its id comes of the day and the items. Running it again is safe: ids
/// are stable, consumers drop repeats by them, and the same items count once in their batch. Needs no keys. With
/// `telemetry.endpoint` every item begins a trace, which its message carries.
#[derive(Debug, Args)]
#[command(after_help = format!("Examples:\n  takedown enqueue items.csv\n  \
    takedown enqueue goods.csv --account desk --charset gbk --batch night-4711\n  \
    takedown enqueue items.jsonl --dry-run\n\n{COLUMNS}"))]
pub(super) struct Enqueue {
    #[command(flatten)]
    items: ItemsFile,
    /// Check every row and publish nothing; needs no broker.
    #[arg(long)]
    dry_run: bool,
    /// Add to a batch that exists; none of these items may be in it already, or it would wait for them twice.
    #[arg(long)]
    add: bool,
}

impl Enqueue {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        let config = surroundings.load_outline()?;
        let options = self.items.options(&config.accounts);
        let mut counts = Counts::default();
        let checked = self.items.check(&options, terminal, |takedown, id| counts.add(takedown, id))?;
        let batches = counts.name();
        let count = checked.accepted();
        if self.dry_run {
            let ready = counted(count, "item is", "items are");
            terminal.result(&format!("{ready} ready to be enqueued; nothing was published"))?;
            return Ok(Exit::Done);
        }
        let telemetry = Telemetry::start(&config.telemetry, None, SpanCounters::default());
        let intake = AmqpIntake::connect(&config.amqp).await?.traced(telemetry.tracer());
        intake.require(batches.accounts()).await?;
        let log = AmqpDeskLog::connect(&config.amqp).await?;
        // A batch is noted for good: what it is to have must be what is there.
        let checked = checked.verify()?;
        let existing = if self.add { Existing::Add } else { Existing::Refuse };
        batches.note(&log, existing).await?;
        log.close().await;
        let progress = Progress::new(terminal, "confirmed", count);
        let takedowns = checked.takedowns(&options).map_err(|error| match error {
            ItemsError::Changed { .. } => batches.half_published(error.into()),
            other => other.into(),
        })?;
        let published = publish(&intake, takedowns, &batches, count, &progress, terminal).await;
        progress.finish();
        intake.close().await;
        telemetry.finish().await;
        let confirmed = published?;
        let rate = per_second(confirmed, progress.elapsed());
        let all = counted(count, "item", "items");
        let names = batches.names();
        terminal.result(&format!("{confirmed} of {all} enqueued and confirmed, {rate} a second; {names}"))?;
        if confirmed < count {
            terminal.say("stopped; run the same command again: ids are stable, consumers drop repeats by them");
            return Ok(Exit::Interrupted);
        }
        Ok(Exit::Done)
    }
}

/// Publishes until the end or a signal; returns how many are confirmed.
async fn publish(
    intake: &AmqpIntake,
    takedowns: impl Iterator<Item = Result<Takedown, ItemsError>>,
    batches: &Batches,
    count: u64,
    progress: &Progress,
    terminal: &Terminal,
) -> Result<u64, Failure> {
    let shutdown = Shutdown::new();
    let signals = signals::watch(shutdown.clone(), Some(terminal.clone()))?;
    let mut takedowns = takedowns.map(|takedown| takedown.map(|takedown| batches.fill(takedown)));
    let (mut confirmed, mut under_way, mut ended) = (0, FuturesUnordered::new(), Ok(()));
    loop {
        while ended.is_ok() && under_way.len() < UNDER_WAY && !shutdown.is_draining() {
            let chunk: Result<Vec<Takedown>, ItemsError> = takedowns.by_ref().take(CHUNK).collect();
            match chunk {
                Ok(chunk) if chunk.is_empty() => break,
                Ok(chunk) => under_way.push(intake.enqueue(chunk)),
                Err(error @ ItemsError::Changed { .. }) => ended = Err(batches.half_published(error.into())),
                Err(error) => ended = Err(error.into()),
            }
        }
        // What is under way is waited for, whatever ended the rest: it may be in the queue, and counts.
        let enqueued = tokio::select! {
            enqueued = under_way.next() => enqueued,
            () = shutdown.leaving() => break,
        };
        match enqueued {
            None => break,
            Some(Ok(enqueued)) => confirmed += enqueued.accepted,
            Some(Err(error)) => {
                let again = "then run the same command again: what is enqueued twice is told by its stable id";
                let failure = Failure::from(error);
                let remedy = failure.remedy.map(|remedy| format!("{remedy}; {again}"));
                ended = ended.and(Err(Failure { remedy, ..failure }));
            }
        }
        progress.set(confirmed, "");
    }
    signals.abort();
    ended.map(|()| confirmed).map_err(|failure| {
        let all = counted(count, "item", "items");
        let problem = format!("{}; {confirmed} of {all} confirmed before", failure.problem);
        Failure { problem, ..failure }
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn per_second(count: u64, elapsed: Duration) -> String {
    format!("{:.0}", count as f64 / elapsed.as_secs_f64().max(0.001))
}
