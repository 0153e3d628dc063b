//! A batch from its making to its report, by the real binary, broker and sandbox.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use lapin::BasicProperties;
use serde_json::Value;
use takedown::domain::ids::BatchId;
use takedown::domain::notice::{Notice, What};
use takedown::domain::takedown::Takedown;
use takedown::queue::DeskLog;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::desk_log::AmqpDeskLog;
use takedown::queue::amqp::results::Results;

use crate::cli::rehearsal::Rehearsal;
use crate::support::broker::{self, shared_url, unique_prefix};
use crate::support::command::{Ended, Running, end, http};
use crate::support::queue::{account, takedown, within};

/// The rungs as they are configured by default.
const RUNGS: [&str; 6] = ["5s", "30s", "2m", "10m", "1h", "6h"];

/// Items of the batch, and of nobody, that wait in each rung.
const IN_RUNG: usize = 20;

struct Stage {
    rehearsal: Rehearsal,
    prefix: String,
}

impl Stage {
    fn start(items: usize, options: &[&str]) -> Self {
        let stage = Self { rehearsal: Rehearsal::start(items, options), prefix: unique_prefix() };
        assert_eq!(end(stage.command(&["topology", "apply"])).code, Some(0));
        stage
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.rehearsal.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", shared_url()).env("TAKEDOWN_AMQP__PREFIX", &self.prefix);
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0").env("TAKEDOWN_RETRY__RUNGS", RUNGS.join(","));
        command.env("TAKEDOWN_DESK__FILE", self.rehearsal.home.path().join("desk.sqlite")).env("USER", "ada");
        command
    }

    fn run(&self, arguments: &[&str]) -> Ended {
        end(self.command(arguments))
    }

    /// A worker whose rate would take minutes for what is left.
    fn slow_worker(&self) -> Running {
        let mut command = self.command(&["worker", "--log-format", "json", "--log", "takedown=debug"]);
        for account in ["DESK", "SHOPS"] {
            command.env(format!("TAKEDOWN_ACCOUNTS__{account}__RATE"), "10/s");
        }
        Running::start(command)
    }

    fn settings(&self) -> AmqpSettings {
        AmqpSettings { prefix: self.prefix.clone(), ..broker::settings(shared_url()) }
    }

    fn report(&self, batch: &str) -> Value {
        serde_json::from_str(&self.run(&["batch", "report", batch, "--json"]).stdout).unwrap()
    }
}

