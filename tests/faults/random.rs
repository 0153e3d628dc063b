//! Whole runs under faults nobody chose.

use std::time::Duration;

use tokio::time::Instant;

use crate::checker::check;
use crate::support::broker;
use crate::world::{Options, Site, World};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_quiet_world_keeps_every_promise() {
    let shared = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
    let world = World::start(Options { site: Site::Given(vec![shared]), ..Options::default() }).await;
    world.enqueue().await;
    world.man();
    let report = check(&world.end(Instant::now() + Duration::from_secs(120)).await);
    println!("{:#?}", report.figures);
    assert_eq!(report.breaches, []);
}
