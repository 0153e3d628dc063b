//! A broker that dies, closes channels, loses queues, or holds publishers back.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::options::{ExchangeDeleteOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Connection, ConnectionProperties};
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::{DeadLetters, Intake, Queue, QueueError};

use super::{complete, delete, desk, enqueue, shared, start};
use crate::support::broker::{self, Broker};
use crate::support::queue::{eventually, id_of, outcome, take, takedown, within};

pub(super) async fn own_broker(advanced: &'static str) -> Broker {
    tokio::task::spawn_blocking(|| Broker::start_with(advanced)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_killed_under_load_loses_nothing() {
    const ITEMS: usize = 300;
    // A broker that died while it moved a message out of a retry rung moves it again once this time is over; the default
    // is three minutes.
    let mut broker = own_broker("[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 1000}]}].").await;
    let settings = broker::settings(broker.url());
    let queue = Arc::new(start(&settings, 32).await);
    broker.wait_until_streams_last();
    enqueue(&settings, (0..ITEMS).map(|n| format!("t-{n}"))).await;

    // Every item is tried twice, so that retries are under way too when the broker dies.
    let settled = Arc::new(AtomicUsize::new(0));
    let workers: Vec<_> = (0..16)
        .map(|_| {
            let (queue, settled) = (Arc::clone(&queue), Arc::clone(&settled));
            tokio::spawn(async move {
                while let Some(delivery) = queue.next(&desk()).await.unwrap() {
                    let settlement = if delivery.envelope.attempt == 1 {
                        Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None }
                    } else {
                        Settlement::Complete(outcome(&delivery, Reason::TakenDown))
                    };
                    if queue.settle(delivery, settlement).await.is_ok() {
                        settled.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
        })
        .collect();

    eventually("a first part of the work", async || settled.load(Ordering::Relaxed) > ITEMS / 2).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill9();
        broker.restart();
        broker
    });
    let broker = within("the restart", broker).await.unwrap();

    let mut ids = BTreeSet::new();
    within("every outcome", async {
        while ids.len() < ITEMS {
            let mut results = Results::connect(&settings).await.unwrap();
            while ids.len() < ITEMS {
                let Ok((id, outcome)) = results.next().await else { break };
                assert_eq!(id, outcome.outcome_id());
                ids.insert(id);
            }
        }
    })
    .await;
    let expected: BTreeSet<_> = (0..ITEMS).map(|n| format!("t-{n}:success:0")).collect();
    assert_eq!(ids, expected);
    eventually("readiness", async || queue.is_ready()).await;
    queue.stop().await;
    for worker in workers {
        worker.await.unwrap();
    }
    queue.close().await.unwrap();
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_delivery_of_a_channel_the_broker_closed_is_stale_and_comes_again() {
    // The broker closes the channel of a delivery that is held for too long; it looks every half second.
    let broker = own_broker("[{rabbit, [{consumer_timeout, 1000}, {channel_tick_interval, 500}]}].").await;
    let settings = broker::settings(broker.url());
    let queue = start(&settings, 1).await;
    enqueue(&settings, ["t-1".into()]).await;
    let held = take(&queue, &desk()).await;
    let again = take(&queue, &desk()).await;
    assert_eq!((id_of(&again).as_str(), again.envelope.redelivery), ("t-1", Redelivery::Again));
    let error = complete(&queue, held, Reason::TakenDown).await.unwrap_err();
    assert!(matches!(error, QueueError::Stale), "{error:?}");
    complete(&queue, again, Reason::TakenDownEarlier).await.unwrap();
    let (_, first) = within("the outcome", Results::connect(&settings).await.unwrap().next()).await.unwrap();
    assert_eq!(first.reason, Reason::TakenDownEarlier, "nothing was published for the stale one");
    queue.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn nothing_is_handed_out_while_the_broker_holds_publishers_back() {
    let broker = own_broker("[].").await;
    let settings = AmqpSettings { confirm_timeout: Duration::from_secs(1), ..broker::settings(broker.url()) };
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into(), "t-2".into()]).await;
    let held = take(&queue, &desk()).await;
    // All memory is above this mark: a broker in alarm, which blocks a connection at its first publish.
    let broker = restart_with(broker, "[{rabbit, [{vm_memory_high_watermark, 0}]}].").await;
    let error = complete(&queue, held, Reason::TakenDown).await.unwrap_err();
    assert!(matches!(error, QueueError::Stale), "{error:?}");
    assert!(!queue.is_ready());
    let work = desk();
    let waiting = tokio::time::timeout(Duration::from_secs(2), queue.next(&work)).await;
    assert!(waiting.is_err(), "{waiting:?}");

    let broker = restart_with(broker, "[].").await;
    complete(&queue, take(&queue, &work).await, Reason::TakenDownEarlier).await.unwrap();
    eventually("readiness", async || queue.is_ready()).await;
    queue.close().await.unwrap();
    drop(broker);
}

pub(super) async fn delete_queue(settings: &AmqpSettings, name: &str) {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.{name}", settings.prefix);
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
}

pub(super) async fn restart_with(mut broker: Broker, advanced: &'static str) -> Broker {
    let restarted = tokio::task::spawn_blocking(move || {
        broker.restart_with(advanced);
        broker
    });
    within("the restart", restarted).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_queue_deleted_under_its_consumer_is_declared_again() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    eventually("readiness", async || queue.is_ready()).await;
    delete_queue(&settings, "work.desk").await;
    let topology = Topology::new(&settings, &[desk()]);
    eventually("the queue", async || topology.check(&settings).await.unwrap().is_empty()).await;
    enqueue(&settings, ["t-1".into()]).await;
    complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_retry_queue_deleted_under_a_worker_is_declared_again() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into()]).await;
    let delivery = take(&queue, &desk()).await;
    delete_queue(&settings, "retry.200ms").await;
    let retry = || Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None };
    within("the retry", queue.settle(delivery, retry())).await.unwrap();
    let second = take(&queue, &desk()).await.envelope;
    assert_eq!((second.attempt, second.redelivery), (2, Redelivery::First), "it was not handed out again");
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn what_was_unrouted_is_sent_on_when_the_topology_is_put_right() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into(), "t-2".into()]).await;
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = |name: &str| format!("{}.{name}", settings.prefix);
    for (bound, exchange, key) in [
        ("results.all", name("results"), "#"),
        ("results.log", name("results"), "#"),
        ("work.desk", settings.prefix.clone(), "desk"),
    ] {
        let unbound = channel.queue_unbind(name(bound).into(), exchange.into(), key.into(), FieldTable::default());
        unbound.await.unwrap();
    }
    let first = take(&queue, &desk()).await;
    let told = format!("{}:success:0", id_of(&first));
    complete(&queue, first, Reason::TakenDown).await.unwrap();
    let properties = lapin::BasicProperties::default;
    for key in ["stranger", "desk"] {
        // More than a worker's usual frames hold.
        let mut headers = FieldTable::default();
        headers.insert("note".into(), AMQPValue::LongString("x".repeat(60_000).into()));
        broker::publish(&settings, &settings.prefix, key, b"{}", properties().with_headers(headers)).await;
    }
    // Whatever is missed has the topology applied.
    channel.exchange_delete(name("retry.200ms").into(), ExchangeDeleteOptions::default()).await.unwrap();
    let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None };
    let mut results = Results::connect(&settings).await.unwrap();
    within("the retry", queue.settle(take(&queue, &desk()).await, retry)).await.unwrap();
    let (id, _) = within("the outcome", results.next()).await.unwrap();
    assert_eq!(id, told);
    let bodies = [take(&queue, &desk()).await, take(&queue, &desk()).await].map(|delivery| delivery.body.len());
    assert!(bodies.contains(&2), "the takedown was sent on too: {bodies:?}");
    let exact = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    eventually("the stranger's alone", async || {
        let unrouted = channel.queue_declare(name("unrouted").into(), exact, FieldTable::default()).await.unwrap();
        unrouted.message_count() == 1
    })
    .await;
    queue.close().await.unwrap();
    delete(&settings).await;
}

