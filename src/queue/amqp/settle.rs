//! Ending a delivery: publish its successor, wait for the confirm, ack.
//!
//! An outcome is claimed in the journal first, and what is published is the outcome the item has by it. Outcomes leave
//! together (see [`outbox`](super::outbox)); one that could not be told so, and every other successor, leaves by itself.
//! Promise: nothing is acked before its successor is confirmed. What cannot be published is held, the topology applied
//! again in case a queue has been deleted, and published later: handed back, it would be called for again each time, and
//! charged by the broker as if it had killed its worker.
//!
//! What few deliveries need is in a box of its own: in theirs, all the others would carry its kilobytes with them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::clock::Moment;
use crate::domain::cause::chain;
use crate::domain::ids::AccountId;
use crate::domain::outcome::FinalOutcome;
use crate::domain::retry::rung_for;
use crate::domain::settlement::{Settlement, is_dead_lettered};
use crate::domain::trace::TraceContext;
use crate::queue::amqp::connection::Link;
use crate::queue::amqp::consumer::Tag;
use crate::queue::amqp::flight::Ready;
use crate::queue::amqp::journal::Journal;
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::outbox::{Departed, End, Outbox};
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::unrouted;
use crate::queue::envelope::Envelope;
use crate::queue::{Delivery, QueueError, Receipt, Settled};

/// Longest a delivery is kept for the topology to be applied.
const MEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Between two looks whether a delivery is still held.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Ends deliveries through one publisher.
pub(super) struct Settler {
    pub(super) publisher: Arc<Publisher>,
    pub(super) outbox: Outbox,
    pub(super) journal: Arc<Journal>,
    pub(super) names: Names,
    pub(super) rungs: Vec<Duration>,
    pub(super) mender: Mender,
    /// From then on what cannot be published is handed back.
    pub(super) stop: CancellationToken,
}

/// Declares again what a publish missed, or a look at the queues.
pub(super) struct Mender {
    topology: Topology,
    accounts: BTreeSet<AccountId>,
    /// The one to consume: an alarm of the broker does not hold it back.
    link: Arc<Link>,
    turn: Mutex<Turn>,
    /// Until the broker says otherwise.
    may_bind: AtomicBool,
}

/// When the topology is applied next, if it could not be: each try is a few dozen questions to the broker, and where a
/// worker may declare nothing, as many refusals in its log.
struct Turn {
    schedule: Schedule,
    next: Instant,
}

impl Settler {
    /// Waits until an outcome can be claimed and told.
    pub(super) async fn usable(&self) {
        self.journal.read().await;
        self.publisher.usable().await;
    }

    /// Ends one delivery, however long it takes to publish its successor.
    ///
    /// # Errors
    /// [`QueueError::Publish`] when its successor was not confirmed, and [`QueueError::Broker`] when the journal could not
    /// be asked, and the queue was stopped: it was handed back.
    /// [`QueueError::Stale`] when its channel is gone, and it is back by itself. A successor may then be published twice,
    /// under the same id.
    pub(super) async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<Settled, QueueError> {
        let Delivery { body, envelope, told_in, receipt: Receipt::Amqp(mut tag) } = delivery else {
            return Err(QueueError::Stale);
        };
        let (mut schedule, mut past) = (Schedule::new(), Past { told_in, ..Past::default() });
        while tag.is_usable() {
            let error = match self.publish_successor(&tag, &body, &envelope, &settlement, &mut past).await {
                Ok(Successor::Outcome(message, settled)) => match self.tell(tag, message, &past).await? {
                    End::Told(acked) => return acked.map(|()| settled),
                    End::Failed(held, error) => {
                        tag = held;
                        error
                    }
                },
                Ok(Successor::Confirmed) => {
                    fault_point!(Confirmed);
                    return tag.ack().await.map(|()| Settled::AsAsked);
                }
                Ok(Successor::Nothing) => return tag.give_back().await.map(|()| Settled::AsAsked),
                Err(error) => error,
            };
            if !matches!(error, QueueError::Publish { .. } | QueueError::Broker { .. }) {
                return Self::hand_back(tag, error).await;
            }
            Box::pin(self.mender.mend(&self.publisher, &self.names)).await;
            if !std::mem::replace(&mut past.has_failed, true) {
                tracing::warn!(error = %chain(&error), "a delivery is held until its successor can be published");
            }
            if let Hold::HandBack = self.hold(&tag, &mut schedule).await {
                return Self::hand_back(tag, error).await;
            }
        }
        Err(QueueError::Stale)
    }

