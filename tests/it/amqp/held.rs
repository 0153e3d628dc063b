//! What is held because it cannot be published, or the journal not be asked: it harms nothing else, and ends once.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, ConnectionProperties, ExchangeKind};
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::results::Results;
use takedown::queue::{DeadLetters, Queue, Settled};
use tokio::time::timeout;

use super::outages::{delete_queue, own_broker};
use super::{complete, delete, desk, enqueue, shared, start};
use crate::support::broker;
use crate::support::queue::{eventually, id_of, outcome, take, within};

/// Puts a queue of another kind in the place of one: nothing a worker could put right by itself.
async fn replace_queue(settings: &AmqpSettings, name: &str) -> Channel {
    delete_queue(settings, name).await;
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let other = format!("{}.{name}", settings.prefix);
    channel.queue_declare(other.as_str().into(), QueueDeclareOptions::durable(), FieldTable::default()).await.unwrap();
    channel
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_rung_that_takes_nothing_does_not_stop_its_account() {
    let settings = shared().await;
    let queue = start(&settings, 2).await;
    enqueue(&settings, (0..4).map(|n| format!("t-{n}"))).await;
    let channel = replace_queue(&settings, "retry.200ms").await;
    for _ in 0..4 {
        let delivery = take(&queue, &desk()).await;
        let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None };
        within("the retry", queue.settle(delivery, retry)).await.unwrap();
    }
    for _ in 0..4 {
        let again = take(&queue, &desk()).await;
        assert_eq!((again.envelope.attempt, again.envelope.redelivery), (2, Redelivery::First));
        complete(&queue, again, Reason::TakenDown).await.unwrap();
    }
    drop(channel);
    // A longer delay waits on the shorter rung, and is told when it is due.
    replace_queue(&settings, "retry.1s").await;
    enqueue(&settings, ["t-5".into()]).await;
    delete_queue(&settings, "retry.200ms").await;
    let retry = Settlement::Retry { delay: Duration::from_secs(1), effect: Effect::None, last_code: None };
    within("the retry", queue.settle(take(&queue, &desk()).await, retry)).await.unwrap();
    assert!(take(&queue, &desk()).await.envelope.not_before.is_some());
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_letter_whose_note_is_refused_is_published_once() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into()]).await;
    let delivery = take(&queue, &desk()).await;
    let dead = outcome(&delivery, Reason::OutcomeUnknown);
    let channel = replace_queue(&settings, "dead.desk").await;
    let mut results = Results::connect(&settings).await.unwrap();
    let name = |name: &str| format!("{}.{name}", settings.prefix);
    let mend = async {
        eventually("a rest", async || !queue.is_ready()).await;
        let journal = name("journal");
        channel.exchange_delete(journal.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
        let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
        let other =
            channel.exchange_declare(journal.as_str().into(), ExchangeKind::Direct, options, FieldTable::default());
        other.await.unwrap();
        let (letters, exchange) = (name("dead.desk"), name("dead"));
        let bound = channel.queue_bind(
            letters.as_str().into(),
            exchange.as_str().into(),
            "desk".into(),
            QueueBindOptions::default(),
            FieldTable::default(),
        );
        bound.await.unwrap();
        assert!(timeout(Duration::from_secs(4), results.next()).await.is_err(), "nobody is told without a note");
        channel.exchange_delete(journal.as_str().into(), ExchangeDeleteOptions::default()).await.unwrap();
    };
    let settle = queue.settle(delivery, Settlement::DeadLetter(dead));
    let (settled, ()) = within("the end", futures_util::future::join(settle, mend)).await;
    let (id, _) = within("the outcome", results.next()).await.unwrap();
    assert_eq!(id, "t-1:dead:0");
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let letters = letters.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.iter().map(|letter| letter.id.as_str()).collect::<Vec<_>>(), ["t-1"]);
    assert_eq!(settled.unwrap(), Settled::AsAsked, "the claim of its own first try is no other's");
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_journal_that_refuses_a_look_is_asked_again() {
    // Channels for the readers of the journal and of the operators' log, the consumer, and one more.
    let mut settings = shared().await;
    settings.urls[0] = format!("{}?channel_max=4", settings.urls[0]);
    let queue = start(&settings, 4).await;
    eventually("readiness", async || queue.is_ready()).await;
    enqueue(&settings, ["t-1".into(), "t-1".into()]).await;
    complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    let copy = take(&queue, &desk()).await;
    let fleet = queue.fleet().unwrap();
    let mut session = None;
    eventually("the last channel", async || {
        session = fleet.join().await;
        session.is_some()
    })
    .await;
    let mut told = Box::pin(queue.told(&copy, "t-1"));
    let early = timeout(Duration::from_secs(1), &mut told).await;
    assert!(early.is_err(), "handed back, it would come again at once: {early:?}");
    drop(session);
    let told = within("an answer", told).await.unwrap().unwrap();
    assert_eq!(told.reason, Reason::TakenDown);
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_holds_publishers_back_puts_no_doubt_on_the_journal() {
    let broker = own_broker("[].").await;
    let settings = AmqpSettings { confirm_timeout: Duration::from_secs(2), ..broker::settings(broker.url()) };
    let queue = start(&settings, 4).await;
    enqueue(&settings, (0..3).map(|n| format!("t-{n}"))).await;
    for _ in 0..2 {
        queue.settle(take(&queue, &desk()).await, Settlement::GiveBack).await.unwrap();
    }
    let (mut again, mut fresh) = (Vec::new(), None);
    for _ in 0..3 {
        let delivery = take(&queue, &desk()).await;
        match delivery.envelope.redelivery {
            Redelivery::Again => again.push(delivery),
            Redelivery::First => fresh = Some(delivery),
        }
    }
    let (fresh, ids) = (fresh.unwrap(), again.iter().map(id_of).collect::<Vec<_>>());
    let ordered = tokio::task::spawn_blocking(move || {
        broker.control(&["set_vm_memory_high_watermark", "0.0000001"]);
        broker
    });
    let broker = within("the alarm", ordered).await.unwrap();
    // They want to write a mark; a connection is blocked at its first publish in the alarm.
    let mut refused = 0;
    eventually("the alarm", async || {
        let (one, other) = tokio::join!(queue.told(&again[0], &ids[0]), queue.told(&again[1], &ids[1]));
        refused += u32::from(one.is_err() && other.is_err());
        refused == 2
    })
    .await;
    let told = within("an answer", queue.told(&fresh, &id_of(&fresh))).await;
    assert_eq!(told.unwrap(), None, "the journal is read all the same");
    let late = again.pop().unwrap();
    let settlement = Settlement::of(outcome(&late, Reason::TakenDown));
    let mut settled = Box::pin(queue.settle(late, settlement));
    let early = timeout(Duration::from_secs(3), &mut settled).await;
    assert!(early.is_err(), "its claim cannot be confirmed: {early:?}");
    let ordered = tokio::task::spawn_blocking(move || {
        broker.control(&["set_vm_memory_high_watermark", "0.9"]);
        broker
    });
    let broker = within("the end of the alarm", ordered).await.unwrap();
    let settled = within("the outcome", settled).await;
    assert_eq!(settled.unwrap(), Settled::AsAsked, "a claim of its own that came late is no other's");
    for delivery in again.into_iter().chain([fresh]) {
        complete(&queue, delivery, Reason::TakenDown).await.unwrap();
    }
    queue.close().await.unwrap();
    drop(broker);
}
