//! A producer's side: takedowns into the work queues, in groups of some hundred.

use std::collections::BTreeSet;

use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::BasicProperties;

use crate::clock;
use crate::domain::ids::AccountId;
use crate::domain::takedown::Takedown;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::flight::Ready;
use crate::queue::amqp::group::Group;
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::topology::{require_exchange, require_queue};
use crate::queue::{Enqueued, Intake, QueueError};
use crate::trace::{Kind, Span, Tracer};

/// Takedowns published as one group.
const GROUP: usize = 256;

/// Groups in flight at once, for one call: while the broker writes one down, the next is on its way.
const GROUPS: usize = 4;

/// A producer's side: publishes takedowns with confirms.
#[derive(Debug)]
pub struct AmqpIntake {
    publisher: Publisher,
    names: Names,
    tracer: Tracer,
    /// Accounts whose queue is known to exist.
    known: tokio::sync::Mutex<BTreeSet<AccountId>>,
}

impl AmqpIntake {
    /// Connects. The topology must exist.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when the exchange is missing.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let publisher = Publisher::open(settings).await?;
        let names = Names::new(settings);
        require_exchange(&publisher.link(), &names.work_exchange()).await?;
        Ok(Self { publisher, names, tracer: Tracer::off(), known: tokio::sync::Mutex::default() })
    }

    /// Begins a trace for every item, which its message carries. Without, messages carry none.
    #[must_use]
    pub fn traced(self, tracer: Tracer) -> Self {
        Self { tracer, ..self }
    }

    /// Closes the connection in order; dropping does it in the background.
    pub async fn close(&self) {
        self.publisher.close().await;
    }

    /// Looks for the work queues of these accounts, before anything is published.
    ///
    /// # Errors
    /// [`QueueError::Topology`] for the first that is missing.
    pub async fn require(&self, accounts: impl IntoIterator<Item = &AccountId>) -> Result<(), QueueError> {
        for account in accounts {
            self.require_queue(account).await?;
        }
        Ok(())
    }

    /// Puts one raw message under an account, as any producer could; confirmed like a takedown.
    ///
    /// # Errors
    /// [`QueueError::Topology`] when the account's queue is missing; [`QueueError::Publish`] when it was not confirmed.
    pub async fn put_raw(&self, account: &AccountId, body: &[u8]) -> Result<(), QueueError> {
        self.require_queue(account).await?;
        self.put(account, message::raw(), body).await
    }

    /// Without its queue an account's messages would end among the unrouted ones, which nobody works off.
    async fn require_queue(&self, account: &AccountId) -> Result<(), QueueError> {
        let mut known = self.known.lock().await;
        if !known.contains(account) {
            require_queue(&self.publisher.link(), &self.names.work(account)).await?;
            known.insert(account.clone());
        }
        Ok(())
    }

    async fn put(&self, account: &AccountId, properties: BasicProperties, body: &[u8]) -> Result<(), QueueError> {
        let exchange = self.names.work_exchange();
        let outgoing = Outgoing { exchange, routing_key: account.to_string(), properties, body };
        self.publisher.publish(&outgoing, || true).await
    }

    async fn put_all(&self, takedowns: &[Takedown]) -> Result<u64, QueueError> {
        let mut spans: Vec<Span> = match self.tracer.is_on() {
            true => takedowns.iter().map(|takedown| self.begin(takedown)).collect(),
            false => Vec::new(),
        };
        let make = |number: usize| {
            let takedown = &takedowns[number];
            let trace = spans.get(number).and_then(Span::context);
            Ready {
                routing_key: short(takedown.account.as_str()),
                properties: message::first(takedown, clock::now(), trace.as_ref()),
                body: takedown.encode(),
            }
        };
        let group = Group { exchange: &self.names.work_exchange(), count: takedowns.len(), make };
        let published = group.publish(&self.publisher).await;
        if published.is_err() {
            spans.iter_mut().for_each(|span| span.fail("not confirmed"));
        }
        published.map(|()| takedowns.len() as u64)
    }

    fn begin(&self, takedown: &Takedown) -> Span {
        let mut span = self.tracer.begin(|| format!("enqueue {}", takedown.account), Kind::Producer, None);
        span.note("takedown.id", takedown.id.to_string());
        if let Some(batch) = &takedown.batch {
            span.note("takedown.batch", batch.to_string());
        }
        span
    }
}

impl Intake for AmqpIntake {
    /// On an error some may be enqueued already: enqueue all again, under the same ids.
    async fn enqueue(&self, takedowns: Vec<Takedown>) -> Result<Enqueued, QueueError> {
        let accounts: BTreeSet<&AccountId> = takedowns.iter().map(|takedown| &takedown.account).collect();
        self.require(accounts).await?;
        let put = |start: usize| self.put_all(&takedowns[start..takedowns.len().min(start + GROUP)]);
        let groups = stream::iter((0..takedowns.len()).step_by(GROUP)).map(put).buffer_unordered(GROUPS);
        let accepted = groups.try_fold(0, |sum, count| async move { Ok(sum + count) }).await?;
        Ok(Enqueued { accepted, repeated: 0 })
    }
}
