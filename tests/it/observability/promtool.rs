//! Prometheus' own tool, which judges metrics, rules and queries (Debian: package prometheus).

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

fn run(command: &mut Command) -> Output {
    command.output().expect("promtool is installed: tests/setup does that")
}

fn passed(output: &Output) -> String {
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{text}");
    text
}

/// Has it check a text of metrics; every word it says is a fault.
pub(super) fn check_metrics(text: &str) -> String {
    let mut child = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed: tests/setup does that");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Has it check a file of rules; returns what it says.
pub(super) fn check_rules(file: &Path) -> String {
    passed(&run(Command::new("promtool").args(["check", "rules", "--lint-fatal"]).arg(file)))
}

/// Has it run the tests of rules.
pub(super) fn test_rules(file: &Path) -> String {
    passed(&run(Command::new("promtool").args(["test", "rules"]).arg(file)))
}
