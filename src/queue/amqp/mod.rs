//! The RabbitMQ adapter: one file a noun.
//!
//! Two connections, one to consume and one to publish, so that a broker that holds publishers back (an alarm) still
//! takes acks. Promise: what [`Queue`] promises, whatever happens to the broker.

pub mod dead_letters;
pub mod depths;
pub mod desk_log;
pub mod fleet;
pub mod intake;
pub mod results;
pub mod rungs;
pub mod tail;
pub mod tls;
pub mod topology;
pub mod work_queue;

pub(crate) mod schedule;

mod acker;
mod connection;
mod consumer;
mod dial;
mod flight;
mod group;
mod inbox;
mod journal;
mod ledger;
mod message;
mod names;
mod outbox;
mod publisher;
mod settle;
mod stream;
mod together;
mod unrouted;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::ids::AccountId;
use crate::domain::notice::ledger::Ledger;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::queue::amqp::connection::Link;
use crate::queue::amqp::consumer::Supervisor;
use crate::queue::amqp::depths::AmqpDepths;
use crate::queue::amqp::dial::masked;
use crate::queue::amqp::fleet::AmqpFleet;
use crate::queue::amqp::inbox::Inbox;
use crate::queue::amqp::journal::{Journal, Reader};
use crate::queue::amqp::ledger::{Board, LedgerReader};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::outbox::Outbox;
use crate::queue::amqp::publisher::Publisher;
use crate::queue::amqp::settle::{Mender, Settler};
use crate::queue::amqp::tail::Streams;
use crate::queue::amqp::tls::TlsSettings;
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::work_queue::{Consumers, WorkQueue};
use crate::queue::depth::Depths;
use crate::queue::envelope::Envelope;
use crate::queue::{Delivery, Queue, QueueError, Settled};

pub(crate) use crate::queue::amqp::consumer::Tag;

/// Longest wait for the broker to tell of all queues.
const COUNT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to reach the broker, and how its objects are called.
#[derive(Clone, PartialEq, Eq)]
pub struct AmqpSettings {
    /// `amqp://user:password@host:port/vhost` or `amqps://…`, at least one; several are nodes of one cluster. A secret.
    pub urls: Vec<String>,
    /// For `amqps://`: whom to trust, and as whom to come.
    pub tls: TlsSettings,
    /// First word of every object's name. Default `takedown`; rehearsals and tests use another.
    pub prefix: String,
    /// Retry rungs, ascending, one queue each, at least one. Default 5 s, 30 s, 2 min, 10 min, 1 h, 6 h.
    pub rungs: Vec<Duration>,
    /// Name of the connections, shown by the broker's management page; the worker's id.
    pub connection_name: String,
    /// Longest wait for a publisher confirm, lost connections included. Default 30 s.
    pub confirm_timeout: Duration,
}

impl AmqpSettings {
    /// Returns the defaults for a broker of one node.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            urls: vec![url.into()],
            tls: TlsSettings::default(),
            prefix: "takedown".into(),
            rungs: [5, 30, 120, 600, 3600, 21_600].map(Duration::from_secs).to_vec(),
            connection_name: "takedown".into(),
            confirm_timeout: Duration::from_secs(30),
        }
    }

    /// Names the broker and the prefix, whoever logs in: what outcomes counted here are outcomes of.
    #[must_use]
    pub fn identity(&self) -> String {
        let place = |url: &String| {
            let url = url::Url::parse(url).ok()?;
            let port = url.port().unwrap_or(if url.scheme() == "amqps" { 5671 } else { 5672 });
            Some(format!("{}:{port}{}", url.host_str().unwrap_or_default(), url.path()))
        };
        let mut places: Vec<String> = self.urls.iter().filter_map(place).collect();
        places.sort();
        format!("{} at {}", self.prefix, places.join(", "))
    }
}

impl fmt::Debug for AmqpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { urls, tls, prefix, rungs, connection_name, confirm_timeout } = self;
        f.debug_struct("AmqpSettings")
            .field("urls", &urls.iter().map(|url| masked(url)).collect::<Vec<_>>())
            .field("tls", tls)
            .field("prefix", prefix)
            .field("rungs", rungs)
            .field("connection_name", connection_name)
            .field("confirm_timeout", confirm_timeout)
            .finish()
    }
}

