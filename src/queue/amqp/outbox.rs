//! Outcomes that leave together: published over one channel, and their deliveries acked in one go once that is confirmed.
//!
//! The first leaves at once; those that come while enough groups are on their way are the next group. Promise: a delivery
//! is acked only once its own outcome is confirmed. What becomes of one is no other's: one that is refused comes back to
//! who handed it over, and nobody waits long for one whose confirm does not come.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use lapin::Channel;
use lapin::types::ShortString;
use tokio::sync::{SemaphorePermit, mpsc, oneshot};
use tokio::task::yield_now;
use tokio::time::{Instant, timeout};

use crate::queue::QueueError;
use crate::queue::amqp::consumer::Tag;
use crate::queue::amqp::flight::{Flight, Landing, Ready};
use crate::queue::amqp::message::short;
use crate::queue::amqp::publisher::Publisher;

/// Groups on their way at once: while the broker writes one down, the next gathers. More are smaller, and cost more.
const GROUPS: usize = 2;

/// Most outcomes of a group.
const MOST: usize = 256;

/// How long the confirmed wait for others of their group, and all of them for a channel.
const PATIENCE: Duration = Duration::from_millis(500);

/// Takes outcomes in.
pub(super) struct Outbox(mpsc::UnboundedSender<Leaving>);

/// An outcome to be told, and the delivery that ends with it.
struct Leaving {
    tag: Box<Tag>,
    message: Box<Ready<Bytes>>,
    told: oneshot::Sender<Departed>,
}

/// What became of a delivery.
pub(super) enum End {
    /// Its outcome is in a queue, and it was acked; not if its channel is gone.
    Told(Result<(), QueueError>),
    /// Its outcome was not confirmed.
    Failed(Box<Tag>, QueueError),
}

/// What became of a delivery in a group.
pub(super) enum Departed {
    Ended(End),
    /// The connection or the channel was lost, or there is none.
    Lost(Box<Tag>, Box<Ready<Bytes>>),
}

impl Outbox {
    /// Opens one for an exchange; what is handed over leaves while the other half runs.
    pub(super) fn open(publisher: Arc<Publisher>, exchange: String) -> (Self, Departures) {
        let (sender, waiting) = mpsc::unbounded_channel();
        (Self(sender), Departures { way: Way { publisher, name: short(&exchange), exchange }, waiting })
    }

    /// Publishes an outcome and acks its delivery.
    ///
    /// # Errors
    /// [`QueueError::Closed`]; the delivery goes back.
    pub(super) async fn tell(&self, tag: Box<Tag>, message: Box<Ready<Bytes>>) -> Result<Departed, QueueError> {
        let (sender, told) = oneshot::channel();
        self.0.send(Leaving { tag, message, told: sender }).map_err(|_| QueueError::Closed)?;
        told.await.map_err(|_| QueueError::Closed)
    }
}

/// Sends groups on their way.
pub(super) struct Departures {
    way: Way,
    waiting: mpsc::UnboundedReceiver<Leaving>,
}

struct Way {
    publisher: Arc<Publisher>,
    exchange: String,
    name: ShortString,
}

/// A group on its way.
struct Group<'a> {
    members: Vec<Option<Leaving>>,
    flight: Flight,
    channel: Channel,
    _slot: SemaphorePermit<'a>,
}

impl Departures {
    /// Works until every outbox is dropped.
    pub(super) async fn run(self) {
        let Self { way, mut waiting } = self;
        let (mut groups, mut stragglers) = (FuturesUnordered::new(), FuturesUnordered::new());
        let mut next = Vec::new();
        loop {
            tokio::select! {
                Some(left) = groups.next() => stragglers.extend(Option::map(left, |group| way.wait(group))),
                Some(()) = stragglers.next() => {}
                count = waiting.recv_many(&mut next, MOST), if groups.len() < GROUPS => {
                    if count == 0 {
                        return;
                    }
                    // Those who are about to hand over do so first.
                    yield_now().await;
                    while next.len() < MOST && let Ok(leaving) = waiting.try_recv() {
                        next.push(leaving);
                    }
                    groups.push(way.send(std::mem::take(&mut next)));
                }
            }
        }
    }
}