    /// Publishes an outcome and acks its delivery: at the first try together with others, and by itself from then on.
    async fn tell(&self, tag: Box<Tag>, message: Box<Ready<Bytes>>, past: &Past) -> Result<End, QueueError> {
        let (tag, message) = if past.has_failed {
            (tag, message)
        } else {
            match self.outbox.tell(tag, message).await? {
                Departed::Ended(end) => return Ok(end),
                Departed::Lost(tag, message) => (tag, message),
            }
        };
        let Ready { routing_key, properties, body } = *message;
        let (exchange, routing_key) = (self.names.results_exchange(), routing_key.to_string());
        let outgoing = Outgoing { exchange, routing_key, properties, body: &body };
        match Box::pin(self.publish(&tag, &outgoing)).await {
            Ok(()) => {
                fault_point!(Confirmed);
                Ok(End::Told(tag.ack().await))
            }
            Err(error) => Ok(End::Failed(tag, error)),
        }
    }

    /// Waits for another try: its turn by the schedule, and a broker that takes messages.
    async fn hold(&self, tag: &Tag, schedule: &mut Schedule) -> Hold {
        let turn = async {
            schedule.pause().await;
            self.usable().await;
        };
        let lost = async {
            while tag.is_usable() {
                sleep(LOOK_INTERVAL).await;
            }
        };
        tokio::select! {
            biased;
            () = self.stop.cancelled() => Hold::HandBack,
            () = turn => Hold::TryAgain,
            () = lost => Hold::TryAgain,
        }
    }

    async fn hand_back(tag: Box<Tag>, error: QueueError) -> Result<Settled, QueueError> {
        if let Err(stale) = tag.give_back().await {
            tracing::debug!(error = %stale, "the delivery returned with its channel");
        }
        Err(error)
    }

    async fn publish_successor(
        &self,
        tag: &Tag,
        body: &[u8],
        envelope: &Envelope,
        settlement: &Settlement,
        past: &mut Past,
    ) -> Result<Successor, QueueError> {
        match settlement {
            Settlement::Complete(outcome) | Settlement::DeadLetter(outcome) => {
                let first = self.journal.claim(outcome, || tag.is_usable()).await?;
                // What another try of ours claimed is no other's, also if we never heard of it.
                let is_earlier =
                    *past.is_earlier.get_or_insert(first.is_earlier && !past.has_failed) || *first.outcome != **outcome;
                if is_dead_lettered(first.outcome.reason) && !first.has_letter {
                    Box::pin(self.publish_letter(tag, body, envelope, &first.outcome, past)).await?;
                }
                let trace = past.told_in.as_ref().or(envelope.trace.as_ref());
                let message = Box::new(Ready {
                    routing_key: short(&first.outcome.routing_key()),
                    properties: message::told(&first.outcome, trace),
                    body: first.body,
                });
                let settled = match is_earlier {
                    true => Settled::AsBefore(Box::new(first.outcome.into_owned())),
                    false => Settled::AsAsked,
                };
                return Ok(Successor::Outcome(message, settled));
            }
            Settlement::Retry { delay, effect, last_code } => {
                let next = envelope.retried(*effect, last_code.clone(), tag.received_at);
                Box::pin(self.publish_again(tag, body, next, *delay, past)).await?;
            }
            Settlement::Defer { delay, effect, reason: _ } => {
                let next = envelope.deferred(*effect, tag.received_at);
                Box::pin(self.publish_again(tag, body, next, *delay, past)).await?;
            }
            Settlement::GiveBack => return Ok(Successor::Nothing),
        }
        Ok(Successor::Confirmed)
    }

    /// The letter comes before the outcome: who hears of a dead item finds its letter.
    async fn publish_letter(
        &self,
        tag: &Tag,
        body: &[u8],
        envelope: &Envelope,
        outcome: &FinalOutcome,
        past: &mut Past,
    ) -> Result<(), QueueError> {
        if !past.has_letter {
            let envelope = envelope.dead(outcome, tag.received_at);
            let letter = Outgoing {
                exchange: self.names.dead_exchange(),
                routing_key: envelope.account.to_string(),
                properties: message::dead(&tag.properties, &envelope, outcome),
                body,
            };
            self.publish(tag, &letter).await?;
            past.has_letter = true;
        }
        self.journal.note_letter(outcome, || tag.is_usable()).await
    }

    /// A rung that takes nothing, even after the topology was applied again, is stood in for by the one beside it: held,
    /// its messages would take every place of their account.
    async fn publish_again(
        &self,
        tag: &Tag,
        body: &[u8],
        next: Envelope,
        delay: Duration,
        past: &Past,
    ) -> Result<(), QueueError> {
        let rung = rung_for(&self.rungs, delay).expect("invariant: a started queue has a rung");
        let published = self.publish_to(rung, tag, body, next.clone(), delay).await;
        match (published, rung_beside(&self.rungs, rung)) {
            (Err(QueueError::Publish { .. }), Some(other)) if past.has_failed => {
                self.publish_to(other, tag, body, next, delay).await
            }
            (published, _) => published,
        }
    }

