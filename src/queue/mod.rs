//! The queue as a port, and its two adapters: RabbitMQ and an embedded SQLite file.
//!
//! Promise, kept by both adapters and by the one contract suite that runs over them: nothing is acked before its
//! successor is confirmed, no message is ever dropped, and an item has one outcome in each round of replays.

pub mod amqp;
pub mod cancel;
pub mod depth;
pub mod embedded;
pub mod envelope;
pub mod letters;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;

use crate::domain::ids::AccountId;
use crate::domain::notice::Notice;
use crate::domain::notice::ledger::Ledger;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::domain::takedown::Takedown;
use crate::domain::trace::TraceContext;
use crate::queue::envelope::Envelope;

pub use crate::queue::letters::{DeadLetter, DeadLetters};

/// One message in hand. It ends by [`Queue::settle`] alone; dropped, it comes back by itself.
#[must_use = "a delivery ends by `settle` alone"]
pub struct Delivery {
    /// The message as it came.
    pub body: Vec<u8>,
    /// What the queue knows about it; in a box, since a delivery is handed on many times.
    pub envelope: Box<Envelope>,
    /// The place in a trace its outcome comes from; without one, the message's own.
    pub told_in: Option<TraceContext>,
    /// The adapter's own handle.
    pub(crate) receipt: Receipt,
}

impl Delivery {
    /// Returns when this process was handed it.
    #[must_use]
    pub fn received_at(&self) -> SystemTime {
        match &self.receipt {
            Receipt::Amqp(tag) => tag.received_at(),
            Receipt::Embedded(lease) => lease.received(),
        }
    }

    /// Says whether it is still held; if not, its message is back in the queue, and somebody else may have it in hand.
    #[must_use]
    pub fn is_held(&self) -> bool {
        match &self.receipt {
            Receipt::Amqp(tag) => tag.is_usable(),
            Receipt::Embedded(_) => true,
        }
    }
}

impl fmt::Debug for Delivery {
    /// Shows no body: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { body, envelope, told_in, receipt } = self;
        f.debug_struct("Delivery")
            .field("body_bytes", &body.len())
            .field("envelope", envelope)
            .field("told_in", told_in)
            .field("receipt", receipt)
            .finish()
    }
}

/// An adapter's handle to a delivery.
#[derive(Debug)]
pub(crate) enum Receipt {
    /// Channel and delivery tag.
    Amqp(Box<amqp::Tag>),
    /// Row and lease.
    Embedded(embedded::Lease),
}

/// Says which operation on the queue failed.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The broker cannot be reached or refused the connection; a retry may help.
    #[error("cannot connect to {brokers}")]
    Connect {
        /// The broker's address, password masked, or how many were tried.
        brokers: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The topology differs from the table; no retry helps.
    #[error("{object} differs from the topology: {problem}; {remedy}")]
    Topology {
        /// The exchange or queue.
        object: String,
        /// What differs.
        problem: String,
        /// What to do.
        remedy: String,
    },
    /// The broker refused or returned a message; the delivery comes back.
    #[error("publishing to {exchange} was not confirmed: {problem}")]
    Publish {
        /// The exchange, or the journal.
        exchange: String,
        /// Nack, return or lost connection.
        problem: String,
    },
    /// The delivery belongs to a connection or lease that is gone; its message comes back.
    #[error("the delivery is no longer held")]
    Stale,
    /// The queue's file cannot be used.
    #[error("queue file {path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong and the remedy.
        problem: String,
    },
    /// A statement on the queue's file failed.
    #[error("the queue file {path} could not be {action}")]
    Database {
        /// The file.
        path: String,
        /// Read, written, opened.
        action: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// An operation on the broker failed.
    #[error("the broker could not {action}")]
    Broker {
        /// Verb and object, such as `declare takedown.dead`.
        action: String,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The queue was closed.
    #[error("the queue is closed")]
    Closed,
}

/// A queue a worker lives on.
pub trait Queue: Send + Sync + 'static {
    /// Waits for the next delivery of an account; `None` once [`Queue::stop`] was called and nothing more will come.
    ///
    /// Reconnects by itself; an error is final. Cancel safe: a delivery is never lost by dropping the future.
    fn next(&self, account: &AccountId) -> impl Future<Output = Result<Option<Delivery>, QueueError>> + Send;

    /// Finds the outcome an item has, by its id and the round of replays its message is in: another copy of the message
    /// may have ended it. Then there is nothing to be worked any more, and settling with that outcome tells it again.
    ///
    /// A queue that keeps one copy of a message and ends it in one transaction has nothing to find.
    fn told(
        &self,
        _delivery: &Delivery,
        _id: &str,
    ) -> impl Future<Output = Result<Option<Box<FinalOutcome>>, QueueError>> + Send {
        async { Ok(None) }
    }

    /// Ends a delivery: publishes the successor, waits for its confirmation, then acks.
    ///
    /// An item has one outcome in each round of replays: where it has one already, that one is told, whatever this
    /// settlement says.
    /// The successor's envelope is told by [`Envelope`]'s own rules: also that a message was handed out before is kept,
    /// as a possible effect.
    /// On an error the message is still (or again) in the queue and will be delivered again.
    fn settle(
        &self,
        delivery: Delivery,
        settlement: Settlement,
    ) -> impl Future<Output = Result<Settled, QueueError>> + Send;

    /// Stops taking messages, gives back the untouched ones; every `next` then ends with `None`.
    fn stop(&self) -> impl Future<Output = ()> + Send;

    /// Closes after the last settle.
    fn close(&self) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Tells what operators made and cancelled, and each time there is more: everything that was noted before the first
    /// message was handed out, and what is noted from then on.
    fn ledger(&self) -> watch::Receiver<Arc<Ledger>>;

    /// Returns the way to other replicas, where the queue has one.
    fn fleet(&self) -> Option<amqp::fleet::AmqpFleet> {
        None
    }

    /// Says whether the queue can be used at this moment (for `/readyz`).
    fn is_ready(&self) -> bool;
}

/// How a delivery ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settled {
    /// As its settlement says.
    AsAsked,
    /// The item had an outcome before, which was told (again) instead.
    AsBefore(Box<FinalOutcome>),
}

/// Where producers put takedowns.
pub trait Intake: Send + Sync {
    /// Enqueues takedowns; returns when every one of them is confirmed (or committed).
    ///
    /// Both adapters accept an id twice (at least once); the embedded queue ignores an id it already holds.
    fn enqueue(&self, takedowns: Vec<Takedown>) -> impl Future<Output = Result<Enqueued, QueueError>> + Send;
}

/// What became of takedowns handed to [`Intake::enqueue`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Enqueued {
    /// Now in the queue.
    pub accepted: u64,
    /// Already there (embedded queue only).
    pub repeated: u64,
}

/// What operators did and planned, for every desk and worker to read: an append-only log.
pub trait DeskLog: Send + Sync {
    /// Writes a notice; returns once it is confirmed (or committed), and so found by whoever reads from then on.
    fn note(&self, notice: &Notice) -> impl Future<Output = Result<(), QueueError>> + Send;

    /// Reads every notice there is at this moment, the oldest first.
    ///
    /// An entry that this program cannot read is passed over and logged.
    fn notices(&self) -> impl Future<Output = Result<Vec<Notice>, QueueError>> + Send;
}
