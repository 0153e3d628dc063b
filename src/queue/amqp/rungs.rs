//! The retry rungs looked through for the items of one batch, which are sent to their work queue at once.
//!
//! Messages are consumed without an ack; what is left goes back when the channel closes, also after a kill -9, and keeps
//! its order, its age and its time to leave: a queue's TTL counts from when a message was put there. Promise: a message
//! leaves a rung only after it was confirmed where it goes.
//!
//! RabbitMQ 4 counts such a look as a delivery, two to five for a cancel, and leaves the count on a message that moves on:
//! a worker then finds it suspect, and from 20 takes it for one that kills (`crash_loop`). Beyond 20, unless a policy
//! says otherwise, it also sends the message on to its work queue early. So seven cancels or more within the wait of one
//! item may cost it a letter; nothing is lost. Rungs are declared as they always were: a queue never changes.

use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::timeout;

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

/// Messages handed to one consumer; for more there is another.
const PREFETCH: u16 = 50_000;

/// How long a message may be on its way.
const QUIET: Duration = Duration::from_secs(1);

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
        // What comes meanwhile is for the next look.
        let mut left = self.count(queue).await?;
        let (mut sessions, mut moving) = (Vec::new(), FuturesUnordered::new());
        while left > 0 {
            if sessions.last().is_none_or(|session: &Session| session.held >= PREFETCH) {
                sessions.push(Session::open(&self.link, queue).await?);
            }
            let session = sessions.last_mut().expect("invariant: one was opened");
            let Some(message) = session.next(queue).await? else {
                // They go to the work queue by themselves, too.
                if self.count(queue).await? == 0 {
                    break;
                }
                continue;
            };
            left -= 1;
            if is_of(batch, &message.data) {
                moving.push(self.move_on(message));
                released.moved += 1;
            } else {
                session.held += 1;
                released.left += 1;
            }
            while moving.len() >= IN_FLIGHT {
                moving.next().await.transpose()?;
            }
            note(*released);
        }
        while moving.next().await.transpose()?.is_some() {}
        drop(moving);
        // All consumers go first, so that nobody is handed what goes back; then the oldest messages go back first, for each
        // is put behind those that went back before.
        for session in &sessions {
            session.cancel(queue).await?;
        }
        for session in sessions {
            session.give_back(queue).await?;
        }
        Ok(())
    }

    /// Counts what nobody has in hand.
    async fn count(&self, queue: &str) -> Result<u32, QueueError> {
        let channel = self.link.channel().await?;
        let options = QueueDeclareOptions::durable().passive();
        let counted = channel.queue_declare(short(queue), options, FieldTable::default()).await;
        Ok(counted.map_err(|error| broker_error(format!("look through {queue}"), error))?.message_count())
    }

    /// Under the key it came by, which names its account.
    async fn move_on(&self, message: Delivery) -> Result<(), QueueError> {
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

/// One consumer, which is handed the messages in their order, and gives back what it holds in their order by being closed.
///
/// Out of order, a message would wait behind one that is to leave hours later, since a queue looks at its first message
/// alone to see whether it has expired.
struct Session {
    channel: Channel,
    consumer: Consumer,
    /// Messages that will go back.
    held: u16,
}

impl Session {
    async fn open(link: &Link, queue: &str) -> Result<Self, QueueError> {
        let failed = |error| broker_error(format!("look through {queue}"), error);
        let channel = link.channel().await?;
        channel.basic_qos(PREFETCH, BasicQosOptions::default()).await.map_err(failed)?;
        let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(short(queue), short(""), options, none).await.map_err(failed)?;
        Ok(Self { channel, consumer, held: 0 })
    }

    /// Waits for the next message, as long as one may be on its way.
    async fn next(&mut self, queue: &str) -> Result<Option<Delivery>, QueueError> {
        match timeout(QUIET, self.consumer.next()).await {
            Ok(Some(Ok(message))) => Ok(Some(message)),
            Ok(Some(Err(error))) => Err(broker_error(format!("look through {queue}"), error)),
            Ok(None) => Err(QueueError::Stale),
            Err(_) => Ok(None),
        }
    }

    async fn cancel(&self, queue: &str) -> Result<(), QueueError> {
        let cancelled = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default()).await;
        cancelled.map_err(|error| broker_error(format!("give back the messages of {queue}"), error))
    }

    async fn give_back(self, queue: &str) -> Result<(), QueueError> {
        let closed = self.channel.close(200, "done".into()).await;
        closed.map_err(|error| broker_error(format!("give back the messages of {queue}"), error))
    }
}

/// A message that cannot be read is of no batch.
fn is_of(batch: &BatchId, body: &[u8]) -> bool {
    Takedown::decode(body).is_ok_and(|takedown| takedown.batch.as_ref() == Some(batch))
}
