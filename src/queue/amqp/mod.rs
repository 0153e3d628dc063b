//! The RabbitMQ adapter: one file a noun.

pub mod connection;
pub mod consumer;
pub mod dead_letters;
pub mod publisher;
pub mod results;
pub mod topology;

use std::time::Duration;

use crate::domain::ids::AccountId;
use crate::domain::settlement::Settlement;
use crate::queue::{Delivery, Queue, QueueError};

/// How to reach the broker, and how its objects are called.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`; a secret.
    pub url: String,
    /// First word of every object's name. Default `takedown`; rehearsals and tests use another.
    pub prefix: String,
    /// Retry rungs, ascending, one queue each. Default 5 s, 30 s, 2 min, 10 min, 1 h, 6 h.
    pub rungs: Vec<Duration>,
    /// Name of the connections, shown by the broker's management page; the worker's id.
    pub connection_name: String,
    /// Longest wait for a publisher confirm. Default 30 s.
    pub confirm_timeout: Duration,
}

/// One account's consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// The account, whose work queue is consumed.
    pub account: AccountId,
    /// Messages handed out ahead; bounded by count and by time (prefetch ÷ rate stays below a third of the broker's
    /// `consumer_timeout`, 30 min by default: rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").
    pub prefetch: u16,
}

/// Channel and delivery tag of a delivery.
#[derive(Debug)]
pub(crate) struct Tag;

/// A worker's queue on RabbitMQ. Cheap handles inside; share it by `Arc`.
pub struct AmqpQueue {}

impl AmqpQueue {
    /// Connects, applies the topology of these accounts, and starts one consumer an account under a supervisor that
    /// reconnects by itself.
    ///
    /// # Errors
    /// [`QueueError::Connect`] (a retry may help) or [`QueueError::Topology`] (it cannot).
    pub async fn start(settings: AmqpSettings, consumers: Vec<ConsumerSettings>) -> Result<Self, QueueError> {
        todo!("{} {consumers:?}", settings.prefix)
    }
}

impl Queue for AmqpQueue {
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
