//! That a world without faults keeps every promise, that one which stands still says what is where, and that one which has
//! lost something says so soon.

use lapin::options::BasicAckOptions;

use super::*;
use crate::checker::{Breach, check};

async fn world(items: usize) -> World {
    let shared = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
    let world = World::start(Options { items, site: Site::Given(vec![shared]), ..Options::default() }).await;
    world.enqueue().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_quiet_world_keeps_every_promise() {
    let world = world(300).await;
    world.man();
    let (evidence, _dir) = world.end(Instant::now() + Duration::from_secs(240)).await;
    assert_eq!(check(&evidence).breaches, []);
    assert!(evidence.seen.len() >= 300);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_is_missing_at_the_deadline_is_told_with_its_place() {
    let world = world(4).await;
    let prefix = world.settings.prefix.clone();
    let (evidence, _dir) = world.end(Instant::now()).await;
    let breaches = check(&evidence).breaches;
    let place = |queue: &str| vec![format!("{prefix}.{queue}")];
    for takedown in &evidence.mix.takedowns {
        let lost = Breach::Lost { id: takedown.id.to_string(), places: place(&format!("work.{}", takedown.account)) };
        assert!(breaches.contains(&lost), "{lost}");
    }
    for (id, queue) in [("unreadable-1", "work.desk"), ("stranger-1", "work.shops")] {
        assert!(breaches.contains(&Breach::Lost { id: id.into(), places: place(queue) }), "{id}");
    }
    let left = [("work.desk", 3), ("work.shops", 3)];
    let left = left.map(|(queue, count)| Breach::Left { queue: format!("{prefix}.{queue}"), count });
    assert_eq!(breaches[6..], left);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_is_nowhere_is_lost_long_before_the_deadline() {
    let world = world(4).await;
    let channel = world.connect().await.create_channel().await.unwrap();
    let work = format!("{}.work.shops", world.settings.prefix);
    let stolen = channel.basic_get(work.into(), BasicGetOptions::default()).await.unwrap().unwrap();
    let id = stolen.properties.message_id().clone().unwrap().to_string();
    assert!(stolen.ack(BasicAckOptions::default()).await.unwrap());
    world.man();
    let deadline = Instant::now() + Duration::from_secs(240);
    let (evidence, _dir) = world.end(deadline).await;
    assert_eq!(check(&evidence).breaches, [Breach::Lost { id, places: Vec::new() }]);
    assert!(deadline - Instant::now() > Duration::from_secs(120), "it was waited for");
}
