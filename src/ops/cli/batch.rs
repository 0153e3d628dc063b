//! `takedown batch`: what became of the items that were enqueued together, and an end for the rest of them.

mod cancel;
mod export;
mod report;
mod watch;

use clap::{Args, Subcommand};
use serde_json::Value;

use self::cancel::CancelBatch;
use self::export::ExportBatch;
use self::watch::WatchBatch;
use crate::clock;
use crate::desk::batch::Batch;
use crate::desk::follow;
use crate::desk::store::Store;
use crate::domain::ids::BatchId;
use crate::domain::outcome::Status;
use crate::ops::chart::Tone;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::batch;
use crate::ops::cli::report::ReportFile;
use crate::ops::cli::tables::{Field, Output, toned_table};
use crate::ops::cli::terminal::Terminal;
use crate::ops::cli::{Surroundings, times};
use crate::ops::config::Outline;
use crate::queue::amqp::depths::AmqpDepths;
use crate::queue::amqp::tail::Streams;
use crate::queue::depth::Depths;

/// See how far the items of a batch are, end the rest of them, and take their outcomes home.
///
/// `takedown enqueue` makes a batch and prints its id. Outcomes are counted from the broker's stream of the last seven
/// days into a file of this machine's (`[desk] file`), each once, whatever is interrupted. Needs no keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown batch list\n  \
    takedown batch watch night-4711\n  \
    takedown batch cancel night-4711 --reason \"wrong list\"\n  \
    takedown batch report night-4711 --report night.html\n  \
    takedown batch export night-4711 outcomes.csv --format csv")]
pub(super) struct BatchCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the batches of the last 90 days that this machine counted, the latest first.
    List {
        #[command(flatten)]
        output: Output,
    },
    Watch(WatchBatch),
    Cancel(CancelBatch),
    /// Print what became of a batch's items, by reason and account.
    Report {
        #[command(flatten)]
        which: Which,
        #[command(flatten)]
        report: ReportFile,
        #[command(flatten)]
        output: Output,
    },
    Export(ExportBatch),
}

/// Which batch is meant.
#[derive(Debug, Args)]
struct Which {
    /// The batch's id, as `enqueue` printed it.
    #[arg(value_name = "ID", value_parser = batch)]
    batch: BatchId,
}

/// Everything a look at a batch needs.
struct Desk {
    outline: Outline,
    streams: Streams,
    store: Store,
}

impl BatchCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        match &self.action {
            Action::List { output } => {
                let desk = Desk::open(surroundings).await?;
                let batches = desk.store.batches()?;
                let text = if output.json {
                    batches.iter().map(report::json).collect::<Value>().to_string()
                } else {
                    list(&batches)
                };
                terminal.result(&text)?;
                desk.streams.close().await;
                Ok(Exit::Done)
            }
            Action::Watch(watch) => watch.execute(surroundings).await,
            Action::Cancel(cancel) => cancel.execute(surroundings).await,
            Action::Report { which, report, output } => {
                let page = report.begin()?;
                let desk = Desk::open(surroundings).await?;
                let batch = desk.find(&which.batch)?;
                desk.streams.close().await;
                let depths = desk.depths(&batch).await?;
                report::print(&batch, &desk.store, (*output, page), depths.as_ref(), terminal)
            }
            Action::Export(export) => export.execute(surroundings).await,
        }
    }
}

impl Desk {
    /// Opens the file and brings it up to date.
    async fn open(surroundings: &Surroundings) -> Result<Self, Failure> {
        let outline = surroundings.load_outline()?;
        let store = Store::open(&outline.desk_file, &outline.amqp.identity())?;
        let waiting = surroundings.terminal.waiting("reading what was told since the last look");
        let streams = Streams::connect(&outline.amqp).await?;
        follow::catch_up(&streams, &store).await?;
        drop(waiting);
        Ok(Self { outline, streams, store })
    }

    /// Counts what waits at the accounts where a batch has items left; `None` where it has none.
    async fn depths(&self, batch: &Batch) -> Result<Option<Depths>, Failure> {
        let left = batch.left_by_account();
        if left.is_empty() {
            return Ok(None);
        }
        let depths = AmqpDepths::connect(&self.outline.amqp).await?;
        let counted = depths.count(left.keys()).await?;
        depths.close().await;
        Ok(Some(counted))
    }

    fn find(&self, id: &BatchId) -> Result<Batch, Failure> {
        let found = self.store.batch(id)?;
        found.ok_or_else(|| {
            let problem = format!("nothing is known of a batch {id}: none of its outcomes is in the stream");
            Failure::new(Exit::Usage, problem).remedy("takedown batch list shows those that are known")
        })
    }
}

fn list(batches: &[Batch]) -> String {
    let now = clock::now();
    let row = |batch: &Batch| {
        let status = |status: Status| batch.by_status().get(&status).copied().unwrap_or_default();
        let dead = status(Status::Dead);
        let since = batch.made.as_ref().map(|made| made.at).or(batch.first);
        let other = status(Status::Terminal) + status(Status::Expired);
        [
            Field::from(batch.id.to_string()),
            Field::from(batch.stage().as_str().to_owned()),
            Field::number(batch.total().map_or_else(|| "?".to_owned(), |total| total.to_string())),
            Field::number(batch.done()),
            Field::number(status(Status::Success)),
            Field::number(other),
            Field::number(status(Status::Cancelled)),
            Field::number(dead).toned_if(Tone::Bad, dead > 0),
            Field::from(since.map(|since| times::wall(since, now)).unwrap_or_default()),
        ]
    };
    let header = ["batch", "stage", "items", "ended", "success", "refused", "cancelled", "dead", "since"];
    toned_table(header, batches.iter().map(row))
}

/// Says where a batch stands in one line.
fn line(batch: &Batch) -> String {
    let counts: Vec<String> = batch.by_status().iter().map(|(status, count)| format!("{count} {status}")).collect();
    counts.join(", ")
}

impl Terminal {
    /// Tells that a command stopped to look, and that what it looked at goes on.
    fn goes_on(&self, id: &BatchId) {
        self.say(&format!("stopped watching; the batch goes on: takedown batch watch {id}"));
    }
}
