//! Holds and pauses that reach every worker process of a fleet.

use takedown::sandbox::ItemState;
use takedown::sandbox::faults::Faults;

use super::{DEADLINE, Stage};
use crate::support::command::{Ended, Running, run, takedown, worker};

const LIMITS: &str = "rate = \"40/s\"\nhold.first_probe = \"2s\"\nhold.max_probe = \"4s\"";

impl Stage {
    /// Runs a command beside the workers.
    async fn say(&self, arguments: &'static [&'static str]) -> Ended {
        let dir = self.dir.path().to_owned();
        tokio::task::spawn_blocking(move || run(&dir, arguments)).await.unwrap()
    }

    /// Waits until so many items are off sale.
    async fn done(&self, items: usize) {
        let off_sale = || self.sandbox.items().values().filter(|state| **state == ItemState::OffSale).count();
        let all = async {
            while off_sale() < items {
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            }
        };
        let in_time = tokio::time::timeout(DEADLINE, all).await;
        assert!(in_time.is_ok(), "{} of {items} items off sale within {DEADLINE:?}", off_sale());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_bad_key_holds_both_replicas_and_one_of_them_probes() {
    let stage = Stage::set(400, LIMITS).await;
    let workers = ["first", "second"].map(|name| worker(stage.dir.path(), name));
    stage.arrived(80).await;
    stage.sandbox.set_faults(Faults::parse(["illegal_sign=1"], "").unwrap());
    for worker in &workers {
        // Whoever found it says so as an error, whoever heard of it as a warning.
        worker.line("held");
    }
    let began = stage.arrivals().len();
    stage.arrived(began + 4).await;
    let arrivals = stage.arrivals();
    let probes: Vec<u64> = arrivals.windows(2).map(|two| two[1] - two[0]).rev().take(3).collect();
    println!("from probe to probe, latest first: {probes:?} ms");
    assert!(probes.iter().all(|gap| *gap >= 2000), "one probe in the fleet, after its wait: {probes:?}");

    stage.sandbox.set_faults(Faults::default());
    let resumed = stage.say(&["resume", "desk"]).await;
    assert_eq!(resumed.code, Some(0), "{resumed:?}");
    assert!(resumed.stdout.contains("2 replicas took it: first, second"), "{resumed:?}");
    for worker in &workers {
        worker.line("lifted");
    }
    stage.done(400).await;
    for worker in &workers {
        worker.signal("KILL");
    }
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_replica_that_does_not_reach_the_gateway_keeps_no_other_from_it() {
    let stage = Stage::set(600, LIMITS).await;
    let mut command = takedown(stage.dir.path(), &["worker"]);
    let nowhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    // The first by its name: whatever is probed, it would probe.
    command.env("TAKEDOWN_WORKER__ID", "first").env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    command.env("TAKEDOWN_ACCOUNTS__DESK__ENDPOINT", format!("http://{nowhere}/gateway.do"));
    let first = Running::start(command);
    first.line("the gateway cannot be reached");
    let second = worker(stage.dir.path(), "second");
    stage.arrived(40).await;
    let since = std::time::Instant::now();
    stage.done(500).await;
    let rate = 460.0 / since.elapsed().as_secs_f64();
    println!("{rate:.1} calls a second, of 40");
    assert!(rate > 20.0, "its share of the rate lies idle, or the other is held: {rate:.1} calls a second");
    for worker in [&first, &second] {
        worker.signal("KILL");
    }
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_pause_by_hand_stops_every_replica_within_a_second_and_loses_nothing() {
    let stage = Stage::set(400, LIMITS).await;
    let nobody = stage.say(&["pause", "desk"]).await;
    assert_eq!(nobody.code, Some(11), "{nobody:?}");
    assert!(nobody.stderr.contains("what to do: start a worker first"), "{nobody:?}");

    let workers = ["first", "second"].map(|name| worker(stage.dir.path(), name));
    stage.arrived(80).await;
    let pause = stage.say(&["pause", "desk", "--reason", "key rotation"]);
    let lines = async {
        for worker in &workers {
            let line = worker.line("paused by hand");
            assert!(line.contains("key rotation"), "{line}");
        }
        stage.arrivals().len()
    };
    let (paused, at_once) = tokio::join!(pause, lines);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    assert!(paused.stdout.contains("paused desk; 2 replicas took it: first, second"), "{paused:?}");
    // What was on its way when the second of them heard of it.
    let on_the_way = stage.arrivals().len() - at_once;
    println!("calls after the word: {on_the_way}");
    assert!(on_the_way <= 4, "{on_the_way} calls after the word");

    let still = stage.arrivals().len();
    // A newcomer listens for a lease, and learns of it from those who are there.
    let third = worker(stage.dir.path(), "third");
    third.line("paused by hand");
    for worker in &workers {
        worker.signal("KILL");
    }
    assert_eq!(stage.arrivals().len(), still, "no call while it is paused");
    let resumed = stage.say(&["resume", "desk"]).await;
    assert!(resumed.stdout.contains("resumed desk; "), "{resumed:?}");
    stage.done(400).await;
    third.signal("KILL");
    stage.clear().await;
}
