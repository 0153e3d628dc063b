//! Credentials read anew by a running worker, as an operator mends them; and what its gauges say meanwhile.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::fleet::{DEADLINE, Stage};
use crate::support::command::{Running, http, takedown};

/// A hold that no probe would lift within a test.
const LIMITS: &str = "rate = \"20/s\"\nhold.first_probe = \"1h\"\nhold.max_probe = \"1h\"";

pub(super) fn worker(dir: &Path) -> (Running, SocketAddr) {
    let mut command = takedown(dir, &["worker", "--log-format", "json"]);
    command.env("TAKEDOWN_WORKER__ID", "one").env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    let worker = Running::start(command);
    let line = worker.line("status server listens");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    let address = line["listen"].as_str().unwrap_or_else(|| panic!("{line}")).parse().unwrap();
    (worker, address)
}

fn has(metrics: &str, line: &str) -> bool {
    metrics.lines().any(|found| found == line)
}

/// Waits until a scrape has a line.
pub(super) async fn told(address: SocketAddr, line: &str) -> String {
    let mut last = String::new();
    let scrape = async {
        loop {
            last = http(address, "GET", "/metrics", "").1;
            if has(&last, line) {
                return last.clone();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(DEADLINE, scrape).await;
    found.unwrap_or_else(|_| panic!("no {line} within {DEADLINE:?}"))
}

/// Puts a file in another's place in one step, as editors and orchestrators do.
fn replace(dir: &Path, name: &str, text: &str) {
    std::fs::write(dir.join("next"), text).unwrap();
    std::fs::rename(dir.join("next"), dir.join(name)).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_key_mended_in_its_file_ends_a_hold_and_one_broken_changes_nothing() {
    let stage = Stage::set(600, LIMITS).await;
    let dir = stage.dir.path();
    let read = |name: &str| std::fs::read_to_string(dir.join(name)).unwrap();
    let right = read("desk.gateway.pem");
    std::fs::write(dir.join("desk.gateway.pem"), read("shops.gateway.pem")).unwrap();
    let (worker, address) = worker(dir);
    let held = told(address, r#"takedown_account_held{account="desk"} 1"#).await;
    for line in [
        r#"takedown_account_bound{account="desk",bound="paused"} 1"#,
        r#"takedown_account_bound{account="desk",bound="rate"} 0"#,
        r#"takedown_account_rate{account="desk"} 20.0"#,
        r#"takedown_account_share{account="desk"} 1.0"#,
        r#"takedown_account_rate_factor{account="desk"} 1.0"#,
        r#"takedown_account_held{account="shops"} 0"#,
        r#"takedown_account_bound{account="shops",bound="idle"} 1"#,
        "takedown_fleet_members 1",
    ] {
        assert!(has(&held, line), "{line}: {held}");
    }

    // Broken: told, and nothing else.
    replace(dir, "desk.gateway.pem", "no key");
    let refused = told(address, r#"takedown_config_reloads_total{result="refused"} 1"#).await;
    assert!(has(&refused, "takedown_config_faults 1") && has(&refused, r#"takedown_account_held{account="desk"} 1"#));
    worker.line("the old one holds");

    // Right: it goes on by itself, long before any probe would have been due.
    replace(dir, "desk.gateway.pem", &right);
    let resumed = told(address, r#"takedown_account_held{account="desk"} 0"#).await;
    assert!(has(&resumed, "takedown_config_faults 0"), "{resumed}");
    worker.line("a probe passed");
    told(address, r#"takedown_account_bound{account="desk",bound="rate"} 1"#).await;

    // What a running worker cannot take is told.
    replace(dir, "takedown.toml", &read("takedown.toml").replacen("20/s", "19/s", 1));
    worker.line("accounts.desk (limits)");
    told(address, "takedown_config_waiting 1").await;
    worker.signal("KILL");
    stage.clear().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_hangup_has_the_keys_read_at_once() {
    let stage = Stage::set(100, LIMITS).await;
    let (worker, address) = worker(stage.dir.path());
    told(address, r#"takedown_account_bound{account="desk",bound="rate"} 1"#).await;
    // Nothing changed, so no look at the files would have it read.
    worker.signal("HUP");
    told(address, r#"takedown_config_reloads_total{result="taken"} 1"#).await;
    worker.line("configuration read anew");
    worker.signal("TERM");
    let (status, lines) = tokio::task::spawn_blocking(|| worker.wait()).await.unwrap();
    assert_eq!(status.code(), Some(0), "{lines:?}");
    stage.clear().await;
}
