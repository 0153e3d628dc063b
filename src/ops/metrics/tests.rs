//! What is counted, and under which labels.

use std::time::Duration;

use super::*;

fn account() -> AccountId {
    AccountId::new("shops").unwrap()
}

fn has_line(metrics: &Metrics, line: &str) -> bool {
    metrics.text().lines().any(|found| found == line)
}

#[test]
fn a_call_is_counted_and_timed() {
    let metrics = Metrics::new();
    metrics.count(&WorkerEvent::Called {
        account: account(),
        outcome: "success",
        verdict: "valid",
        took: Duration::from_millis(7),
    });
    let text = metrics.text();
    let calls = r#"takedown_calls_total{account="shops",outcome="success",verdict="valid"} 1"#;
    assert!(has_line(&metrics, calls), "{text}");
    assert!(has_line(&metrics, r#"takedown_call_seconds_bucket{le="0.01",account="shops"} 1"#), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

#[test]
fn a_hold_told_twice_counts_once_and_ends() {
    let metrics = Metrics::new();
    let held = |party: Option<&str>| WorkerEvent::Held {
        account: account(),
        party: party.map(str::to_owned),
        cause: "isv.invalid-signature".into(),
        probe_in: Duration::from_secs(30),
    };
    metrics.count(&held(None));
    metrics.count(&held(None));
    metrics.count(&held(Some("m1")));
    let change = HoldChange::Held { party: None, cause: "as heard".into(), probe_in: Duration::ZERO };
    metrics.count(&WorkerEvent::HoldHeard { account: account(), change });
    assert!(has_line(&metrics, r#"takedown_holds{account="shops"} 2"#), "{}", metrics.text());
    metrics.count(&WorkerEvent::Resumed { account: account(), party: None });
    assert!(has_line(&metrics, r#"takedown_holds{account="shops"} 1"#), "{}", metrics.text());
}

#[test]
fn a_gateway_cannot_flood_the_labels() {
    let metrics = Metrics::new();
    for n in 0..100 {
        let code = format!("CODE_{n}\"\n{}", "x".repeat(500));
        metrics.count(&WorkerEvent::UnlistedCode { account: account(), code });
    }
    let text = metrics.text();
    let series = text.lines().filter(|line| line.starts_with("takedown_unlisted_codes_total{")).count();
    assert_eq!(series, MAX_UNLISTED_CODES + 1);
    assert!(has_line(&metrics, r#"takedown_unlisted_codes_total{account="shops",code="other"} 68"#), "{text}");
}
