//! Whether an object is there: asked without creating anything.

use lapin::options::{ExchangeDeclareOptions, QueueDeclareOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};

use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::short;
use crate::queue::amqp::topology::refusal::{is_soft, judge};
use crate::queue::amqp::topology::{Object, Topology};

/// Fails with 404, and ends the channel, when there is no such exchange.
pub(super) async fn exchange_exists(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    channel.exchange_declare(short(name), ExchangeKind::Direct, options, FieldTable::default()).await
}

/// Fails with 404, and ends the channel, when there is no such queue.
pub(super) async fn queue_exists(channel: &Channel, name: &str) -> lapin::Result<()> {
    let options = QueueDeclareOptions::durable().passive();
    channel.queue_declare(short(name), options, FieldTable::default()).await.map(drop)
}

/// Refuses to go on without an exchange.
///
/// # Errors
/// [`QueueError::Topology`] when it is missing.
pub(in crate::queue::amqp) async fn require_exchange(link: &Link, name: &str) -> Result<(), QueueError> {
    exchange_exists(&link.channel().await?, name).await.map_err(|error| judge(name, error))
}

/// Refuses to go on without a queue.
///
/// # Errors
/// [`QueueError::Topology`] when it is missing.
pub(in crate::queue::amqp) async fn require_queue(link: &Link, name: &str) -> Result<(), QueueError> {
    queue_exists(&link.channel().await?, name).await.map_err(|error| judge(name, error))
}

impl Topology {
    /// Binds again what one exchange is bound to: whether it still is cannot be asked. Says whether this login may.
    ///
    /// # Errors
    /// [`QueueError::Broker`] and [`QueueError::Closed`].
    pub(in crate::queue::amqp) async fn bind_over(&self, link: &Link, exchange: &str) -> Result<bool, QueueError> {
        let channel = link.channel().await?;
        for row in &self.rows {
            if !matches!(&row.object, Object::Binding { exchange: bound, .. } if bound == exchange) {
                continue;
            }
            match row.declare(&channel).await {
                Ok(()) => {}
                Err(error) if is_soft(&error, &AMQPSoftError::ACCESSREFUSED) => return Ok(false),
                Err(error) => return Err(broker_error(format!("bind {}", row.name), error)),
            }
        }
        Ok(true)
    }
}
