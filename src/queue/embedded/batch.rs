//! Jobs in one transaction: each in a savepoint of its own, all answered after the commit.
//!
//! Promise: a job that fails takes no neighbour with it, neither by its own statement (savepoint) nor by breaking the
//! whole transaction (each is then run again in a transaction of its own).

use std::slice;

use rusqlite::{Connection, TransactionBehavior};

use crate::queue::embedded::fault;

/// One unit of work; keeps its result until the commit.
pub(super) trait Job: Send {
    /// Does the work inside a transaction, and says what is to become of it.
    fn run(&mut self, db: &Connection) -> Kept;
    /// Passes on the result, or the transaction's fault.
    fn finish(self: Box<Self>, committed: rusqlite::Result<()>);
}

/// What becomes of a job's changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// They are committed with the others'.
    Yes,
    /// They are rolled back: the statement was at fault.
    No,
    /// They are rolled back: the file or its disk was at fault.
    Unwell,
}

/// What a batch showed of the file and its disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Health {
    /// Something was written and synced.
    Well,
    /// Something could not be.
    Unwell,
    /// Nothing was to be written.
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
    fn run(&mut self, db: &Connection) -> Kept {
        let result = (self.work)(db);
        let kept = match &result {
            Ok(_) => Kept::Yes,
            Err(error) if fault::is_of_the_file(error) => Kept::Unwell,
            Err(_) => Kept::No,
        };
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

/// Runs a batch; `note` hears how the file is before anyone hears what became of a job.
pub(super) fn work_off(db: &mut Connection, mut batch: Vec<Box<dyn Job>>, note: impl Fn(Health)) {
    let committed = transact(db, &mut batch);
    if committed.is_ok() || batch.len() == 1 {
        let (health, mut verdict) = split(committed);
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

fn split(committed: rusqlite::Result<Health>) -> (Health, rusqlite::Result<()>) {
    match committed {
        Ok(health) => (health, Ok(())),
        Err(error) => (Health::Unwell, Err(error)),
    }
}

fn transact(db: &mut Connection, batch: &mut [Box<dyn Job>]) -> rusqlite::Result<Health> {
    let mut transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let mut health = Health::Unknown;
    for job in batch {
        let mut savepoint = transaction.savepoint()?;
        let before = savepoint.total_changes();
        match job.run(&savepoint) {
            // A read says nothing of whether the disk has room.
            Kept::Yes if health == Health::Unknown && savepoint.total_changes() > before => health = Health::Well,
            Kept::Yes => {}
            kept @ (Kept::No | Kept::Unwell) => {
                if kept == Kept::Unwell {
                    health = Health::Unwell;
                }
                // Fails when the fault ended the whole transaction (full disk, I/O): nothing of the batch is kept then.
                savepoint.rollback()?;
            }
        }
        savepoint.commit()?;
    }
    transaction.commit().map(|()| health)
}

#[cfg(test)]
mod tests;
