//! Changing how many messages are handed out ahead, while some are in hand.

use std::collections::BTreeSet;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use takedown::domain::outcome::Reason;
use takedown::queue::Queue;

use super::{complete, delete, desk, enqueue, shared, start};
use crate::support::queue::{eventually, id_of, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_prefetch_that_changes_gives_back_the_surplus_and_loses_nothing() {
    let settings = shared().await;
    let queue = start(&settings, 20).await;
    enqueue(&settings, (0..60).map(|n| format!("t-{n}"))).await;
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.work.desk", settings.prefix);
    let waiting = async || {
        let options = QueueDeclareOptions::durable().passive();
        channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap().message_count()
    };
    let fleet = queue.fleet().unwrap();
    let mut in_hand = Vec::new();
    for _ in 0..3 {
        in_hand.push(take(&queue, &desk()).await);
    }
    eventually("20 messages ahead", async || waiting().await == 40).await;
    fleet.resize(&desk(), |now, most| {
        assert_eq!((now, most), (20, 20));
        Some(5)
    });
    // Five are kept, three of them in hand; the new consumer is handed as many of its own.
    eventually("the surplus to be back", async || waiting().await == 50).await;
    let mut seen = BTreeSet::new();
    for delivery in in_hand {
        assert!(seen.insert(id_of(&delivery)));
        complete(&queue, delivery, Reason::TakenDown).await.unwrap();
    }
    for number in 3..60 {
        if number == 30 {
            fleet.resize(&desk(), |now, _| (now == 5).then_some(15));
        }
        let delivery = take(&queue, &desk()).await;
        assert!(seen.insert(id_of(&delivery)), "{} came twice", id_of(&delivery));
        complete(&queue, delivery, Reason::TakenDown).await.unwrap();
    }
    assert_eq!(seen.len(), 60);
    assert_eq!(waiting().await, 0);
    queue.close().await.unwrap();
    assert_eq!(waiting().await, 0, "nothing was left unacked");
    connection.close(200, "done".into()).await.unwrap();
    delete(&settings).await;
}
