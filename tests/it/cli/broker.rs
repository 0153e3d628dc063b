//! Commands against a RabbitMQ node and a sandbox process.

use std::net::SocketAddr;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::rehearsal::Rehearsal;
use crate::support::broker::{shared_url, unique_prefix};
use crate::support::command::{Running, end, http, takedown};

/// A rehearsal with a broker and a prefix of its own.
pub(super) struct Production {
    pub(super) rehearsal: Rehearsal,
    pub(super) prefix: String,
}

impl Production {
    fn start(items: usize, options: &[&str]) -> Self {
        Self { rehearsal: Rehearsal::start(items, options), prefix: unique_prefix() }
    }

    /// Six items, to each of which the gateway answers a code no table lists, and the worker that takes that for the end.
    fn with_dead_letters() -> (Self, Running) {
        Self::with_dead_letters_of(6)
    }

    /// As many items, and the same.
    pub(super) fn with_dead_letters_of(items: usize) -> (Self, Running) {
        let production = Self::start(items, &["--fault", "unlisted_code=1"]);
        assert_eq!(end(production.command(&["topology", "apply"])).code, Some(0));
        assert_eq!(end(production.command(&["enqueue", "items.csv"])).code, Some(0));
        let mut worker = production.command(&["worker", "--log-format", "json"]);
        worker.env("TAKEDOWN_RETRY__MAX_UNKNOWN_CODE_ATTEMPTS", "1");
        (production, Running::start(worker))
    }

    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.rehearsal.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", shared_url()).env("TAKEDOWN_AMQP__PREFIX", &self.prefix);
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
        command
    }

    fn worker(&self) -> (Running, SocketAddr) {
        let worker = Running::start(self.command(&["worker", "--log-format", "json", "--log", "takedown=debug"]));
        let line: Value = serde_json::from_str(&worker.line("status server listens")).unwrap();
        let address = line["listen"].as_str().unwrap().parse().unwrap();
        worker.line("worker started");
        (worker, address)
    }
}

