//! The one writer thread: takes jobs, runs every pending one in a single transaction, answers after the commit.
//!
//! Promise: a job's `done` hears `Ok` only after its changes are committed; a job that fails takes no neighbour with it,
//! neither by its own statement (each runs in a savepoint) nor by breaking the whole transaction (each is then run
//! again in a transaction of its own). Committed means synced to the disk: see `store`.

use std::slice;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::queue::QueueError;

/// Most jobs in one transaction, so that nobody waits long for a commit.
const BATCH: usize = 256;

/// Hands jobs to the writer thread. Cheap to clone; does not keep the thread alive.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    inbox: Sender<Message>,
    is_well: Arc<AtomicBool>,
}

enum Message {
    Job(Box<dyn Job>),
    Stop,
}

impl Writer {
    /// Starts the thread, which owns the connection, and `guard` for as long as it has the connection.
    ///
    /// # Errors
    /// When the system has no thread to give.
    pub(super) fn start<G: Send + 'static>(db: Connection, guard: G) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (inbox, jobs) = channel();
        let is_well = Arc::new(AtomicBool::new(true));
        let writer = Self { inbox, is_well: Arc::clone(&is_well) };
        let thread = std::thread::Builder::new().name("queue-writer".into()).spawn(move || {
            let _guard = guard;
            serve(db, &jobs, &is_well);
        })?;
        Ok((writer, thread))
    }

    /// Hands over a job without waiting: `work` may run more than once, `done` once, after the commit, on the thread.
    ///
    /// # Errors
    /// [`QueueError::Closed`]; `done` is then never called.
    pub(super) fn submit<T: Send + 'static>(
        &self,
        work: impl FnMut(&Connection) -> rusqlite::Result<T> + Send + 'static,
        done: impl FnOnce(rusqlite::Result<T>) + Send + 'static,
    ) -> Result<(), QueueError> {
        let job = Call { work, done, result: None };
        self.inbox.send(Message::Job(Box::new(job))).map_err(|_| QueueError::Closed)
    }

    /// Runs a job and waits for its commit; `action` is the participle of [`QueueError::Database`].
    ///
    /// # Errors
    /// [`QueueError::Database`] and [`QueueError::Closed`].
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
    /// [`QueueError::Database`] and [`QueueError::Closed`].
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
            Ok(result) => result.map_err(|source| QueueError::Database { action, source }),
            Err(_) => Err(QueueError::Closed),
        }
    }

    /// Asks the thread to end after the jobs handed over so far.
    pub(super) fn stop(&self) {
        if self.inbox.send(Message::Stop).is_err() {
            tracing::debug!("the queue's writer had ended already");
        }
    }

    /// Says whether the last transaction went through.
    pub(super) fn is_well(&self) -> bool {
        self.is_well.load(Ordering::Relaxed)
    }
}

/// One unit of work; keeps its result until the commit.
trait Job: Send {
    /// Does the work inside a transaction, and says whether it may be kept.
    fn run(&mut self, db: &Connection) -> Kept;
    /// Passes on the result, or the transaction's fault.
    fn finish(self: Box<Self>, committed: rusqlite::Result<()>);
}

/// What becomes of a job's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kept {
    Yes,
    No,
}

struct Call<T, W, D> {
    work: W,
    done: D,
    result: Option<rusqlite::Result<T>>,
}

impl<T, W, D> Job for Call<T, W, D>
where
    T: Send,
    W: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    D: FnOnce(rusqlite::Result<T>) + Send,
{
    fn run(&mut self, db: &Connection) -> Kept {
        let result = (self.work)(db);
        let kept = if result.is_ok() { Kept::Yes } else { Kept::No };
        self.result = Some(result);
        kept
    }

    fn finish(self: Box<Self>, committed: rusqlite::Result<()>) {
        let result = match (self.result, committed) {
            (Some(Err(own)), _) => Err(own),
            (_, Err(transaction)) => Err(transaction),
            (Some(value), Ok(())) => value,
            (None, Ok(())) => return,
        };
        (self.done)(result);
    }
}

fn serve(mut db: Connection, jobs: &Receiver<Message>, is_well: &AtomicBool) {
    let mut stopping = false;
    while !stopping {
        let Ok(first) = jobs.recv() else { break };
        let mut batch = Vec::new();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Job(job) => batch.push(job),
                Message::Stop => {
                    stopping = true;
                    break;
                }
            }
            next = if batch.len() < BATCH { jobs.try_recv().ok() } else { None };
        }
        if !batch.is_empty() {
            is_well.store(work_off(&mut db, batch), Ordering::Relaxed);
        }
    }
    // Leaves one tidy file behind; if it cannot, the next opening reads the write-ahead log as after a crash.
    if let Err(error) = db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())) {
        tracing::warn!(error = %error, "the queue's write-ahead log could not be folded in");
    }
}

/// Runs a batch; says whether the last transaction was committed.
fn work_off(db: &mut Connection, mut batch: Vec<Box<dyn Job>>) -> bool {
    let committed = transact(db, &mut batch);
    if committed.is_ok() || batch.len() == 1 {
        let is_well = committed.is_ok();
        let mut verdict = Some(committed);
        for job in batch {
            job.finish(verdict.take().unwrap_or(Ok(())));
        }
        return is_well;
    }
    let mut is_well = true;
    for mut job in batch {
        let alone = transact(db, slice::from_mut(&mut job));
        is_well = alone.is_ok();
        job.finish(alone);
    }
    is_well
}

fn transact(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<()> {
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        let mut savepoint = transaction.savepoint()?;
        if job.run(&savepoint) == Kept::No {
            // Fails when the fault ended the whole transaction (full disk, I/O): nothing of the batch is kept then.
            savepoint.rollback()?;
        }
        savepoint.commit()?;
    }
    transaction.commit()
}

#[cfg(test)]
mod tests;
