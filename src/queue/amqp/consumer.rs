//! Consumers, one an account, each under a supervisor that outlives channels and connections.
//!
//! Promise: a delivery is acked on the channel it came by or not at all, and one that is dropped unsettled goes back.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use futures_util::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Acker, BasicProperties, Channel, Consumer};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;
use crate::domain::cause::chain;
use crate::domain::classify::Redelivery;
use crate::domain::ids::AccountId;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::inbox::Inbox;
use crate::queue::amqp::message::{read_envelope, short};
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::work_queue::Consumers;
use crate::queue::{Delivery, QueueError, Receipt};

/// How often a consumer that seems idle is compared with its queue.
const PROBE_INTERVAL: Duration = Duration::from_secs(15);

/// Longest wait for the broker's answer to a probe or a cancel.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// A delivery's way back: its acker, which is bound to its channel, and what it came with.
///
/// Dropped unsettled, it hands the message back.
pub(crate) struct Tag {
    acker: Option<Acker>,
    number: u64,
    // A channel closes, and with it every delivery returns, when its last handle is gone.
    session: Arc<Session>,
    pub(super) properties: BasicProperties,
    pub(super) received_at: SystemTime,
}

/// One channel with one consumer.
#[derive(Debug)]
struct Session {
    channel: Channel,
}

impl Tag {
    /// Says whether the message can still be acked.
    pub(crate) fn is_usable(&self) -> bool {
        self.acker.as_ref().is_some_and(Acker::usable)
    }

    /// Returns when it was handed to this process.
    pub(crate) fn received_at(&self) -> SystemTime {
        self.received_at
    }

    /// Acks; `Ok` means that the ack is on its way to the broker.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the channel is gone.
    pub(super) async fn ack(self) -> Result<(), QueueError> {
        Self::ack_all(vec![self]).await.pop().unwrap_or(Err(QueueError::Stale))
    }

    /// Acks many at once, each as above.
    pub(super) async fn ack_all(mut tags: Vec<Self>) -> Vec<Result<(), QueueError>> {
        // Whatever comes now, none of them goes back as well.
        let take = |tag: &mut Self| tag.acker.take().expect("invariant: a tag that is held was not settled");
        let ackers: Vec<Acker> = tags.iter_mut().map(take).collect();
        let held = tags.iter().zip(&ackers).map(|(tag, acker)| (&tag.session.channel, tag.number, acker));
        let acked = acker::ack_all(&held.collect::<Vec<_>>()).await;
        acked.into_iter().map(|is_acked| settled(Ok(is_acked))).collect()
    }

    /// Hands the message back at once.
    ///
    /// # Errors
    /// [`QueueError::Stale`] when the channel is gone; the message is back all the same.
    pub(super) async fn give_back(mut self) -> Result<(), QueueError> {
        let acker = self.acker.take().ok_or(QueueError::Stale)?;
        settled(acker::give_back(&acker).await)
    }
}

/// `Ok(false)` is lapin's word for an acker whose channel is gone: nothing was acked.
fn settled(result: lapin::Result<bool>) -> Result<(), QueueError> {
    if result.is_ok_and(|is_sent| is_sent) { Ok(()) } else { Err(QueueError::Stale) }
}

impl Drop for Tag {
    fn drop(&mut self) {
        let Some(acker) = self.acker.take().filter(Acker::usable) else { return };
        // Without a runtime the process is ending, and the connection's end returns the message.
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let session = Arc::clone(&self.session);
            runtime.spawn(async move {
                if let Err(error) = settled(acker::give_back(&acker).await) {
                    tracing::debug!(%error, channel = session.channel.id(), "a dropped delivery returns with its channel");
                }
            });
        }
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tag").field("channel", &self.session.channel.id()).finish_non_exhaustive()
    }
}

/// How a session ended.
enum End {
    /// On purpose.
    Stopped,
    /// The broker took the consumer away and left the channel.
    Cancelled,
    /// By a fault.
    Broken(String),
}

