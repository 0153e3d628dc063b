//! Every metric there is, once: exported, described in the table, named as Prometheus wants it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::settlement::Deferral;
use takedown::domain::takedown::Gateway;
use takedown::limits::standing::{Bound, Standing};
use takedown::ops::metrics::files::TABLE;
use takedown::ops::metrics::{Metrics, Reading};
use takedown::queue::depth::{AccountDepth, Depths};
use takedown::worker::event::WorkerEvent;

use super::promtool;
use crate::support::queue::account;

/// Metrics in which everything has happened that leaves a mark.
pub(super) fn eventful() -> Metrics {
    let metrics = Metrics::new();
    let shops = || account("shops");
    metrics.begin_account(&shops(), Gateway::OpenPlatform);
    let second = Duration::from_secs(1);
    let outcome = FinalOutcome {
        id: "t-1".into(),
        batch: None,
        account: "shops".into(),
        gateway: Some(Gateway::OpenPlatform),
        reason: Reason::TakenDown,
        gateway_code: None,
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        verified: true,
        item: ItemIds::default(),
        worker: "w".into(),
        replays: 0,
    };
    for event in [
        WorkerEvent::Started { accounts: 1 },
        WorkerEvent::Taken { account: shops(), waited: Some(second) },
        WorkerEvent::Called { account: shops(), outcome: "success", verdict: "valid", took: second },
        WorkerEvent::Settled { account: shops(), took: second },
        WorkerEvent::Finished { outcome: Box::new(outcome) },
        WorkerEvent::Deferred { id: "t".into(), account: shops(), reason: Deferral::Throttled, delay: second },
        WorkerEvent::UnlistedCode { account: shops(), code: "NEW".into() },
        WorkerEvent::FleetChanged { members: 2 },
        WorkerEvent::NotKnown { id: "t".into(), error: "gone".into() },
        WorkerEvent::Draining { in_flight: 0 },
    ] {
        metrics.count(&event);
    }
    for reading in [Reading::Taken { waiting: 1 }, Reading::Refused { faults: 2 }] {
        metrics.count_reading(&reading);
    }
    let standing = Standing { share: 1.0, factor: 1.0, is_held: false, bound: Bound::Rate };
    metrics.set_account("shops", "10/s".parse().unwrap(), standing, 1);
    let accounts = [(shops(), AccountDepth { work: 5, dead: 3, consumers: 1 })].into();
    let rungs = vec![(second, 2), (2 * second, 4)];
    metrics.set_depths(Some(&Depths { accounts, rungs, results: 9, ..Depths::default() }));
    metrics.look_at_process();
    metrics
}

/// Families of a text in the classic format, with their types.
pub(super) fn families(classic: &str) -> BTreeMap<&str, &str> {
    classic.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' ')).collect()
}

fn labels(classic: &str, family: &str) -> BTreeSet<String> {
    let samples = classic.lines().filter_map(|line| line.strip_prefix(family));
    let samples = samples.map(|rest| rest.trim_start_matches("_bucket").trim_start_matches("_count"));
    let inside = samples.filter_map(|rest| rest.strip_prefix('{')?.split_once('}')).map(|(inside, _)| inside);
    let names = inside.flat_map(|inside| inside.split(',').filter_map(|label| label.split_once('=')));
    names.map(|(name, _)| name.to_owned()).filter(|name| name != "le").collect()
}

#[test]
fn the_table_has_every_metric_with_its_type_and_labels_and_no_other() {
    let classic = eventful().classic_text();
    let exported: BTreeSet<_> = families(&classic)
        .into_iter()
        .map(|(name, kind)| {
            (name.strip_prefix("takedown_").unwrap().to_owned(), kind.to_owned(), labels(&classic, name))
        })
        .collect();
    let told: BTreeSet<_> = TABLE
        .lines()
        .filter_map(|line| line.strip_prefix("| `"))
        .map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let labels = cells[2].split(',').map(|label| label.trim().to_owned()).filter(|label| !label.is_empty());
            (cells[0].trim_end_matches('`').to_owned(), cells[1].to_owned(), labels.collect::<BTreeSet<_>>())
        })
        .collect();
    let missing: Vec<_> = exported.difference(&told).collect();
    let stale: Vec<_> = told.difference(&exported).collect();
    assert!(missing.is_empty() && stale.is_empty(), "not in the table: {missing:#?}\nnot exported: {stale:#?}");
    assert!(exported.len() > 30, "{exported:#?}");
}

#[test]
fn promtool_finds_no_fault_with_any_metric() {
    assert_eq!(promtool::check_metrics(&eventful().classic_text()), "");
    let faulty = "# HELP x_total Things.\n# TYPE x_total gauge\nx_total 1\n";
    assert_ne!(promtool::check_metrics(faulty), "", "it would say so");
}

#[test]
fn what_an_alert_counts_is_there_before_it_happens() {
    let metrics = Metrics::new();
    metrics.begin_account(&account("shops"), Gateway::OpenPlatform);
    let text = metrics.text();
    for line in [
        r#"takedown_outcomes_total{account="shops",gateway="open_platform",status="dead",reason="crash_loop"} 0"#,
        r#"takedown_outcomes_total{account="shops",gateway="unknown",status="dead",reason="invalid_message"} 0"#,
        r#"takedown_suspicious_answers_total{account="shops",verdict="invalid"} 0"#,
        r#"takedown_holds{account="shops"} 0"#,
        r#"takedown_gateway_unreachable{account="shops"} 0"#,
        r#"takedown_queue_wait_seconds_count{account="shops"} 0"#,
        r#"takedown_spans_total{result="lost"} 0"#,
        "takedown_settle_failures_total 0",
        "takedown_journal_failures_total 0",
        "takedown_panics_total 0",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}: {text}");
    }
}

#[test]
fn the_rungs_are_one_queue_and_what_is_gone_is_not_told() {
    let metrics = eventful();
    let has = |line: &str| metrics.text().lines().any(|found| found == line);
    assert!(has(r#"takedown_queue_messages{queue="retry",account=""} 6"#), "{}", metrics.text());
    assert!(has(r#"takedown_queue_messages{queue="dead",account="shops"} 3"#));
    assert!(has(r#"takedown_queue_consumers{account="shops"} 1"#));
    metrics.set_depths(None);
    assert!(!metrics.text().contains("takedown_queue_messages{"));
}
