//! The command line, run as the real binary: help, exit codes, and every command on real parts.

mod broker;
mod changed;
mod check;
mod letters;
pub(crate) mod rehearsal;
mod report;
mod shell;
mod status;
mod terminal;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::Stdio;

use tempfile::TempDir;

use crate::support::command::{Ended, end, run, signal, takedown};

/// One account that needs no key file.
const DESK: &str = r#"
[accounts.desk]
gateway = "mapi"
partner = "2088000000000001"
sign_type = "MD5"
secret = "made-up-for-tests"
"#;

fn directory(config: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("takedown.toml"), config).unwrap();
    directory
}

/// Runs `check` on the configuration of a directory, without a broker.
fn faults_of(directory: &Path) -> String {
    let ended = run(directory, &["check", "--no-broker"]);
    assert_eq!(ended.code, Some(3), "{ended:?}");
    ended.stderr
}

fn is_plain(ended: &Ended) -> bool {
    !ended.stderr.contains("{ ") && !ended.stderr.contains("panicked") && !ended.stderr.contains("Error(")
}

#[test]
fn the_help_of_every_command_teaches_by_examples_and_fits_80_columns() {
    let nowhere = TempDir::new().unwrap();
    let run = |directory: &Path, arguments: &[&str]| {
        let mut command = takedown(directory, arguments);
        command.env("COLUMNS", "80");
        let ended = end(command);
        let too_long = ended.stdout.lines().find(|line| line.chars().count() > 80);
        assert_eq!(too_long, None, "{arguments:?}");
        ended
    };
    let help = run(nowhere.path(), &["--help"]);
    assert_eq!(help.code, Some(0));
    for code in 0..=11 {
        assert!(help.stdout.contains(&format!("\n  {code:>2}  ")), "exit code {code} in {}", help.stdout);
    }
    let commands = "demo run worker enqueue pause resume dead-letters sandbox topology check explain config".split(' ');
    for command in commands {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command} in {}", help.stdout);
        let own = run(nowhere.path(), &[command, "--help"]);
        assert_eq!(own.code, Some(0));
        assert!(own.stdout.contains("Examples:"), "{command}: {}", own.stdout);
    }
}

#[test]
fn config_prints_the_annotated_default() {
    let nowhere = TempDir::new().unwrap();
    let printed = run(nowhere.path(), &["config"]);
    assert_eq!(printed.code, Some(0));
    assert_eq!(printed.stdout, takedown::ops::config::DEFAULT);
}