impl Way {
    /// Publishes a group and ends those whose confirm comes in time; returns it if some are left. What went stale is not
    /// published: its message is on its way back, and would have its outcome told once more.
    async fn send(&self, mut members: Vec<Leaving>) -> Option<Group<'_>> {
        for stale in members.extract_if(.., |leaving| !leaving.tag.is_usable()) {
            end(stale.told, Departed::Ended(End::Told(Err(QueueError::Stale))));
        }
        if members.is_empty() {
            return None;
        }
        let way = async { Ok::<_, QueueError>((self.publisher.slot().await?, self.publisher.channel().await?)) };
        let Ok(Ok((slot, channel))) = timeout(PATIENCE, way).await else {
            for Leaving { tag, message, told } in members {
                end(told, Departed::Lost(tag, message));
            }
            return None;
        };
        let flight = Flight::launch(&channel, &self.name, members.iter().map(|leaving| Ready::clone(&leaving.message)));
        let members = members.into_iter().map(Some).collect();
        let mut group = Group { members, flight, channel, _slot: slot };
        if self.land(&mut group).await {
            self.publisher.put_back(group.channel);
            return None;
        }
        Some(group)
    }

    /// Waits for the stragglers of a group, as long as one would wait for each by itself.
    async fn wait(&self, mut group: Group<'_>) {
        let until = Instant::now() + self.publisher.confirm_timeout();
        while Instant::now() < until {
            if self.land(&mut group).await {
                return self.publisher.put_back(group.channel);
            }
        }
        self.publisher.note(&Err(self.failed(self.publisher.unconfirmed())));
        for Leaving { tag, told, .. } in group.members.into_iter().flatten() {
            end(told, Departed::Ended(End::Failed(tag, self.failed(self.publisher.unconfirmed()))));
        }
    }

    /// Ends those the broker has told of; says whether these were all that were left.
    async fn land(&self, group: &mut Group<'_>) -> bool {
        let Group { members, flight, .. } = group;
        let is_over = timeout(PATIENCE, flight.within(PATIENCE)).await.unwrap_or(false);
        let is_like = |number: usize, returned: &_| {
            members[number].as_ref().is_some_and(|leaving: &Leaving| leaving.message.is_like(returned))
        };
        let landed = flight.landed(is_like);
        let (mut tags, mut told) = (Vec::new(), Vec::new());
        let mut failure = None;
        for (number, landing) in landed {
            let Some(leaving) = members[number].take() else { continue };
            match landing {
                Landing::Taken => {
                    fault_point!(Confirmed);
                    tags.push(*leaving.tag);
                    told.push(leaving.told);
                }
                Landing::Refused(problem) => {
                    failure = Some(self.failed(problem.clone()));
                    end(leaving.told, Departed::Ended(End::Failed(leaving.tag, self.failed(problem))));
                }
                // By itself it hears whether it was what closed the channel.
                Landing::Cut(_) | Landing::Lost => end(leaving.told, Departed::Lost(leaving.tag, leaving.message)),
            }
        }
        // Where one went through, so may the next.
        match failure {
            _ if !tags.is_empty() => self.publisher.note(&Ok(())),
            Some(failure) => self.publisher.note(&Err(failure)),
            None => {}
        }
        for (told, acked) in told.into_iter().zip(Tag::ack_all(tags).await) {
            end(told, Departed::Ended(End::Told(acked)));
        }
        is_over
    }

    fn failed(&self, problem: String) -> QueueError {
        QueueError::Publish { exchange: self.exchange.clone(), problem }
    }
}

/// Whoever gave up waiting needs no telling; a delivery that would have come back to them goes back to its queue.
fn end(told: oneshot::Sender<Departed>, departed: Departed) {
    drop(told.send(departed));
}
