//! What replicas take ahead follows their share.

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use super::Stage;
use crate::support::command::worker;
use crate::support::queue::eventually;

const ITEMS: usize = 300;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn two_replicas_at_a_slow_rate_take_less_ahead_than_one() {
    // One works 60 off in ten minutes, each of two half of that.
    let stage = Stage::set(ITEMS, "rate = \"6/min\"\nprefetch = 40").await;
    let connection = Connection::connect(&stage.settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.work.desk", stage.settings.prefix);
    let waiting = async || {
        let options = QueueDeclareOptions::durable().passive();
        let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await.unwrap();
        queue.message_count() as usize
    };
    let first = worker(stage.dir.path(), "first");
    eventually("40 messages ahead", async || waiting().await == ITEMS - 40).await;
    let second = worker(stage.dir.path(), "second");
    eventually("40 messages ahead of it too", async || waiting().await <= ITEMS - 66).await;
    // Too many for each: half of what is in time is 15, and as many are still in hand from before.
    eventually("no more than 30 messages ahead of each", async || waiting().await >= ITEMS - 65).await;
    for worker in [&first, &second] {
        worker.signal("KILL");
    }
    connection.close(200, "done".into()).await.unwrap();
    stage.clear().await;
}
