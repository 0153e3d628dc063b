//! Deliveries that were taken out of a worker's hands while they waited for their turn.

use std::time::Duration;

use tokio::time::Instant;

use crate::checker::check;
use crate::proxy::Which;
use crate::support::broker;
use crate::support::queue::eventually;
use crate::world::{Options, Site, World};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_is_no_longer_held_is_not_called_for() {
    let shared = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
    let limits = "rate = \"5/s\"\nmode = \"static\"".into();
    let site = Site::Given(vec![shared]);
    let world = World::start(Options { items: 20, doomed: 0, workers: 1, limits, site, ..Options::default() }).await;
    world.enqueue().await;
    world.man();
    // All others wait for their turn now.
    eventually("the first calls", async || world.sandbox.seen().len() >= 2).await;
    world.note_interruption();
    world.posts[0].broker.cut(Which::All);
    let (evidence, _dir) = world.end(Instant::now() + Duration::from_secs(120)).await;
    let report = check(&evidence);
    assert_eq!(report.breaches, []);
    // Those in flight when the connection went, two accounts by one.
    assert!(report.figures.repeated_calls <= 2, "{:?}", report.figures);
}
