//! Taking a batch out of the retry rungs, and leaving everything else as it was.

use std::time::Duration;

use takedown::domain::ids::BatchId;
use takedown::domain::settlement::Deferral;
use takedown::domain::takedown::Takedown;
use takedown::queue::amqp::rungs::{AmqpRungs, Released};

use super::*;

/// Longer than the others take to be looked through many times.
const SOON: Duration = Duration::from_secs(20);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_batch_leaves_its_rungs_at_once_and_the_others_come_in_their_order_and_time() {
    let settings = AmqpSettings { rungs: vec![SOON, Duration::from_hours(6)], ..shared().await };
    let queue = start(&settings, 100).await;
    let batch = BatchId::new("b-1").unwrap();
    let ids: Vec<String> = (0..60).map(|n| format!("t-{n:02}")).collect();
    let of_batch = |id: &str| id.ends_with(['3', '7']);
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    let takedowns = ids.iter().map(|id| {
        let batch = of_batch(id).then(|| batch.clone());
        Takedown { batch, ..takedown(id, "desk") }
    });
    intake.enqueue(takedowns.collect()).await.unwrap();
    let began = tokio::time::Instant::now();
    for _ in &ids {
        let delivery = take(&queue, &desk()).await;
        // Every fifth of each kind waits for hours.
        let is_long = id_of(&delivery).starts_with("t-1") || id_of(&delivery).starts_with("t-2");
        let delay = if is_long { Duration::from_hours(6) } else { SOON };
        let retry = Settlement::Retry { delay, effect: Effect::Possible, last_code: Some("40004".into()) };
        queue.settle(delivery, retry).await.unwrap();
    }
    let rungs = AmqpRungs::connect(&settings).await.unwrap();
    let released = within("the rungs", rungs.release(&batch, |_| ())).await.unwrap();
    assert_eq!(released, Released { moved: 12, left: 48 });
    for _ in 0..12 {
        let delivery = take(&queue, &desk()).await;
        assert!(of_batch(&id_of(&delivery)), "{}", id_of(&delivery));
        let told = &delivery.envelope;
        assert_eq!((told.attempt, told.effect, told.delivery_count), (2, Effect::Possible, 0));
        assert_eq!(told.last_code.as_deref(), Some("40004"), "nothing of its past is lost");
        complete(&queue, delivery, Reason::BatchCancelled).await.unwrap();
    }
    // More often than RabbitMQ 4 lets a message be given back unless told otherwise.
    for _ in 0..25 {
        let released = within("the rungs", rungs.release(&batch, |_| ())).await.unwrap();
        assert_eq!(released, Released { moved: 0, left: 48 });
    }
    assert!(began.elapsed() < SOON, "the looks were too slow to tell anything: {:?}", began.elapsed());
    let mut came = Vec::new();
    for _ in 0..32 {
        let delivery = take(&queue, &desk()).await;
        assert!(began.elapsed() >= SOON, "{} came after {:?}", id_of(&delivery), began.elapsed());
        assert_eq!((delivery.envelope.delivery_count, delivery.envelope.redelivery), (0, Redelivery::First));
        came.push(id_of(&delivery));
        let held = Settlement::Defer { delay: SOON * 9, effect: Effect::None, reason: Deferral::Held };
        queue.settle(delivery, held).await.unwrap();
    }
    let expected: Vec<&String> =
        ids.iter().filter(|id| !of_batch(id) && !id.starts_with("t-1") && !id.starts_with("t-2")).collect();
    assert_eq!(came.iter().collect::<Vec<_>>(), expected, "in their order");
    rungs.close().await;
    queue.close().await.unwrap();
    delete(&settings).await;
}
