//! Working an embedded queue until nothing waits in it.

use std::sync::Arc;
use std::time::Duration;

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::Progress;
use crate::ops::cli::watch::Watch;
use crate::queue::embedded::EmbeddedQueue;
use crate::worker::context::Context;
use crate::worker::shutdown::Shutdown;

/// How often the queue is asked whether anything is left.
const LOOK: Duration = Duration::from_millis(200);

/// How the work ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Nothing is left.
    Empty,
    /// A signal came first; so much is left.
    Stopped {
        /// Messages still in the queue.
        left: u64,
    },
}

/// Runs one worker until the queue is empty or a drain is asked for, and closes the queue.
pub(super) async fn work(
    queue: EmbeddedQueue,
    context: Arc<Context>,
    shutdown: Shutdown,
    watch: &Watch,
    progress: &Progress,
) -> Result<End, Failure> {
    let mut running = tokio::spawn(crate::worker::run(Arc::new(queue.clone()), context, shutdown.clone()));
    let mut look = tokio::time::interval(LOOK);
    let mut left;
    loop {
        let counts = queue.counts().await?;
        left = counts.waiting + counts.in_hand;
        let tally = watch.tally();
        progress.set(tally.total(), &tally.line());
        if left == 0 || shutdown.is_draining() || running.is_finished() {
            break;
        }
        tokio::select! {
            _ = look.tick() => {}
            () = shutdown.draining() => {}
            ended = &mut running => {
                ended.map_err(panicked)??;
                return Ok(End::Stopped { left });
            }
        }
    }
    shutdown.drain();
    running.await.map_err(panicked)??;
    let tally = watch.tally();
    progress.set(tally.total(), &tally.line());
    Ok(if left == 0 { End::Empty } else { End::Stopped { left } })
}

fn panicked(error: tokio::task::JoinError) -> Failure {
    Failure::new(Exit::Unexpected, format!("the worker ended unexpectedly: {error}"))
        .remedy("nothing is lost; run the same command again, and report it")
}