    /// A delay beyond the rung travels beside the message: the worker defers what comes back before its time.
    async fn publish_to(
        &self,
        rung: Duration,
        tag: &Tag,
        body: &[u8],
        mut next: Envelope,
        delay: Duration,
    ) -> Result<(), QueueError> {
        let now = Moment::now();
        if rung < delay {
            next.not_before = now.earlier().checked_add(delay);
        }
        next.due = now.wall.checked_add(rung.max(delay));
        let outgoing = Outgoing {
            exchange: self.names.retry(rung),
            routing_key: next.account.to_string(),
            properties: message::successor(&tag.properties, &next),
            body,
        };
        self.publish(tag, &outgoing).await
    }

    /// A message whose delivery went stale is on its way back; publishing its successor then would double it.
    async fn publish(&self, tag: &Tag, outgoing: &Outgoing<'_>) -> Result<(), QueueError> {
        self.publisher.publish(outgoing, || tag.is_usable()).await
    }
}

impl Mender {
    pub(super) fn new(topology: Topology, accounts: BTreeSet<AccountId>, link: Arc<Link>) -> Self {
        let turn = Mutex::new(Turn { schedule: Schedule::new(), next: Instant::now() });
        Self { topology, accounts, link, turn, may_bind: AtomicBool::new(true) }
    }

    /// Puts right what no publish misses: a queue of outcomes that is gone, or bound no more, while another takes them.
    pub(super) async fn tend(&self, missing: &[String], publisher: &Publisher, names: &Names) {
        if !missing.is_empty() {
            tracing::error!(
                queues = missing.join(", "),
                "queues are not there, and what was in them may be lost; they are declared again where this login may: \
                 else run `takedown topology apply`"
            );
            return self.mend(publisher, names).await;
        }
        if !self.may_bind.load(Ordering::Relaxed) {
            return;
        }
        match timeout(MEND_TIMEOUT, self.topology.bind_over(&self.link, &names.results_exchange())).await {
            Ok(Ok(may_bind)) => self.may_bind.store(may_bind, Ordering::Relaxed),
            Ok(Err(error)) => tracing::debug!(error = %chain(&error), "the queues of outcomes were not bound again"),
            Err(_) => tracing::debug!("the queues of outcomes were not bound again: the broker does not answer"),
        }
    }

    /// Applies the topology, once for all who ask meanwhile, and sends on what was unrouted until then. Without it a
    /// queue deleted under a worker would be missed by every publish until the next restart.
    async fn mend(&self, publisher: &Publisher, names: &Names) {
        let Ok(mut turn) = self.turn.try_lock() else { return };
        if turn.next > Instant::now() {
            return;
        }
        let mended = timeout(MEND_TIMEOUT, async {
            self.topology.apply_over(&self.link).await?;
            unrouted::send_on(&self.link, publisher, names, &self.accounts).await
        });
        let problem = match mended.await {
            Ok(Ok(sent)) => {
                turn.schedule.reset();
                if sent > 0 {
                    tracing::warn!(sent, "messages that nobody was bound for were sent on");
                }
                return;
            }
            Ok(Err(error)) => chain(&error),
            Err(_) => "the broker does not answer".to_owned(),
        };
        turn.next = Instant::now() + turn.schedule.next_wait();
        tracing::warn!(problem, "what is missing on the broker could not be put right");
    }
}

/// The next shorter rung, since a message that comes back early is put off again; of the shortest, the next longer.
fn rung_beside(rungs: &[Duration], rung: Duration) -> Option<Duration> {
    let shorter = rungs.iter().copied().filter(|other| *other < rung).max();
    shorter.or_else(|| rungs.iter().copied().filter(|other| *other > rung).min())
}

/// What the tries before this one came to.
#[derive(Default)]
struct Past {
    has_failed: bool,
    /// Whether the item had an outcome before the first of them.
    is_earlier: Option<bool>,
    /// The place in a trace the outcome is told from, if it is another than the message's own; no try changes it.
    told_in: Option<TraceContext>,
    /// Whether the item's dead letter was confirmed; if its note was, the journal says so too.
    has_letter: bool,
}

/// What becomes of a delivery whose successor was not published.
enum Hold {
    /// Its successor is published again, if it is still held.
    TryAgain,
    /// It goes back to its queue.
    HandBack,
}

/// What stands in for a message before its delivery ends.
enum Successor {
    /// Its outcome, to be told.
    Outcome(Box<Ready<Bytes>>, Settled),
    /// It is in a queue.
    Confirmed,
    /// Nothing; the message itself goes back.
    Nothing,
}
