//! Many messages at once over one channel, for who hands them over by the hundred and hears of all together.
//!
//! Promise: `Ok` means that the broker has taken every one into a queue.

use tokio::time::{Instant, timeout_at};

use crate::domain::cause::chain;
use crate::queue::QueueError;
use crate::queue::amqp::flight::{Flight, Landing, Ready};
use crate::queue::amqp::message::short;
use crate::queue::amqp::publisher::Publisher;
use crate::queue::amqp::schedule::Schedule;

/// Messages for one exchange.
pub(super) struct Group<'a, M> {
    pub(super) exchange: &'a str,
    pub(super) count: usize,
    /// Makes a message by its number; once more, if it must be sent again.
    pub(super) make: M,
}

impl<M: Fn(usize) -> Ready<Vec<u8>>> Group<'_, M> {
    /// Publishes them in their order and waits for every confirm. A lost connection is waited for, and what was not
    /// confirmed sent again; the confirm time-out begins anew with each that is.
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
        let exchange = short(self.exchange);
        let late = || self.failed(publisher.unconfirmed());
        let patience = publisher.confirm_timeout();
        let mut deadline = Instant::now() + patience;
        let mut schedule = Schedule::new();
        let mut left: Vec<usize> = (0..self.count).collect();
        loop {
            match timeout_at(deadline, publisher.channel()).await.map_err(|_| late())? {
                Ok(channel) => {
                    let mut flight =
                        Flight::launch(&channel, &exchange, left.iter().map(|number| (self.make)(*number)));
                    if !flight.within(patience).await {
                        return Err(late());
                    }
                    let landed = flight.landed(|number, returned| (self.make)(left[number]).is_like(returned));
                    let before = left.len();
                    left = self.lost(&left, landed)?;
                    if left.is_empty() {
                        publisher.put_back(channel);
                        return Ok(());
                    }
                    if left.len() < before {
                        deadline = Instant::now() + patience;
                    }
                }
                Err(error @ QueueError::Broker { .. }) => {
                    tracing::debug!(exchange = %self.exchange, error = %chain(&error), "no channel to publish on");
                }
                Err(error) => return Err(error),
            }
            timeout_at(deadline, schedule.pause()).await.map_err(|_| late())?;
        }
    }

    /// Returns those the connection was lost under, unless one was refused.
    fn lost(&self, sent: &[usize], landed: Vec<(usize, Landing)>) -> Result<Vec<usize>, QueueError> {
        let mut lost = Vec::new();
        for (number, landing) in landed {
            match landing {
                Landing::Taken => {}
                Landing::Refused(problem) | Landing::Cut(problem) => return Err(self.failed(problem)),
                Landing::Lost => lost.push(sent[number]),
            }
        }
        Ok(lost)
    }

    fn failed(&self, problem: String) -> QueueError {
        QueueError::Publish { exchange: self.exchange.to_owned(), problem }
    }
}
