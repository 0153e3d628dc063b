//! `kill -9` again and again, at any stage: reading, enqueuing, calling, writing the outcomes.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::{Desk, queue_of};
use crate::support::command::{Running, end};
use crate::support::queue::eventually;
use crate::{Length, length};

const SEED: &str = "TAKEDOWN_FAULT_SEED";

/// When a run is killed.
#[derive(Debug, Clone, Copy)]
enum Moment {
    /// So long after its start, wherever it is then.
    After(Duration),
    /// Once its write-ahead log has grown: it enqueues.
    Enqueuing(u64),
    /// Once the gateways have seen so many more calls.
    Calls(usize),
    /// While the outcomes are written, if the kill is quick enough.
    Export,
}

impl Moment {
    fn draw(random: &mut StdRng, turn: usize, most_calls: usize) -> Self {
        match turn % 4 {
            0 => Self::Enqueuing(random.random_range(1..200_000)),
            1 | 3 => Self::Calls(random.random_range(1..=most_calls)),
            _ => Self::After(Duration::from_millis(random.random_range(0..1500))),
        }
    }

    /// Waits for it, or for the end of the run.
    async fn come(self, desk: &Desk, run: &mut Running, seen: usize) {
        let started = Instant::now();
        let size = |name: &str| std::fs::metadata(desk.path(name)).map_or(0, |file| file.len());
        let has_come = || match self {
            Self::After(wait) => started.elapsed() >= wait,
            Self::Enqueuing(bytes) => size("items.jsonl.queue-wal") >= bytes,
            Self::Calls(count) => desk.sandbox.seen().len() >= seen + count,
            Self::Export => desk.path("items.jsonl.outcomes.jsonl.part").exists(),
        };
        eventually("the moment of a kill", async || has_come() || run.has_ended()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_killed_again_and_again_ends_every_item_once() {
    let (items, kills) = if length() == Length::Long { (4000, 60) } else { (400, 7) };
    let seed = std::env::var(SEED).map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!("again: {SEED}={seed} cargo test --features fault-points --test faults embedded::kills");
    let mut random = StdRng::seed_from_u64(seed);
    let desk = Desk::new(items, seed, "400/s").await;
    let mut stages = BTreeMap::<&str, usize>::new();
    for turn in 0..kills {
        let moment = if turn + 2 > kills { Moment::Export } else { Moment::draw(&mut random, turn, 2 * items / kills) };
        let seen = desk.sandbox.seen().len();
        let mut run = Running::start(desk.run());
        moment.come(&desk, &mut run, seen).await;
        let stage = stage(&desk, seen, run.has_ended());
        drop(run);
        *stages.entry(stage).or_default() += 1;
        let outcomes = desk.path("items.jsonl.outcomes.jsonl");
        if outcomes.exists() {
            desk.outcomes(&outcomes);
        }
    }
    println!("{kills} kills: {stages:?}");
    let last = tokio::task::block_in_place(|| end(desk.run()));
    assert_eq!(last.code, Some(0), "{last:?}");
    desk.check(&desk.path("items.jsonl.outcomes.jsonl"), kills);
    assert!(!desk.path("items.jsonl.outcomes.jsonl.part").exists());
    let again = tokio::task::block_in_place(|| end(desk.run()));
    assert!(again.stderr.contains("0 items are left to do"), "{again:?}");
}

/// Names how far the run that is about to be killed had come.
fn stage(desk: &Desk, seen: usize, has_ended: bool) -> &'static str {
    let queue = queue_of(Path::new("items.jsonl"));
    if has_ended {
        "ended before"
    } else if desk.path("items.jsonl.outcomes.jsonl.part").exists() {
        "writing outcomes"
    } else if desk.sandbox.seen().len() > seen {
        "calling"
    } else if desk.path(queue.to_str().unwrap()).exists() {
        "enqueuing or opening"
    } else {
        "reading"
    }
}
