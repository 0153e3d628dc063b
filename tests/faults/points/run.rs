//! `takedown run` that dies at every point of its own, and goes on when it is started again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};

use takedown::domain::outcome::{FinalOutcome, Status};
use takedown::sandbox::faults::Faults;
use takedown::sandbox::mix::{Mix, Verdict};
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{ItemState, Sandbox, SandboxSettings};
use takedown::signing::SignType;

use super::*;
use crate::support::command::{Running, end, takedown};
use crate::support::rehearsal;

/// Where a run over the embedded queue can die in its work.
const POINTS: [&str; 4] = ["received", "answered", "committing", "committed"];

const SETTINGS: &str = "[retry]\ndelays = [\"50ms\"]\nmax_attempts = 12\n";

/// Some of these calls are still in flight when a run is told to drain.
const FAULTS: [&str; 3] = ["system_error=0.1", "reset=0.05", "latency:20ms=0.8"];

fn command(dir: PathBuf, point: &str) -> Command {
    let mut command = takedown(&dir, &["run", "items.jsonl", "--json"]);
    command.env("TAKEDOWN_FAULT_POINT", point);
    command
}

/// Runs until it dies.
async fn die(dir: PathBuf, point: String) -> ExitStatus {
    let (status, lines) =
        tokio::task::spawn_blocking(move || Running::start(command(dir, &point)).wait()).await.unwrap();
    assert!(lines.iter().any(|line| line.starts_with("fault point reached")), "{lines:#?}");
    status
}

/// Runs until some items have ended, then is interrupted.
async fn die_draining(dir: PathBuf) -> ExitStatus {
    let running = move || {
        let running = Running::start(command(dir, "draining"));
        running.line("ended");
        running.signal("INT");
        running.wait()
    };
    tokio::task::spawn_blocking(running).await.unwrap().0
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_dies_at_any_point_goes_on_and_ends_every_item_once() {
    let (items, counts) = match length() {
        Length::Short => (200, vec![1, 9]),
        Length::Long => (3000, (1..=40).collect()),
    };
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::generate(SignType::Rsa).unwrap();
    let faults = Faults::parse(FAULTS, "").unwrap();
    let sandbox = Sandbox::start(SandboxSettings { seed: 7, faults, ..setup.settings().unwrap() }).await.unwrap();
    rehearsal::write(dir.path(), &setup, &sandbox, SETTINGS, "rate = \"400/s\"");
    let mix = Mix::new(items, 2026, &setup);
    mix.prepare(&sandbox);
    let mut lines = String::new();
    for takedown in &mix.takedowns {
        writeln!(lines, "{}", String::from_utf8(takedown.encode()).unwrap()).unwrap();
    }
    std::fs::write(dir.path().join("items.jsonl"), lines).unwrap();

    let points = counts.iter().flat_map(|count| POINTS.map(|point| format!("{point}:{count}")));
    let mut deaths = 0;
    for point in points {
        assert_eq!(die(dir.path().into(), point).await.signal(), Some(9));
        deaths += 1;
    }
    assert_eq!(die_draining(dir.path().into()).await.signal(), Some(9));
    deaths += 1;
    let mut last = command(dir.path().into(), "");
    last.env_remove("TAKEDOWN_FAULT_POINT");
    let ended = tokio::task::spawn_blocking(|| end(last)).await.unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");

    let outcomes = std::fs::read_to_string(dir.path().join("items.jsonl.outcomes.jsonl")).unwrap();
    let outcomes: Vec<_> = outcomes.lines().map(|line| FinalOutcome::decode(line.as_bytes()).unwrap()).collect();
    let by_id: BTreeMap<_, _> = outcomes.iter().map(|outcome| (outcome.id.as_str(), outcome)).collect();
    assert_eq!((outcomes.len(), by_id.len()), (items, items), "one outcome an item");
    let seen = sandbox.seen();
    for takedown in &mix.takedowns {
        let outcome = by_id[takedown.id.as_str()];
        assert_eq!(mix.judge(takedown, outcome.reason), Verdict::Right, "{outcome:?}");
        let item = takedown.item.label();
        assert!(outcome.status() != Status::Success || sandbox.item(&item) == ItemState::OffSale, "{outcome:?}");
        let calls = seen.iter().filter(|seen| seen.item == item).count();
        assert!(calls <= outcome.attempts as usize + deaths, "{calls} calls: {outcome:?}");
    }
    println!("{deaths} deaths, {items} items, {} calls", seen.len());
}
