//! SIGTERM and SIGINT: the first drains, the second leaves at once.
//!
//! A person is told on the terminal; a worker's log is told by its own events, so that every line of it stays JSON.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::terminal::Terminal;
use crate::worker::shutdown::Shutdown;

/// Watches for the signals; abort the task once the work is over.
///
/// # Errors
/// [`Exit::Unexpected`] when the system refuses a handler.
pub(super) fn watch(shutdown: Shutdown, told: Option<Terminal>) -> Result<JoinHandle<()>, Failure> {
    let refused = |error| Failure::new(Exit::Unexpected, format!("signals cannot be watched: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    Ok(tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        if let Some(terminal) = &told {
            terminal.say("draining: calls in flight finish, nothing new is taken (once more to leave at once)");
        }
        shutdown.drain();
        either(&mut interrupt, &mut terminate).await;
        match &told {
            Some(terminal) => terminal.say("leaving at once: nothing is lost, calls in flight may be repeated"),
            None => tracing::warn!("second signal: leaving at once; calls in flight may be repeated"),
        }
        shutdown.leave();
    }))
}

/// Watches for the first signal only, for a command with nothing to drain.
///
/// # Errors
/// [`Exit::Unexpected`] when the system refuses a handler.
pub(super) fn watch_once(shutdown: Shutdown) -> Result<JoinHandle<()>, Failure> {
    let refused = |error| Failure::new(Exit::Unexpected, format!("signals cannot be watched: {error}"));
    let mut interrupt = signal(SignalKind::interrupt()).map_err(refused)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(refused)?;
    Ok(tokio::spawn(async move {
        either(&mut interrupt, &mut terminate).await;
        shutdown.drain();
    }))
}

async fn either(interrupt: &mut Signal, terminate: &mut Signal) {
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}
