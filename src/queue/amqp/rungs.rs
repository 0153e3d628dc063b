//! The retry rungs looked through for the items of one batch, which are sent to their work queue at once.
//!
//! Messages are fetched one by one without an ack; what is left goes back when the channel closes, also after a kill -9,
//! and keeps its order, its age and its time to leave: a queue's TTL counts from when a message was put there. A broker
//! that bounds deliveries (RabbitMQ 4: 20 unless told otherwise) sends what was looked at more often on to its work queue
//! early, the way the rung does at its time; nothing is lost by it. Promise: a message leaves a rung only after it was
//! confirmed where it goes.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::domain::ids::BatchId;
use crate::domain::takedown::Takedown;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{IN_FLIGHT, Outgoing, Publisher};
use crate::queue::amqp::topology::require_queue;

/// Messages asked for ahead of the answer: a quorum queue takes milliseconds for each, but as long for many at once.
const AHEAD: usize = 32;

/// The retry rungs of a broker.
pub struct AmqpRungs {
    link: Link,
    publisher: Publisher,
    names: Names,
    queues: Vec<String>,
}

/// What a look through the rungs came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Released {
    /// Messages of the batch, now in their work queues.
    pub moved: u64,
    /// Messages of others, back where they were.
    pub left: u64,
}

impl AmqpRungs {
    /// Connects.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Link::open(settings, "rungs").await?;
        let (publisher, names) = (Publisher::open(settings).await?, Names::new(settings));
        let queues = settings.rungs.iter().map(|rung| names.retry(*rung)).collect();
        Ok(Self { link, publisher, names, queues })
    }

    /// Sends what waits of a batch to its work queue at once, rung by rung; `note` hears how far it is.
    ///
    /// # Errors
    /// [`QueueError::Topology`] when a rung is missing; [`QueueError::Publish`] and [`QueueError::Broker`]. What was not
    /// moved by then is where it was, and another call goes on.
    pub async fn release(&self, batch: &BatchId, mut note: impl FnMut(Released)) -> Result<Released, QueueError> {
        let mut released = Released::default();
        for queue in &self.queues {
            self.release_rung(queue, batch, &mut released, &mut note).await?;
        }
        Ok(released)
    }

    /// Closes the connections in order; dropping does it in the background.
    pub async fn close(&self) {
        self.link.close().await;
        self.publisher.close().await;
    }

    async fn release_rung(
        &self,
        queue: &str,
        batch: &BatchId,
        released: &mut Released,
        note: &mut impl FnMut(Released),
    ) -> Result<(), QueueError> {
        require_queue(&self.link, queue).await?;
        let channel = self.link.channel().await?;
        let failed = |error| broker_error(format!("look through {queue}"), error);
        let counted =
            channel.queue_declare(short(queue), QueueDeclareOptions::durable().passive(), FieldTable::default());
        // What comes meanwhile is for the next look. To the last of these all are fetched: left among those that came
        // back before, the others would turn their order round.
        let mut left = counted.await.map_err(failed)?.message_count();
        let (mut ahead, mut moving) =
            (Ahead { channel: channel.clone(), queue, asked: FuturesOrdered::new() }, FuturesUnordered::new());
        while left > 0 {
            let Some(message) = ahead.get(left).await.map_err(failed)? else { break };
            left -= 1;
            if is_of(batch, &message.data) {
                moving.push(self.move_on(message));
                released.moved += 1;
            } else {
                released.left += 1;
            }
            while moving.len() >= IN_FLIGHT {
                moving.next().await.transpose()?;
            }
            note(*released);
        }
        while moving.next().await.transpose()?.is_some() {}
        drop(ahead);
        channel.close(200, "done".into()).await.map_err(failed)
    }

    /// Under the key it came by, which names its account.
    async fn move_on(&self, message: BasicGetMessage) -> Result<(), QueueError> {
        let outgoing = Outgoing {
            exchange: self.names.work_exchange(),
            routing_key: message.routing_key.to_string(),
            properties: message::sent_on(&message.properties),
            body: &message.data,
        };
        self.publisher.publish(&outgoing, || message.acker.usable()).await?;
        match acker::ack(&message.acker).await {
            Ok(true) => Ok(()),
            Ok(false) => Err(QueueError::Stale),
            Err(error) => Err(broker_error("ack what was moved on", error)),
        }
    }
}

/// Gets messages in their order, some asked for ahead.
struct Ahead<'a> {
    channel: Channel,
    queue: &'a str,
    asked: FuturesOrdered<BoxFuture<'static, lapin::Result<Option<BasicGetMessage>>>>,
}

impl Ahead<'_> {
    async fn get(&mut self, left: u32) -> lapin::Result<Option<BasicGetMessage>> {
        while self.asked.len() < AHEAD.min(usize::try_from(left).unwrap_or(AHEAD)) {
            let (channel, queue) = (self.channel.clone(), short(self.queue));
            self.asked.push_back(async move { channel.basic_get(queue, BasicGetOptions::default()).await }.boxed());
        }
        self.asked.next().await.transpose().map(Option::flatten)
    }
}

/// A message that cannot be read is of no batch.
fn is_of(batch: &BatchId, body: &[u8]) -> bool {
    Takedown::decode(body).is_ok_and(|takedown| takedown.batch.as_ref() == Some(batch))
}
