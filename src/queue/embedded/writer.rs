//! The one writer thread: takes jobs, runs every pending one in a single transaction, answers after the commit.
//!
//! Promise: a job's `done` hears `Ok` only after its changes are committed, and whoever waits for one hears something,
//! however the thread ends. Committed means synced to the disk: see `store`. How a batch fails: see `batch`.

use std::path::Path;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::inbox::Inbox;
use super::threads::{Arc, AtomicBool, Builder, JoinHandle, Ordering};
use crate::queue::QueueError;
use crate::queue::embedded::batch::{Call, Health, Job, work_off};
use crate::queue::embedded::fault;

/// Most jobs in one transaction, so that nobody waits long for a commit.
const BATCH: usize = 256;

/// Hands jobs to the writer thread. Cheap to clone; does not keep the thread alive.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    desk: Arc<Desk>,
}

struct Desk {
    inbox: Inbox<Box<dyn Job>>,
    is_well: AtomicBool,
    path: Box<Path>,
}

impl std::fmt::Debug for Desk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Writer {
    /// Makes the way to a thread that does not run yet; `path` names the file in errors.
    pub(super) fn new(path: &Path) -> Self {
        let (inbox, is_well) = (Inbox::new(), AtomicBool::new(true));
        Self { desk: Arc::new(Desk { inbox, is_well, path: path.into() }) }
    }

    /// Starts the thread, which owns the connection, and `guard` for as long as it has the connection. `folded` hears
    /// when everything lies in the one file, just before the connection is closed.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start<G: Send + 'static>(
        path: &Path,
        db: Connection,
        guard: G,
        folded: impl FnOnce(&Connection, &G) + Send + 'static,
    ) -> std::io::Result<(Self, JoinHandle<()>)> {
        let writer = Self::new(path);
        let serving = writer.clone();
        let thread = Builder::new().name("queue-writer".into()).spawn(move || serving.serve(db, guard, folded))?;
        Ok((writer, thread))
    }

    /// Hands over a job without waiting: `work` may run more than once, `done` once, after the commit, on the thread.
    ///
    /// # Errors
    /// [`QueueError::Closed`]; `done` is then never called, nor when the thread dies of a panic.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        done: impl FnOnce(rusqlite::Result<T>) + Send + 'static,
    ) -> Result<(), QueueError> {
        let job = Call { work, done, result: None };
        self.desk.inbox.put(Box::new(job)).map_err(|_| QueueError::Closed)
    }

    /// Runs a job and waits for its commit; `action` is the participle of [`QueueError::Database`].
    ///
    /// # Errors
    /// [`QueueError::File`], [`QueueError::Database`] and [`QueueError::Closed`].
    ///
    /// # Cancel safety
    /// The job runs all the same.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, QueueError> {
        self.call_then(action, work, |value| value).await
    }

    /// As [`Writer::call`], with a step on the writer thread between commit and answer that no cancelling skips.
    ///
    /// # Errors
    /// As [`Writer::call`].
    ///
    /// # Cancel safety
    /// The job and the step run all the same.
    pub(super) async fn call_then<T: Send + 'static, U: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        then: impl FnOnce(T) -> U + Send + 'static,
    ) -> Result<U, QueueError> {
        let (answer, answered) = oneshot::channel();
        self.submit(work, move |result| {
            // Nobody may be waiting any more; the work is done all the same.
            drop(answer.send(result.map(then)));
        })?;
        match answered.await {
            Ok(result) => result.map_err(|source| fault::named(&self.desk.path, action, source)),
            Err(_) => Err(QueueError::Closed),
        }
    }

    /// Asks the thread to end after the jobs handed over so far.
    pub(super) fn stop(&self) {
        self.desk.inbox.stop();
    }

    /// Says whether the last thing to be written was, and the thread is there to write the next.
    pub(super) fn is_well(&self) -> bool {
        self.desk.is_well.load(Ordering::Relaxed)
    }

    /// What the thread does.
    pub(super) fn serve<G>(&self, mut db: Connection, guard: G, folded: impl FnOnce(&Connection, &G)) {
        let closing = Closing(&self.desk);
        loop {
            let batch = self.desk.inbox.take(BATCH);
            if batch.is_empty() {
                break;
            }
            work_off(&mut db, batch, |health| match health {
                Health::Well => self.desk.is_well.store(true, Ordering::Relaxed),
                Health::Unwell => self.desk.is_well.store(false, Ordering::Relaxed),
                Health::Unknown => {}
            });
        }
        // Leaves one tidy file behind; if it cannot, the next opening reads the write-ahead log as after a crash.
        match db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |row| row.get::<_, i64>(0)) {
            Ok(0) => folded(&db, &guard),
            Ok(_) => tracing::warn!("another program reads the queue; its write-ahead log stays beside it"),
            Err(error) => tracing::warn!(error = %error, "the queue's write-ahead log could not be folded in"),
        }
        // Whoever is told of the end may open the file again.
        drop(db);
        drop(guard);
        drop(closing);
    }
}

/// However the thread ends, nobody waits for it for ever.
struct Closing<'a>(&'a Desk);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.is_well.store(false, Ordering::Relaxed);
        self.0.inbox.close();
    }
}
