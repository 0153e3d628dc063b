//! Many messages at once over one channel, for who hands them over by the hundred and hears of all together.
//!
//! Promise: `Ok` means that the broker has taken every one into a queue. RabbitMQ returns an unroutable message before it
//! confirms it, and lapin hands what was returned to whichever confirm of the channel comes next. A group has its channel
//! to itself and waits for all its confirms, so that none of its own returns escapes it, and none of others reaches it.

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::options::BasicPublishOptions;
use lapin::types::ShortString;
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::time::{Instant, timeout_at};

use crate::domain::cause::chain;
use crate::queue::QueueError;
use crate::queue::amqp::message::short;
use crate::queue::amqp::publisher::Publisher;
use crate::queue::amqp::schedule::Schedule;

/// One message, made when it is sent.
pub(super) struct Ready {
    pub(super) routing_key: ShortString,
    pub(super) properties: BasicProperties,
    pub(super) body: Vec<u8>,
}

/// Messages for one exchange.
pub(super) struct Group<'a, M> {
    pub(super) exchange: &'a str,
    pub(super) count: usize,
    /// Makes a message by its number; once more, if it must be sent again.
    pub(super) make: M,
}

impl<M: Fn(usize) -> Ready> Group<'_, M> {
    /// Publishes them in their order and waits for every confirm. A lost connection is waited for, and what was not
    /// confirmed sent again; the confirm time-out begins anew with each confirm.
    ///
    /// # Errors
    /// [`QueueError::Publish`] on a nack, a return or the time-out; some may be in the queue then.
    pub(super) async fn publish(&self, publisher: &Publisher) -> Result<(), QueueError> {
        let result = self.publish_until_settled(publisher).await;
        publisher.note(&result);
        result
    }

    async fn publish_until_settled(&self, publisher: &Publisher) -> Result<(), QueueError> {
        let _slot = publisher.slot().await?;
        let late = || self.failed(publisher.unconfirmed());
        let mut deadline = Deadline::new(publisher);
        let mut schedule = Schedule::new();
        let mut left: Vec<usize> = (0..self.count).collect();
        while !left.is_empty() {
            match timeout_at(deadline.at, publisher.channel()).await.map_err(|_| late())? {
                Ok(channel) => {
                    left = self.publish_on(&channel, left, &mut deadline).await?.ok_or_else(late)?;
                    if left.is_empty() {
                        publisher.put_back(channel);
                        break;
                    }
                }
                Err(error @ QueueError::Broker { .. }) => {
                    tracing::debug!(exchange = %self.exchange, error = %chain(&error), "no channel to publish on");
                }
                Err(error) => return Err(error),
            }
            timeout_at(deadline.at, schedule.pause()).await.map_err(|_| late())?;
        }
        Ok(())
    }

    /// Returns what was not confirmed because the connection was lost; `None` when no confirm comes in time.
    async fn publish_on(
        &self,
        channel: &Channel,
        numbers: Vec<usize>,
        deadline: &mut Deadline,
    ) -> Result<Option<Vec<usize>>, QueueError> {
        let exchange = short(self.exchange);
        let mut confirms: FuturesUnordered<_> = numbers
            .into_iter()
            .map(|number| {
                let (message, exchange) = ((self.make)(number), exchange.clone());
                async move { (number, publish(channel, exchange, message).await) }
            })
            .collect();
        let mut left = Vec::new();
        loop {
            let Ok(next) = timeout_at(deadline.at, confirms.next()).await else { return Ok(None) };
            match next {
                None => return Ok(Some(left)),
                Some((_, Ok(Confirmation::Ack(None)))) => deadline.renew(),
                Some((_, Ok(Confirmation::Ack(Some(returned)) | Confirmation::Nack(Some(returned))))) => {
                    return Err(self.failed(format!("returned as unroutable: {}", returned.reply_text)));
                }
                Some((_, Ok(Confirmation::Nack(None)))) => {
                    return Err(self.failed("refused by the broker (nack)".into()));
                }
                Some((_, Ok(Confirmation::NotRequested))) => {
                    return Err(self.failed("the channel does not confirm".into()));
                }
                Some((_, Err(error))) if error.is_amqp_soft_error() => return Err(self.failed(chain(&error))),
                Some((number, Err(error))) => {
                    tracing::debug!(exchange = %self.exchange, %error, "publishing again after a lost connection");
                    left.push(number);
                }
            }
        }
    }

    fn failed(&self, problem: String) -> QueueError {
        QueueError::Publish { exchange: self.exchange.to_owned(), problem }
    }
}

async fn publish(channel: &Channel, exchange: ShortString, message: Ready) -> lapin::Result<Confirmation> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    let Ready { routing_key, properties, body } = message;
    let confirm = channel.basic_publish(exchange, routing_key, options, &body, properties).await?;
    #[cfg(feature = "fault-points")]
    crate::queue::amqp::publisher::die_if_published(channel).await?;
    confirm.await
}

/// Until when the next confirm must come.
struct Deadline {
    at: Instant,
    patience: std::time::Duration,
}

impl Deadline {
    fn new(publisher: &Publisher) -> Self {
        let patience = publisher.confirm_timeout();
        Self { at: Instant::now() + patience, patience }
    }

    fn renew(&mut self) {
        self.at = Instant::now() + self.patience;
    }
}
