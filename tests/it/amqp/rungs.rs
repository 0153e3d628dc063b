//! Taking a batch out of the retry rungs, and leaving everything else as it was.

use std::time::Duration;

use futures_util::StreamExt;
use lapin::options::BasicConsumeOptions;
use takedown::domain::ids::BatchId;
use takedown::domain::settlement::Deferral;
use takedown::domain::takedown::Takedown;
use takedown::queue::amqp::rungs::{AmqpRungs, Released};

use super::*;

/// Longer than the others take to be looked through many times.
const SOON: Duration = Duration::from_secs(20);

/// Reads the ids in a rung in their order, and leaves them there.
async fn order(settings: &AmqpSettings, rung: &str, count: usize) -> Vec<String> {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let queue = format!("{}.retry.{rung}", settings.prefix);
    let (options, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, none).await.unwrap();
    let messages: Vec<_> = within("the rung", consumer.take(count).collect()).await;
    let id = |message: &lapin::Result<lapin::message::Delivery>| {
        Takedown::decode(&message.as_ref().unwrap().data).unwrap().id.to_string()
    };
    let ids = messages.iter().map(id).collect();
    connection.close(200, "done".into()).await.unwrap();
    ids
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_batch_leaves_its_rungs_at_once_and_the_others_come_in_their_order_and_time() {
    let settings = AmqpSettings { rungs: vec![SOON, Duration::from_hours(6)], ..shared().await };
    let queue = start(&settings, 200).await;
    let batch = BatchId::new("b-1").unwrap();
    let mut ids: Vec<String> = (0..200).map(|n| format!("t-{n:03}")).collect();
    let of_batch = |id: &str| id.ends_with(['3', '7']);
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    let takedowns = ids.iter().map(|id| {
        let batch = of_batch(id).then(|| batch.clone());
        Takedown { batch, ..takedown(id, "desk") }
    });
    intake.enqueue(takedowns.collect()).await.unwrap();
    let began = tokio::time::Instant::now();
    for id in &mut ids {
        let delivery = take(&queue, &desk()).await;
        // Publishes overtake each other; from here on there is an order.
        *id = id_of(&delivery);
        // Half of each kind waits for hours.
        let is_long = id.starts_with("t-1");
        let delay = if is_long { Duration::from_hours(6) } else { SOON };
        let retry = Settlement::Retry { delay, effect: Effect::Possible, last_code: Some("40004".into()) };
        queue.settle(delivery, retry).await.unwrap();
    }
    let rungs = AmqpRungs::connect(&settings).await.unwrap();
    let released = within("the rungs", rungs.release(&batch, |_| ())).await.unwrap();
    assert_eq!(released, Released { moved: 40, left: 160 });
    for _ in 0..40 {
        let delivery = take(&queue, &desk()).await;
        assert!(of_batch(&id_of(&delivery)), "{}", id_of(&delivery));
        let told = &delivery.envelope;
        assert_eq!((told.attempt, told.effect, told.delivery_count), (2, Effect::Possible, 0));
        assert_eq!(told.last_code.as_deref(), Some("40004"), "nothing of its past is lost");
        complete(&queue, delivery, Reason::BatchCancelled).await.unwrap();
    }
    // Three cancels look so often at most; RabbitMQ 4 sends to work what was given back more than 20 times.
    for _ in 0..15 {
        let released = within("the rungs", rungs.release(&batch, |_| ())).await.unwrap();
        assert_eq!(released, Released { moved: 0, left: 160 });
    }
    let (long, short): (Vec<String>, Vec<String>) =
        ids.iter().filter(|id| !of_batch(id)).cloned().partition(|id| id.starts_with("t-1"));
    assert_eq!(order(&settings, "20s", short.len()).await, short);
    assert_eq!(order(&settings, "6h", long.len()).await, long);
    assert!(began.elapsed() < SOON, "the looks were too slow to tell anything: {:?}", began.elapsed());
    let mut came = Vec::new();
    for _ in 0..80 {
        let delivery = take(&queue, &desk()).await;
        assert!(began.elapsed() >= SOON, "{} came after {:?}", id_of(&delivery), began.elapsed());
        assert_eq!((delivery.envelope.delivery_count, delivery.envelope.redelivery), (0, Redelivery::First));
        came.push(id_of(&delivery));
        let held = Settlement::Defer { delay: SOON * 9, effect: Effect::None, reason: Deferral::Held };
        queue.settle(delivery, held).await.unwrap();
    }
    assert_eq!(came, short, "in their order");
    rungs.close().await;
    queue.close().await.unwrap();
    delete(&settings).await;
}