/// Connects to each address by itself; returns them with passwords masked, and what kept each from being used.
pub async fn reach(settings: &AmqpSettings) -> Vec<(String, Result<(), QueueError>)> {
    let tries = settings.urls.iter().map(|url| async move {
        let only = AmqpSettings { urls: vec![url.clone()], ..settings.clone() };
        let reached = match Link::open(&only, "check").await {
            Ok(link) => {
                link.close().await;
                Ok(())
            }
            Err(error) => Err(error),
        };
        (masked(url), reached)
    });
    join_all(tries).await
}

/// One account's consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsumerSettings {
    /// The account, whose work queue is consumed.
    pub account: AccountId,
    /// Messages handed out ahead, at least 1; bounded by count and by time (prefetch ÷ rate stays below a third of the
    /// broker's `consumer_timeout`, 30 min by default: rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").
    pub prefetch: u16,
    /// Whether this consumer competes with those of other replicas, or stands by while one of them is active.
    pub consumers: Consumers,
}

impl From<&ConsumerSettings> for WorkQueue {
    fn from(settings: &ConsumerSettings) -> Self {
        Self { account: settings.account.clone(), consumers: settings.consumers }
    }
}

/// A worker's queue on RabbitMQ; share it by `Arc`.
pub struct AmqpQueue {
    consume: Arc<Link>,
    settler: Settler,
    board: Arc<Board>,
    inboxes: BTreeMap<AccountId, Arc<Inbox>>,
    supervisors: Mutex<JoinSet<()>>,
    /// They go on after a stop, for what is in hand.
    readers: Mutex<JoinSet<()>>,
    stop: CancellationToken,
}

impl AmqpQueue {
    /// Connects, applies the topology of these accounts, and starts one consumer an account under a supervisor that
    /// reconnects by itself.
    ///
    /// # Errors
    /// [`QueueError::Connect`] (a retry may help) or [`QueueError::Topology`] (it cannot).
    pub async fn start(settings: AmqpSettings, consumers: Vec<ConsumerSettings>) -> Result<Self, QueueError> {
        if settings.rungs.is_empty() {
            return Err(QueueError::Topology {
                object: format!("{}.retry", settings.prefix),
                problem: "no retry rung is configured".into(),
                remedy: "name at least one".into(),
            });
        }
        let consume = Arc::new(Link::open(&settings, "consume").await?);
        let topology = Topology::new(&settings, &consumers);
        topology.apply_over(&consume).await?;
        let names = Names::new(&settings);
        let publisher = Arc::new(Publisher::open_small(&settings).await?);
        let journal = Arc::new(Journal::new(
            Arc::clone(&consume),
            Arc::clone(&publisher),
            names.journal(),
            settings.confirm_timeout,
        ));
        let (mut readers, board) = (JoinSet::new(), Arc::new(Board::new()));
        let streams = Topology::new::<WorkQueue>(&settings, []);
        readers.spawn(Reader { journal: Arc::clone(&journal), topology: streams.clone() }.run());
        readers.spawn(Arc::clone(&journal).write_claims());
        let (outbox, departures) = Outbox::open(Arc::clone(&publisher), names.results_exchange());
        readers.spawn(departures.run());
        let reader = LedgerReader {
            board: Arc::clone(&board),
            streams: Streams::over(Arc::clone(&consume), Arc::clone(&publisher), names.clone()),
            topology: streams,
        };
        readers.spawn(reader.run());
        let stop = CancellationToken::new();
        let mut inboxes = BTreeMap::new();
        let mut supervisors = JoinSet::new();
        for consumer in consumers {
            let topology = Topology::new(&settings, [&consumer]);
            let ConsumerSettings { account, prefetch, consumers } = consumer;
            let inbox = Arc::new(Inbox::new(prefetch));
            let supervisor = Supervisor {
                queue: names.work(&account),
                consumers,
                topology,
                link: Arc::clone(&consume),
                inbox: Arc::clone(&inbox),
                stop: stop.clone(),
                account: account.clone(),
            };
            supervisors.spawn(supervisor.run());
            inboxes.insert(account, inbox);
        }
        let mender = Mender::new(topology, inboxes.keys().cloned().collect(), Arc::clone(&consume));
        let settler = Settler { publisher, outbox, journal, names, rungs: settings.rungs, mender, stop: stop.clone() };
        let (supervisors, readers) = (Mutex::new(supervisors), Mutex::new(readers));
        Ok(Self { consume, settler, board, inboxes, supervisors, readers, stop })
    }
}

