//! Reading outcomes back from the catch-all results queue: for the demo, tests, and people who try things out.

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};

use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::short;
use crate::queue::amqp::names::Names;
use crate::queue::amqp::topology::require_queue;

/// Outcomes handed out ahead.
const PREFETCH: u16 = 200;

/// Reads `takedown.results.all`, acking what was handed out.
pub struct Results {
    queue: String,
    consumer: Consumer,
    // Dropped after the consumer: the channel and the connection close with them.
    _channel: Channel,
    _link: Link,
}

impl Results {
    /// Connects and starts to consume.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when the queue is missing.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Link::open(settings, "results").await?;
        let queue = Names::new(settings).results_all();
        require_queue(&link, &queue).await?;
        let channel = link.channel().await?;
        let failed = |error| broker_error(format!("consume {queue}"), error);
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(failed)?;
        let consumer = channel
            .basic_consume(short(&queue), short(""), BasicConsumeOptions::default(), FieldTable::default())
            .await
            .map_err(failed)?;
        Ok(Self { queue, consumer, _channel: channel, _link: link })
    }

    /// Waits for the next outcome and its AMQP `message_id`; acked once handed out.
    ///
    /// # Errors
    /// [`QueueError::Broker`] when the connection is gone, or when a message is no outcome; that one stays in the queue.
    ///
    /// # Cancel safety
    /// Safe: an outcome whose future was dropped before it was acked returns with the connection's end.
    pub async fn next(&mut self) -> Result<(String, FinalOutcome), QueueError> {
        let failed = |error| broker_error(format!("read {}", self.queue), error);
        let delivery = self.consumer.next().await.ok_or(QueueError::Closed)?.map_err(failed)?;
        let outcome = FinalOutcome::decode(&delivery.data)
            .map_err(|error| broker_error(format!("read an outcome from {}", self.queue), error))?;
        let id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        if !acker::ack(&delivery.acker).await.map_err(failed)? {
            return Err(QueueError::Stale);
        }
        Ok((id, outcome))
    }
}
