//! Whole runs under plans drawn from seeds: a fixed one, one nobody has seen, and in the long form many.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use futures_util::future::join_all;
use tokio::time::Instant;

use crate::checker::{Figures, Report, check};
use crate::plan::{Plan, Step};
use crate::world::{Options, QUICK_RUNGS, Site, World};
use crate::{Length, length};

/// Names the one seed to run.
const SEED: &str = "TAKEDOWN_FAULT_SEED";

/// The seed of every run of the short form. Its plan finds out a publisher that counts unconfirmed as confirmed.
const FIXED: u64 = 3;

/// Takedowns of a run.
const ITEMS: usize = 1500;

/// Workers of a run.
const WORKERS: usize = 2;

/// For all of a run's work; it takes some 30 s on two idle cores.
const DEADLINE: Duration = Duration::from_secs(240);

/// How long the long form goes on with new seeds.
const LONG: Duration = Duration::from_secs(20 * 60);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn nothing_is_lost_under_the_plan_of_a_known_seed() {
    // The other test plays the one that was asked for.
    if std::env::var_os(SEED).is_none() {
        runs([FIXED], Duration::ZERO).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn nothing_is_lost_under_a_plan_nobody_has_seen() {
    let fresh = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    match (std::env::var(SEED), length()) {
        (Ok(seed), _) => runs([seed.parse().expect("TAKEDOWN_FAULT_SEED is a number")], Duration::ZERO).await,
        (Err(_), Length::Short) => runs([fresh], Duration::ZERO).await,
        (Err(_), Length::Long) => runs(fresh.., LONG).await,
    }
}

/// Plays one seed after the other until a time is over.
async fn runs(seeds: impl IntoIterator<Item = u64>, time: Duration) {
    let began = Instant::now();
    let mut table = Table::default();
    for seed in seeds {
        table.run(seed).await;
        if began.elapsed() > time {
            break;
        }
    }
    println!("{}in {:.0?}", table.text(), began.elapsed());
    assert!(table.failed.is_empty(), "seeds that failed: {:?}", table.failed);
}

/// What all runs came to.
#[derive(Default)]
struct Table {
    seeds: Vec<u64>,
    failed: Vec<u64>,
    faults: BTreeMap<String, usize>,
    mishaps: BTreeMap<String, usize>,
    figures: Figures,
}

impl Table {
    async fn run(&mut self, seed: u64) {
        let plan = Plan::draw(seed, WORKERS);
        println!(
            "{plan}again:\n  {SEED}={seed} cargo test --features fault-points --test faults random:: -- --include-ignored"
        );
        let began = Instant::now();
        let world = World::start(Options {
            seed,
            items: ITEMS,
            doomed: 5,
            workers: WORKERS,
            limits: format!("rate = \"50/s\"\n{}", plan.sharing),
            site: Site::Own(QUICK_RUNGS),
            ..Options::default()
        })
        .await;
        let deadline = Instant::now() + DEADLINE;
        world.enqueue().await;
        world.man();
        join_all(plan.steps.iter().map(|step| play(step, &world, deadline, began))).await;
        println!("  {:>6.1?}  all faults over", began.elapsed());
        let (evidence, dir) = world.end(deadline).await;
        let Report { breaches, figures } = check(&evidence);
        println!("  {:>6.1?}  the end: {}", began.elapsed(), line(&figures));
        for step in &plan.steps {
            *self.faults.entry(step.fault.kind()).or_default() += 1;
        }
        for fault in evidence.seen.iter().filter_map(|seen| seen.fault.clone()) {
            *self.mishaps.entry(fault).or_default() += 1;
        }
        self.figures.add(&figures);
        self.seeds.push(seed);
        if !breaches.is_empty() {
            self.failed.push(seed);
            breaches.iter().for_each(|breach| println!("  BREACH {breach}"));
            println!("  the workers' logs are in {}", dir.keep().display());
        }
    }

    fn text(&self) -> String {
        let mut text = format!("seeds {:?}\n", self.seeds);
        for (title, counts) in [("faults injected", &self.faults), ("calls gone wrong", &self.mishaps)] {
            writeln!(text, "{title}: {}", counts.values().sum::<usize>()).unwrap();
            counts.iter().for_each(|(kind, count)| writeln!(text, "  {count:>6}  {kind}").unwrap());
        }
        writeln!(text, "items: {}", line(&self.figures)).unwrap();
        self.figures
            .ends
            .iter()
            .for_each(|(end, count)| writeln!(text, "  {count:>6}  {}/{end}", end.status()).unwrap());
        text
    }
}

async fn play(step: &Step, world: &World, deadline: Instant, began: Instant) {
    if world.reach(world.accepted() * step.percent / 100, deadline).await {
        println!("  {:>6.1?}  {}", began.elapsed(), step.fault);
        step.fault.inject(world).await;
    }
}

fn line(figures: &Figures) -> String {
    let Figures {
        accepted,
        ends: _,
        repeated_outcomes,
        repeated_letters,
        calls,
        most_calls,
        repeated_calls,
        lost,
        two_ends,
    } = figures;
    format!(
        "{accepted} accepted, {lost} lost, {two_ends} ended in two ways, \
         {repeated_outcomes} outcomes and {repeated_letters} dead letters repeated; {calls} calls, at most {most_calls} for \
         an item, {repeated_calls} repeated"
    )
}
