//! A long run of one worker whose connections are cut again and again: memory, tasks, descriptors and channels stay flat.
//!
//! The short form shows that what a load and its cuts opened is closed again; the long form, 100,000 items in ten
//! minutes, that nothing grows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use crate::checker::check;
use crate::proxy::Which;
use crate::support::command::http;
use crate::support::queue::eventually;
use crate::world::{Options, World};
use crate::{Length, length};

/// What goes wrong all the time.
const FAULTS: [&str; 5] = ["system_error=0.02", "reset=0.01", "timeout=0.0005", "throttled=0.0005", "latency:40ms=0.2"];

/// Every so many looks the worker's connections are cut, in turn those to the broker and to the gateways.
const CUT_EVERY: usize = 3;

/// Tasks that may be there at any moment: a beat, a request. Of a lost connection none is left once a heartbeat's time is
/// over: after 25 cuts under load there were as many as before the first.
const SLACK_TASKS: u64 = 2;

/// Descriptors that may be left: of the runtime that lapin's compatibility layer keeps once it was met off tokio's threads
/// (two epolls, an event, a socket).
const SLACK_DESCRIPTORS: u64 = 4;

/// Channels kept for the next settlement: of two accounts with 16 calls in flight each, twice that in hand.
const MOST_CHANNELS: u64 = 2 * 2 * 16;

/// What memory may grow by between the second and the last fifth, beside a tenth of it: an allocator's pages come and go.
const SLACK_BYTES: u64 = 2 << 20;

/// What the journal's index may take of an outcome, its spare places included; it is bounded in itself.
const INDEX_BYTES: u64 = 50;

/// What one look at the worker tells.
#[derive(Debug, Clone, Copy)]
struct Look {
    tasks: u64,
    descriptors: u64,
    resident_bytes: u64,
}

impl Look {
    async fn at(worker: SocketAddr) -> Self {
        let scrape = tokio::task::spawn_blocking(move || http(worker, "GET", "/metrics", "").1);
        let scrape = scrape.await.unwrap();
        let gauge = |name: &str| -> u64 {
            let line = scrape.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name} is told: {scrape}")).trim().parse().unwrap()
        };
        Self {
            tasks: gauge("takedown_tasks "),
            descriptors: gauge("takedown_open_descriptors "),
            resident_bytes: gauge("takedown_resident_memory_bytes "),
        }
    }
}

/// Channels of the worker's connections, as the broker counts them.
async fn channels(world: &World) -> u64 {
    let told = world.with_broker(|broker| {
        broker.control(&["list_connections", "--no-table-headers", "client_properties", "channels"])
    });
    let told = told.await;
    let of_worker = told.lines().filter(|line| line.contains("worker-1"));
    of_worker.map(|line| line.rsplit('\t').next().unwrap().trim().parse::<u64>().unwrap()).sum()
}

fn median(looks: &[Look], of: impl Fn(&Look) -> u64) -> u64 {
    let mut values: Vec<_> = looks.iter().map(of).collect();
    values.sort_unstable();
    values[values.len() / 2]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn memory_tasks_and_sockets_stay_flat_under_load_and_cuts() {
    let (items, rate, count, patience) = match length() {
        Length::Short => (1_500, 75, 40, Duration::from_secs(240)),
        Length::Long => (100_000, 100, 400, Duration::from_secs(40 * 60)),
    };
    let world = World::start(Options {
        items,
        workers: 1,
        limits: format!("rate = \"{rate}/s\"\nmode = \"static\"\nshare = \"1\""),
        ..Options::default()
    })
    .await;
    world.set_faults(&FAULTS);
    world.man();
    eventually("the worker", async || world.posts[0].listen().is_some()).await;
    let listen = world.posts[0].listen().unwrap();
    let ready =
        async || tokio::task::spawn_blocking(move || http(listen, "GET", "/readyz", "").0 == 200).await.unwrap();
    eventually("readiness", ready).await;
    let idle = Look::at(listen).await;
    let idle_channels = channels(&world).await;

    let began = Instant::now();
    let deadline = began + patience;
    world.enqueue().await;
    let mut looks = Vec::new();
    let mut cuts: BTreeMap<&str, u32> = BTreeMap::new();
    for look in 1..=count {
        assert!(world.reach(items * look / count, deadline).await, "{} of {count} parts within {patience:?}", look - 1);
        looks.push(Look::at(listen).await);
        if look % CUT_EVERY == 0 {
            let side = if (look / CUT_EVERY).is_multiple_of(2) { "gateway" } else { "broker" };
            let post = &world.posts[0];
            if side == "broker" {
                post.broker.cut(Which::All)
            } else {
                post.gateway.cut(Which::All)
            }
            world.note_interruption();
            *cuts.entry(side).or_default() += 1;
        }
    }
    let took = began.elapsed();
    assert!(world.reach(world.accepted(), deadline).await, "the last items within {patience:?}");
    // Connections kept for the next call are no leak.
    world.posts[0].gateway.cut(Which::All);
    let is_idle = |look: &Look| {
        look.tasks <= idle.tasks + SLACK_TASKS && look.descriptors <= idle.descriptors + SLACK_DESCRIPTORS
    };
    let mut last = Look::at(listen).await;
    let until = Instant::now() + Duration::from_secs(60);
    while !is_idle(&last) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(50)).await;
        last = Look::at(listen).await;
    }
    let channels = channels(&world).await;

    let fifth = count / 5;
    let (early, late) = (&looks[fifth..2 * fifth], &looks[4 * fifth..]);
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    println!("soak: {items} items in {took:.0?}, connections cut {cuts:?}");
    println!("  {:>12} {:>8} {:>12} {:>9}", "", "tasks", "descriptors", "memory");
    for (name, part) in [("second fifth", early), ("last fifth", late)] {
        let (tasks, descriptors) = (median(part, |look| look.tasks), median(part, |look| look.descriptors));
        let memory = mib(median(part, |look| look.resident_bytes));
        println!("  {name:>12} {tasks:>8} {descriptors:>12} {memory:>5.1} MiB");
    }
    for (name, look, channels) in [("idle before", idle, idle_channels), ("idle after", last, channels)] {
        let Look { tasks, descriptors, resident_bytes } = look;
        println!("  {name:>12} {tasks:>8} {descriptors:>12} {:>5.1} MiB, {channels} channels", mib(resident_bytes));
    }
    assert!(is_idle(&last), "an idle worker keeps what the load opened: {last:?}, {idle:?} before");
    let (before, after) = (median(early, |look| look.resident_bytes), median(late, |look| look.resident_bytes));
    let index = INDEX_BYTES * u64::try_from(items).unwrap();
    assert!(after <= before + before / 10 + index + SLACK_BYTES, "memory grew from {before} to {after} bytes");
    assert!(channels <= idle_channels + MOST_CHANNELS, "{channels} channels, {idle_channels} before");
    let (evidence, _dir) = world.end(deadline).await;
    assert_eq!(check(&evidence).breaches, []);
}
