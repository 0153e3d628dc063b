//! A cluster of three nodes that loses one under load, and another once that is back.
//!
//! Each time it is the one that leads the work queues, the first time also the one a worker is connected to. The workers
//! have a list of the nodes and go on by themselves.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::checker::check;
use crate::post::Post;
use crate::support::broker::Broker;
use crate::support::cluster::Cluster;
use crate::world::{Options, QUICK_RUNGS, Site, World};
use crate::{Length, length};

/// For all of it, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(300);

/// Longest wait for one more outcome: far beyond what the loss of a node may cost, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Outcomes before a node is killed, and again before the next.
const BEFORE: usize = 200;

/// Has something done to the cluster that takes a while.
async fn at<T: Send + 'static>(cluster: Cluster, act: impl FnOnce(&mut Cluster) -> T + Send + 'static) -> (Cluster, T) {
    let act = move || {
        let mut cluster = cluster;
        let done = act(&mut cluster);
        (cluster, done)
    };
    tokio::task::spawn_blocking(act).await.unwrap()
}

/// A queue as the cluster tells of it.
struct Queue {
    leader: String,
    members: usize,
    online: usize,
}

/// Asks a node for every quorum queue.
fn queues(node: &Broker) -> BTreeMap<String, Queue> {
    let told = node.control(&["list_queues", "--formatter", "json", "name", "type", "leader", "members", "online"]);
    let told: Vec<Value> = serde_json::from_str(&told).unwrap();
    let count = |value: &Value| value.as_array().map_or(0, Vec::len);
    let quorum = told.iter().filter(|queue| queue["type"] == "quorum");
    quorum
        .map(|queue| {
            let leader = queue["leader"].as_str().unwrap_or_default().to_owned();
            let (members, online) = (count(&queue["members"]), count(&queue["online"]));
            (queue["name"].as_str().unwrap().to_owned(), Queue { leader, members, online })
        })
        .collect()
}

/// Asks one node to which each of a worker's two connections leads, once they are up.
fn nodes_of(cluster: &Cluster, asked: usize, worker: &str) -> [usize; 2] {
    let until = Instant::now() + DEADLINE;
    while Instant::now() < until {
        if let Ok(nodes) = connections_of(cluster, asked, worker).try_into() {
            return nodes;
        }
    }
    panic!("{worker} is not connected");
}

fn connections_of(cluster: &Cluster, asked: usize, worker: &str) -> Vec<usize> {
    let told = cluster.nodes[asked].control(&["list_connections", "--formatter", "json", "port", "client_properties"]);
    let told: Vec<Value> = serde_json::from_str(&told).unwrap();
    let own = told.iter().filter(|connection| connection.to_string().contains(&format!("\"{worker} ")));
    own.map(|connection| {
        let port = format!(":{}/", connection["port"]);
        cluster.nodes.iter().position(|node| node.url().contains(&port)).unwrap()
    })
    .collect()
}

/// Has a node lead a queue.
fn lead(node: &Broker, queue: &str) {
    let led = node.control(&[
        "eval",
        &format!(
            "{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>)), \
             rabbit_quorum_queue:transfer_leadership(Q, node())."
        ),
    ]);
    assert!(led.contains("migrated") || led.contains("already"), "{queue}: {led}");
}

/// Waits for outcomes beyond those told by now; returns the longest wait for one, or what the cluster tells of its queues
/// if there are no more.
async fn longest_wait(world: &World, cluster: Cluster) -> (Cluster, Result<Duration, String>) {
    let last = world.told() + BEFORE;
    let (mut longest, mut since) = (Duration::ZERO, Instant::now());
    while world.told() < last {
        if !world.reach(world.told() + 1, since + PATIENCE).await {
            let told = format!("{} told, {} calls", world.told(), world.sandbox.seen().len());
            let (cluster, queues) = at(cluster, |cluster| cluster.nodes.each_ref().map(tell_queues)).await;
            return (cluster, Err(format!("{told}\n{}", queues.join("\n"))));
        }
        longest = longest.max(since.elapsed());
        since = Instant::now();
    }
    (cluster, Ok(longest))
}