/// Puts items into each rung, as a worker that gave them another try: each second one of the batch.
async fn fill_rungs(settings: &AmqpSettings) {
    let batch = BatchId::new("night").unwrap();
    for rung in RUNGS {
        for n in 0..2 * IN_RUNG {
            let of_batch = (n % 2 == 0).then(|| batch.clone());
            let takedown = Takedown { batch: of_batch, ..takedown(&format!("{rung}-{n}"), "shops") };
            let properties = BasicProperties::default().with_message_id(takedown.id.as_str().into());
            let exchange = format!("{}.retry.{rung}", settings.prefix);
            broker::publish(settings, &exchange, "shops", &takedown.encode(), properties).await;
        }
    }
    let items = BTreeMap::from([(account("shops"), (RUNGS.len() * IN_RUNG) as u64)]);
    let what = What::BatchMade { batch, items, part: "rungs".into() };
    let log = AmqpDeskLog::connect(settings).await.unwrap();
    log.note(&Notice { at: SystemTime::now(), by: "test".into(), what }).await.unwrap();
    log.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs RabbitMQ"]
async fn a_cancelled_batch_of_thousands_ends_within_seconds_rungs_of_hours_included() {
    const ITEMS: usize = 2_000;
    let in_rungs = RUNGS.len() * IN_RUNG;
    let stage =
        tokio::task::spawn_blocking(move || Stage::start(ITEMS - in_rungs, &["--latency", "50ms"])).await.unwrap();
    let settings = stage.settings();
    fill_rungs(&settings).await;
    let mut results = Results::connect(&settings).await.unwrap();
    let (stage, began) = tokio::task::spawn_blocking(move || {
        let enqueued = stage.run(&["enqueue", "items.csv", "--batch", "night", "--add"]);
        assert_eq!(enqueued.code, Some(0), "{enqueued:?}");
        let worker = stage.slow_worker();
        for _ in 0..40 {
            worker.line("item ended");
        }
        let began = Instant::now();
        let cancelled = stage.run(&["batch", "cancel", "night", "--reason", "wrong list"]);
        assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
        // The rung of 5 s may have let its own go by then.
        let moved = cancelled.stdout.split("; ").nth(1).unwrap().split(' ').next().unwrap().parse::<usize>().unwrap();
        assert!((in_rungs - 2 * IN_RUNG..=in_rungs).contains(&moved), "{cancelled:?}");
        let watched = stage.run(&["batch", "watch", "night", "--json"]);
        assert_eq!(watched.code, Some(0), "{watched:?}");
        let took = began.elapsed();
        assert!(took < Duration::from_secs(60), "at its rate it would have taken minutes: {took:?}");
        worker.signal("TERM");
        assert_eq!(worker.wait().0.code(), Some(0));
        (stage, took)
    })
    .await
    .unwrap();
    eprintln!("2,000 items ended {began:?} after the cancel began");

    let mut ends: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut of_batch = 0;
    while of_batch < ITEMS {
        let (id, outcome) = within("an outcome", results.next()).await.unwrap();
        if outcome.batch.as_deref() == Some("night") {
            let seen = ends.entry(outcome.id.clone()).or_default();
            if !seen.contains(&id) {
                seen.push(id);
                of_batch += 1;
            }
        }
    }
    assert!(ends.values().all(|ids| ids.len() == 1), "one outcome an item");
    let stage = tokio::task::spawn_blocking(move || {
        let report = stage.report("night");
        assert_eq!((&report["items"], &report["ended"]), (&ITEMS.into(), &ITEMS.into()), "{report}");
        assert_eq!(report["stage"], "finished");
        assert_eq!(report["cancelled"]["reason"], "wrong list");
        let by = |status: &str| report["by_status"][status].as_u64().unwrap_or_default();
        assert!(by("cancelled") > 1_500 && by("success") >= 20, "{report}");
        // Who was not called for was cancelled.
        let calls = http(stage.rehearsal.address, "GET", "/sandbox/seen", "").1;
        let calls = calls.lines().filter(|line| line.contains("at_ms")).count() as u64;
        assert!(by("cancelled") + calls >= ITEMS as u64, "{calls} calls, {report}");

        // A worker that starts afterwards knows.
        let late = Stage::slow_worker(&stage);
        late.line("worker started");
        let refused = stage.run(&["enqueue", "items.csv", "--batch", "night"]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("was cancelled") && refused.stderr.contains("(wrong list)"), "{refused:?}");
        let again = stage.run(&["batch", "cancel", "night"]);
        assert!(again.stdout.contains("was cancelled before") && again.stdout.contains("by ada@"), "{again:?}");
        late.signal("TERM");
        late.wait();
        stage
    })
    .await
    .unwrap();
    let late = Takedown { batch: Some(BatchId::new("night").unwrap()), ..takedown("late", "shops") };
    broker::publish(&settings, &settings.prefix, "shops", &late.encode(), BasicProperties::default()).await;
    tokio::task::spawn_blocking(move || {
        let worker = stage.slow_worker();
        let line: Value = serde_json::from_str(&worker.lines_to("late").pop().unwrap()).unwrap();
        assert_eq!(line["reason"], "batch_cancelled", "{line}");
        worker.signal("TERM");
        worker.wait();
    })
    .await
    .unwrap();
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_batch_is_made_once_watched_to_its_end_reported_and_exported() {
    let stage = Stage::start(40, &[]);
    let unknown = stage.run(&["batch", "report", "nothing"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("takedown batch list"), "{unknown:?}");
    let enqueued = stage.run(&["enqueue", "items.csv"]);
    let batch = enqueued.stdout.trim().rsplit("batch ").next().unwrap().to_owned();
    let again = stage.run(&["enqueue", "items.csv"]);
    assert!(again.stdout.contains(&batch), "the same items make the same batch: {again:?}");
    assert_eq!(stage.report(&batch)["items"], 40, "and count once");
    std::fs::write(
        stage.rehearsal.home.path().join("more.csv"),
        "account,gateway,commodity_id,shop_id\nshops,open_platform,c-77,s-77\n",
    )
    .unwrap();
    assert_eq!(stage.run(&["enqueue", "more.csv", "--batch", "mine"]).code, Some(0));
    let refused = stage.run(&["enqueue", "items.csv", "--batch", "mine"]);
    assert_eq!(refused.code, Some(2), "{refused:?}");
    assert!(refused.stderr.contains("has 1 other item") && refused.stderr.contains("--add"), "{refused:?}");

    let worker = Running::start(stage.command(&["worker", "--log-format", "json"]));
    worker.line("worker started");
    let watched = stage.run(&["batch", "watch", &batch]);
    assert!([Some(0), Some(9)].contains(&watched.code), "{watched:?}");
    assert!(watched.stdout.contains(&format!("batch {batch}: 40 of 40 ended")), "{watched:?}");
    assert!(
        !watched.stderr.contains("no worker"),
        "nothing is claimed of a worker that was not heard yet: {watched:?}"
    );
    worker.signal("TERM");
    worker.wait();

    let report = stage.report(&batch);
    assert_eq!((&report["ended"], &report["left"], &report["stage"]), (&40.into(), &0.into(), &"finished".into()));
    assert_eq!(report["made"]["by"].as_str().unwrap().split('@').next(), Some("ada"));
    let lines = stage.run(&["batch", "export", &batch]);
    let ids: std::collections::BTreeSet<String> = lines
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 40);
    let table = stage.run(&["batch", "export", &batch, "out.csv", "--format", "csv"]);
    assert_eq!(table.code, Some(0), "{table:?}");
    let written = std::fs::read_to_string(stage.rehearsal.home.path().join("out.csv")).unwrap();
    assert_eq!(written.lines().count(), 41);
    assert!(written.starts_with("id,batch,account,"), "{written}");
    let kept = stage.run(&["batch", "export", &batch, "out.csv"]);
    assert_eq!(kept.code, Some(2), "{kept:?}");
    assert!(kept.stderr.contains("--force"), "{kept:?}");
    let mut unread =
        stage.command(&["batch", "export", &batch]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(unread.stdout.take());
    let unread = unread.wait_with_output().unwrap();
    assert_eq!(unread.status.code(), Some(0), "a reader that has gone is no fault: {unread:?}");
    let listed = stage.run(&["batch", "list"]);
    assert!(listed.stdout.contains(&batch) && listed.stdout.contains("finished"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
#[ignore = "needs RabbitMQ"]
async fn a_batch_whose_items_were_never_enqueued_says_what_became_of_them() {
    let stage = tokio::task::spawn_blocking(|| Stage::start(4, &[])).await.unwrap();
    let log = AmqpDeskLog::connect(&stage.settings()).await.unwrap();
    let (batch, items) = (BatchId::new("half").unwrap(), BTreeMap::from([(account("shops"), 3)]));
    let what = What::BatchMade { batch, items, part: "half".into() };
    log.note(&Notice { at: SystemTime::now(), by: "test".into(), what }).await.unwrap();
    log.close().await;
    let checks = move || {
        let report = stage.run(&["batch", "report", "half"]);
        let told = "not finished: 3 items have no outcome and wait in no queue; they\n  were never enqueued";
        assert!(report.stdout.contains(told), "{report:?}");
        assert!(report.stdout.contains("the same `takedown enqueue` again goes on"), "{report:?}");
        let watch = Running::start(stage.command(&["batch", "watch", "half"]));
        watch.line("what is left waits in no queue: takedown batch report half says why");
        watch.signal("INT");
        watch.wait();
        assert_eq!(stage.run(&["batch", "cancel", "half"]).code, Some(0));
        let report = stage.run(&["batch", "report", "half"]);
        assert!(report.stdout.contains("if that was interrupted: nothing of them is called for"), "{report:?}");
        assert_eq!(stage.run(&["enqueue", "items.csv", "--batch", "whole"]).code, Some(0));
        let report = stage.run(&["batch", "report", "whole"]);
        assert!(report.stdout.contains("not finished: takedown batch watch whole"), "{report:?}");
    };
    tokio::task::spawn_blocking(checks).await.unwrap();
}

#[test]
#[ignore = "needs RabbitMQ"]
fn a_watch_is_interrupted_without_harm_and_says_what_holds_the_accounts() {
    let stage = Stage::start(40, &[]);
    assert_eq!(stage.run(&["enqueue", "items.csv", "--batch", "held"]).code, Some(0));
    let watch = Running::start(stage.command(&["batch", "watch", "held"]));
    watch.line("no worker serves shops");
    watch.signal("INT");
    let (ended, lines) = watch.wait();
    assert_eq!(ended.code(), Some(10), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("the batch goes on: takedown batch watch held")), "{lines:?}");

    let worker = stage.slow_worker();
    worker.line("worker started");
    let paused = stage.run(&["pause", "shops", "--reason", "key rotation"]);
    assert_eq!(paused.code, Some(0), "{paused:?}");
    let watch = Running::start(stage.command(&["batch", "watch", "held"]));
    let line = watch.line("shops paused since");
    assert!(line.contains("because key rotation"), "{line}");
    let cancelled = stage.run(&["batch", "cancel", "held"]);
    assert_eq!(cancelled.code, Some(0), "{cancelled:?}");
    let (ended, lines) = watch.wait();
    assert!([Some(0), Some(9)].contains(&ended.code()), "{lines:?}");
    assert!(lines.iter().any(|line| line.contains("40 of 40 ended")), "a paused account is no hindrance: {lines:?}");
    worker.signal("TERM");
    worker.wait();
}
