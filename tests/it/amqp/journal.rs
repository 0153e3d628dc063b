//! The journal: one outcome an item, whoever works its copies, and what becomes of a worker that cannot ask it.

use std::collections::BTreeSet;

use lapin::BasicProperties;
use takedown::domain::classify::Redelivery;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, Reason};
use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings};
use takedown::queue::{DeadLetters, Delivery, Intake, Queue, QueueError, Settled};

use super::outages::{delete_queue, own_broker};
use super::{delete, desk, enqueue, line, shared, start};
use crate::support::broker;
use crate::support::queue::{eventually, id_of, outcome, replay_all, take, takedown, within};

async fn copies(settings: &AmqpSettings, id: &str, count: usize) {
    enqueue(settings, vec![id.to_owned(); count]).await;
}

async fn end(queue: &AmqpQueue, delivery: Delivery, reason: Reason) -> Result<Settled, QueueError> {
    let settlement = Settlement::of(outcome(&delivery, reason));
    queue.settle(delivery, settlement).await
}

fn before(settled: Settled) -> FinalOutcome {
    match settled {
        Settled::AsBefore(outcome) => *outcome,
        Settled::AsAsked => panic!("the item had no outcome before"),
    }
}

async fn letters(settings: &AmqpSettings) -> Vec<String> {
    let letters = AmqpDeadLetters::connect(settings, vec![desk()]).await.unwrap();
    let listed = letters.list(&LetterFilter::default()).await.unwrap();
    listed.into_iter().map(|letter| letter.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_copy_that_comes_again_finds_what_another_worker_told_a_moment_ago() {
    let settings = shared().await;
    let (first, second) = (start(&settings, 1).await, start(&settings, 1).await);
    for round in 0..10 {
        let id = format!("t-{round}");
        copies(&settings, &id, 2).await;
        let (ours, theirs) = (take(&first, &desk()).await, take(&second, &desk()).await);
        // Handed back and taken again, as after a crash; then the other tells, and this one asks at once.
        second.settle(theirs, Settlement::GiveBack).await.unwrap();
        let again = take(&second, &desk()).await;
        assert_eq!(again.envelope.redelivery, Redelivery::Again);
        end(&first, ours, Reason::TakenDown).await.unwrap();
        let told = second.told(&again, &id).await.unwrap();
        assert_eq!(told.map(|told| (told.id, told.reason)), Some((id, Reason::TakenDown)));
        assert_eq!(before(end(&second, again, Reason::DeadlinePassed).await.unwrap()).reason, Reason::TakenDown);
    }
    first.close().await.unwrap();
    second.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn two_copies_settled_at_once_and_otherwise_have_one_outcome() {
    const ITEMS: usize = 40;
    let settings = shared().await;
    let (first, second) = (start(&settings, 1).await, start(&settings, 1).await);
    let mut results = Results::connect(&settings).await.unwrap();
    let mut dead = BTreeSet::new();
    for round in 0..ITEMS {
        let id = format!("t-{round}");
        copies(&settings, &id, 2).await;
        let (one, other) = (take(&first, &desk()).await, take(&second, &desk()).await);
        let (one, other) =
            tokio::join!(end(&first, one, Reason::TakenDown), end(&second, other, Reason::AttemptsExhausted));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(
            usize::from(one == Settled::AsAsked) + usize::from(other == Settled::AsAsked),
            1,
            "{one:?} {other:?}"
        );
        if other == Settled::AsAsked {
            dead.insert(id.clone());
        }
        let told = [results.next().await.unwrap(), results.next().await.unwrap()];
        assert_eq!(told[0], told[1]);
        assert_eq!(told[0].1.id, id);
    }
    // A copy that meets another's claim cannot know whether its letter is still to come.
    let letters: BTreeSet<_> = letters(&settings).await.into_iter().collect();
    assert_eq!(letters, dead, "a letter for each dead item, and for no other");
    first.close().await.unwrap();
    second.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_dead_item_that_comes_again_gets_no_second_letter() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    copies(&settings, "t-1", 3).await;
    assert_eq!(end(&queue, take(&queue, &desk()).await, Reason::OutcomeUnknown).await.unwrap(), Settled::AsAsked);
    for _ in 0..2 {
        let copy = take(&queue, &desk()).await;
        assert_eq!(before(end(&queue, copy, Reason::TakenDownEarlier).await.unwrap()).reason, Reason::OutcomeUnknown);
    }
    assert_eq!(letters(&settings).await, ["t-1"]);
    // A replay is another round, with an outcome of its own.
    let replays = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    replay_all(&replays, &LetterFilter::default()).await;
    let replayed = take(&queue, &desk()).await;
    assert_eq!(queue.told(&replayed, "t-1").await.unwrap(), None);
    assert_eq!(end(&queue, replayed, Reason::AlreadyOff).await.unwrap(), Settled::AsAsked);
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_new_worker_knows_what_was_told_and_passes_over_what_is_no_entry() {
    let settings = shared().await;
    Topology::new(&settings, &[desk()]).apply(&settings).await.unwrap();
    let journal = format!("{}.journal", settings.prefix);
    let outcome_type = || BasicProperties::default().with_type("takedown.outcome.v1".into());
    for (properties, body) in [
        (BasicProperties::default(), b"hello".as_slice()),
        (outcome_type(), b"{\"version\":1}"),
        (outcome_type().with_message_id("t-1:success:0".into()), b""),
        (outcome_type(), b"{\"id\":\"t-1\",\"replays\":0}"),
        (BasicProperties::default().with_type("takedown.journal.letter.v1".into()), b""),
        (BasicProperties::default().with_type("takedown.journal.mark.v1".into()), b"\xff"),
    ] {
        broker::publish(&settings, "", &journal, body, properties).await;
    }
    copies(&settings, "t-1", 2).await;
    let queue = start(&settings, 1).await;
    assert_eq!(end(&queue, take(&queue, &desk()).await, Reason::NotOnSale).await.unwrap(), Settled::AsAsked);
    queue.close().await.unwrap();

    let queue = start(&settings, 1).await;
    let copy = take(&queue, &desk()).await;
    let told = queue.told(&copy, "t-1").await.unwrap().unwrap();
    assert_eq!(told.reason, Reason::NotOnSale);
    let settled = queue.settle(copy, Settlement::of(told.clone())).await.unwrap();
    assert_eq!(settled, Settled::AsBefore(told));
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_journal_deleted_under_a_worker_is_declared_again() {
    let settings = shared().await;
    let queue = start(&settings, 4).await;
    enqueue(&settings, ["t-1".into(), "t-2".into()]).await;
    end(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    let held = take(&queue, &desk()).await;
    eventually("readiness", async || queue.is_ready()).await;
    delete_queue(&settings, "journal").await;
    eventually("the loss to be noticed", async || !queue.is_ready()).await;
    eventually("readiness", async || queue.is_ready()).await;
    assert_eq!(end(&queue, held, Reason::TakenDown).await.unwrap(), Settled::AsAsked);
    assert!(Topology::new(&settings, &[desk()]).check(&settings).await.unwrap().is_empty());
    queue.close().await.unwrap();
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_killed_and_started_again_still_knows_what_was_told() {
    let mut broker = own_broker("[].").await;
    let settings = broker::settings(broker.url());
    let queue = start(&settings, 1).await;
    broker.wait_until_streams_last();
    copies(&settings, "t-1", 2).await;
    end(&queue, take(&queue, &desk()).await, Reason::NotOnSale).await.unwrap();
    let held = take(&queue, &desk()).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill9();
        broker.restart();
        broker
    });
    let broker = within("the restart", broker).await.unwrap();
    let error = end(&queue, held, Reason::TakenDownEarlier).await.unwrap_err();
    assert!(matches!(error, QueueError::Stale), "{error:?}");
    let again = take(&queue, &desk()).await;
    assert_eq!((id_of(&again).as_str(), again.envelope.redelivery), ("t-1", Redelivery::Again));
    assert_eq!(queue.told(&again, "t-1").await.unwrap().unwrap().reason, Reason::NotOnSale);
    assert_eq!(before(end(&queue, again, Reason::TakenDownEarlier).await.unwrap()).reason, Reason::NotOnSale);
    // The reader went on where it stood: what was claimed before and after lies in one order.
    AmqpIntake::connect(&settings).await.unwrap().enqueue(vec![takedown("t-2", "desk")]).await.unwrap();
    assert_eq!(end(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap(), Settled::AsAsked);
    queue.close().await.unwrap();
    drop(broker);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_without_streams_is_refused_with_the_remedy() {
    let broker =
        own_broker("[{rabbit, [{forced_feature_flags_on_init, [quorum_queue, maintenance_mode_status]}]}].").await;
    let settings = broker::settings(broker.url());
    let error = AmqpQueue::start(settings.clone(), Vec::new()).await.unwrap_err();
    let text = line(&error);
    assert!(matches!(error, QueueError::Topology { .. }), "{text}");
    assert!(text.contains("rabbitmqctl enable_feature_flag stream_queue"), "{text}");
    let findings = Topology::new(&settings, &[desk()]).check(&settings).await.unwrap();
    let journal = findings.iter().find(|finding| finding.object.ends_with(".journal")).unwrap();
    assert_eq!(journal.remedy, "run `takedown topology apply`");
}
