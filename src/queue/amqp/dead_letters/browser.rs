//! A walk through one account's letters, from first to last.

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt, StreamExt};
use lapin::Channel;
use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::topology::require_queue;
use crate::queue::letters::{DeadLetter, Selection};

/// Letters asked for ahead of the answer: a quorum queue takes milliseconds for each, but as long for many at once.
const AHEAD: usize = 32;

/// A letter that is meant, and the message it was read from, without its body.
pub(super) struct Found {
    pub(super) letter: DeadLetter,
    pub(super) message: BasicGetMessage,
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
    channel: Channel,
    queue: String,
    ahead: FuturesOrdered<BoxFuture<'static, lapin::Result<Option<BasicGetMessage>>>>,
    account: AccountId,
    left: Option<u32>,
}

impl Browser {
    pub(super) async fn open(link: &Link, queue: String, account: AccountId) -> Result<Self, QueueError> {
        require_queue(link, &queue).await?;
        let channel = link.channel().await?;
        Ok(Self { channel, queue, ahead: FuturesOrdered::new(), account, left: None })
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
        if self.left == Some(0) {
            return Ok(Step::End);
        }
        let got = self.get().await.map_err(|error| broker_error(format!("read {}", self.queue), error))?;
        let Some(mut message) = got else {
            self.left = Some(0);
            return Ok(Step::End);
        };
        // What arrives meanwhile is for the next look; without this bound a busy queue would have no end.
        self.left = Some(self.left.map_or(message.message_count, |left| left.saturating_sub(1)));
        let body = std::mem::take(&mut message.data);
        let letter = message::read_dead(&self.account, &message.properties, body);
        Ok(if selection.means(&letter) { Step::Meant(Box::new(Found { letter, message })) } else { Step::Other })
    }

    /// Gets messages in their order. What was asked for and is not needed goes back with the rest.
    async fn get(&mut self) -> lapin::Result<Option<BasicGetMessage>> {
        while self.ahead.len() < AHEAD {
            let (channel, queue) = (self.channel.clone(), short(&self.queue));
            self.ahead.push_back(async move { channel.basic_get(queue, BasicGetOptions::default()).await }.boxed());
        }
        self.ahead.next().await.transpose().map(Option::flatten)
    }

    /// Hands back what was not acked.
    pub(super) async fn close(self) -> Result<(), QueueError> {
        drop(self.ahead);
        let closed = self.channel.close(200, "done".into()).await;
        closed.map_err(|error| broker_error(format!("take back the letters of {}", self.queue), error))
    }
}