/// Adds up a counter of the metrics.
fn sum(metrics: &str, name: &str) -> f64 {
    let lines = metrics.lines().filter(|line| line.starts_with(name));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

#[test]
#[ignore = "needs RabbitMQ"]
fn items_are_enqueued_worked_off_and_shown_by_the_metrics_and_the_worker_drains() {
    let production = Production::start(40, &[]);
    let refused = end(production.command(&["enqueue", "items.csv"]));
    assert_eq!(refused.code, Some(5), "{refused:?}");
    assert!(refused.stderr.contains("takedown topology apply"), "{refused:?}");
    assert_eq!(end(production.command(&["topology", "check"])).code, Some(5));
    assert_eq!(end(production.command(&["topology", "apply"])).code, Some(0));
    assert_eq!(end(production.command(&["topology", "check"])).code, Some(0));
    let stranger = end(production.command(&["dead-letters", "list", "--account", "nobody"]));
    assert_eq!(stranger.code, Some(2), "{stranger:?}");
    assert!(stranger.stderr.contains("name one of: desk, shops"), "{stranger:?}");
    let checked = end(production.command(&["check"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");

    let enqueued = end(production.command(&["enqueue", "items.csv"]));
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    assert!(enqueued.stdout.starts_with("40 of 40 items enqueued and confirmed"), "{enqueued:?}");
    let (worker, status) = production.worker();
    assert_eq!(http(status, "GET", "/healthz", "").0, 200);
    for _ in 0..40 {
        worker.line("item ended");
    }
    let metrics = http(status, "GET", "/metrics", "").1;
    assert!((sum(&metrics, "takedown_outcomes_total{") - 40.0).abs() < 0.5, "{metrics}");
    assert_eq!(http(status, "GET", "/readyz", ""), (200, "ready\n".to_owned()));
    assert!(sum(&metrics, "takedown_calls_total{") >= 40.0, "{metrics}");
    worker.signal("TERM");
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    for line in &lines {
        assert!(serde_json::from_str::<Value>(line).is_ok(), "{line}");
    }
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_node_that_is_down_is_passed_over_and_told_by_the_check() {
    let production = Production::start(6, &[]);
    // Nobody listens on port 1 and 2.
    let down = ["amqp://127.0.0.1:1/%2f", "amqp://127.0.0.1:2/%2f"];
    let with = |urls: &[&str], arguments: &[&str]| {
        let mut command = production.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", urls.join(","));
        command
    };
    let shared = shared_url();
    let nodes = [down[0], down[1], &shared];
    assert_eq!(end(with(&nodes, &["topology", "apply"])).code, Some(0));
    let enqueued = end(with(&nodes, &["enqueue", "items.csv"]));
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    let checked = end(with(&nodes, &["check"]));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    for part in [format!("warn   broker {}: cannot", down[0]), format!("warn   broker {}: cannot", down[1])] {
        assert!(checked.stdout.contains(&part), "{part} in {checked:?}");
    }
    assert!(checked.stdout.contains("/%2f: connected\nok     topology: every object"), "{checked:?}");
    let worker = Running::start(with(&nodes, &["worker", "--log", "takedown=debug"]));
    for _ in 0..6 {
        worker.line("item ended");
    }

    let checked = end(with(&down, &["check"]));
    assert_eq!(checked.code, Some(9), "{checked:?}");
    assert_eq!(checked.stdout.matches("FAULT  broker amqp://").count(), 2, "{checked:?}");
    let refused = end(with(&down, &["enqueue", "items.csv"]));
    assert_eq!(refused.code, Some(4), "{refused:?}");
    assert!(refused.stderr.contains("any of 2 brokers") && down.iter().all(|url| refused.stderr.contains(url)));
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_worker_that_others_reach_asks_for_its_token() {
    const TOKEN: &str = "0123456789abcdef0123456789abcdef";
    let production = Production::start(1, &[]);
    let open = |arguments: &[&str]| {
        let mut command = production.command(arguments);
        command.env("TAKEDOWN_WORKER__LISTEN", "0.0.0.0:0");
        command
    };
    let refused = end(open(&["worker"]));
    assert_eq!(refused.code, Some(3), "{refused:?}");
    for part in ["`worker.listen` is 0.0.0.0:0, where others than this machine may ask", "TAKEDOWN_WORKER__TOKEN"] {
        assert!(refused.stderr.contains(part), "{refused:?}");
    }
    let mut command = open(&["worker", "--log-format", "json"]);
    command.env("TAKEDOWN_WORKER__TOKEN", TOKEN);
    let worker = Running::start(command);
    let line: Value = serde_json::from_str(&worker.line("status server listens")).unwrap();
    let listens: SocketAddr = line["listen"].as_str().unwrap().parse().unwrap();
    let address = SocketAddr::from(([127, 0, 0, 1], listens.port()));
    assert_eq!(http(address, "GET", "/healthz", "").0, 200);
    assert_eq!(http(address, "GET", "/metrics", "").0, 401);
    let mut curl = Command::new("curl");
    curl.args(["-fsS", "-H", &format!("Authorization: Bearer {TOKEN}"), &format!("http://{address}/metrics")]);
    let metrics = end(curl);
    assert!(metrics.stdout.contains("takedown_in_flight"), "{metrics:?}");
    worker.signal("TERM");
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    assert!(!lines.concat().contains(TOKEN));
}

#[test]
#[ignore = "needs RabbitMQ"]
fn dead_letters_on_the_broker_are_listed_and_replayed() {
    let (production, worker) = Production::with_dead_letters();
    worker.line("item is a dead letter");
    let list = || end(production.command(&["dead-letters", "list", "--json", "--reason", "unknown_code"]));
    let letters: Value = serde_json::from_str(&list().stdout).unwrap();
    let id = letters[0]["id"].as_str().unwrap();
    assert_eq!(http(production.rehearsal.address, "PUT", "/sandbox/faults", "").0, 204);
    let replayed = end(production.command(&["dead-letters", "replay", "--id", id]));
    assert_eq!((replayed.code, replayed.stdout.as_str()), (Some(0), "1 put back to work\n"), "{replayed:?}");
    assert!(!list().stdout.contains(id));
    worker.signal("TERM");
    let (ended, lines) = worker.wait();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_dead_letter_on_the_broker_is_explained_and_stays_as_it_was() {
    let (production, worker) = Production::with_dead_letters();
    for _ in 0..6 {
        worker.line("item is a dead letter");
    }
    worker.signal("TERM");
    assert_eq!(worker.wait().0.code(), Some(0));
    let list = || end(production.command(&["dead-letters", "list", "--json"])).stdout;
    let before = list();
    let letters: Value = serde_json::from_str(&before).unwrap();
    let ids: Vec<_> = letters.as_array().unwrap().iter().map(|letter| letter["id"].as_str().unwrap()).collect();
    assert_eq!(ids.len(), 6, "{before}");
    let shown =
        || ids.iter().map(|id| end(production.command(&["dead-letters", "show", id])).stdout).collect::<Vec<_>>();
    let letters = shown();
    for id in &ids {
        let explained = end(production.command(&["explain", "--dead-letter", id, "--json"]));
        assert_eq!(explained.code, Some(0), "{explained:?}");
        let value: Value = serde_json::from_str(&explained.stdout).unwrap();
        assert!(value["own"]["sign"].as_str().is_some_and(|sign| sign.len() == 344), "{value}");
    }
    let missing = end(production.command(&["explain", "--dead-letter", "nobody"]));
    assert_eq!(missing.code, Some(9), "{missing:?}");
    assert_eq!((list(), shown()), (before, letters), "the same letters, in the same order, with the same content");
}

#[test]
#[ignore = "needs RabbitMQ"]
fn the_finest_log_shows_no_password_and_no_body() {
    let production = Production::start(6, &[]);
    assert_eq!(end(production.command(&["topology", "apply"])).code, Some(0));
    let enqueued = end(production.command(&["enqueue", "items.csv", "--log", "trace"]));
    assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
    let worker = Running::start(production.command(&["worker", "--log", "trace"]));
    let log = enqueued.stderr + &worker.lines_to("item ended").join("\n");
    // As lapin shows bytes: the PLAIN login, and the begin of every message.
    for bytes in [&b"\0guest\0"[..], b"{\"version\""] {
        let shown: Vec<String> = bytes.iter().map(ToString::to_string).collect();
        assert!(!log.contains(&shown.join(", ")), "{log}");
    }
}

#[test]
#[ignore = "needs RabbitMQ"]
fn the_demo_through_the_broker_ends_well_and_leaves_nothing_behind() {
    let home = TempDir::new().unwrap();
    let demo = end(takedown(home.path(), &["demo", "--items", "60", "--amqp", &shared_url()]));
    assert_eq!(demo.code, Some(0), "{demo:?}");
    for part in ["62 outcomes", "RabbitMQ and two workers", "invalid_message", "0 wrong", "0 without an outcome"] {
        assert!(demo.stdout.contains(part), "{part} in {}", demo.stdout);
    }
}
