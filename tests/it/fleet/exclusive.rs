//! One replica active, the others standing by.

use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::work_queue::Consumers;

use super::{RATE, Stage, most_in_a_second};
use crate::support::broker;
use crate::support::command::worker;

/// Six heartbeats of a second.
const LEASE_MS: u64 = 6000;

/// The longest stretch without an arrival, in milliseconds.
fn longest_gap(arrivals: &[u64]) -> u64 {
    arrivals.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn the_one_that_stands_by_takes_over_from_one_killed_or_stopped_and_the_rate_holds() {
    let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
    // The broker gives a silent connection up after two of its heartbeats; the default is a minute.
    let settings = AmqpSettings { urls: vec![format!("{}?heartbeat=2", settings.urls[0])], ..settings };
    let limits = format!("rate = \"{RATE}/s\"\nburst = 2\nmode = \"exclusive\"");
    let stage = Stage::set_on(settings, Consumers::SingleActive, 3000, &limits).await;
    let dir = stage.dir.path();
    let first = worker(dir, "first");
    stage.arrived(1).await;
    let second = worker(dir, "second");
    stage.used(97).await;

    first.signal("KILL");
    let killed = stage.arrivals().len();
    stage.arrived(killed + 4 * RATE).await;
    let gap = longest_gap(&stage.arrivals());
    println!("taken over {gap} ms after the last call of the one killed");
    assert!((LEASE_MS..LEASE_MS * 5).contains(&gap), "{gap}");

    let third = worker(dir, "third");
    second.signal("STOP");
    let stopped = stage.arrivals().len();
    stage.arrived(stopped + 4 * RATE).await;
    second.signal("CONT");
    stage.arrived(stopped + 10 * RATE).await;
    let arrivals = stage.arrivals();
    let gap = longest_gap(&arrivals[stopped - 1..]);
    println!("taken over {gap} ms after the last call of the one stopped");
    assert!(gap >= LEASE_MS, "{gap}");
    let most = most_in_a_second(&arrivals);
    println!("most calls in any second: {most} of {RATE}");
    // The burst, one that was admitted when its replica was stopped, and two late on their way.
    assert!(most <= RATE + 2 + 3, "{most} calls in a second");
    for worker in [&second, &third] {
        worker.signal("KILL");
    }
    stage.clear().await;
}
