//! Deliveries that were taken out of a worker's hands, while they waited for their turn or were just being settled.

use std::sync::Arc;
use std::time::Duration;

use takedown::domain::settlement::Settlement;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::Consumers;
use takedown::queue::amqp::{AmqpQueue, ConsumerSettings};
use takedown::queue::{Intake, Queue, QueueError, Settled};
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::checker::check;
use crate::proxy::{Proxy, Which};
use crate::support::broker;
use crate::support::queue::{account, eventually, take, takedown, within};
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

/// lapin forgets an ack or nack that is asked for just as its connection goes, and whoever waits for it waits for ever.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn who_settles_while_the_connection_goes_is_told_so() {
    const HELD: u16 = 200;
    const HANDS: usize = 8;
    let shared = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
    let settings = broker::settings(shared.clone());
    let shops = account("shops");
    let topology = Topology::new(&settings, std::slice::from_ref(&shops));
    topology.apply(&settings).await.unwrap();
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    let mut url = url::Url::parse(&shared).unwrap();
    let proxy = Proxy::start(url.socket_addrs(|| None).unwrap()[0]).await;
    url.set_port(Some(proxy.address().port())).unwrap();
    let consumer = ConsumerSettings { account: shops.clone(), prefetch: HELD, consumers: Consumers::Competing };
    let through = takedown::queue::amqp::AmqpSettings { urls: vec![url.to_string()], ..settings.clone() };
    let queue = Arc::new(AmqpQueue::start(through, vec![consumer]).await.unwrap());
    intake.enqueue((0..HELD).map(|n| takedown(&format!("t-{n}"), "shops")).collect()).await.unwrap();
    let mut gone = 0;
    for _ in 0..5 {
        let mut hands: [Vec<_>; HANDS] = Default::default();
        for n in 0..usize::from(HELD) {
            hands[n % HANDS].push(take(&*queue, &shops).await);
        }
        let mut settling = JoinSet::new();
        for hand in hands {
            let queue = Arc::clone(&queue);
            settling.spawn(async move {
                let mut gone = 0;
                for delivery in hand {
                    match queue.settle(delivery, Settlement::GiveBack).await {
                        Ok(Settled::AsAsked) => {}
                        Err(QueueError::Stale) => gone += 1,
                        other => panic!("{other:?}"),
                    }
                }
                gone
            });
        }
        proxy.cut(Which::All);
        gone += within("every settlement", settling.join_all()).await.iter().sum::<usize>();
    }
    println!("{gone} deliveries were gone");
    assert!(gone > 0, "no connection went amid its settlements");
    queue.close().await.unwrap();
    topology.delete(&settings).await.unwrap();
}
