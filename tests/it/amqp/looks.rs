//! Looking at dead letters costs them nothing, however often; and a long queue is walked through in little memory.

use std::time::SystemTime;

use lapin::message::BasicGetMessage;
use lapin::options::BasicGetOptions;
use takedown::desk::letters::{DeskSettings, LetterDesk, LetterError};
use takedown::queue::amqp::desk_log::AmqpDeskLog;
use takedown::queue::letters::{Replay, ReplaySession as _, Seen, Selection};
use tokio_util::sync::CancellationToken;

use super::*;

const LOOKS: usize = 200;

/// The letters as they lie in the queue: order, properties, bytes. What the broker itself counts is left out.
async fn raw(settings: &AmqpSettings) -> Vec<(Vec<u8>, BasicProperties)> {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("{}.dead.desk", settings.prefix);
    let mut letters = Vec::new();
    while let Some(BasicGetMessage { delivery, .. }) =
        channel.basic_get(queue.as_str().into(), BasicGetOptions::default()).await.unwrap()
    {
        let mut headers = FieldTable::default();
        for (key, value) in delivery.properties.headers().iter().flat_map(FieldTable::inner) {
            if key.as_str() != "x-delivery-count" {
                headers.insert(key.clone(), value.clone());
            }
        }
        letters.push((delivery.data, delivery.properties.with_headers(headers)));
    }
    connection.close(200, "done".into()).await.unwrap();
    letters
}

async fn bury(settings: &AmqpSettings, queue: &AmqpQueue, letters: usize) {
    enqueue(settings, (0..letters).map(|n| format!("t-{n}"))).await;
    for _ in 0..letters {
        let delivery = take(queue, &desk()).await;
        let outcome = outcome(&delivery, Reason::OutcomeUnknown);
        queue.settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn two_hundred_looks_at_each_letter_change_nothing() {
    let settings = shared().await;
    let queue = start(&settings, 100).await;
    bury(&settings, &queue, 4).await;
    let before = raw(&settings).await;
    assert_eq!(before.len(), 4);
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let log = AmqpDeskLog::connect(&settings).await.unwrap();
    let desk = LetterDesk::new(letters, log, DeskSettings::default());
    let everything = LetterFilter::default();
    let first = desk.page(&everything, None, 100).await.unwrap();
    for look in 0..LOOKS {
        assert_eq!(desk.page(&everything, None, 100).await.unwrap(), first, "look {look}");
        let groups = desk.groups(&everything).await.unwrap().groups;
        assert_eq!(groups.iter().map(|group| group.count).collect::<Vec<_>>(), [4], "look {look}");
        for letter in &first.letters {
            assert_eq!(desk.find(&letter.id).await.unwrap(), std::slice::from_ref(letter), "look {look}");
        }
        // One who looks and dies, in the midst of it.
        if look % 40 == 0 {
            let half = AmqpDeadLetters::connect(&settings, vec![super::desk()]).await.unwrap();
            let mut seen = 0;
            let selection = Selection::default();
            let mut see = |_| seen += 1;
            let looked = tokio::time::timeout(Duration::from_millis(3), half.look(&selection, &mut see)).await;
            drop((looked, half));
            eventually("every letter back", async || desk.page(&everything, None, 1).await.unwrap().total == 4).await;
        }
    }
    assert_eq!(raw(&settings).await, before, "order, number and bytes");
    queue.close().await.unwrap();
    delete(&settings).await;
}

/// As a desk page and a command may be looking at the same time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn looks_at_the_same_time_see_every_letter() {
    let settings = shared().await;
    let queue = start(&settings, 100).await;
    bury(&settings, &queue, 40).await;
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let looks = (0..20).map(|_| async { letters.list(&LetterFilter::default()).await.unwrap().len() });
    assert_eq!(futures_util::future::join_all(looks).await, vec![40; 20]);
    queue.close().await.unwrap();
    delete(&settings).await;
}

/// Another desk's replay holds letters that nobody else sees; a count of the others is not taken for a whole one.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn letters_in_the_hands_of_another_desk_are_told_and_nothing_is_purged() {
    let settings = shared().await;
    let queue = start(&settings, 100).await;
    bury(&settings, &queue, 4).await;
    let other = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let letters = AmqpDeadLetters::connect(&settings, vec![desk()]).await.unwrap();
    let log = AmqpDeskLog::connect(&settings).await.unwrap();
    let desk = LetterDesk::new(letters, log, DeskSettings::default());
    let filter = LetterFilter { accounts: vec![super::desk()], ..LetterFilter::default() };
    let replay = Replay { plan: None, by: "ada".into(), at: SystemTime::now() };
    let stop = CancellationToken::new();
    let mut session = other.session(&super::desk(), &Selection::default(), &replay, &stop).await.unwrap();
    assert_eq!(session.step(1).await.unwrap().replayed, 1);
    let page = desk.page(&filter, None, 10).await.unwrap();
    assert_eq!((page.total, page.seen), (0, Seen::NotAll));
    for planned in [0, 3] {
        let purged = desk.purge(&filter, planned).await;
        assert!(matches!(purged, Err(LetterError::InHand)), "{purged:?}");
    }
    assert!(matches!(desk.plan(&filter).await, Err(LetterError::InHand)));
    session.close().await.unwrap();
    let planned = desk.plan(&filter).await.unwrap();
    assert_eq!((planned.plan.count, planned.seen), (3, Seen::All));
    assert_eq!(desk.purge(&filter, 3).await.unwrap(), 3);
    queue.close().await.unwrap();
    delete(&settings).await;
}
