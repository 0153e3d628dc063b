//! Jobs in one transaction, all answered after the commit.
//!
//! Promise: a job that fails takes no neighbour with it, whether by its own statement or by breaking the transaction:
//! nothing of that transaction is kept, and each job is run again in one of its own. So a job costs no savepoint.

use std::slice;

use rusqlite::{Connection, TransactionBehavior};

use crate::queue::embedded::fault;

/// One unit of work; keeps its result until the commit.
pub(super) trait Job: Send {
    /// Does the work inside a transaction; a failure says what it shows of the file.
    fn run(&mut self, db: &Connection) -> Result<(), Health>;
    /// Passes on the result, or the transaction's fault.
    fn finish(self: Box<Self>, committed: rusqlite::Result<()>);
}

/// What a batch showed of the file and its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Something was written and synced.
    Well,
    /// Something could not be.
    Unwell,
    /// Nothing was to be written, or the statement was at fault.
    Unknown,
}

/// A job as closures: `work` may run more than once, `done` once.
pub(super) struct Call<T, W, D> {
    pub(super) work: W,
    pub(super) done: D,
    pub(super) result: Option<rusqlite::Result<T>>,
}

impl<T, W, D> Job for Call<T, W, D>
where
    T: Send,
    W: FnMut(&Connection) -> rusqlite::Result<T> + Send,
    D: FnOnce(rusqlite::Result<T>) + Send,
{
    fn run(&mut self, db: &Connection) -> Result<(), Health> {
        let result = (self.work)(db);
        let verdict = match &result {
            Ok(_) => Ok(()),
            Err(error) if fault::is_of_the_file(error) => Err(Health::Unwell),
            Err(_) => Err(Health::Unknown),
        };
        self.result = Some(result);
        verdict
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

/// Runs a batch; `note` hears how the file is before anyone hears what became of a job.
pub(super) fn work_off(db: &mut Connection, mut batch: Vec<Box<dyn Job>>, note: impl Fn(Health)) {
    let done = transact(db, &mut batch);
    if done.is_ok() || batch.len() == 1 {
        let (health, mut verdict) = split(done);
        note(health);
        for job in batch {
            job.finish(std::mem::replace(&mut verdict, Ok(())));
        }
        return;
    }
    for mut job in batch {
        let (health, verdict) = split(transact(db, slice::from_mut(&mut job)));
        note(health);
        job.finish(verdict);
    }
}

fn split(done: Result<Health, Spoilt>) -> (Health, rusqlite::Result<()>) {
    match done {
        // A job that failed has its own error to tell.
        Ok(health) | Err(Spoilt::ByJob(health)) => (health, Ok(())),
        Err(Spoilt::AtLarge(error)) => (Health::Unwell, Err(error)),
    }
}

/// Why nothing of a transaction is kept.
enum Spoilt {
    /// A job failed, and shows this of the file.
    ByJob(Health),
    /// The transaction itself did.
    AtLarge(rusqlite::Error),
}

impl From<rusqlite::Error> for Spoilt {
    fn from(error: rusqlite::Error) -> Self {
        Self::AtLarge(error)
    }
}

/// Runs jobs in one transaction, up to the first that fails.
fn transact(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> Result<Health, Spoilt> {
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let before = transaction.total_changes();
    for job in batch {
        if let Err(health) = job.run(&transaction) {
            // Fails when the fault ended the whole transaction (full disk, I/O).
            transaction.rollback()?;
            return Err(Spoilt::ByJob(health));
        }
    }
    // A read says nothing of whether the disk has room.
    let health = if transaction.total_changes() > before { Health::Well } else { Health::Unknown };
    transaction.commit()?;
    Ok(health)
}

#[cfg(test)]
mod tests;
