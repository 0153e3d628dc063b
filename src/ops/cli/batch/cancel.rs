//! `takedown batch cancel`: what is left of a batch ends as cancelled.

use std::path::PathBuf;

use clap::Args;

use super::Which;
use crate::clock;
use crate::desk::cancel::{self, Order};
use crate::domain::notice::ledger::Ledger;
use crate::domain::notice::{MAX_REASON, Notice, What};
use crate::ops::chart::text::visible;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::counted;
use crate::ops::cli::{Surroundings, times};
use crate::ops::operator;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeskLog, Queue};

/// End what is left of a batch: no more of its items are called for.
///
/// Workers end each with an outcome `cancelled/batch_cancelled`, before holds and calls; what waits for another try is
/// sent to them at once. A call under way is finished, and its item ends by what it came to. Dead letters stay where they
/// are; one that is replayed ends as cancelled. It cannot be taken back: a cancelled item has its outcome, and is not taken
/// up again under its id for as long as that is remembered (7 days).
/// Interrupted, the cancel holds; the same command again finishes the looking through.
#[derive(Debug, Args)]
pub(super) struct CancelBatch {
    #[command(flatten)]
    which: Which,
    /// Why, for whoever asks later; it is kept in the operators' log and shown in reports.
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: Option<String>,
    /// A queue file of `takedown run` instead of the broker.
    #[arg(long, value_name = "FILE")]
    queue: Option<PathBuf>,
}

fn reason(text: &str) -> Result<String, String> {
    match text.chars().count() {
        0 => Err("it is empty".to_owned()),
        count if count > MAX_REASON => Err(format!("it has {count} characters, at most {MAX_REASON} are kept")),
        _ => Ok(text.to_owned()),
    }
}

impl CancelBatch {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        match &self.queue {
            Some(file) => self.in_file(file, surroundings).await,
            None => self.on_broker(surroundings).await,
        }
    }

    async fn on_broker(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let (terminal, outline) = (&surroundings.terminal, surroundings.load_outline()?);
        let batch = self.which.batch.clone();
        let order = Order { batch: batch.clone(), reason: self.reason.clone(), by: operator::name() };
        let waiting = terminal.waiting("telling the workers");
        let carried = cancel::cancel(&outline.amqp, &order, |released| {
            let looked = released.moved + released.left;
            waiting.on(&format!("looking through the retry queues: {looked} seen, {} taken out", released.moved));
        });
        let carried = carried.await?;
        drop(waiting);
        let mut text = match &carried.earlier {
            Some(earlier) => {
                let at = times::wall(earlier.at, clock::now());
                format!("batch {batch} was cancelled before, {at} by {}", visible(&earlier.by))
            }
            None => format!("cancelled batch {batch}"),
        };
        let moved = counted(carried.moved, "item that waited", "items that waited");
        text.push_str(&format!("; {moved} for another try went to the workers"));
        terminal.result(&text)?;
        match &carried.known {
            Some(entry) if entry.total() > 0 => {
                terminal.say(&format!("the rest ends within seconds where a worker lives: takedown batch watch {batch}"));
            }
            Some(_) | None => terminal.say(
                "nobody enqueued a batch of that name with takedown enqueue; if producers did, their items end all the same",
            ),
        }
        Ok(Exit::Done)
    }

    async fn in_file(&self, file: &std::path::Path, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let queue = EmbeddedQueue::open_existing(file)?;
        let batch = self.which.batch.clone();
        let known = Ledger::of(&queue.notices().await?);
        let what = What::BatchCancelled { batch: batch.clone(), reason: self.reason.clone() };
        let ended = queue.cancel(&Notice { at: clock::now(), by: operator::name(), what }).await?;
        queue.close().await?;
        let before = if known.is_cancelled(&batch) { " once more" } else { "" };
        let ended = counted(ended, "item that waited has", "items that waited have");
        surroundings.terminal.result(&format!("cancelled batch {batch}{before}; {ended} ended"))?;
        Ok(Exit::Done)
    }
}
