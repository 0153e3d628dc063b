//! What a fleet costs its broker: beats are counted where every replica hears them.

use std::time::Instant;

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer};

use crate::fleet::Stage;
use crate::fleet::reload::{told, worker};
use crate::support::queue::within;

/// Beats of each replica that are counted.
const BEATS: usize = 4;

async fn listen(connection: &Connection, exchange: String) -> Consumer {
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await.unwrap();
    let bind = QueueBindOptions::default();
    channel.queue_bind(queue.name().clone(), exchange.into(), "".into(), bind, FieldTable::default()).await.unwrap();
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    channel.basic_consume(queue.name().clone(), "".into(), options, FieldTable::default()).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn each_replica_tells_one_beat_a_heartbeat_and_the_broker_copies_it_to_each() {
    let stage = Stage::set(1, "rate = \"40/s\"").await;
    let connection = Connection::connect(&stage.settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let mut workers = Vec::new();
    for replicas in 1..=5 {
        let (worker, address) = worker(stage.dir.path());
        workers.push(worker);
        told(address, &format!("takedown_fleet_members {replicas}")).await;
        let mut beats = listen(&connection, format!("{}.fleet", stage.settings.prefix)).await;
        let (mut bytes, start) = (0, Instant::now());
        for _ in 0..BEATS * replicas {
            bytes += within("a beat", beats.next()).await.unwrap().unwrap().data.len();
        }
        let (seconds, told) = (start.elapsed().as_secs_f64(), (BEATS * replicas) as f64);
        let (messages, size) = (told / seconds, bytes as f64 / told);
        let copies = messages * replicas as f64;
        println!(
            "{replicas} replicas: {messages:.1} beats of {size:.0} bytes told and {copies:.1} copied a second, {:.1} kB/s",
            (messages + copies) * size / 1000.0
        );
        assert!(messages < replicas as f64 * 1.3 + 0.2, "{messages} a second of {replicas} replicas");
    }
    for worker in &workers {
        worker.signal("KILL");
    }
    stage.clear().await;
}