impl AmqpQueue {
    /// Says whether an outcome could be told now, and a cancelled item be known.
    fn is_usable(&self) -> bool {
        !self.stop.is_cancelled()
            && self.settler.publisher.is_usable()
            && self.settler.journal.is_read()
            && self.board.is_read()
    }

    /// Counts what waits in the queues of its accounts and in those they share. Queues that are gone are told, and
    /// declared again; those of outcomes are bound again, for no publish would miss one of two.
    ///
    /// # Errors
    /// [`QueueError::Broker`] when the broker does not answer in time; a retry may help.
    pub async fn depths(&self) -> Result<Depths, QueueError> {
        let Settler { names, rungs, .. } = &self.settler;
        let depths = AmqpDepths::over(&self.consume, names, rungs);
        let counted = timeout(COUNT_TIMEOUT, depths.count(self.inboxes.keys())).await;
        let depths = counted.unwrap_or_else(|elapsed| {
            Err(QueueError::Broker { action: "tell how many messages wait".to_owned(), source: elapsed.into() })
        })?;
        self.settler.mender.tend(&depths.missing, &self.settler.publisher, names).await;
        Ok(depths)
    }
}

impl Queue for AmqpQueue {
    /// Hands nothing out while nothing can be published, or the journal or the operators' log not be read: a gateway is
    /// not called for an outcome that has nowhere to go, nor for an item that may be cancelled.
    async fn next(&self, account: &AccountId) -> Result<Option<Delivery>, QueueError> {
        let Some(inbox) = self.inboxes.get(account) else { return Ok(None) };
        if !self.is_usable() {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ok(None),
                () = async {
                    self.board.read().await;
                    self.settler.usable().await;
                } => {}
            }
        }
        Ok(inbox.next().await)
    }

    async fn told(&self, delivery: &Delivery, id: &str) -> Result<Option<Box<FinalOutcome>>, QueueError> {
        let Envelope { replays, redelivery, .. } = *delivery.envelope;
        let first = self.settler.journal.told(id, replays, redelivery).await?;
        Ok(first.map(|first| Box::new(first.outcome.into_owned())))
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<Settled, QueueError> {
        self.settler.settle(delivery, settlement).await
    }

    async fn stop(&self) {
        self.stop.cancel();
        for inbox in self.inboxes.values() {
            inbox.end();
        }
        let mut supervisors = self.supervisors.lock().await;
        while let Some(ended) = supervisors.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a consumer's supervisor failed");
            }
        }
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.stop().await;
        self.readers.lock().await.shutdown().await;
        self.consume.close().await;
        self.settler.publisher.close().await;
        Ok(())
    }

    fn ledger(&self) -> watch::Receiver<Arc<Ledger>> {
        self.board.subscribe()
    }

    fn fleet(&self) -> Option<AmqpFleet> {
        let exchange = self.settler.names.fleet();
        Some(AmqpFleet {
            consume: Arc::clone(&self.consume),
            publish: self.settler.publisher.link(),
            exchange,
            inboxes: self.inboxes.clone(),
        })
    }

    fn is_ready(&self) -> bool {
        self.is_usable() && self.consume.is_usable() && self.inboxes.values().all(|inbox| inbox.is_consuming())
    }
}

impl fmt::Debug for AmqpQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accounts: Vec<_> = self.inboxes.keys().collect();
        f.debug_struct("AmqpQueue").field("accounts", &accounts).finish_non_exhaustive()
    }
}
