//! The embedded adapter under the contract.

use takedown::domain::ids::AccountId;
use takedown::domain::outcome::FinalOutcome;
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{DeadLetters, DeskLog, Intake, Queue};
use tempfile::TempDir;

use super::Harness;

/// The embedded adapter, in a file of its own.
pub(crate) struct Embedded {
    directory: TempDir,
    queue: EmbeddedQueue,
    read: i64,
}

impl Embedded {
    fn open(directory: TempDir, read: i64) -> Self {
        let queue = EmbeddedQueue::open(&directory.path().join("queue")).unwrap();
        Self { directory, queue, read }
    }
}

impl Harness for Embedded {
    type Queue = EmbeddedQueue;

    async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap(), 0)
    }

    fn queue(&self) -> &EmbeddedQueue {
        &self.queue
    }

    fn intake(&self) -> &impl Intake {
        &self.queue
    }

    fn dead_letters(&self) -> &impl DeadLetters {
        &self.queue
    }

    fn desk_log(&self) -> &impl DeskLog {
        &self.queue
    }

    async fn put_raw(&self, account: &AccountId, message_id: &str, body: &[u8]) {
        self.queue.put_raw(account, Some(message_id), body.to_vec()).await.unwrap();
    }

    async fn next_outcome(&mut self) -> (String, FinalOutcome) {
        let (read, outcome) = self.queue.outcomes(self.read, 1).await.unwrap().remove(0);
        self.read = read;
        (outcome.outcome_id(), outcome)
    }

    async fn reopen(self) -> Self {
        // Dropped without stopping: what is in hand stays claimed in the file, as it does at a crash.
        let Self { directory, queue, read } = self;
        drop(queue);
        Self::open(directory, read)
    }

    async fn finish(self) {
        self.queue.close().await.unwrap();
    }
}
