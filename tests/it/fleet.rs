//! One account, one rate, several worker processes over a real broker: what the gateway sees of it.

mod exclusive;
mod holds;
mod prefetch;
mod reload;
mod traffic;

use std::fmt::Write as _;
use std::time::Duration;

use takedown::domain::ids::AccountId;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::{Consumers, WorkQueue};
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{Sandbox, SandboxSettings};
use takedown::signing::SignType;
use tempfile::TempDir;

use crate::support::command::{run, worker};
use crate::support::{broker, rehearsal};

/// Calls a second of the account.
const RATE: usize = 40;
/// Each of five replicas may be one call ahead of its pace, and an arrival a moment later than its call.
const SLACK: usize = 5 + 2;
/// For anything waited for.
const DEADLINE: Duration = Duration::from_secs(120);

struct Stage {
    dir: TempDir,
    sandbox: Sandbox,
    settings: AmqpSettings,
    topology: Topology,
}

impl Stage {
    async fn set(items: usize, limits: &str) -> Self {
        let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
        Self::set_on(settings, Consumers::Competing, items, limits).await
    }

    async fn set_on(settings: AmqpSettings, consumers: Consumers, items: usize, limits: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup::generate(SignType::Rsa).unwrap();
        let sandbox = Sandbox::start(SandboxSettings { seed: 1, ..setup.settings().unwrap() }).await.unwrap();
        let general = format!(
            "[amqp]\nurl = {:?}\nprefix = {:?}\n[retry]\nrungs = [\"200ms\", \"1s\"]\n",
            settings.urls[0], settings.prefix
        );
        rehearsal::write(dir.path(), &setup, &sandbox, &general, limits);
        let queues = ["desk", "shops"].map(|name| WorkQueue { account: AccountId::new(name).unwrap(), consumers });
        let topology = Topology::new(&settings, &queues);
        topology.apply(&settings).await.unwrap();
        let mut rows = String::from("account,sns_user_id,key,goods_id\n");
        for number in 0..items {
            writeln!(rows, "desk,admin,2011041704C579B6A4F446E7AA4421BC,{number:016}").unwrap();
        }
        std::fs::write(dir.path().join("items.csv"), rows).unwrap();
        let ended = run(dir.path(), &["enqueue", "items.csv"]);
        assert_eq!(ended.code, Some(0), "{ended:?}");
        Self { dir, sandbox, settings, topology }
    }

    /// Arrivals at the gateway so far, in milliseconds.
    fn arrivals(&self) -> Vec<u64> {
        let mut arrivals: Vec<_> = self.sandbox.seen().iter().map(|seen| seen.at_ms).collect();
        arrivals.sort_unstable();
        arrivals
    }

    /// Waits for so many arrivals.
    async fn arrived(&self, count: usize) {
        let enough = async {
            while self.arrivals().len() < count {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, enough).await;
        assert!(in_time.is_ok(), "{} of {count} calls within {DEADLINE:?}", self.arrivals().len());
    }

    /// Waits for so many arrivals more.
    async fn arrive(&self, count: usize) {
        self.arrived(self.arrivals().len() + count).await;
    }

    /// Waits for ten seconds in which so many per cent of the rate are used.
    async fn used(&self, percent: usize) {
        let calls = 10 * RATE;
        let quickest = || {
            let arrivals = self.arrivals();
            arrivals.windows(calls).map(|stretch| stretch[calls - 1] - stretch[0]).min().unwrap_or(u64::MAX)
        };
        let used = |millis: u64| (calls - 1) as f64 / RATE as f64 / (millis as f64 / 1000.0) * 100.0;
        let enough = async {
            while used(quickest()) < percent as f64 {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, enough).await;
        println!("{:.1} % of the rate used", used(quickest()));
        assert!(in_time.is_ok(), "no ten seconds with {percent} % of the rate within {DEADLINE:?}");
    }

    async fn clear(self) {
        self.topology.delete(&self.settings).await.unwrap();
    }
}

/// The most arrivals in any second.
fn most_in_a_second(arrivals: &[u64]) -> usize {
    let mut first = 0;
    let within = |(last, at): (usize, &u64)| {
        while at - arrivals[first] >= 1000 {
            first += 1;
        }
        last - first + 1
    };
    arrivals.iter().enumerate().map(within).max().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn four_workers_keep_one_rate_while_one_joins_one_dies_and_one_is_stopped() {
    let stage = Stage::set(6000, &format!("rate = \"{RATE}/s\"")).await;
    let dir = stage.dir.path();
    let workers = ["first", "second", "third", "fourth"].map(|name| worker(dir, name));
    // A machine that is busy with other tests may keep a replica from hearing itself in time; it calls nobody then.
    stage.used(97).await;

    let fifth = worker(dir, "fifth");
    stage.arrive(8 * RATE).await;
    workers[0].signal("KILL");
    stage.arrive(8 * RATE).await;
    workers[1].signal("STOP");
    stage.arrive(8 * RATE).await;
    workers[1].signal("CONT");
    stage.arrive(8 * RATE).await;

    let arrivals = stage.arrivals();
    let most = most_in_a_second(&arrivals);
    println!("most calls in any second: {most} of {RATE}");
    assert!(most <= RATE + SLACK, "{most} calls in a second");
    for worker in workers.iter().skip(1).chain([&fifth]) {
        worker.signal("KILL");
    }
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn replicas_that_keep_to_a_share_each_need_not_hear_of_each_other() {
    let stage = Stage::set(400, "rate = \"40/s\"\nmode = \"static\"\nshare = \"1/4\"").await;
    let workers = ["first", "second"].map(|name| worker(stage.dir.path(), name));
    stage.arrived(100).await;
    let most = most_in_a_second(&stage.arrivals());
    assert!((15..=20 + SLACK).contains(&most), "{most} calls in a second");
    for worker in &workers {
        worker.signal("KILL");
    }
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_worker_that_drains_leaves_its_share_at_once() {
    let stage = Stage::set(3000, &format!("rate = \"{RATE}/s\"")).await;
    let (first, second) = (worker(stage.dir.path(), "first"), worker(stage.dir.path(), "second"));
    stage.arrived(10 * RATE).await;
    first.signal("TERM");
    let (status, lines) = tokio::task::spawn_blocking(|| first.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    let left = stage.arrivals().len();
    let since = std::time::Instant::now();
    stage.arrived(left + 3 * RATE).await;
    // A lease of waiting would have cost three seconds of calls more.
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    second.signal("KILL");
    stage.clear().await;
}
