//! Dead letters on the broker: looking without removing, replay, purge.

use crate::queue::amqp::AmqpSettings;
use crate::queue::{DeadLetter, DeadLetterFilter, DeadLetters, QueueError};

/// The dead-letter queues.
pub struct AmqpDeadLetters {}

impl AmqpDeadLetters {
    /// Connects; `accounts` is every account whose letters an empty filter means.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn connect(
        settings: &AmqpSettings,
        accounts: Vec<crate::domain::ids::AccountId>,
    ) -> Result<Self, QueueError> {
        todo!("{} {accounts:?}", settings.prefix)
    }
}

impl DeadLetters for AmqpDeadLetters {
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
