//! Work queues of competing consumers and of one active consumer.

use std::collections::BTreeSet;

use takedown::domain::outcome::Reason;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::{Consumers, WorkQueue};
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::{Queue, QueueError};

use super::{complete, delete, desk, enqueue, shared};
use crate::support::queue::{eventually, id_of, take, within};

fn queue(consumers: Consumers) -> WorkQueue {
    WorkQueue { account: desk(), consumers }
}

async fn start_exclusive(settings: &AmqpSettings) -> AmqpQueue {
    let consumer = ConsumerSettings { account: desk(), prefetch: 4, consumers: Consumers::SingleActive };
    AmqpQueue::start(settings.clone(), vec![consumer]).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_queue_declared_for_another_mode_is_told_with_both_ways_out() {
    for (declared, wanted, remedy) in [
        (Consumers::Competing, Consumers::SingleActive, "write mode = \"fleet\" or \"static\" for this account"),
        (Consumers::SingleActive, Consumers::Competing, "write mode = \"exclusive\" for this account"),
    ] {
        let settings = shared().await;
        Topology::new(&settings, [&queue(declared)]).apply(&settings).await.unwrap();
        let table = Topology::new(&settings, [&queue(wanted)]);
        let findings = table.check(&settings).await.unwrap();
        let [finding] = &findings[..] else { panic!("{findings:?}") };
        assert_eq!(finding.object, format!("{}.work.desk", settings.prefix));
        assert!(finding.remedy.contains(remedy) && finding.remedy.contains("takedown topology apply"), "{finding:?}");
        let refused = table.apply(&settings).await.unwrap_err();
        assert!(
            matches!(&refused, QueueError::Topology { remedy: told, .. } if *told == finding.remedy),
            "{refused:?}"
        );
        delete(&settings).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn of_two_consumers_one_is_handed_messages_until_it_goes() {
    let settings = shared().await;
    let (first, second) = (start_exclusive(&settings).await, start_exclusive(&settings).await);
    let is_active = |queue: &AmqpQueue| queue.fleet().unwrap().is_active(&desk());
    assert!(!is_active(&first) && !is_active(&second), "nothing was handed out yet");
    enqueue(&settings, (0..10).map(|n| format!("t-{n}"))).await;
    let mut ended = BTreeSet::new();
    for _ in 0..6 {
        let delivery = take(&first, &desk()).await;
        ended.insert(id_of(&delivery));
        complete(&first, delivery, Reason::TakenDown).await.unwrap();
    }
    assert!(is_active(&first) && !is_active(&second));
    // What the first one was handed and has not acked goes to the second.
    within("the first one's end", first.close()).await.unwrap();
    for _ in 0..4 {
        let delivery = take(&second, &desk()).await;
        assert!(ended.insert(id_of(&delivery)));
        complete(&second, delivery, Reason::TakenDown).await.unwrap();
    }
    assert!(is_active(&second));
    eventually("the first one to know", async || !is_active(&first)).await;
    second.close().await.unwrap();
    delete(&settings).await;
}
