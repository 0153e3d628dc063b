//! Every exchange, queue and binding, in one table: applied, checked and printed from here.
//!
//! Promise: what differs on the broker is told with its remedy and never mended by force; `check` creates nothing.

mod presence;
mod refusal;

use std::fmt::Write as _;

use lapin::options::{
    ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
};
use lapin::protocol::AMQPSoftError;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::short;
use crate::queue::amqp::names::Names;
use crate::queue::amqp::topology::presence::{exchange_exists, queue_exists};
use crate::queue::amqp::topology::refusal::judge;
use crate::queue::amqp::unrouted;
use crate::queue::amqp::work_queue::{Consumers, WorkQueue};

pub(super) use crate::queue::amqp::topology::presence::{require_exchange, require_queue};
pub(super) use crate::queue::amqp::topology::refusal::is_soft;

/// Deliveries of a work message before the broker takes it for poison; a worker ends it long before, with an outcome.
const WORK_DELIVERY_LIMIT: i64 = 50;

/// For queues that people and consumers browse: RabbitMQ 4 drops a message given back more than 20 times unless told
/// otherwise (rabbitmq.com/docs/quorum-queues, "Poison Message Handling"), and looking must never delete.
const BROWSE_DELIVERY_LIMIT: i64 = 1_000_000;

/// The table for one prefix, one ladder of rungs and a set of work queues.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// One row an object, in the order of declaration.
    pub rows: Vec<Row>,
}

/// One exchange, queue or binding.
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// Name, or `exchange -> queue` for a binding.
    pub name: String,
    /// `direct exchange`, `quorum queue`, `binding` …
    pub kind: String,
    /// Arguments, as people read them.
    pub arguments: String,
    object: Object,
}

#[derive(Debug, Clone, PartialEq)]
enum Object {
    Exchange { name: String, kind: ExchangeKind, arguments: FieldTable },
    Queue { name: String, arguments: FieldTable },
    Stream { name: String, arguments: FieldTable },
    WorkQueue { name: String, arguments: FieldTable, consumers: Consumers },
    Binding { queue: String, exchange: String, key: String },
}

