//! What only a broker can do to a queue: die, close channels, lose queues, return messages, refuse.

use std::collections::BTreeSet;
use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::ids::AccountId;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::publisher::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::{DeadLetterFilter, DeadLetters, Delivery, Intake, Queue, QueueError};

use crate::support::broker::{self, Broker};
use crate::support::queue::{account, eventually, id_of, outcome, take, takedown, within};

async fn shared() -> AmqpSettings {
    broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap())
}

async fn own_broker(advanced: &'static str) -> Broker {
    tokio::task::spawn_blocking(|| Broker::start_with(advanced)).await.unwrap()
}

fn desk() -> AccountId {
    account("desk")
}

async fn start(settings: &AmqpSettings, prefetch: u16) -> AmqpQueue {
    AmqpQueue::start(settings.clone(), vec![ConsumerSettings { account: desk(), prefetch }]).await.unwrap()
}

async fn enqueue(settings: &AmqpSettings, ids: impl IntoIterator<Item = String>) {
    let intake = AmqpIntake::connect(settings).await.unwrap();
    intake.enqueue(ids.into_iter().map(|id| takedown(&id, "desk")).collect()).await.unwrap();
    intake.close().await;
}

async fn delete(settings: &AmqpSettings) {
    Topology::new(settings, &[desk()]).delete(settings).await.unwrap();
}

async fn complete(queue: &AmqpQueue, delivery: Delivery, reason: Reason) -> Result<(), QueueError> {
    let outcome = outcome(&delivery, reason);
    queue.settle(delivery, Settlement::Complete(outcome)).await
}

