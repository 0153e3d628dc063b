//! A walk through one account's letters, from first to last.
//!
//! Letters are consumed and not acked, since asking for each by itself takes a quorum queue more than a millisecond; what
//! was not acked goes back, in its order, when the channels close. A channel is given so many letters that nobody has
//! looked at, and no more: the walk opens another one then, and holds no body of what it has passed.

use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::SelectAll;
use lapin::message::Delivery;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::time::{Instant, sleep, timeout};

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::topology::require_queue;
use crate::queue::letters::{DeadLetter, Seen, Selection};

/// Letters a channel holds; and so the most bodies that wait to be looked at.
const WINDOW: u16 = 1000;

/// Without a letter for so long, the walk asks whether there are any: another one may hold them.
const QUIET: Duration = Duration::from_secs(1);

/// Without a letter for so long although there are some, something is wrong.
const PATIENCE: Duration = Duration::from_secs(30);

/// Longest wait for others to let go of what they have in hand: a look is over soon, a replay is not.
const COURTESY: Duration = Duration::from_secs(1);

/// Longest wait for what was let go to be back in the queue, so that whoever looks next sees it.
const RETURN: Duration = Duration::from_secs(1);

/// A letter that is meant, and the message it was read from, without its body.
pub(super) struct Found {
    pub(super) letter: DeadLetter,
    pub(super) message: Delivery,
}

/// What was met.
pub(super) enum Step {
    /// A letter that is meant.
    Meant(Box<Found>),
    /// Another one.
    Other,
    /// The end.
    End,
}

/// Walks through one account's letters; only those that are meant are kept in memory.
pub(super) struct Browser {
    link: Arc<Link>,
    /// For questions about the queue.
    desk: Channel,
    channels: Vec<Channel>,
    letters: SelectAll<Consumer>,
    tags: Vec<lapin::types::ShortString>,
    queue: String,
    account: AccountId,
    /// Letters there were to begin with. What arrives meanwhile is for the next look; without this bound a busy queue
    /// would have no end.
    count: u64,
    seen: u64,
    acked: u64,
    /// Whether others had letters in hand.
    met: Seen,
}

/// What a queue tells of itself.
struct Standing {
    /// Letters nobody has in hand.
    ready: u64,
    /// Who may have the others; with a consumer that has gone, what it had in hand is back.
    consumers: u32,
}

impl Browser {
    pub(super) async fn open(link: &Arc<Link>, queue: String, account: AccountId) -> Result<Self, QueueError> {
        require_queue(link, &queue).await?;
        let (link, desk) = (Arc::clone(link), link.channel().await?);
        let (channels, letters, tags) = (Vec::new(), SelectAll::new(), Vec::new());
        let (count, seen, acked, met) = (0, 0, 0, Seen::All);
        let mut browser = Self { link, desk, channels, letters, tags, queue, account, count, seen, acked, met };
        let (mut standing, until) = (browser.standing().await?, Instant::now() + COURTESY);
        while standing.consumers > 0 && Instant::now() < until {
            sleep(Duration::from_millis(20)).await;
            standing = browser.standing().await?;
        }
        if standing.consumers > 0 {
            browser.met = Seen::NotAll;
        }
        browser.count = standing.ready;
        Ok(browser)
    }

    /// Says whether the walk, once it is over, has seen every letter there was.
    pub(super) fn met(&self) -> Seen {
        self.met
    }

    /// Finds the next letter that is meant.
    pub(super) async fn next(&mut self, selection: &Selection) -> Result<Option<Found>, QueueError> {
        loop {
            match self.step(selection).await? {
                Step::Meant(found) => return Ok(Some(*found)),
                Step::Other => {}
                Step::End => return Ok(None),
            }
        }
    }

    /// Looks at the next letter.
    pub(super) async fn step(&mut self, selection: &Selection) -> Result<Step, QueueError> {
        let Some(mut message) = self.get().await? else {
            // Somebody took what was counted.
            if self.seen < self.count {
                (self.count, self.met) = (self.seen, Seen::NotAll);
            }
            return Ok(Step::End);
        };
        self.seen += 1;
        let body = std::mem::take(&mut message.data);
        let letter = message::read_dead(&self.account, &message.properties, body);
        Ok(if selection.means(&letter) { Step::Meant(Box::new(Found { letter, message })) } else { Step::Other })
    }

    /// Notes that so many letters were acked: their channels have room for others.
    pub(super) fn note_acked(&mut self, count: u64) {
        self.acked += count;
    }

    async fn get(&mut self) -> Result<Option<Delivery>, QueueError> {
        let until = Instant::now() + PATIENCE;
        while self.seen < self.count {
            if self.seen - self.acked >= u64::from(WINDOW) * self.channels.len() as u64 {
                self.consume().await?;
            }
            match timeout(QUIET, self.letters.next()).await {
                Ok(Some(message)) => return message.map(Some).map_err(|error| self.failed(error)),
                Ok(None) => return Err(QueueError::Stale),
                Err(_) if self.standing().await?.ready == 0 => return Ok(None),
                Err(late) if Instant::now() >= until => return Err(self.failed(late)),
                Err(_) => {}
            }
        }
        Ok(None)
    }

    /// Opens another channel, for so many letters more.
    async fn consume(&mut self) -> Result<(), QueueError> {
        let channel = self.link.channel().await?;
        let opened = async {
            channel.basic_qos(WINDOW, BasicQosOptions::default()).await?;
            let options = BasicConsumeOptions::default();
            channel.basic_consume(short(&self.queue), short(""), options, FieldTable::default()).await
        };
        let consumer = opened.await.map_err(|error| self.failed(error))?;
        self.tags.push(consumer.tag());
        self.letters.push(consumer);
        self.channels.push(channel);
        Ok(())
    }

    async fn standing(&self) -> Result<Standing, QueueError> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let declared = self.desk.queue_declare(short(&self.queue), options, FieldTable::default()).await;
        let declared = declared.map_err(|error| self.failed(error))?;
        Ok(Standing { ready: declared.message_count().into(), consumers: declared.consumer_count() })
    }

    /// Hands back what was not acked. All channels are told first to take no more, or one would take what another lets go.
    pub(super) async fn close(mut self) -> Result<(), QueueError> {
        for (channel, tag) in self.channels.iter().zip(&self.tags) {
            let cancelled = channel.basic_cancel(tag.clone(), BasicCancelOptions::default()).await;
            cancelled.map_err(|error| self.failed(error))?;
        }
        for channel in std::mem::take(&mut self.channels) {
            channel.close(200, "done".into()).await.map_err(|error| self.failed(error))?;
        }
        let (held, until) = (self.seen.saturating_sub(self.acked), Instant::now() + RETURN);
        while self.standing().await?.ready < held && Instant::now() < until {
            sleep(Duration::from_millis(5)).await;
        }
        self.desk.close(200, "done".into()).await.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: impl std::error::Error + Send + Sync + 'static) -> QueueError {
        broker_error(format!("read {}", self.queue), error)
    }
}
