//! What only a broker can do to a queue: die, close channels, lose queues, return messages, refuse.

mod held;
mod intake;
mod journal;
mod looks;
mod modes;
mod outages;
mod outbox;
mod prefetch;
mod rungs;
mod tls;

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use lapin::options::{QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions};
use lapin::types::{AMQPValue, FieldArray, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::ids::AccountId;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::Consumers;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::{DeadLetters, Delivery, Intake, Queue, QueueError};

use crate::support::broker;
use crate::support::queue::{account, eventually, id_of, outcome, replay_all, take, takedown, within};

async fn shared() -> AmqpSettings {
    broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap())
}

fn desk() -> AccountId {
    account("desk")
}

async fn start(settings: &AmqpSettings, prefetch: u16) -> AmqpQueue {
    AmqpQueue::start(
        settings.clone(),
        vec![ConsumerSettings { account: desk(), prefetch, consumers: Consumers::Competing }],
    )
    .await
    .unwrap()
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
    queue.settle(delivery, Settlement::Complete(outcome)).await.map(drop)
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

/// Leaves the result exchange without its catch-all queue and its alternate exchange without a queue; a queue of another
/// kind keeps the worker from putting that right.
async fn unbind_results(settings: &AmqpSettings) -> lapin::Channel {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    for name in ["results.all", "results.log", "unrouted"] {
        let name = format!("{}.{name}", settings.prefix);
        channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    }
    let other = format!("{}.unrouted", settings.prefix);
    channel.queue_declare(other.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    channel
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn an_unroutable_outcome_is_held_until_it_can_be_told() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into(), "t-2".into()]).await;
    let channel = unbind_results(&settings).await;
    let (first, second) = (take(&queue, &desk()).await, take(&queue, &desk()).await);
    let expected = format!("{}:success:0", id_of(&first));
    let mend = async {
        eventually("a rest", async || !queue.is_ready()).await;
        let other = format!("{}.unrouted", settings.prefix);
        channel.queue_delete(other.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
        Topology::new(&settings, &[desk()]).apply(&settings).await.unwrap();
    };
    let (settled, ()) =
        within("the outcome", futures_util::future::join(complete(&queue, first, Reason::TakenDown), mend)).await;
    settled.unwrap();
    let (id, told) = within("the outcome", Results::connect(&settings).await.unwrap().next()).await.unwrap();
    assert_eq!((id, told.reason), (expected, Reason::TakenDown), "it was not handed out again");

    // A worker that stops waits for nobody.
    let channel = unbind_results(&settings).await;
    let stop = async {
        eventually("a rest", async || !queue.is_ready()).await;
        queue.stop().await;
    };
    let (settled, ()) =
        within("an error", futures_util::future::join(complete(&queue, second, Reason::TakenDown), stop)).await;
    let expected =
        format!("publishing to {}.results was not confirmed: returned as unroutable: NO_ROUTE", settings.prefix);
    assert_eq!(settled.unwrap_err().to_string(), expected);
    queue.close().await.unwrap();
    let other = format!("{}.unrouted", settings.prefix);
    channel.queue_delete(other.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    let queue = start(&settings, 4).await;
    assert_eq!(take(&queue, &desk()).await.envelope.redelivery, Redelivery::Again);
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
    let stop = async {
        let exact = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        eventually("every success", async || {
            let queue = channel.queue_declare(only.as_str().into(), exact, FieldTable::default()).await.unwrap();
            queue.message_count() == 50
        })
        .await;
        queue.stop().await;
    };
    let settles = futures_util::future::join_all(settles);
    let (settled, ()) = within("every end", futures_util::future::join(settles, stop)).await;
    for (reason, settled) in settled {
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
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.work.desk", settings.prefix);
    channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();

    let consumers = vec![ConsumerSettings { account: desk(), prefetch: 1, consumers: Consumers::Competing }];
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
    let mut wrong_login = url::Url::parse(&good.urls[0]).unwrap();
    wrong_login.set_username("desk").unwrap();
    wrong_login.set_password(Some("s3cret")).unwrap();
    let mut wrong_vhost = url::Url::parse(&good.urls[0]).unwrap();
    wrong_vhost.set_path("/no-such-vhost");
    for (url, part) in [
        (wrong_login.to_string(), "the broker refused the login"),
        (good.urls[0].replacen("amqp:", "amqps:", 1), "does not speak TLS"),
        (wrong_vhost.to_string(), "the broker refused virtual host \"no-such-vhost\""),
        (format!("amqp://desk:s3cret@127.0.0.1:{closed_port}/%2f"), "is it running"),
    ] {
        let error = within("an error", start_error(AmqpSettings { urls: vec![url], ..good.clone() })).await;
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
    let listed = letters.list(&LetterFilter::default()).await.unwrap();
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
    let everything = LetterFilter::default();
    let mut seen = BTreeSet::new();
    let work = desk();
    tokio::select! {
        biased;
        first = take(&queue, &work) => {
            seen.insert(id_of(&first));
            complete(&queue, first, Reason::TakenDown).await.unwrap();
        }
        count = replay_all(&letters, &everything) => panic!("{count:?} letters were replayed before one arrived"),
    }
    // What the first call left unacked returns when the broker has noticed its end.
    eventually("every letter back at work", async || {
        replay_all(&letters, &everything).await;
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