fn line(error: &QueueError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_killed_under_load_loses_nothing() {
    const ITEMS: usize = 300;
    let mut broker = own_broker("[].").await;
    let settings = broker::settings(broker.url());
    let queue = Arc::new(start(&settings, 32).await);
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
    enqueue(&settings, ["t-1".into()]).await;
    let held = take(&queue, &desk()).await;
    // All memory is above this mark: a broker in alarm, which blocks a connection at its first publish.
    let broker = restart_with(broker, "[{rabbit, [{vm_memory_high_watermark, 0}]}].").await;
    let error = complete(&queue, held, Reason::TakenDown).await.unwrap_err();
    assert!(matches!(error, QueueError::Stale), "{error:?}");
    let again = take(&queue, &desk()).await;
    let error = complete(&queue, again, Reason::TakenDown).await.unwrap_err();
    assert!(matches!(error, QueueError::Publish { .. }), "{error:?}");
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

async fn restart_with(mut broker: Broker, advanced: &'static str) -> Broker {
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
    let connection = Connection::connect(&settings.url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.work.desk", settings.prefix);
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let topology = Topology::new(&settings, &[desk()]);
    eventually("the queue", async || topology.check(&settings).await.unwrap().is_empty()).await;
    enqueue(&settings, ["t-1".into()]).await;
    complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    queue.close().await.unwrap();
    delete(&settings).await;
}

/// Leaves the result exchange without its catch-all queue and its alternate exchange without a queue.
async fn unbind_results(settings: &AmqpSettings) -> lapin::Channel {
    let connection = Connection::connect(&settings.url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for name in ["results.all", "unrouted"] {
        let name = format!("{}.{name}", settings.prefix);
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    }
    channel
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn an_unroutable_outcome_is_an_error_and_the_message_comes_again() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into()]).await;
    unbind_results(&settings).await;
    let error = complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap_err();
    let expected =
        format!("publishing to {}.results was not confirmed: returned as unroutable: NO_ROUTE", settings.prefix);
    assert_eq!(error.to_string(), expected);
    let again = take(&queue, &desk()).await;
    assert_eq!(again.envelope.redelivery, Redelivery::Again);
    Topology::new(&settings, &[desk()]).apply(&settings).await.unwrap();
    complete(&queue, again, Reason::TakenDownEarlier).await.unwrap();
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_returned_outcome_is_never_charged_to_another_in_flight() {
    let settings = shared().await;
    let queue = start(&settings, 100).await;
    enqueue(&settings, (0..100).map(|n| format!("t-{n}"))).await;
    let channel = unbind_results(&settings).await;
    let only = format!("{}.only", settings.prefix);
    let options = QueueDeclareOptions { auto_delete: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(only.as_str().into(), options, FieldTable::default()).await.unwrap();
    let exchange = format!("{}.results", settings.prefix);
    channel
        .queue_bind(
            only.as_str().into(),
            exchange.as_str().into(),
            "success.#".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        )
        .await
        .unwrap();

    let mut deliveries = Vec::new();
    for _ in 0..100 {
        deliveries.push(take(&queue, &desk()).await);
    }
    let settles = deliveries.into_iter().enumerate().map(|(n, delivery)| {
        let reason = if n % 2 == 0 { Reason::TakenDown } else { Reason::NotOnSale };
        let settle = complete(&queue, delivery, reason);
        async move { (reason, settle.await) }
    });
    for (reason, settled) in futures_util::future::join_all(settles).await {
        assert_eq!(settled.is_ok(), reason == Reason::TakenDown, "{reason}: {settled:?}");
    }
    channel.queue_delete(only.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_topology_that_differs_is_refused_with_its_remedy() {
    let settings = shared().await;
    let connection = Connection::connect(&settings.url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.work.desk", settings.prefix);
    channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();

    let consumers = vec![ConsumerSettings { account: desk(), prefetch: 1 }];
    let error = AmqpQueue::start(settings.clone(), consumers).await.unwrap_err();
    let QueueError::Topology { object, problem, remedy } = &error else { panic!("{error:?}") };
    assert_eq!(*object, name);
    assert!(problem.starts_with("PRECONDITION_FAILED - inequivalent arg"), "{problem}");
    assert!(remedy.contains("takedown topology apply"), "{remedy}");
    assert!(!line(&error).contains('\n'));

    let findings = Topology::new(&settings, &[desk()]).check(&settings).await.unwrap();
    assert_eq!(
        findings.iter().map(|finding| &finding.object).collect::<Vec<_>>(),
        [
            &name,
            // Not reached by the start that failed.
            &format!("{}.dead.desk", settings.prefix),
        ]
    );
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_check_tells_what_is_missing_and_creates_none_of_it() {
    let settings = shared().await;
    let topology = Topology::new(&settings, &[desk()]);
    let missing = topology.check(&settings).await.unwrap();
    let objects = topology.rows.iter().filter(|row| row.kind != "binding").count();
    assert_eq!(missing.len(), objects);
    assert!(missing.iter().all(|finding| finding.remedy == "run `takedown topology apply`"), "{missing:?}");
    assert_eq!(topology.check(&settings).await.unwrap(), missing, "a second look finds the same");
    let error = AmqpIntake::connect(&settings).await.unwrap_err();
    assert!(matches!(error, QueueError::Topology { .. }), "{error:?}");

    topology.apply(&settings).await.unwrap();
    assert!(topology.check(&settings).await.unwrap().is_empty());
    topology.apply(&settings).await.unwrap();
    let stranger = AmqpIntake::connect(&settings).await.unwrap().enqueue(vec![takedown("t-1", "stranger")]).await;
    assert!(matches!(stranger, Err(QueueError::Topology { .. })), "{stranger:?}");
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_refused_connection_is_one_clear_line_without_the_password() {
    let good = shared().await;
    let closed_port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mut wrong_login = url::Url::parse(&good.url).unwrap();
    wrong_login.set_username("desk").unwrap();
    wrong_login.set_password(Some("s3cret")).unwrap();
    let mut wrong_vhost = url::Url::parse(&good.url).unwrap();
    wrong_vhost.set_path("/no-such-vhost");
    for (url, part) in [
        (wrong_login.to_string(), "the broker refused the login"),
        (wrong_vhost.to_string(), "the broker refused virtual host \"no-such-vhost\""),
        (format!("amqp://desk:s3cret@127.0.0.1:{closed_port}/%2f"), "is it running"),
    ] {
        let error = within("an error", start_error(AmqpSettings { url, ..good.clone() })).await;
        let text = line(&error);
        assert!(matches!(error, QueueError::Connect { .. }), "{text}");
        assert!(text.contains(part), "{text}");
        assert!(!text.contains("s3cret") && !text.contains("guest:guest") && !text.contains('\n'), "{text}");
    }
}

async fn start_error(settings: AmqpSettings) -> QueueError {
    AmqpQueue::start(settings, Vec::new()).await.unwrap_err()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn odd_properties_of_a_producer_neither_fail_nor_divert_a_message() {
    let settings = shared().await;
    let accounts = vec![desk(), account("other")];
    Topology::new(&settings, &accounts).apply(&settings).await.unwrap();
    let queue = start(&settings, 4).await;
    let mut headers = FieldTable::default();
    headers.insert("x-td-attempt".into(), AMQPValue::LongString("many".into()));
    headers.insert("x-td-first-seen".into(), AMQPValue::Double(1.5));
    headers.insert("x-td-ambiguous".into(), AMQPValue::FieldTable(FieldTable::default()));
    headers.insert("traceparent".into(), AMQPValue::LongString("00-abc".into()));
    // Sends a copy to another account's queue, as a producer may; its dead letter must not follow it there.
    let copies = vec![AMQPValue::LongString("other".into())];
    headers.insert("CC".into(), AMQPValue::FieldArray(FieldArray::from(copies)));
    let properties = BasicProperties::default()
        .with_headers(headers)
        .with_user_id("guest".into())
        .with_expiration("3600000".into())
        .with_message_id("m-1".into());
    broker::publish(&settings, &settings.prefix, "desk", b"{}", properties).await;

    let delivery = take(&queue, &desk()).await;
    assert_eq!((delivery.envelope.attempt, delivery.envelope.effect), (1, Effect::None));
    let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: Some("漢".repeat(5000)) };
    queue.settle(delivery, retry).await.unwrap();
    let second = take(&queue, &desk()).await;
    assert_eq!((second.envelope.attempt, second.envelope.message_id.as_deref()), (2, Some("m-1")));
    let outcome = outcome(&second, Reason::InvalidMessage);
    queue.settle(second, Settlement::DeadLetter(outcome)).await.unwrap();
    let letters = AmqpDeadLetters::connect(&settings, accounts.clone()).await.unwrap();
    let listed = letters.list(&DeadLetterFilter::default()).await.unwrap();
    let seen: Vec<_> = listed.iter().map(|letter| (letter.account.as_str(), letter.body.as_slice())).collect();
    assert_eq!(seen, [("desk", b"{}".as_slice())]);
    queue.close().await.unwrap();
    Topology::new(&settings, &accounts).delete(&settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_replay_broken_off_loses_no_letter() {
    const LETTERS: usize = 60;
    let settings = shared().await;
    let queue = start(&settings, 100).await;
    enqueue(&settings, (0..LETTERS).map(|n| format!("t-{n}"))).await;
    for _ in 0..LETTERS {
        let delivery = take(&queue, &desk()).await;
        let outcome = outcome(&delivery, Reason::OutcomeUnknown);
        queue.settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    }
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let everything = DeadLetterFilter::default();
    let mut seen = BTreeSet::new();
    let work = desk();
    tokio::select! {
        biased;
        first = take(&queue, &work) => {
            seen.insert(id_of(&first));
            complete(&queue, first, Reason::TakenDown).await.unwrap();
        }
        count = letters.replay(&everything) => panic!("{count:?} letters were replayed before one arrived"),
    }
    // What the first call left unacked returns when the broker has noticed its end.
    eventually("every letter back at work", async || {
        letters.replay(&everything).await.unwrap();
        while let Ok(next) = tokio::time::timeout(Duration::from_millis(200), queue.next(&work)).await {
            let delivery = next.unwrap().unwrap();
            assert_eq!(delivery.envelope.replays, 1);
            seen.insert(id_of(&delivery));
            complete(&queue, delivery, Reason::TakenDown).await.unwrap();
        }
        seen.len() == LETTERS && letters.list(&everything).await.unwrap().is_empty()
    })
    .await;
    queue.close().await.unwrap();
    delete(&settings).await;
}
