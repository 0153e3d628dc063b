//! Counting what waits on the broker, by asking for each queue without creating any.
//!
//! Promise: no message is touched, and a queue that is missing is no error: it holds nothing, and is named.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::Link;
use crate::queue::amqp::fleet::AmqpFleet;
use crate::queue::amqp::message::short;
use crate::queue::amqp::names::Names;
use crate::queue::amqp::topology::is_soft;
use crate::queue::depth::{AccountDepth, Depths};

/// Queues asked for at once over one channel; a missing one ends the channel, and the others of its lot are asked again.
const AT_ONCE: usize = 64;

/// Counts what waits.
pub struct AmqpDepths {
    link: Arc<Link>,
    names: Names,
    rungs: Vec<Duration>,
}

impl AmqpDepths {
    /// Counts over a connection of its own.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Arc::new(Link::open(settings, "depths").await?);
        Ok(Self { link, names: Names::new(settings), rungs: settings.rungs.clone() })
    }

    /// Counts over the connection of a visitor of the fleet, and is closed with it.
    #[must_use]
    pub fn beside(visitor: &AmqpFleet, settings: &AmqpSettings) -> Self {
        Self { link: Arc::clone(&visitor.consume), names: Names::new(settings), rungs: settings.rungs.clone() }
    }

    /// Counts over the connection a worker consumes by.
    pub(super) fn over(link: &Arc<Link>, names: &Names, rungs: &[Duration]) -> Self {
        Self { link: Arc::clone(link), names: names.clone(), rungs: rungs.to_vec() }
    }

    /// Counts; some milliseconds for ten accounts.
    ///
    /// # Errors
    /// [`QueueError::Closed`] and [`QueueError::Broker`], when there is no channel to ask through.
    pub async fn count<'a>(&self, accounts: impl IntoIterator<Item = &'a AccountId>) -> Result<Depths, QueueError> {
        let accounts: Vec<&AccountId> = accounts.into_iter().collect();
        let (names, rungs) = (&self.names, &self.rungs);
        let of_accounts = accounts.iter().flat_map(|account| [names.work(account), names.dead(account)]);
        let of_rungs = rungs.iter().map(|rung| names.retry(*rung));
        let shared = [names.unrouted(), names.results_all(), names.results_log()];
        let queues: Vec<String> = of_accounts.chain(of_rungs).chain(shared).collect();
        let (mut counts, mut depths) = (Vec::with_capacity(queues.len()), Depths::default());
        for lot in queues.chunks(AT_ONCE) {
            counts.extend(self.count_lot(lot, &mut depths.missing).await?);
        }
        let mut counts = counts.into_iter();
        for account in accounts {
            let (work, dead) = (counts.next().flatten(), counts.next().flatten());
            if work.is_some() || dead.is_some() {
                let depth = AccountDepth {
                    work: work.map_or(0, |work| work.messages),
                    dead: dead.map_or(0, |dead| dead.messages),
                    consumers: work.map_or(0, |work| work.consumers),
                };
                depths.accounts.insert(account.clone(), depth);
            }
        }
        let mut next = || counts.next().flatten().map_or(0, |count| count.messages);
        depths.rungs = rungs.iter().map(|rung| (*rung, next())).collect();
        (depths.unrouted, depths.results) = (next(), next());
        Ok(depths)
    }

    async fn count_lot(&self, queues: &[String], missing: &mut Vec<String>) -> Result<Vec<Option<Count>>, QueueError> {
        let channel = self.link.channel().await?;
        let all = join_all(queues.iter().map(|queue| ask(&channel, queue))).await;
        let all: Vec<Option<Count>> = all.into_iter().map(Result::ok).collect();
        if all.iter().all(Option::is_some) {
            close(&channel).await;
            return Ok(all);
        }
        // One that is missing ended the channel under those asked after it.
        let mut counts = Vec::with_capacity(queues.len());
        let mut channel = self.link.channel().await?;
        for queue in queues {
            let count = ask(&channel, queue).await;
            if let Err(error) = &count {
                if is_soft(error, &AMQPSoftError::NOTFOUND) {
                    missing.push(queue.clone());
                }
                channel = self.link.channel().await?;
            }
            counts.push(count.ok());
        }
        close(&channel).await;
        Ok(counts)
    }

    /// Closes the connection, unless it is a visitor's.
    pub async fn close(self) {
        if let Some(link) = Arc::into_inner(self.link) {
            link.close().await;
        }
    }
}

/// What the broker tells of a queue.
#[derive(Debug, Clone, Copy)]
struct Count {
    messages: u64,
    consumers: u32,
}

async fn ask(channel: &Channel, queue: &str) -> lapin::Result<Count> {
    let options = QueueDeclareOptions::durable().passive();
    let looked = channel.queue_declare(short(queue), options, FieldTable::default()).await;
    let count =
        |queue: lapin::Queue| Count { messages: queue.message_count().into(), consumers: queue.consumer_count() };
    looked.map(count)
}

async fn close(channel: &Channel) {
    if let Err(error) = channel.close(200, "counted".into()).await {
        tracing::debug!(%error, "a channel was gone after its queues were counted");
    }
}
