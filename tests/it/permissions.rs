//! The permissions the README gives to a producer, a worker, a consumer and an operator: each can do its job, and none the
//! others'.

use std::time::Duration;

use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueBindOptions,
    QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};
use takedown::desk::cancel::{Order, cancel};
use takedown::desk::follow::catch_up;
use takedown::desk::store::Store;
use takedown::domain::classify::Effect;
use takedown::domain::ids::BatchId;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::fleet::AmqpFleet;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::tail::{Log, Streams};
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::Consumers;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::{Intake, Queue};

use crate::support::broker::Broker;
use crate::support::queue::{account, outcome, replay_all, take, takedown, within};

/// User; what it may configure, write and read.
const ROLES: [(&str, [&str; 3]); 4] = [
    ("producer", ["^$", "^takedown$", "^$"]),
    (
        "worker",
        [
            r"^amq\.gen-",
            r"^(takedown\.(retry\..+|results|dead|fleet|journal|desk)|amq\.gen-.+)$",
            r"^(takedown\.(work\..+|fleet|journal|desk)|amq\.gen-.+)$",
        ],
    ),
    ("consumer", ["^$", "^$", r"^takedown\.results\.all$"]),
    ("operator", [r"^(takedown(\..+)?|amq\.gen-.+)$"; 3]),
];

const PASSWORD: &str = "p4ssword";

/// A node with the four users, and no guest of use.
struct Guarded {
    broker: Broker,
    base: url::Url,
}

impl Guarded {
    async fn start() -> Self {
        tokio::task::spawn_blocking(|| {
            let broker = Broker::start();
            for (user, [configure, write, read]) in ROLES {
                broker.control(&["add_user", user, PASSWORD]);
                broker.control(&["set_permissions", user, configure, write, read]);
            }
            let base = broker.url().parse().unwrap();
            Self { broker, base }
        })
        .await
        .unwrap()
    }

    fn settings(&self, user: &str) -> AmqpSettings {
        let mut url = self.base.clone();
        url.set_username(user).unwrap();
        url.set_password(Some(PASSWORD)).unwrap();
        AmqpSettings {
            rungs: vec![Duration::from_millis(200), Duration::from_secs(1)],
            connection_name: user.to_owned(),
            ..AmqpSettings::new(url)
        }
    }

