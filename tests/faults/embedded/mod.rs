//! The embedded queue under faults: `takedown run` as a process of its own, a file of items, both gateways over HTTP.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use takedown::domain::outcome::{FinalOutcome, Status};
use takedown::sandbox::faults::Faults;
use takedown::sandbox::mix::{Mix, Verdict};
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{ItemState, Sandbox, SandboxSettings};
use takedown::signing::SignType;
use tempfile::TempDir;

use crate::support::command::takedown;
use crate::support::rehearsal;

mod damage;
mod full_disk;
mod kills;
mod model;

/// What the gateways do wrong meanwhile; twelve attempts are enough for all of it.
const FAULTS: [&str; 8] = [
    "system_error=0.04",
    "reset=0.03",
    "timeout=0.003",
    "garbage=0.02",
    "unsigned_success=0.01",
    "bad_signature=0.01",
    "throttled=0.005",
    "latency:30ms=0.1",
];

const SETTINGS: &str = r#"
[http]
connect_timeout = "1s"
total_timeout = "2s"
[retry]
delays = ["50ms"]
rungs = ["50ms", "1s"]
max_attempts = 12
"#;

/// Calls of one account at a time.
const IN_FLIGHT: usize = 16;

/// Outcomes by takedown.
type Outcomes = BTreeMap<String, FinalOutcome>;

/// A moderation desk: a directory with `items.jsonl`, and the gateways its items are at.
struct Desk {
    dir: TempDir,
    sandbox: Sandbox,
    mix: Mix,
}

impl Desk {
    /// Sets one up with so many items; `rate` is each account's.
    async fn new(items: usize, seed: u64, rate: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let setup = Setup::generate(SignType::Rsa).unwrap();
        let faults = Faults::parse(FAULTS, "").unwrap();
        let sandbox = Sandbox::start(SandboxSettings { seed, faults, ..setup.settings().unwrap() }).await.unwrap();
        let limits = format!("rate = \"{rate}\"\nin_flight = {IN_FLIGHT}\ncool_down = \"100ms\"\n");
        rehearsal::write(dir.path(), &setup, &sandbox, SETTINGS, &limits);
        let mix = Mix::new(items, seed, &setup);
        mix.prepare(&sandbox);
        let desk = Self { dir, sandbox, mix };
        desk.write_items(&desk.path("items.jsonl"));
        desk
    }

    fn write_items(&self, path: &Path) {
        let mut lines = String::new();
        for takedown in &self.mix.takedowns {
            writeln!(lines, "{}", String::from_utf8(takedown.encode()).unwrap()).unwrap();
        }
        std::fs::write(path, lines).unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Builds `takedown run items.jsonl`.
    fn run(&self) -> Command {
        takedown(self.dir.path(), &["run", "items.jsonl"])
    }

    /// Reads a file of outcomes, which must be whole: every line an outcome, no takedown twice.
    fn outcomes(&self, file: &Path) -> Outcomes {
        let mut outcomes = Outcomes::new();
        let text = std::fs::read_to_string(file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "the last line is torn: {text:?}");
        for line in text.lines() {
            let outcome = FinalOutcome::decode(line.as_bytes()).unwrap_or_else(|error| panic!("{error}: {line}"));
            if let Some(twice) = outcomes.insert(outcome.id.clone(), outcome) {
                panic!("{} has two outcomes", twice.id);
            }
        }
        outcomes
    }

    /// Holds the outcomes of a finished run against the gateways' own truth, and the calls against those it was allowed:
    /// its attempts and deferrals, and one more for each end by force, which loses the word of the calls in flight.
    fn check(&self, file: &Path, ended_by_force: usize) {
        let outcomes = self.outcomes(file);
        assert_eq!(outcomes.len(), self.mix.takedowns.len(), "every item has its outcome");
        let mut calls = BTreeMap::<String, usize>::new();
        for seen in self.sandbox.seen() {
            *calls.entry(seen.item).or_default() += 1;
        }
        let mut beyond = 0;
        for takedown in &self.mix.takedowns {
            let (item, outcome) = (takedown.item.label(), &outcomes[takedown.id.as_str()]);
            assert_eq!(self.mix.judge(takedown, outcome.reason), Verdict::Right, "{outcome:?}");
            if outcome.status() == Status::Success {
                assert_eq!(self.sandbox.item(&item), ItemState::OffSale, "{outcome:?}");
            }
            let told = (outcome.attempts + outcome.deferrals) as usize;
            let made = calls.get(&item).copied().unwrap_or_default();
            assert!(made <= told + ended_by_force, "{made} calls, {ended_by_force} ends by force: {outcome:?}");
            beyond += made.saturating_sub(told);
        }
        let most = ended_by_force * 2 * IN_FLIGHT;
        assert!(beyond <= most, "{beyond} calls beyond those told of, {most} may be");
        println!("{} items, {} calls, {beyond} of them repeated after an end by force", outcomes.len(), {
            calls.values().sum::<usize>()
        });
    }
}

/// Returns the queue file of a file of items.
fn queue_of(items: &Path) -> PathBuf {
    let mut name = items.as_os_str().to_owned();
    name.push(".queue");
    PathBuf::from(name)
}
