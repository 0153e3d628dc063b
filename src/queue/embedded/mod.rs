//! The embedded adapter: one SQLite file, one process.

pub mod dead_letters;

mod claim;
mod store;

use std::path::Path;

use crate::domain::ids::AccountId;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::domain::takedown::Takedown;
use crate::queue::{DeadLetter, DeadLetterFilter, DeadLetters, Delivery, Enqueued, Intake, Queue, QueueError};

/// Row and lease of a delivery.
#[derive(Debug)]
pub(crate) struct Lease;

/// How much of what the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting, now or for their time.
    pub waiting: u64,
    /// Handed out and not settled.
    pub in_hand: u64,
    /// Outcomes written.
    pub outcomes: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A queue in one SQLite file, for one process. Cheap to clone; the last one dropped releases the lock file.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {}

impl EmbeddedQueue {
    /// Opens or creates the file; what was in hand when the last process died waits again, marked as redelivered.
    ///
    /// # Errors
    /// [`QueueError::File`] when another process holds it, it is no queue file, or is damaged; with the remedy.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        todo!("{path:?}")
    }

    /// Puts one raw message under an account, as a producer on a broker could.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn put_raw(
        &self,
        account: &AccountId,
        message_id: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(), QueueError> {
        todo!("{account} {message_id:?} {body:?}")
    }

    /// Counts what the file holds.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        todo!()
    }

    /// Reads outcomes in the order they were written, from after `after` (0 for the first), at most `limit`.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn outcomes(&self, after: i64, limit: usize) -> Result<Vec<(i64, FinalOutcome)>, QueueError> {
        todo!("{after} {limit}")
    }
}

impl Queue for EmbeddedQueue {
    async fn next(&self, account: &AccountId) -> Result<Option<Delivery>, QueueError> {
        todo!("{account}")
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<(), QueueError> {
        todo!("{delivery:?} {settlement:?}")
    }

    async fn stop(&self) {
        todo!()
    }

    async fn close(&self) -> Result<(), QueueError> {
        todo!()
    }

    fn is_ready(&self) -> bool {
        todo!()
    }
}

impl Intake for EmbeddedQueue {
    async fn enqueue(&self, takedowns: Vec<Takedown>) -> Result<Enqueued, QueueError> {
        todo!("{takedowns:?}")
    }
}

impl DeadLetters for EmbeddedQueue {
    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, QueueError> {
        todo!("{filter:?}")
    }

    async fn replay(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        todo!("{filter:?}")
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        todo!("{filter:?}")
    }
}
