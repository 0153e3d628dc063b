//! `takedown demo`: everything at once, with nothing to set up.

mod broker;
mod compare;
mod report;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;

use clap::Args;

use crate::domain::notice::LetterFilter;
use crate::domain::outcome::FinalOutcome;
use crate::ops::cli::Surroundings;
use crate::ops::cli::demo::stage::Stage;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::Progress;
use crate::ops::cli::report::{ReportFile, language};
use crate::ops::cli::signals;
use crate::ops::cli::tables::counted;
use crate::ops::cli::terminal::Terminal;
use crate::ops::cli::to_the_end;
use crate::ops::cli::watch::Watch;
use crate::ops::cli::whole_file::WholeFile;
use crate::queue::embedded::{Counts, EmbeddedQueue};
use crate::queue::{DeadLetter, DeadLetters, Intake};
use crate::worker::shutdown::Shutdown;

/// Show the whole thing in about ten seconds: both gateways, 500 items, every kind of trouble.
///
/// Starts both gateways on loopback with new keys, makes up items (some missing, some already off sale, some forbidden)
/// and two messages nobody can read, plays faults (time-outs, resets, forged and unsigned answers, throttling, a wrong-key answer, GBK …), works them all
/// off, and then compares every outcome with what the gateways know. Nothing is left behind.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown demo\n  \
    takedown demo --items 2000 --seed 7\n  takedown demo --report demo.html\n  \
    takedown demo --amqp amqp://guest:guest@127.0.0.1:5672/%2f")]
pub(super) struct Demo {
    /// Go through this RabbitMQ, under a prefix of its own that is deleted afterwards, with two workers. For a cluster,
    /// the addresses of its nodes with commas between them.
    #[arg(long, value_name = "URL[,URL...]")]
    amqp: Option<String>,
    /// How many items; more than 1200 take longer.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(20..=100_000))]
    items: u32,
    /// Seed of items and faults; the same seed makes the same ones.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    #[command(flatten)]
    report: ReportFile,
}

/// Checks the broker's address here and not in clap, which quotes what it refuses: a password is in it.
fn check_address(url: &str) -> Result<(), Failure> {
    let refused = |problem| Failure::new(Exit::Usage, format!("the address given to --amqp {problem}"));
    crate::ops::config::amqp::check(url).map_err(refused)
}

/// What a demo came to.
struct Played {
    outcomes: Vec<FinalOutcome>,
    letters: Vec<DeadLetter>,
    /// Messages that had not ended when it was stopped.
    left: u64,
}

impl Demo {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let terminal = &surroundings.terminal;
        self.amqp.as_deref().map_or(Ok(()), check_address)?;
        let page = self.report.begin()?;
        let stage = Stage::set(self.items, self.seed, if self.amqp.is_some() { broker::REPLICAS } else { 1 }).await?;
        terminal.result(&stage.introduction(self.amqp.is_some()))?;
        let shutdown = Shutdown::new();
        let signals = signals::watch(shutdown.clone(), Some(terminal.clone()))?;
        let watch = Arc::new(Watch::default());
        let progress = Progress::new(terminal, "ended", stage.total());
        let played = match &self.amqp {
            None => embedded(&stage, &shutdown, &watch, &progress).await,
            Some(url) => broker::play(url, &stage, &shutdown, &watch, &progress).await,
        };
        progress.finish();
        signals.abort();
        let played = played?;
        let exit = tell(terminal, &stage, &watch, &played, (&progress, page))?;
        stage.strike().await;
        Ok(exit)
    }
}

fn tell(
    terminal: &Terminal,
    stage: &Stage,
    watch: &Watch,
    played: &Played,
    (progress, page): (&Progress, Option<WholeFile>),
) -> Result<Exit, Failure> {
    if played.left > 0 {
        let left = counted(played.left, "item", "items");
        terminal.say(&format!("stopped with {left} left; the demo leaves nothing behind"));
        return Ok(Exit::Interrupted);
    }
    let comparison = stage.compare(&played.outcomes);
    let charts = report::charts(watch, played, progress.elapsed());
    terminal.result(&report::write(watch, played, &comparison, &charts, progress.elapsed()))?;
    page.map_or(Ok(()), |page| page.place(&charts.html(language())))?;
    Ok(if comparison.is_sound() { Exit::Done } else { Exit::Findings })
}

/// One worker over a queue file that goes with the demo.
async fn embedded(
    stage: &Stage,
    shutdown: &Shutdown,
    watch: &Arc<Watch>,
    progress: &Progress,
) -> Result<Played, Failure> {
    let file = stage.directory().join("demo.queue");
    let queue = EmbeddedQueue::open(&file)?;
    queue.enqueue(stage.mix.takedowns.clone()).await?;
    for (account, body) in stage.unreadable() {
        queue.put_raw(&account, None, body).await?;
    }
    let context = stage.context("demo", stage.config(1, &BTreeMap::new())?, watch)?;
    to_the_end::work(queue, context, shutdown.clone(), watch, progress).await?;
    let queue = EmbeddedQueue::open(&file)?;
    let Counts { waiting, in_hand, .. } = queue.counts().await?;
    let outcomes = queue.outcomes(0, usize::MAX).await?.into_iter().map(|(_, outcome)| outcome).collect();
    let letters = queue.list(&LetterFilter::default()).await?;
    Ok(Played { outcomes, letters, left: waiting + in_hand })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::Queue as _;

    #[tokio::test]
    async fn a_worker_that_closed_the_queue_before_the_last_look_is_no_error() {
        let stage = Stage::set(20, 1, 1).await.unwrap();
        let (watch, shutdown) = (Arc::new(Watch::default()), Shutdown::new());
        let progress = Progress::new(&Terminal::default(), "ended", 0);
        let context = stage.context("demo", stage.config(1, &BTreeMap::new()).unwrap(), &watch).unwrap();
        let queue = EmbeddedQueue::open(&stage.directory().join("demo.queue")).unwrap();
        queue.close().await.unwrap();
        shutdown.drain();
        assert!(to_the_end::work(queue, context, shutdown, &watch, &progress).await.is_ok());
    }
}
