//! SIGTERM and SIGINT: the first drains, the second leaves at once. SIGHUP is a worker's word to read anew.
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
    let mut signals = Signals::new()?;
    Ok(tokio::spawn(async move {
        signals.next().await;
        if let Some(terminal) = &told {
            terminal.say("draining: calls in flight finish, nothing new is taken (once more to leave at once)");
        }
        shutdown.drain();
        signals.next().await;
        match &told {
            Some(terminal) => terminal.say("leaving at once: nothing is lost, calls in flight may be repeated"),
            None => tracing::warn!("second signal: leaving at once; calls in flight may be repeated"),
        }
        shutdown.leave();
    }))
}

/// Begins to watch for SIGHUP, which from here on no longer ends the process.
///
/// # Errors
/// [`Exit::Unexpected`] when the system refuses a handler.
pub(super) fn hangups() -> Result<Signal, Failure> {
    handle(SignalKind::hangup())
}

fn handle(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| Failure::new(Exit::Unexpected, format!("signals cannot be watched: {error}")))
}

/// Both signals; from its making on they no longer end the process.
#[derive(Debug)]
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to watch.
    ///
    /// # Errors
    /// [`Exit::Unexpected`] when the system refuses a handler.
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self { interrupt: handle(SignalKind::interrupt())?, terminate: handle(SignalKind::terminate())? })
    }

    /// Waits for either.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
