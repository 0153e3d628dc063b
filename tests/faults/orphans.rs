//! That a test process which is killed leaves nobody behind.

use std::process::{Command, Stdio};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::support::command::signal;
use crate::support::queue::eventually;

/// Any test that starts the binary, and has it at work for a while.
const ANOTHER: &str = "embedded::kills::a_run_killed_again_and_again_ends_every_item_once";

/// Finds the processes of the binary that a process has started, by `/proc/<id>/stat`: id, name, state, parent.
fn started_by(parent: u32) -> Vec<u32> {
    let ids = std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    ids.filter(|id: &u32| {
        let told = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        told.rsplit_once(") ").is_some_and(|(name, rest)| {
            name.ends_with("(takedown") && rest.split(' ').nth(1) == Some(&parent.to_string())
        })
    })
    .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_at_work_when_the_test_process_is_killed_dies_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let mut tests = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", ANOTHER])
        .env("TMPDIR", dir.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut at_work = Vec::new();
    eventually("a process at work", async || {
        at_work = started_by(tests.id());
        !at_work.is_empty()
    })
    .await;
    // Frozen, none ends by itself.
    at_work.iter().for_each(|id| signal("STOP", *id));
    tests.kill().unwrap();
    tests.wait().unwrap();
    let is_left = |id: &u32| std::path::Path::new(&format!("/proc/{id}")).exists();
    let until = Instant::now() + Duration::from_secs(20);
    while at_work.iter().any(is_left) && Instant::now() < until {
        sleep(Duration::from_millis(20)).await;
    }
    at_work.retain(is_left);
    at_work.iter().for_each(|id| signal("KILL", *id));
    assert!(at_work.is_empty(), "left behind: {at_work:?}");
}