/// What `topology check` found about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object's name.
    pub object: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Topology {
    /// Lays out the table; an account alone stands for a work queue of competing consumers.
    #[must_use]
    pub fn new<Q: Into<WorkQueue>>(settings: &AmqpSettings, queues: impl IntoIterator<Item = Q>) -> Self {
        let names = Names::new(settings);
        let mut table = Self { rows: Vec::new() };
        table.exchange(names.unrouted(), ExchangeKind::Fanout, &[]);
        table.queue(names.unrouted(), &[("x-delivery-limit", BROWSE_DELIVERY_LIMIT.into())]);
        table.binding(names.unrouted(), names.unrouted(), "");

        let unrouted = [("alternate-exchange", text(names.unrouted()))];
        table.exchange(names.work_exchange(), ExchangeKind::Direct, &unrouted);
        // The queue first: the less time between an exchange and its binding, the less is unrouted where workers are at
        // work.
        table.queue(names.results_all(), &[("x-delivery-limit", BROWSE_DELIVERY_LIMIT.into())]);
        table.stream(names.results_log(), &bounds("7D", 1_000_000_000, 50_000_000));
        table.exchange(names.results_exchange(), ExchangeKind::Topic, &unrouted);
        table.binding(names.results_all(), names.results_exchange(), "#");
        table.binding(names.results_log(), names.results_exchange(), "#");
        // By this one desks alone write to it, to find its end (`tail`).
        table.exchange(names.results_log(), ExchangeKind::Fanout, &[]);
        table.binding(names.results_log(), names.results_log(), "");
        // Bound to no other: workers write to it before anything is told (`journal`). An alternate exchange would confirm
        // what no stream holds.
        table.exchange(names.journal(), ExchangeKind::Fanout, &[]);
        table.stream(names.journal(), &bounds("7D", 1_000_000_000, 50_000_000));
        table.binding(names.journal(), names.journal(), "");
        // The operators' log likewise (`desk_log`).
        table.exchange(names.desk(), ExchangeKind::Fanout, &[]);
        table.stream(names.desk(), &bounds("30D", 100_000_000, 10_000_000));
        table.binding(names.desk(), names.desk(), "");
        table.exchange(names.dead_exchange(), ExchangeKind::Direct, &[]);

        for rung in &settings.rungs {
            let ttl = i64::try_from(rung.as_millis()).unwrap_or(i64::MAX);
            let name = names.retry(*rung);
            table.exchange(name.clone(), ExchangeKind::Fanout, &[]);
            let [strategy, overflow] = at_least_once();
            table.queue(
                name.clone(),
                &[
                    ("x-message-ttl", ttl.into()),
                    ("x-dead-letter-exchange", text(names.work_exchange())),
                    strategy,
                    overflow,
                ],
            );
            table.binding(name.clone(), name, "");
        }
        // Each replica binds a queue of its own, which goes with it.
        table.exchange(names.fleet(), ExchangeKind::Fanout, &[]);
        for WorkQueue { account, consumers } in queues.into_iter().map(Into::into) {
            let [strategy, overflow] = at_least_once();
            let mut arguments = vec![
                ("x-dead-letter-exchange", text(names.dead_exchange())),
                // Whatever key a producer used: one that no dead-letter queue is bound with would never leave.
                ("x-dead-letter-routing-key", text(account.to_string())),
                strategy,
                overflow,
                ("x-delivery-limit", WORK_DELIVERY_LIMIT.into()),
            ];
            arguments.extend(consumers.declared());
            table.queue_as("quorum", names.work(&account), &arguments, |name, arguments| Object::WorkQueue {
                name,
                arguments,
                consumers,
            });
            table.queue(names.dead(&account), &[("x-delivery-limit", BROWSE_DELIVERY_LIMIT.into())]);
            table.binding(names.dead(&account), names.dead_exchange(), account.as_str());
            table.binding(names.work(&account), names.work_exchange(), account.as_str());
        }
        table
    }

    /// Declares what is missing.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when an object exists otherwise than in the table.
    pub async fn apply(&self, settings: &AmqpSettings) -> Result<(), QueueError> {
        let link = Link::open(settings, "topology").await?;
        let result = self.apply_over(&link).await;
        link.close().await;
        result
    }

    /// Declares what is missing, over an open connection. A login that may declare nothing leaves the table to an
    /// operator's: then it is enough that the objects are there.
    pub(super) async fn apply_over(&self, link: &Link) -> Result<(), QueueError> {
        let mut channel = link.channel().await?;
        let mut is_told = false;
        for row in &self.rows {
            let Err(error) = row.declare(&channel).await else { continue };
            if !is_soft(&error, &AMQPSoftError::ACCESSREFUSED) {
                return Err(if matches!(row.object, Object::Stream { .. }) {
                    refusal::judge_stream(&row.name, error)
                } else {
                    row.judge(link, error).await
                });
            }
            if !std::mem::replace(&mut is_told, true) {
                tracing::info!(
                    "this login may not declare; what `takedown topology check` compares is only looked for"
                );
            }
            channel = link.channel().await?;
            row.exists(&channel).await.map_err(|error| judge(&row.name, error))?;
        }
        Ok(())
    }

    /// Compares the broker with the table and changes nothing; an empty list means equal, and nothing unrouted.
    ///
    /// AMQP has no way to look at a binding without making it, so those are left to `apply`, which repeats them safely.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Broker`] when the broker refuses to tell.
    pub async fn check(&self, settings: &AmqpSettings) -> Result<Vec<Finding>, QueueError> {
        let link = Link::open(settings, "topology").await?;
        let result = self.check_over(&link, &Names::new(settings)).await;
        link.close().await;
        result
    }

    async fn check_over(&self, link: &Link, names: &Names) -> Result<Vec<Finding>, QueueError> {
        let mut findings = Vec::from_iter(unrouted::find(link, names).await?);
        for row in &self.rows {
            // An error ends its channel, so each row has its own.
            let channel = link.channel().await?;
            let Err(error) = row.look(&channel).await else { continue };
            match row.judge(link, error).await {
                QueueError::Topology { object, problem, remedy } => findings.push(Finding { object, problem, remedy }),
                other => return Err(other),
            }
        }
        Ok(findings)
    }

    /// Deletes every object with everything in it: for rehearsals and tests, under a prefix of their own.
    ///
    /// # Errors
    /// [`QueueError::Connect`] and [`QueueError::Broker`].
    pub async fn delete(&self, settings: &AmqpSettings) -> Result<(), QueueError> {
        let link = Link::open(settings, "topology").await?;
        let channel = link.channel().await?;
        let mut result = Ok(());
        for row in self.rows.iter().rev() {
            result = row.delete(&channel).await.map_err(|error| broker_error(format!("delete {}", row.name), error));
            if result.is_err() {
                break;
            }
        }
        link.close().await;
        result
    }

    fn exchange(&mut self, name: String, kind: ExchangeKind, arguments: &[(&str, AMQPValue)]) {
        let arguments = field_table(arguments);
        self.rows.push(Row {
            name: name.clone(),
            kind: format!("{} exchange", format!("{kind:?}").to_lowercase()),
            arguments: shown(&arguments),
            object: Object::Exchange { name, kind, arguments },
        });
    }

    fn queue(&mut self, name: String, arguments: &[(&str, AMQPValue)]) {
        self.queue_as("quorum", name, arguments, |name, arguments| Object::Queue { name, arguments });
    }

    fn stream(&mut self, name: String, arguments: &[(&str, AMQPValue)]) {
        self.queue_as("stream", name, arguments, |name, arguments| Object::Stream { name, arguments });
    }

    fn queue_as(
        &mut self,
        kind: &str,
        name: String,
        arguments: &[(&str, AMQPValue)],
        object: impl FnOnce(String, FieldTable) -> Object,
    ) {
        let mut all = vec![("x-queue-type", text(kind.to_owned()))];
        all.extend_from_slice(arguments);
        self.rows.push(Row {
            name: name.clone(),
            kind: format!("{kind} queue"),
            arguments: shown(&field_table(arguments)),
            object: object(name, field_table(&all)),
        });
    }

    fn binding(&mut self, queue: String, exchange: String, key: &str) {
        self.rows.push(Row {
            name: format!("{exchange} -> {queue}"),
            kind: "binding".into(),
            arguments: if key.is_empty() { String::new() } else { format!("key={key}") },
            object: Object::Binding { queue, exchange, key: key.to_owned() },
        });
    }
}