/// For people; a node that is down tells nothing.
fn tell_queues(node: &Broker) -> String {
    let columns = ["name", "leader", "online", "messages", "messages_ready", "messages_unacknowledged", "consumers"];
    let arguments = [&["list_queues"][..], &columns].concat();
    std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| node.control(&arguments))).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_cluster_that_loses_its_leader_twice_loses_nothing() {
    let items = if length() == Length::Short { 1500 } else { 6000 };
    let deadline = Instant::now() + DEADLINE;
    let began = Instant::now();
    let cluster = tokio::task::spawn_blocking(|| Cluster::start_with(QUICK_RUNGS)).await.unwrap();
    println!("three nodes are a cluster after {:.1?}", began.elapsed());
    let urls = cluster.urls();
    let list = urls.iter().map(|url| format!("{url}?heartbeat=2")).collect::<Vec<_>>().join(",");
    let world = World::start(Options {
        seed: 5,
        items,
        workers: 2,
        limits: "rate = \"60/s\"\nmode = \"static\"\nshare = \"1/2\"".into(),
        site: Site::Given(urls),
        environment: Arc::new(move |_, _| vec![("TAKEDOWN_AMQP__URL", list.clone())]),
        ..Options::default()
    })
    .await;
    world.set_faults(&["system_error=0.05", "reset=0.02"]);
    world.man();
    let work = ["desk", "shops"].map(|account| format!("{}.work.{account}", world.settings.prefix));
    let led = work.clone();
    let (cluster, first) = at(cluster, move |cluster| {
        for (name, queue) in queues(&cluster.nodes[0]) {
            assert_eq!((queue.members, queue.online), (3, 3), "{name}");
        }
        let nodes = nodes_of(cluster, 0, "worker-1.1");
        assert!(nodes[0] == nodes[1], "both connections begin at one node: {nodes:?}");
        led.iter().for_each(|queue| lead(&cluster.nodes[nodes[0]], queue));
        nodes[0]
    })
    .await;
    world.enqueue_part(0..items / 2).await;
    assert!(world.reach(BEFORE, deadline).await);
    world.note_interruption();
    let (cluster, ()) = at(cluster, move |cluster| cluster.nodes[first].kill9()).await;
    let (cluster, pause) = longest_wait(&world, cluster).await;
    println!("leader and connection lost: longest wait for an outcome {:.1?}", pause.unwrap());

    let (cluster, second) = at(cluster, move |cluster| {
        // Not for its old node alone: that is not back yet.
        let nodes = nodes_of(cluster, (first + 1) % 3, "worker-1.1");
        assert!(!nodes.contains(&first), "a dead node is no node: {nodes:?}");
        cluster.nodes[first].restart();
        let leader = queues(&cluster.nodes[first])[&work[0]].leader.clone();
        cluster.nodes.iter().position(|node| node.name() == leader).unwrap()
    })
    .await;
    assert_ne!(first, second, "another leads by now");
    world.enqueue_part(items / 2..items).await;
    assert!(world.reach(items / 2 + BEFORE, deadline).await);
    world.note_interruption();
    let (cluster, ()) = at(cluster, move |cluster| cluster.nodes[second].kill9()).await;
    let (cluster, pause) = longest_wait(&world, cluster).await;
    println!("the next leader lost: longest wait for an outcome {:.1?}", pause.unwrap());
    let lives: Vec<_> = world.posts.iter().map(Post::lives).collect();
    assert_eq!(lives, [1, 1], "no worker was started anew");
    // RabbitMQ 3.10 moves no message out of a retry rung while the first member of the work queue is down, if the rung's
    // leader has changed since: its dead-letter worker asks that one member alone.
    let (cluster, ()) = at(cluster, move |cluster| cluster.nodes[second].restart()).await;

    let (evidence, _dir) = world.end(deadline).await;
    let report = check(&evidence);
    println!("{:?}", report.figures);
    assert!(report.breaches.is_empty(), "{:#?}", report.breaches);
    drop(cluster);
    println!("{:.1?} in all", began.elapsed());
}
