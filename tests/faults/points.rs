//! Workers that die at the worst moments by their own hand, and all that can only be shown with such builds.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::checker::{Breach, check};
use crate::post::Environment;
use crate::support::broker;
use crate::support::queue::eventually;
use crate::world::{Options, Site, World};
use crate::{Length, length};

mod clock;
mod odd;
mod poison;
mod run;

/// For all of a run's work; on two idle cores some 15 s.
const DEADLINE: Duration = Duration::from_secs(240);

/// Where a worker on RabbitMQ can die.
const POINTS: [&str; 4] = ["received", "answered", "published", "confirmed"];

/// The whole rate for one worker at a time, so that the next one need not listen first.
fn limits() -> String {
    "rate = \"400/s\"\nmode = \"static\"".into()
}

async fn world(items: usize, environment: Arc<Environment>) -> World {
    let shared = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
    let options = Options { items, workers: 1, limits: limits(), environment, ..Options::default() };
    World::start(Options { site: Site::Given(vec![shared]), ..options }).await
}

/// Each life dies at a point of its own; the last but one while it drains.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn whatever_moment_a_worker_dies_at_every_item_ends_once() {
    let (items, counts) = match length() {
        Length::Short => (400, vec![1, 7]),
        Length::Long => (6000, (1..=40).collect()),
    };
    let mut deaths: Vec<String> =
        counts.iter().flat_map(|count| POINTS.map(|point| format!("{point}:{count}"))).collect();
    deaths.push("draining".into());
    let lives = deaths.clone();
    let armed = move |life: u32| lives.get(life as usize - 1).map(|point| ("TAKEDOWN_FAULT_POINT", point.clone()));
    let world = world(items, Arc::new(move |_, life| armed(life).into_iter().collect())).await;
    world.set_faults(&["system_error=0.1", "reset=0.05", "unsigned_success=0.02", "latency:50ms=0.2"]);
    world.enqueue().await;
    world.man();
    let post = &world.posts[0];
    eventually("every death in work", async || post.killed() as usize == deaths.len() - 1).await;
    // The one who is to die in the drain needs something in flight.
    world.set_faults(&["latency:1s=1"]);
    let called = world.sandbox.seen().len();
    eventually("its calls", async || world.sandbox.seen().len() > called + 16).await;
    let status = post.relieve().await.unwrap();
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&status), Some(9), "{status}");
    world.note_interruption();
    world.man();

    let (evidence, dir) = world.end(Instant::now() + DEADLINE).await;
    let report = check(&evidence);
    println!("{} deaths: {:#?}", deaths.len(), report.figures);
    assert_eq!(report.breaches, [] as [Breach; 0]);
    let log = std::fs::read_to_string(dir.path().join("worker-1.log")).unwrap();
    let died: Vec<_> = log.lines().filter_map(|line| line.strip_prefix("fault point reached: ")).collect();
    let expected: Vec<_> = deaths.iter().map(|point| point.split(':').next().unwrap()).collect();
    assert_eq!(died.iter().map(|point| point.to_lowercase()).collect::<Vec<_>>(), expected);
}
