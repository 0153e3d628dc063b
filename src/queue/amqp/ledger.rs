//! What a worker knows of the operators' log: read from its first entry, and kept current.
//!
//! Promise: no message is handed out before the log was read to the end it had, so that an item of a batch that was
//! cancelled before the worker started is never called for; nor while the log cannot be read.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::domain::cause::chain;
use crate::domain::notice::ledger::Ledger;
use crate::queue::QueueError;
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::tail::{self, Log, Streams, Told};
use crate::queue::amqp::topology::Topology;

/// What is known, and whether it is all there is.
pub(super) struct Board {
    ledger: watch::Sender<Arc<Ledger>>,
    is_read: watch::Sender<bool>,
}

/// Keeps a board current until it is dropped.
pub(super) struct LedgerReader {
    pub(super) board: Arc<Board>,
    pub(super) streams: Streams,
    /// What holds the stream.
    pub(super) topology: Topology,
}

impl Board {
    pub(super) fn new() -> Self {
        Self { ledger: watch::Sender::default(), is_read: watch::Sender::new(false) }
    }

    /// Waits until the log is read up to its end, and kept so.
    pub(super) async fn read(&self) {
        let read = self.is_read.subscribe().wait_for(|is_read| *is_read).await.map(drop);
        read.expect("invariant: the sender lives in the board");
    }

    /// Says whether the log is read up to its end.
    pub(super) fn is_read(&self) -> bool {
        *self.is_read.borrow()
    }

    /// Tells what is known, and each time more is.
    pub(super) fn subscribe(&self) -> watch::Receiver<Arc<Ledger>> {
        self.ledger.subscribe()
    }
}

impl LedgerReader {
    /// Reads session after session; returns once the connection is closed for good.
    pub(super) async fn run(self) {
        let mut schedule = Schedule::new();
        loop {
            let began = Instant::now();
            let error = match self.session().await {
                Ok(never) => match never {},
                Err(error) => error,
            };
            self.board.is_read.send_replace(false);
            if matches!(error, QueueError::Closed) {
                return;
            }
            tracing::warn!(
                error = %chain(&error),
                "the operators' log cannot be read, and no message is taken until it can: a worker's login reads and \
                 writes it (`takedown.desk`)"
            );
            schedule.note_uptime(began.elapsed());
            schedule.pause().await;
        }
    }

    async fn session(&self) -> Result<Infallible, QueueError> {
        self.topology.apply_over(self.streams.link()).await?;
        let mut tail = self.streams.open(Log::Notices, None).await?;
        let end = tail::new_mark();
        let mut marking = pin!(self.streams.mark(Log::Notices, &end));
        let (mut is_marked, mut is_read) = (false, false);
        let mut ledger = Ledger::default();
        loop {
            let told = tokio::select! {
                marked = &mut marking, if !is_marked => {
                    marked?;
                    is_marked = true;
                    continue;
                }
                told = tail.next() => told?,
            };
            let mut is_changed = false;
            for told in told {
                match told {
                    Told::Notice(_, notice) => {
                        ledger.take(&notice);
                        is_changed = true;
                    }
                    Told::Mark(mark) if mark == end && !is_read => (is_read, is_changed) = (true, true),
                    Told::Mark(_) | Told::Outcome(_) => {}
                }
            }
            // Half a log is not shown: what is in the other half might be known already from the session before.
            if is_read && is_changed {
                self.board.ledger.send_replace(Arc::new(ledger.clone()));
                self.board.is_read.send_replace(true);
            }
        }
    }
}
