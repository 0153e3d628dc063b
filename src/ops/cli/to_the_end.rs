//! Working an embedded queue until nothing waits in it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::clock;
use crate::desk::fleet::account::HoldView;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::{Pace, Progress};
use crate::ops::cli::status::words;
use crate::ops::cli::watch::Watch;
use crate::queue::QueueError;
use crate::queue::embedded::EmbeddedQueue;
use crate::worker::context::Context;
use crate::worker::shutdown::Shutdown;

/// How often the queue is asked whether anything is left.
const LOOK: Duration = Duration::from_millis(200);

/// Stillness after which the work counts as held, if an account is; a call may take as long.
const STILL: Duration = Duration::from_secs(2);

/// Runs one worker until the queue is empty or a drain is asked for, and closes the queue.
///
/// What is left is told by the file, opened anew: what was in hand ends while the worker drains.
pub(super) async fn work(
    queue: EmbeddedQueue,
    context: Arc<Context>,
    shutdown: Shutdown,
    watch: &Watch,
    progress: &Progress,
) -> Result<(), Failure> {
    let known = Arc::clone(&context);
    let mut running = tokio::spawn(crate::worker::run(Arc::new(queue.clone()), context, shutdown.clone()));
    let mut look = tokio::time::interval(LOOK);
    let (mut moved_at, mut ended) = (Instant::now(), 0);
    loop {
        let is_empty = match queue.is_empty().await {
            Ok(is_empty) => is_empty,
            // The worker has ended, and closed it; how it ended is told below.
            Err(QueueError::Closed) => break,
            Err(error) => return Err(error.into()),
        };
        let tally = watch.tally();
        if tally.total() != ended || in_flight(&known) > 0 {
            (moved_at, ended) = (Instant::now(), tally.total());
        }
        let hold = hold(&known);
        let is_still = moved_at.elapsed() >= STILL;
        let note = hold.clone().filter(|_| !is_still).map_or_else(String::new, |hold| format!(", {hold}"));
        progress.pace(hold.filter(|_| is_still).map_or(Pace::Measured, Pace::Held));
        progress.set(tally.total(), &format!("{}{note}", tally.line()));
        if is_empty || shutdown.is_draining() || running.is_finished() {
            break;
        }
        tokio::select! {
            _ = look.tick() => {}
            () = shutdown.draining() => {}
            ended = &mut running => {
                ended.map_err(panicked)??;
                return Ok(());
            }
        }
    }
    shutdown.drain();
    running.await.map_err(panicked)??;
    let tally = watch.tally();
    progress.set(tally.total(), &tally.line());
    Ok(())
}

fn in_flight(context: &Context) -> usize {
    context.accounts.values().map(|account| account.limits.in_flight()).sum()
}

/// Writes `desk held since 14:02 (2 min) because ILLEGAL_SIGN, …` of the first account that is.
fn hold(context: &Context) -> Option<String> {
    let wall = clock::now();
    context.accounts.iter().find_map(|(id, account)| {
        let (holds, _) = account.limits.tell_holds();
        let hold = HoldView::of_account(&holds, account.tally.told_cut_off().as_ref(), wall)?;
        Some(format!("{id} {}", words::hold(&hold, wall)))
    })
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Unexpected, format!("the worker ended unexpectedly: {error}"))
        .remedy("nothing is lost; run the same command again, and report it")
}