    async fn connect(&self, user: &str) -> Connection {
        Connection::connect(&self.settings(user).urls[0], ConnectionProperties::default()).await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn each_role_does_its_job_and_none_the_others() {
    let guarded = Guarded::start().await;
    each_does_its_job(&guarded).await;
    for (user, attempts) in forbidden() {
        for attempt in attempts {
            let connection = guarded.connect(user).await;
            let channel = connection.create_channel().await.unwrap();
            let refused = within("a refusal", attempt.make(&channel)).await;
            let refused = refused.expect_err(&format!("{user} may {attempt:?}")).to_string();
            assert!(refused.contains("ACCESS_REFUSED"), "{user}: {attempt:?}: {refused}");
            connection.close(200, "done".into()).await.unwrap();
        }
    }
    drop(guarded.broker);
}

async fn each_does_its_job(guarded: &Guarded) {
    let accounts = [account("desk"), account("shops")];
    let [producer, worker, consumer, operator] = ROLES.map(|(user, _)| guarded.settings(user));
    let consumers: Vec<_> = accounts
        .iter()
        .map(|account| ConsumerSettings { account: account.clone(), prefetch: 4, consumers: Consumers::Competing })
        .collect();
    let early = AmqpQueue::start(worker.clone(), consumers.clone()).await.unwrap_err().to_string();
    assert!(early.contains("takedown"), "nothing is there yet, and a worker may not make it: {early}");

    Topology::new(&operator, &accounts).apply(&operator).await.unwrap();
    assert_eq!(Topology::new(&operator, &accounts).check(&operator).await.unwrap(), Vec::new());
    let intake = AmqpIntake::connect(&producer).await.unwrap();
    intake.enqueue(["a", "b", "c"].map(|id| takedown(id, "desk")).to_vec()).await.unwrap();
    intake.close().await;

    let queue = AmqpQueue::start(worker, consumers).await.unwrap();
    let fleet = queue.fleet().unwrap();
    let mut session = within("the fleet", fleet.join()).await.unwrap();
    session.tell(b"beat").await.unwrap();
    assert_eq!(within("its own beat", session.hear()).await.unwrap(), b"beat");
    for turn in 0..4 {
        let delivery = take(&queue, &accounts[0]).await;
        let settlement = match turn {
            0 => Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None },
            1 => Settlement::DeadLetter(outcome(&delivery, Reason::UnknownCode)),
            _ => Settlement::Complete(outcome(&delivery, Reason::TakenDown)),
        };
        within("a settlement", queue.settle(delivery, settlement)).await.unwrap();
    }

    let depths = within("a look", queue.depths()).await.unwrap();
    let [desk, shops] = accounts.each_ref().map(|account| depths.accounts[account]);
    assert_eq!((desk.dead, shops.work, shops.consumers, depths.unrouted), (1, 0, 1, 0), "{depths:?}");
    assert!(depths.results > 0, "{depths:?}");

    let connection = guarded.connect("consumer").await;
    let channel = connection.create_channel().await.unwrap();
    let got = channel.basic_get("takedown.results.all".into(), BasicGetOptions { no_ack: true }).await.unwrap();
    assert!(got.is_some(), "the consumer gets an outcome");
    connection.close(200, "done".into()).await.unwrap();
    let mut results = Results::connect(&consumer).await.unwrap();
    within("an outcome", results.next()).await.unwrap();

    let letters = AmqpDeadLetters::connect(&operator, accounts.to_vec()).await.unwrap();
    assert_eq!(replay_all(&letters, &LetterFilter::default()).await, 1);
    let again = take(&queue, &accounts[0]).await;
    queue.settle(again, Settlement::GiveBack).await.unwrap();
    let visit = AmqpFleet::visit(&operator).await.unwrap();
    let mut desk = visit.open().await.unwrap();
    desk.tell(b"word").await.unwrap();
    assert_eq!(within("the operator's word", session.hear()).await.unwrap(), b"word");
    assert_eq!(within("the operator's word", desk.hear()).await.unwrap(), b"word");
    visit.close().await;
    cancel_and_count(&operator, &queue).await;
    queue.close().await.unwrap();
}

/// What the operator's desk does, and the worker hears.
async fn cancel_and_count(operator: &AmqpSettings, queue: &AmqpQueue) {
    let batch = BatchId::new("b-1").unwrap();
    let order = Order { batch: batch.clone(), reason: None, by: "ada@desk".into() };
    within("the cancel", cancel(operator, &order, |_| ())).await.unwrap();
    within("the word of it", queue.ledger().wait_for(|ledger| ledger.is_cancelled(&batch))).await.unwrap();
    let store = Store::temporary(&operator.identity()).unwrap();
    let streams = Streams::connect(operator).await.unwrap();
    within("the end", catch_up(&streams, &store)).await.unwrap();
    assert!(store.place(Log::Outcomes).unwrap().is_some_and(|place| place.offset >= 3), "three outcomes and a mark");
    assert!(store.batch(&batch).unwrap().unwrap().cancelled.is_some());
    streams.close().await;
}

/// Something a role may not do.
#[derive(Debug, Clone, Copy)]
enum Attempt {
    Publish(&'static str),
    Get(&'static str),
    Declare(&'static str),
    DeclareExchange(&'static str),
    Delete(&'static str),
    Purge(&'static str),
    Bind { queue: &'static str, exchange: &'static str },
}

impl Attempt {
    async fn make(self, channel: &Channel) -> lapin::Result<()> {
        match self {
            Self::Publish(exchange) => {
                channel.confirm_select(ConfirmSelectOptions::default()).await?;
                let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
                channel.basic_publish(exchange.into(), "desk".into(), options, b"{}", properties).await?.await.map(drop)
            }
            Self::Get(queue) => channel.basic_get(queue.into(), BasicGetOptions::default()).await.map(drop),
            Self::Declare(queue) => {
                let options = QueueDeclareOptions::durable();
                channel.queue_declare(queue.into(), options, FieldTable::default()).await.map(drop)
            }
            Self::DeclareExchange(exchange) => {
                let options = ExchangeDeclareOptions::default();
                channel.exchange_declare(exchange.into(), ExchangeKind::Fanout, options, FieldTable::default()).await
            }
            Self::Delete(queue) => channel.queue_delete(queue.into(), QueueDeleteOptions::default()).await.map(drop),
            Self::Purge(queue) => channel.queue_purge(queue.into(), QueuePurgeOptions::default()).await.map(drop),
            Self::Bind { queue, exchange } => {
                let options = QueueBindOptions::default();
                channel.queue_bind(queue.into(), exchange.into(), "#".into(), options, FieldTable::default()).await
            }
        }
    }
}

fn forbidden() -> [(&'static str, Vec<Attempt>); 4] {
    use Attempt::{Bind, Declare, DeclareExchange, Delete, Get, Publish, Purge};
    let everywhere = || [Declare("elsewhere"), DeclareExchange("elsewhere"), Publish("amq.topic"), Publish("")];
    let but = |own: &[Attempt]| everywhere().into_iter().chain(own.iter().copied()).collect();
    [
        (
            "producer",
            but(&[
                Publish("takedown.results"),
                Publish("takedown.dead"),
                Publish("takedown.retry.200ms"),
                Publish("takedown.fleet"),
                Publish("takedown.desk"),
                Get("takedown.work.desk"),
                Get("takedown.results.all"),
                Get("takedown.dead.desk"),
                Delete("takedown.work.desk"),
                Purge("takedown.work.desk"),
            ]),
        ),
        (
            "worker",
            but(&[
                Publish("takedown"),
                Publish("takedown.results.log"),
                Get("takedown.results.all"),
                Get("takedown.dead.desk"),
                Get("takedown.unrouted"),
                Delete("takedown.work.desk"),
                Delete("takedown.results.all"),
                Bind { queue: "takedown.work.desk", exchange: "takedown.results" },
            ]),
        ),
        (
            "consumer",
            but(&[
                Publish("takedown"),
                Publish("takedown.results"),
                Publish("takedown.fleet"),
                Get("takedown.work.desk"),
                Get("takedown.dead.desk"),
                Delete("takedown.results.all"),
            ]),
        ),
        ("operator", everywhere().to_vec()),
    ]
}