/// Keeps one account's consumer at work until it is stopped.
pub(super) struct Supervisor {
    pub(super) account: AccountId,
    pub(super) queue: String,
    pub(super) consumers: Consumers,
    pub(super) topology: Topology,
    pub(super) link: Arc<Link>,
    pub(super) inbox: Arc<Inbox>,
    pub(super) stop: CancellationToken,
}

impl Supervisor {
    /// Consumes, and begins anew whatever ends a session: the connection, the channel, the queue, the broker's whim.
    pub(super) async fn run(self) {
        let mut schedule = Schedule::new();
        while !self.stop.is_cancelled() {
            let opened = tokio::select! {
                () = self.stop.cancelled() => return,
                opened = self.open() => opened,
            };
            let end = match opened {
                Ok((session, consumer)) => {
                    let began = Instant::now();
                    self.inbox.began();
                    let end = self.consume(&session, consumer).await;
                    self.inbox.ended();
                    // A queue that was deleted takes nothing back: what is in hand is all that is left of it.
                    if !(matches!(end, End::Cancelled) && session.channel.status().connected()) {
                        self.inbox.give_back(0).await;
                    }
                    schedule.note_uptime(began.elapsed());
                    end
                }
                Err(QueueError::Closed) => return,
                Err(error) => End::Broken(chain(&error)),
            };
            let cause = match end {
                End::Stopped => return,
                End::Cancelled => "the broker cancelled the consumer (queue deleted or moved)".to_owned(),
                End::Broken(cause) => cause,
            };
            tracing::warn!(account.id = %self.account, queue = %self.queue, %cause, "consuming begins anew");
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = schedule.pause() => {}
            }
        }
    }

    /// The topology is applied again each time: whatever was deleted, or lost with a broker's disk, is back first.
    async fn open(&self) -> Result<(Arc<Session>, Consumer), QueueError> {
        self.topology.apply_over(&self.link).await?;
        let channel = self.link.channel().await?;
        let opened = self.subscribe(&channel, self.account.as_str(), self.inbox.prefetch()).await;
        let consumer = opened.map_err(|error| broker_error(format!("consume {}", self.queue), error))?;
        Ok((Arc::new(Session { channel }), consumer))
    }

    async fn subscribe(&self, channel: &Channel, tag: &str, prefetch: u16) -> lapin::Result<Consumer> {
        channel.basic_qos(prefetch, BasicQosOptions { global: false }).await?;
        let options = BasicConsumeOptions::default();
        channel.basic_consume(short(&self.queue), short(tag), options, FieldTable::default()).await
    }

    /// Pumps deliveries until the session ends.
    async fn consume(&self, session: &Arc<Session>, mut consumer: Consumer) -> End {
        let mut probe = interval(PROBE_INTERVAL);
        probe.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut idle = Idle::default();
        let (mut prefetch, mut successors) = (self.inbox.prefetch(), 0u64);
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    self.cancel(session, consumer).await;
                    return End::Stopped;
                }
                item = consumer.next() => match item {
                    Some(Ok(delivery)) => {
                        idle.saw_delivery();
                        self.inbox.push(self.take(session, delivery));
                    }
                    Some(Err(error)) => return End::Broken(chain(&error)),
                    None => return End::Cancelled,
                },
                wanted = self.inbox.resized_from(prefetch) => {
                    successors += 1;
                    consumer = match self.replace(session, consumer, wanted, successors).await {
                        Ok(successor) => successor,
                        Err(problem) => return End::Broken(problem),
                    };
                    prefetch = wanted;
                }
                _ = probe.tick() => {
                    let ready = match self.ready_messages(session).await {
                        Ok(ready) => ready,
                        Err(problem) => return End::Broken(problem),
                    };
                    // One that stands by for another is handed nothing.
                    let is_served = self.consumers == Consumers::Competing || self.inbox.is_active();
                    if is_served && idle.is_stalled(ready, in_hand(session)) {
                        return End::Broken(format!("stalled: {ready} messages wait and none is handed out"));
                    }
                }
            }
        }
    }

    /// Puts a consumer with another prefetch in the place of this one, on the same channel, so that what is in hand can
    /// still be acked; the newest of the untouched that are now too many go back.
    ///
    /// RabbitMQ applies a changed prefetch to new consumers only (rabbitmq.com/docs/consumer-prefetch), and quorum
    /// queues know no prefetch of a whole channel. The tag is another each time: what the old one was handed is still
    /// charged to its tag.
    async fn replace(
        &self,
        session: &Arc<Session>,
        mut old: Consumer,
        prefetch: u16,
        number: u64,
    ) -> Result<Consumer, String> {
        let replaced = timeout(REPLY_TIMEOUT, async {
            session.channel.basic_cancel(old.tag(), BasicCancelOptions::default()).await?;
            while let Some(item) = old.next().await {
                self.inbox.push(self.take(session, item?));
            }
            let in_work = in_hand(session).saturating_sub(self.inbox.len());
            self.inbox.give_back(usize::from(prefetch).saturating_sub(in_work)).await;
            self.subscribe(&session.channel, &format!("{}-{number}", self.account), prefetch).await
        });
        match replaced.await {
            Ok(Ok(successor)) => {
                tracing::info!(account.id = %self.account, prefetch, "the prefetch follows the share");
                Ok(successor)
            }
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the channel does not answer".into()),
        }
    }

    /// Also proves that the channel still answers.
    async fn ready_messages(&self, session: &Session) -> Result<u32, String> {
        let options = QueueDeclareOptions::durable().passive();
        let asked = session.channel.queue_declare(short(&self.queue), options, FieldTable::default());
        match timeout(REPLY_TIMEOUT, asked).await {
            Ok(Ok(queue)) => Ok(queue.message_count()),
            Ok(Err(error)) => Err(chain(&error)),
            Err(_) => Err("the channel does not answer".into()),
        }
    }

    /// Takes no more and hands back the untouched; the channel stays for what is in hand.
    async fn cancel(&self, session: &Session, mut consumer: Consumer) {
        let cancelled = timeout(REPLY_TIMEOUT, async {
            session.channel.basic_cancel(consumer.tag(), BasicCancelOptions::default()).await?;
            while let Some(item) = consumer.next().await {
                acker::give_back(&item?.acker).await?;
            }
            lapin::Result::Ok(())
        });
        match cancelled.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::debug!(account.id = %self.account, %error, "the consumer was gone already"),
            Err(_) => tracing::warn!(account.id = %self.account, "the broker did not confirm the consumer's end"),
        }
    }

    fn take(&self, session: &Arc<Session>, delivery: lapin::message::Delivery) -> Delivery {
        let redelivery = if delivery.redelivered { Redelivery::Again } else { Redelivery::First };
        Delivery {
            envelope: Box::new(read_envelope(&self.account, &delivery.properties, redelivery)),
            body: delivery.data,
            told_in: None,
            receipt: Receipt::Amqp(Box::new(Tag {
                acker: Some(delivery.acker),
                number: delivery.delivery_tag,
                session: Arc::clone(session),
                properties: delivery.properties,
                received_at: Moment::now().later(),
            })),
        }
    }
}

/// Counts deliveries that are not settled: each holds the session, and so does the supervisor.
fn in_hand(session: &Arc<Session>) -> usize {
    Arc::strong_count(session) - 1
}

/// Finds a consumer that is handed nothing although messages wait: twice in a row, with nothing in hand.
#[derive(Debug, Default)]
struct Idle {
    suspicions: u32,
}

impl Idle {
    fn saw_delivery(&mut self) {
        self.suspicions = 0;
    }

    fn is_stalled(&mut self, ready: u32, in_hand: usize) -> bool {
        self.suspicions = if ready > 0 && in_hand == 0 { self.suspicions + 1 } else { 0 };
        self.suspicions > 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_waiting_messages_and_empty_hands_twice_in_a_row_are_a_stall() {
        let mut idle = Idle::default();
        assert!(!idle.is_stalled(5, 0), "once may be the moment before a delivery");
        assert!(idle.is_stalled(5, 0));
        idle.saw_delivery();
        assert!(!idle.is_stalled(5, 0));
        assert!(!idle.is_stalled(5, 1), "the prefetch may be used up");
        assert!(!idle.is_stalled(5, 0));
        assert!(!idle.is_stalled(0, 0));
    }
}
