//! Confirmed, mandatory publishing.

use crate::domain::takedown::Takedown;
use crate::queue::amqp::AmqpSettings;
use crate::queue::{Enqueued, Intake, QueueError};

/// A producer's side: publishes takedowns with confirms.
pub struct AmqpIntake {}

impl AmqpIntake {
    /// Connects. The topology must exist.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when the exchange is missing.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        todo!("{}", settings.prefix)
    }
}

impl Intake for AmqpIntake {
    async fn enqueue(&self, takedowns: Vec<Takedown>) -> Result<Enqueued, QueueError> {
        todo!("{takedowns:?}")
    }
}
