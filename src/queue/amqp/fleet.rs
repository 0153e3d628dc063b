//! The line on which replicas hear each other: a fanout exchange, and a queue of its own for each replica.
//!
//! Beats are told over the publishing connection and heard over the consuming one, so that a broker that holds
//! publishers back is noticed: one's own beats stop coming. Promise: within a session beats are heard in the order the
//! broker took them, one's own among them; a new session may have missed some, and so is told apart.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};
use tokio::time::timeout;

use crate::domain::cause::chain;
use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::inbox::Inbox;
use crate::queue::amqp::message::short;
use crate::queue::amqp::names::Names;
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::work_queue::WorkQueue;

/// Beats kept for a replica that does not take them; older ones are dropped, and who lags so far is fenced anyway.
const MAX_WAITING: i64 = 100_000;

/// Longest wait for the broker's answer while a session is opened.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The way to the fleet of one worker's queue.
#[derive(Clone)]
pub struct AmqpFleet {
    pub(super) consume: Arc<Link>,
    pub(super) publish: Arc<Link>,
    pub(super) exchange: String,
    pub(super) inboxes: BTreeMap<AccountId, Arc<Inbox>>,
}

/// One stretch of hearing without a gap.
pub struct FleetSession {
    publish: Channel,
    consume: Channel,
    consumer: Consumer,
    exchange: String,
}

impl AmqpFleet {
    /// Says whether the broker has handed this replica messages of an account since its consumer began: of a queue with
    /// a single active consumer, whether it is this one.
    #[must_use]
    pub fn is_active(&self, account: &AccountId) -> bool {
        self.inboxes.get(account).is_some_and(|inbox| inbox.is_active())
    }

    /// Returns how many messages of an account were handed to this replica and wait for somebody to take them.
    #[must_use]
    pub fn in_hand(&self, account: &AccountId) -> usize {
        self.inboxes.get(account).map_or(0, |inbox| inbox.len())
    }

    /// Changes how many messages of an account are handed out ahead; `judge` is told the number in use and the
    /// largest, which is the one configured, and returns another, or `None` to leave it.
    ///
    /// A new consumer takes the place of the old one, and the newest of those handed out already go back where they are
    /// more. Not for a queue with a single active consumer: it would be another's.
    pub fn resize(&self, account: &AccountId, judge: impl FnOnce(u16, u16) -> Option<u16>) {
        if let Some(inbox) = self.inboxes.get(account) {
            inbox.resize(judge);
        }
    }

    /// Opens a session, trying again until it is open; `None` once the queue is closed.
    ///
    /// # Cancel safety
    /// Safe; a session half opened ends with its channels.
    pub async fn join(&self) -> Option<FleetSession> {
        let mut schedule = Schedule::new();
        loop {
            match timeout(REPLY_TIMEOUT, self.open()).await {
                Ok(Ok(session)) => return Some(session),
                Ok(Err(QueueError::Closed)) => return None,
                Ok(Err(error)) => tracing::warn!(error = %chain(&error), "not in the fleet yet: no calls leave"),
                Err(_) => tracing::warn!("not in the fleet yet: the broker does not answer; no calls leave"),
            }
            schedule.pause().await;
        }
    }

    /// Connects someone who is no replica, to tell and to hear.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] where the exchange is another.
    pub async fn visit(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Arc::new(Link::open(settings, "fleet").await?);
        Topology::new::<WorkQueue>(settings, []).apply_over(&link).await?;
        let (exchange, inboxes) = (Names::new(settings).fleet(), BTreeMap::new());
        Ok(Self { consume: Arc::clone(&link), publish: link, exchange, inboxes })
    }

    /// Closes a visitor's connection.
    pub async fn close(self) {
        self.consume.close().await;
    }

    /// Opens a session, once.
    ///
    /// # Errors
    /// [`QueueError::Closed`] and [`QueueError::Broker`].
    pub async fn open(&self) -> Result<FleetSession, QueueError> {
        let failed = |error| broker_error(format!("join {}", self.exchange), error);
        let (consume, publish) = (self.consume.channel().await?, self.publish.channel().await?);
        let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..QueueDeclareOptions::default() };
        let mut arguments = FieldTable::default();
        // Named, for a virtual host may make another kind the default.
        arguments.insert(short("x-queue-type"), AMQPValue::LongString("classic".into()));
        arguments.insert(short("x-max-length"), AMQPValue::LongLongInt(MAX_WAITING));
        let queue = consume.queue_declare(short(""), options, arguments).await.map_err(failed)?;
        let (name, exchange) = (short(queue.name().as_str()), short(&self.exchange));
        let none = FieldTable::default;
        let bind = QueueBindOptions::default();
        consume.queue_bind(name.clone(), exchange, short(""), bind, none()).await.map_err(failed)?;
        let options = BasicConsumeOptions { no_ack: true, exclusive: true, ..BasicConsumeOptions::default() };
        let consumer = consume.basic_consume(name, short("fleet"), options, none()).await.map_err(failed)?;
        Ok(FleetSession { publish, consume, consumer, exchange: self.exchange.clone() })
    }
}

impl FleetSession {
    /// Tells the fleet, without waiting for the broker: hearing it again is the confirm.
    ///
    /// # Errors
    /// [`QueueError::Broker`]; the session is over.
    pub async fn tell(&self, beat: &[u8]) -> Result<(), QueueError> {
        // An old beat is worse than none.
        let properties = BasicProperties::default().with_content_type("application/json".into());
        let options = BasicPublishOptions::default();
        let told = self.publish.basic_publish(short(&self.exchange), short(""), options, beat, properties).await;
        told.map(drop).map_err(|error| broker_error("tell the fleet", error))
    }

    /// Waits for the next beat, one's own included.
    ///
    /// # Errors
    /// [`QueueError::Broker`] and [`QueueError::Stale`]; the session is over.
    ///
    /// # Cancel safety
    /// Safe: no beat is lost.
    pub async fn hear(&mut self) -> Result<Vec<u8>, QueueError> {
        match self.consumer.next().await {
            Some(Ok(delivery)) => Ok(delivery.data),
            Some(Err(error)) => Err(broker_error("hear the fleet", error)),
            None => Err(QueueError::Stale),
        }
    }

    /// Leaves in order; the broker deletes the queue.
    pub async fn close(self) {
        for channel in [self.consume, self.publish] {
            if let Err(error) = channel.close(200, "done".into()).await {
                tracing::debug!(%error, "a fleet channel was gone already");
            }
        }
    }
}
