//! Reading outcomes back from the catch-all results queue: for the demo, tests, and people who try things out.

use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;

/// Reads `takedown.results.all`, acking what was handed out.
pub struct Results {}

impl Results {
    /// Connects and starts to consume.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when the queue is missing.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        todo!("{}", settings.prefix)
    }

    /// Waits for the next outcome and its AMQP `message_id`; acked once handed out.
    ///
    /// # Errors
    /// [`QueueError`] when the connection is gone or a message is no outcome.
    pub async fn next(&mut self) -> Result<(String, FinalOutcome), QueueError> {
        todo!()
    }
}
