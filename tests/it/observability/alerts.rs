//! The alert rules and the dashboard: each rule fires when it should, and both name only what a worker exports.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};
use takedown::ops::metrics::files::{ALERTS, DASHBOARD};

use super::metrics::{eventful, families};
use super::promtool;
use crate::support::command::run;

const TESTS: &str = include_str!("../../fixtures/alerts/alerts.test.yml");

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The names of alerts in a text of rules.
fn alerts(text: &str) -> BTreeSet<&str> {
    text.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

/// Everything in a text that looks like a metric of ours.
fn named(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("takedown_"))
        .collect()
}

fn expressions() -> Vec<String> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.filter_map(|panel| panel["targets"].as_array()).flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn promtool_accepts_the_rules() {
    let said = promtool::check_rules(&root().join("src/ops/metrics/alerts.yml"));
    assert!(said.contains(&format!("{} rules found", alerts(ALERTS).len())), "{said}");
}

#[test]
fn every_alert_fires_in_its_case_and_in_no_other() {
    promtool::test_rules(&root().join("tests/fixtures/alerts/alerts.test.yml"));
    let tested: BTreeSet<_> = TESTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("exp_samples: [{labels: '{alertname=\"")?.split('"').next())
        .collect();
    assert_eq!(tested, alerts(ALERTS));
}

#[test]
fn every_alert_says_who_is_called_and_what_to_do() {
    let rules: Vec<&str> = ALERTS.split("- alert: ").skip(1).collect();
    for rule in &rules {
        assert!(rule.contains("severity: page") || rule.contains("severity: ticket"), "{rule}");
        assert!(rule.contains("summary: \"") && rule.contains("runbook: \""), "{rule}");
    }
    assert!(rules.len() > 15);
}

#[test]
fn every_command_a_runbook_names_exists() {
    let directory = tempfile::tempdir().unwrap();
    let is_word = |word: &&str| !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '-');
    let commands: BTreeSet<Vec<&str>> = ALERTS
        .split("`takedown ")
        .skip(1)
        .map(|text| text.split('`').next().unwrap().split(' ').take_while(is_word).collect())
        .collect();
    assert!(commands.len() > 8, "{commands:?}");
    for mut command in commands {
        command.push("--help");
        let help = run(directory.path(), &command);
        assert_eq!(help.code, Some(0), "{command:?}: {help:?}");
    }
}

#[test]
fn rules_and_dashboard_name_only_what_a_worker_exports() {
    let classic = eventful().classic_text();
    let families = families(&classic);
    let exists = |name: &str| {
        let parts = ["_bucket", "_count", "_sum"].iter().filter_map(|part| name.strip_suffix(part));
        families.contains_key(name) || parts.into_iter().any(|base| families.get(base) == Some(&"histogram"))
    };
    let expressions = expressions();
    let shown: BTreeSet<&str> = expressions.iter().flat_map(|text| named(text)).collect();
    let strangers: Vec<_> =
        named(ALERTS).into_iter().chain(shown.iter().copied()).filter(|name| !exists(name)).collect();
    assert!(strangers.is_empty(), "{strangers:?}");
    assert!(!exists("takedown_no_such_thing") && exists("takedown_call_seconds_bucket"));
    // Nothing is exported that nobody is shown.
    let base = |name: &&str| name.trim_end_matches("_bucket").to_owned();
    let shown: BTreeSet<_> = shown.iter().map(base).chain(named(ALERTS).iter().map(base)).collect();
    let hidden: Vec<_> = families.keys().filter(|name| !shown.contains(**name)).collect();
    assert_eq!(hidden, [&"takedown_account_held"], "told by `holds`, which counts parties too");
}

#[test]
fn promtool_accepts_every_query_of_the_dashboard() {
    let expressions = expressions();
    let rules: Vec<_> = expressions
        .iter()
        .enumerate()
        .map(|(n, text)| {
            let text = text.replace("$__rate_interval", "5m").replace("$account", ".*");
            assert!(!text.contains('$') && !named(&text).is_empty(), "{text}");
            json!({ "record": format!("query:{n}"), "expr": text })
        })
        .collect();
    let file = tempfile::Builder::new().suffix(".yml").tempfile().unwrap();
    // JSON is YAML.
    std::fs::write(file.path(), json!({ "groups": [{ "name": "dashboard", "rules": rules }] }).to_string()).unwrap();
    let said = promtool::check_rules(file.path());
    assert!(said.contains(&format!("{} rules found", expressions.len())), "{said}");
}

#[test]
fn a_command_prints_them() {
    let directory = tempfile::tempdir().unwrap();
    for (what, text) in [("dashboard", DASHBOARD), ("alerts", ALERTS), ("list", takedown::ops::metrics::files::TABLE)] {
        let printed = run(directory.path(), &["metrics", what]);
        assert_eq!((printed.code, printed.stdout.as_str()), (Some(0), text));
    }
}
