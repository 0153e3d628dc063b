//! Dead letters on the broker: looking without removing, replay, purge.
//!
//! Letters are fetched one by one without an ack; what is left goes back when the channel closes, also after a kill -9.
//! Promise: a letter leaves only after its replay is confirmed, or purged; the others keep their order.

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesOrdered, FuturesUnordered};
use futures_util::{FutureExt, StreamExt};
use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;
use lapin::{Acker, Channel};

use crate::domain::ids::AccountId;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{IN_FLIGHT, Outgoing, Publisher};
use crate::queue::amqp::topology::require_queue;
use crate::queue::{DeadLetter, DeadLetterFilter, DeadLetters, QueueError};

/// Letters asked for ahead of the answer: a quorum queue takes milliseconds for each, but as long for many at once.
const AHEAD: usize = 32;

/// The dead-letter queues, worked through account by account, each oldest first.
pub struct AmqpDeadLetters {
    link: Link,
    publisher: Publisher,
    names: Names,
    accounts: Vec<AccountId>,
}

impl AmqpDeadLetters {
    /// Connects; `accounts` is every account whose letters an empty filter means.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn connect(settings: &AmqpSettings, accounts: Vec<AccountId>) -> Result<Self, QueueError> {
        let link = Link::open(settings, "dead letters").await?;
        let publisher = Publisher::open(settings).await?;
        Ok(Self { link, publisher, names: Names::new(settings), accounts })
    }

    fn accounts<'a>(&'a self, filter: &'a DeadLetterFilter) -> &'a [AccountId] {
        if filter.accounts.is_empty() { &self.accounts } else { &filter.accounts }
    }

    /// Puts one letter back to work and acks it once that is confirmed.
    async fn replay_one(&self, account: &AccountId, letter: Found) -> Result<(), QueueError> {
        let Found { letter, message } = letter;
        let outgoing = Outgoing {
            exchange: self.names.work_exchange(),
            routing_key: account.to_string(),
            properties: message::successor(&message.properties, &letter.envelope.replayed()),
            body: &letter.body,
        };
        self.publisher.publish(&outgoing, || message.acker.usable()).await?;
        ack(&message.acker).await
    }
}

impl DeadLetters for AmqpDeadLetters {
    async fn list(&self, filter: &DeadLetterFilter) -> Result<Vec<DeadLetter>, QueueError> {
        let mut letters = Vec::new();
        for account in self.accounts(filter) {
            let mut browser = Browser::open(self, account, filter, letters.len()).await?;
            while let Some(found) = browser.next().await? {
                letters.push(found.letter);
            }
            browser.close().await?;
        }
        Ok(letters)
    }

    async fn replay(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        let mut count = 0;
        for account in self.accounts(filter) {
            require_queue(&self.link, &self.names.work(account)).await?;
            let mut browser = Browser::open(self, account, filter, count).await?;
            let mut in_flight = FuturesUnordered::new();
            while let Some(found) = browser.next().await? {
                in_flight.push(self.replay_one(account, found));
                while in_flight.len() >= IN_FLIGHT {
                    in_flight.next().await.transpose()?;
                }
            }
            while in_flight.next().await.transpose()?.is_some() {}
            drop(in_flight);
            count = browser.taken;
            browser.close().await?;
        }
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }

    async fn purge(&self, filter: &DeadLetterFilter) -> Result<u64, QueueError> {
        let mut count = 0;
        for account in self.accounts(filter) {
            let mut browser = Browser::open(self, account, filter, count).await?;
            while let Some(found) = browser.next().await? {
                ack(&found.message.acker).await?;
            }
            count = browser.taken;
            browser.close().await?;
        }
        Ok(u64::try_from(count).unwrap_or(u64::MAX))
    }
}

/// A letter that matches, and the message it was read from, without its body.
struct Found {
    letter: DeadLetter,
    message: BasicGetMessage,
}

/// Walks through one account's letters; only those that match are kept in memory.
struct Browser<'a> {
    channel: Channel,
    queue: String,
    ahead: FuturesOrdered<BoxFuture<'static, lapin::Result<Option<BasicGetMessage>>>>,
    account: &'a AccountId,
    filter: &'a DeadLetterFilter,
    taken: usize,
    left: Option<u32>,
    has_passed_returned: bool,
}

impl<'a> Browser<'a> {
    async fn open(
        letters: &AmqpDeadLetters,
        account: &'a AccountId,
        filter: &'a DeadLetterFilter,
        taken: usize,
    ) -> Result<Self, QueueError> {
        let queue = letters.names.dead(account);
        require_queue(&letters.link, &queue).await?;
        let channel = letters.link.channel().await?;
        let ahead = FuturesOrdered::new();
        Ok(Self { channel, queue, ahead, account, filter, taken, left: None, has_passed_returned: false })
    }

    /// Finds the next letter that matches.
    async fn next(&mut self) -> Result<Option<Found>, QueueError> {
        while !self.is_done() {
            let got = self.get().await.map_err(|error| broker_error(format!("read {}", self.queue), error))?;
            let Some(mut message) = got else {
                self.left = Some(0);
                break;
            };
            // What arrives meanwhile is for the next look; without this bound a busy queue would have no end.
            self.left = Some(self.left.map_or(message.message_count, |left| left.saturating_sub(1)));
            self.has_passed_returned |= !message.redelivered;
            if self.is_full() {
                continue;
            }
            let body = std::mem::take(&mut message.data);
            let letter = message::read_dead(self.account, &message.properties, body);
            if is_meant(self.filter, &letter) {
                self.taken += 1;
                return Ok(Some(Found { letter, message }));
            }
        }
        Ok(None)
    }

    /// Gets messages in their order. What was asked for and is not needed goes back with the rest.
    async fn get(&mut self) -> lapin::Result<Option<BasicGetMessage>> {
        while self.ahead.len() < AHEAD {
            let (channel, queue) = (self.channel.clone(), short(&self.queue));
            self.ahead.push_back(async move { channel.basic_get(queue, BasicGetOptions::default()).await }.boxed());
        }
        self.ahead.next().await.transpose().map(Option::flatten)
    }

    fn is_full(&self) -> bool {
        self.filter.limit.is_some_and(|limit| self.taken >= limit)
    }

    /// A quorum queue serves returned messages first and appends newly returned ones to them: stopping among them would
    /// turn their order round. So a full browser goes on until it meets one that nobody has looked at.
    fn is_done(&self) -> bool {
        let has_started = self.left.is_some();
        self.left == Some(0) || self.is_full() && (self.has_passed_returned || !has_started)
    }

    /// Hands back what was not acked.
    async fn close(self) -> Result<(), QueueError> {
        drop(self.ahead);
        let closed = self.channel.close(200, "done".into()).await;
        closed.map_err(|error| broker_error(format!("take back the letters of {}", self.queue), error))
    }
}

async fn ack(acker: &Acker) -> Result<(), QueueError> {
    match acker::ack(acker).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(QueueError::Stale),
        Err(error) => Err(broker_error("ack a dead letter", error)),
    }
}

fn is_meant(filter: &DeadLetterFilter, letter: &DeadLetter) -> bool {
    filter.reason.is_none_or(|reason| reason == letter.reason)
        && filter.code.as_deref().is_none_or(|code| letter.outcome.gateway_code.as_deref() == Some(code))
        && filter.id.as_ref().is_none_or(|id| id.as_str() == letter.id)
}