#[test]
fn a_wrong_command_line_ends_with_2() {
    let nowhere = TempDir::new().unwrap();
    for arguments in [
        &["frobnicate"][..],
        &["demo", "--amqp", "http://user:hunter2@x"],
        &["dead-letters", "list", "--reason", "taken_down"],
        &["sandbox", "--fault", "earthquake=0.1"],
        &["sandbox", "--listen", "192.0.2.1:80"],
        &["config", "--log", "a=b=c"],
    ] {
        let ended = run(nowhere.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    }
}

#[test]
fn a_bad_configuration_ends_with_3_and_lists_every_fault() {
    let directory = directory(&DESK.replace("MD5", "MD6").replace("[accounts.desk]", "[accounts.desk]\nrate = 5"));
    let ended = run(directory.path(), &["check"]);
    assert_eq!(ended.code, Some(3));
    for part in ["2 faults", "line 3: `accounts.desk.rate`", "line 6: `accounts.desk.sign_type`", "MD5, RSA or DSA"] {
        assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
    }
    assert!(!ended.stderr.contains("made-up-for-tests") && is_plain(&ended), "{}", ended.stderr);
}

#[test]
fn a_secret_put_where_its_files_name_belongs_is_not_shown() {
    for secret in
        ["x8vq2c9k1m5t7r3w6z4n0b8d2f5h9j1l", "-----BEGIN PRIVATE KEY-----\\nMIIC.x", "/q7Jw2vNcm1Tz5LkR8sXaA=="]
    {
        let directory =
            directory(&DESK.replace("secret = \"made-up-for-tests\"", &format!("secret_file = \"{secret}\"")));
        let told = faults_of(directory.path());
        assert!(told.contains("line 6: `accounts.desk.secret_file` names a file (not shown"), "{told}");
        assert!(!told.contains(&secret[..8]), "{told}");
    }
    let directory = directory(&DESK.replace("secret = \"made-up-for-tests\"", "secret_file = \"/run/secrets/desk\""));
    assert!(faults_of(directory.path()).contains("names /run/secrets/desk, which cannot be read: no such file"));
}

#[test]
fn an_empty_variable_counts_as_absent() {
    let directory = directory(DESK);
    let mut command = takedown(directory.path(), &["topology", "print"]);
    for name in ["TAKEDOWN_CONFIG", "TAKEDOWN_LOG", "TAKEDOWN_AMQP__PREFIX"] {
        command.env(name, "");
    }
    let printed = end(command);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    assert!(printed.stdout.contains("takedown.work.desk"), "{printed:?}");
}

#[test]
fn a_configuration_that_is_not_there_ends_with_3_and_the_remedy() {
    let nowhere = TempDir::new().unwrap();
    let ended = run(nowhere.path(), &["worker", "--config", "absent.toml"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.stderr.contains("absent.toml") && ended.stderr.contains("takedown config >"), "{}", ended.stderr);
    let ended = run(nowhere.path(), &["worker"]);
    assert!(ended.stderr.contains("holds no account"), "{}", ended.stderr);
}

#[test]
fn a_broker_that_is_down_ends_with_4_and_the_password_stays_hidden() {
    let directory = directory(DESK);
    for arguments in [
        &["topology", "check"][..],
        &["topology", "apply"],
        &["dead-letters", "list"],
        &["enqueue", "items.csv"],
        &["worker"],
    ] {
        fs::write(directory.path().join("items.csv"), "account,sns_user_id,key,goods_id\ndesk,u,k3y,1\n").unwrap();
        let mut command = takedown(directory.path(), arguments);
        // Nobody listens on port 1.
        command.env("TAKEDOWN_AMQP__URL", "amqp://user:hunter2@127.0.0.1:1/%2f");
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
        let ended = end(command);
        assert_eq!(ended.code, Some(4), "{arguments:?}: {ended:?}");
        assert!(ended.stderr.contains("127.0.0.1:1") && ended.stderr.contains("what to do:"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("hunter2") && is_plain(&ended), "{}", ended.stderr);
    }
}

#[test]
fn a_worker_that_logs_as_json_ends_with_a_line_of_json() {
    let directory = directory(DESK);
    let mut command = takedown(directory.path(), &["worker", "--log-format", "json"]);
    command
        .env("TAKEDOWN_AMQP__URL", "amqp://user:hunter2@127.0.0.1:1/%2f")
        .env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    let ended = end(command);
    assert_eq!(ended.code, Some(4), "{ended:?}");
    let last: serde_json::Value = serde_json::from_str(ended.stderr.lines().last().unwrap()).unwrap();
    assert_eq!((&last["level"], &last["exit_code"]), (&"ERROR".into(), &4.into()), "{last}");
    assert!(last["message"].as_str().unwrap().contains("127.0.0.1:1"), "{last}");
    assert!(last["remedy"].as_str().unwrap().contains("amqp.url"), "{last}");
}

#[test]
fn a_port_in_use_ends_with_8() {
    let directory = directory(DESK);
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = takedown(directory.path(), &["worker"]);
    command.env("TAKEDOWN_WORKER__LISTEN", &address);
    let ended = end(command);
    assert_eq!(ended.code, Some(8), "{ended:?}");
    assert!(ended.stderr.contains(&address) && ended.stderr.contains("worker.listen"), "{}", ended.stderr);
    let ended = run(directory.path(), &["sandbox", "--listen", &address]);
    assert_eq!(ended.code, Some(8), "{ended:?}");
}

fn rows(directory: &Path) {
    let rows = "account,sns_user_id,key,goods_id\ndesk,admin,k3y-one,1\ndesk,,k3y-two,2\nshops,admin,k3y-three,3\n";
    fs::write(directory.join("items.csv"), rows).unwrap();
}

#[test]
fn bad_rows_end_with_6_before_anything_is_enqueued_and_are_written_beside_the_file() {
    let directory = directory(DESK);
    rows(directory.path());
    for command in ["enqueue", "run"] {
        let ended = run(directory.path(), &[command, "items.csv"]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        for part in ["2 of 3 rows", "line 3: ", "sns_user_id", "line 4: ", "shops", "--skip-rejected"] {
            assert!(ended.stderr.contains(part), "{part} in {}", ended.stderr);
        }
        assert!(!ended.stderr.contains("k3y"), "{}", ended.stderr);
        let rejected = fs::read_to_string(directory.path().join("items.csv.rejected.csv")).unwrap();
        assert_eq!(rejected.lines().count(), 3, "{rejected}");
        assert!(rejected.starts_with("line,reason,account,"), "{rejected}");
        assert!(!directory.path().join("items.csv.queue").exists());
    }
}

#[test]
fn nothing_is_left_of_rejected_rows_when_the_check_is_interrupted() {
    let directory = directory(DESK);
    let bad = "desk,,k3y,1\n".repeat(500_000);
    fs::write(directory.path().join("items.csv"), format!("account,sns_user_id,key,goods_id\n{bad}")).unwrap();
    let here = directory.path().canonicalize().unwrap();
    for command in ["enqueue", "run"] {
        let mut child = takedown(directory.path(), &[command, "items.csv"]).stderr(Stdio::null()).spawn().unwrap();
        let files = format!("/proc/{}/fd", child.id());
        // It holds a file of that directory that has no name any more.
        let is_writing = || {
            let open = fs::read_dir(&files).unwrap().filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
            open.filter(|file| file.starts_with(&here)).any(|file| file.to_string_lossy().ends_with(" (deleted)"))
        };
        while !is_writing() {
            assert!(child.try_wait().unwrap().is_none(), "it ended before");
            std::thread::yield_now();
        }
        signal("INT", child.id());
        let ended = child.wait().unwrap();
        assert_eq!(ended.signal(), Some(2), "{ended:?}");
        let mut left: Vec<_> = fs::read_dir(&here).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["items.csv", "takedown.toml"]);
    }
}

#[test]
fn a_dry_run_needs_no_broker_and_may_skip_rejected_rows() {
    let directory = directory(DESK);
    rows(directory.path());
    let ended = run(directory.path(), &["enqueue", "items.csv", "--skip-rejected", "--dry-run"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("1 item is ready"), "{}", ended.stdout);
}

#[test]
fn items_come_from_a_pipe_too_and_rejected_ones_go_to_the_working_directory() {
    let directory = directory(DESK);
    let arguments = ["enqueue", "/dev/stdin", "--format", "csv", "--skip-rejected", "--dry-run"];
    let mut command = takedown(directory.path(), &arguments);
    let (reader, mut writer) = std::io::pipe().unwrap();
    command.stdin(reader);
    let feeding = std::thread::spawn(move || {
        let mut rows = "account,sns_user_id,key,goods_id\ndesk,,k3y,1\n".to_owned();
        (0..5000).for_each(|n| rows.push_str(&format!("desk,admin,k3y,{n}\n")));
        writer.write_all(rows.as_bytes())
    });
    let ended = end(command);
    feeding.join().unwrap().unwrap();
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stdout.starts_with("5000 items are ready"), "{}", ended.stdout);
    assert!(ended.stderr.contains("1 of 5001 rows of /dev/stdin is rejected:\n  line 2: "), "{}", ended.stderr);
    let rejected = fs::read_to_string(directory.path().join("stdin.rejected.csv")).unwrap();
    assert_eq!(rejected.lines().count(), 2, "{rejected}");
}

#[test]
fn a_header_without_rows_is_told() {
    let directory = directory(DESK);
    fs::write(directory.path().join("header.csv"), "account,sns_user_id,key,goods_id\n").unwrap();
    let ended = run(directory.path(), &["run", "header.csv", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert!(ended.stderr.contains("header.csv holds no items"), "{ended:?}");
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(summary["outcomes"], serde_json::json!([]), "{summary}");
}

#[test]
fn a_file_that_is_empty_or_not_there_ends_with_6() {
    let directory = directory(DESK);
    fs::write(directory.path().join("empty.csv"), "").unwrap();
    for file in ["empty.csv", "absent.csv"] {
        let ended = run(directory.path(), &["run", file]);
        assert_eq!(ended.code, Some(6), "{ended:?}");
        assert!(ended.stderr.contains(file) && is_plain(&ended), "{}", ended.stderr);
    }
}

#[test]
fn a_queue_file_that_is_none_ends_with_7() {
    let directory = directory(DESK);
    let ended = run(directory.path(), &["dead-letters", "list", "--queue", "absent.queue"]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    fs::write(directory.path().join("text.queue"), "not a database, certainly not one of ours\n".repeat(100)).unwrap();
    let ended = run(directory.path(), &["dead-letters", "list", "--queue", "text.queue"]);
    assert_eq!(ended.code, Some(7), "{ended:?}");
    assert!(ended.stderr.contains("text.queue") && is_plain(&ended), "{}", ended.stderr);
}

#[test]
fn the_topology_is_printed_without_a_broker() {
    let directory = directory(DESK);
    let printed = run(directory.path(), &["topology", "print", "--json"]);
    assert_eq!(printed.code, Some(0), "{printed:?}");
    let rows: serde_json::Value = serde_json::from_str(&printed.stdout).unwrap();
    let names: Vec<_> = rows.as_array().unwrap().iter().map(|row| row["object"].as_str().unwrap()).collect();
    for name in ["takedown.work.desk", "takedown.dead.desk", "takedown.results.all", "takedown.unrouted"] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
}

#[test]
fn a_full_disk_under_the_log_stops_nothing() {
    let directory = directory(DESK);
    let row = "account,sns_user_id,key,deadline\ndesk,u1,2011k,2020-01-01T00:00:00Z\n";
    fs::write(directory.path().join("late.csv"), row).unwrap();
    for (arguments, code) in [(["run", "nowhere.csv", "--log=debug"], 6), (["run", "late.csv", "--log=debug"], 0)] {
        let mut command = takedown(directory.path(), &arguments);
        command.stderr(fs::File::options().write(true).open("/dev/full").unwrap());
        let ended = end(command);
        assert_eq!(ended.code, Some(code), "{ended:?}");
    }
}