/// One of two queues of outcomes takes what the other misses, so that no publish tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_queue_of_outcomes_that_is_gone_or_unbound_is_back_after_a_look() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = |name: &str| format!("{}.{name}", settings.prefix);
    for (lost, id) in [("results.all", "t-1"), ("results.log", "t-2")] {
        delete_queue(&settings, lost).await;
        assert_eq!(queue.depths().await.unwrap().missing, [name(lost)]);
        assert_eq!(queue.depths().await.unwrap().missing, Vec::<String>::new());
        enqueue(&settings, [id.into()]).await;
        complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    }
    let (all, results) = (name("results.all"), name("results"));
    let unbound = channel.queue_unbind(all.into(), results.into(), "#".into(), FieldTable::default());
    unbound.await.unwrap();
    queue.depths().await.unwrap();
    enqueue(&settings, ["t-3".into()]).await;
    complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    let mut outcomes = Results::connect(&settings).await.unwrap();
    for id in ["t-1", "t-2", "t-3"] {
        assert_eq!(within("an outcome", outcomes.next()).await.unwrap().1.id, id);
    }
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn an_item_is_told_as_dead_once_it_has_its_letter() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into()]).await;
    let delivery = take(&queue, &desk()).await;
    // Of another kind: nothing the worker could put right by itself.
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    delete_queue(&settings, "dead.desk").await;
    let other = format!("{}.dead.desk", settings.prefix);
    channel.queue_declare(other.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    let dead = outcome(&delivery, Reason::OutcomeUnknown);
    let mut results = Results::connect(&settings).await.unwrap();
    let mend = async {
        eventually("a rest", async || !queue.is_ready()).await;
        assert!(tokio::time::timeout(Duration::from_secs(1), results.next()).await.is_err(), "nobody is told yet");
        delete_queue(&settings, "dead.desk").await;
    };
    let settle = queue.settle(delivery, Settlement::DeadLetter(dead));
    let (settled, ()) = within("the letter", futures_util::future::join(settle, mend)).await;
    settled.unwrap();
    let (id, _) = within("the outcome", results.next()).await.unwrap();
    assert_eq!(id, "t-1:dead:0");
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let letters = letters.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["t-1"]);
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_producer_waits_out_a_broker_killed_under_it() {
    const ITEMS: usize = 3000;
    let mut broker = own_broker("[].").await;
    // Long enough for a slow machine to start the broker again.
    let settings = AmqpSettings { confirm_timeout: Duration::from_secs(120), ..broker::settings(broker.url()) };
    Topology::new(&settings, &[desk()]).apply(&settings).await.unwrap();
    let intake = Arc::new(AmqpIntake::connect(&settings).await.unwrap());
    intake.enqueue(vec![takedown("first", "desk")]).await.unwrap();
    let enqueueing = tokio::spawn({
        let intake = Arc::clone(&intake);
        async move { intake.enqueue((0..ITEMS).map(|n| takedown(&format!("t-{n}"), "desk")).collect()).await }
    });
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill9();
        broker.restart();
        broker
    });
    let broker = within("the restart", broker).await.unwrap();
    let enqueued = within("every confirm", enqueueing).await.unwrap().unwrap();
    assert_eq!(enqueued.accepted, ITEMS as u64);
    drop(broker);
}