impl Row {
    async fn declare(&self, channel: &Channel) -> lapin::Result<()> {
        match &self.object {
            Object::Exchange { name, kind, arguments } => {
                let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(short(name), kind.clone(), options, arguments.clone()).await
            }
            Object::Queue { name, arguments }
            | Object::Stream { name, arguments }
            | Object::WorkQueue { name, arguments, .. } => {
                channel.queue_declare(short(name), QueueDeclareOptions::durable(), arguments.clone()).await.map(drop)
            }
            Object::Binding { queue, exchange, key } => {
                let options = QueueBindOptions::default();
                channel.queue_bind(short(queue), short(exchange), short(key), options, FieldTable::default()).await
            }
        }
    }

    /// Asks whether the object exists, and only then declares it: that creates nothing and tells a difference.
    async fn look(&self, channel: &Channel) -> lapin::Result<()> {
        self.exists(channel).await?;
        match &self.object {
            Object::Exchange { .. } | Object::Queue { .. } | Object::Stream { .. } | Object::WorkQueue { .. } => {
                self.declare(channel).await
            }
            Object::Binding { .. } => Ok(()),
        }
    }

    /// Fails with 404, and ends the channel, when there is no such object; of bindings nothing can be learnt.
    async fn exists(&self, channel: &Channel) -> lapin::Result<()> {
        match &self.object {
            Object::Exchange { name, .. } => exchange_exists(channel, name).await,
            Object::Queue { name, .. } | Object::Stream { name, .. } | Object::WorkQueue { name, .. } => {
                queue_exists(channel, name).await
            }
            Object::Binding { .. } => Ok(()),
        }
    }

    /// Words a failed declaration; a work queue that is as it should be but for its mode is told as that.
    async fn judge(&self, link: &Link, error: lapin::Error) -> QueueError {
        let differs = is_soft(&error, &AMQPSoftError::PRECONDITIONFAILED);
        let mut judged = judge(&self.name, error);
        if let (true, Object::WorkQueue { name, arguments, consumers }) = (differs, &self.object)
            && let QueueError::Topology { remedy, .. } = &mut judged
            && let Ok(channel) = link.channel().await
        {
            // It exists, so that declaring it otherwise creates nothing.
            let other = Consumers::otherwise(arguments);
            if channel.queue_declare(short(name), QueueDeclareOptions::durable(), other).await.is_ok() {
                consumers.remedy().clone_into(remedy);
            }
        }
        judged
    }

    async fn delete(&self, channel: &Channel) -> lapin::Result<()> {
        match &self.object {
            Object::Exchange { name, .. } => {
                channel.exchange_delete(short(name), ExchangeDeleteOptions::default()).await
            }
            Object::Queue { name, .. } | Object::Stream { name, .. } | Object::WorkQueue { name, .. } => {
                channel.queue_delete(short(name), QueueDeleteOptions::default()).await.map(drop)
            }
            // Gone with its queue and its exchange.
            Object::Binding { .. } => Ok(()),
        }
    }
}

// Dead-lettering by publishing, confirming and only then removing; it needs reject-publish and quorum queues
// (rabbitmq.com/docs/quorum-queues, "Activating at-least-once dead-lettering").
fn at_least_once() -> [(&'static str, AMQPValue); 2] {
    [("x-dead-letter-strategy", text("at-least-once".into())), ("x-overflow", text("reject-publish".into()))]
}

/// Whole segments are dropped once they are too old or too much (rabbitmq.com/docs/streams, "Data Retention"). In 1 GB
/// some 1.5 million outcomes fit, about as many as a worker keeps in mind.
fn bounds(age: &str, bytes: i64, segment: i64) -> [(&'static str, AMQPValue); 3] {
    [
        ("x-max-age", text(age.into())),
        ("x-max-length-bytes", bytes.into()),
        ("x-stream-max-segment-size-bytes", segment.into()),
    ]
}

fn text(value: String) -> AMQPValue {
    AMQPValue::LongString(value.into())
}

fn field_table(arguments: &[(&str, AMQPValue)]) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        table.insert(short(key), value.clone());
    }
    table
}

fn shown(arguments: &FieldTable) -> String {
    let mut line = String::new();
    for (key, value) in arguments.inner() {
        let key = key.as_str().trim_start_matches("x-");
        let gap = if line.is_empty() { "" } else { " " };
        let written = match value {
            AMQPValue::LongString(text) => write!(line, "{gap}{key}={text}"),
            AMQPValue::LongLongInt(number) => write!(line, "{gap}{key}={number}"),
            AMQPValue::Boolean(is_set) => write!(line, "{gap}{key}={is_set}"),
            other => write!(line, "{gap}{key}={other:?}"),
        };
        written.expect("invariant: writing to a string never fails");
    }
    line
}
