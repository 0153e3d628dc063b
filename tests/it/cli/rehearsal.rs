//! Commands against a sandbox that runs as a process of its own.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitStatus;

use serde_json::Value;
use tempfile::TempDir;

use crate::support::command::{Ended, Running, end, http, run, takedown};

/// A sandbox process and its directory.
pub(crate) struct Rehearsal {
    pub(crate) home: TempDir,
    pub(crate) sandbox: Running,
    pub(crate) address: SocketAddr,
}

impl Rehearsal {
    /// Starts one with `items` items and more options.
    pub(crate) fn start(items: usize, options: &[&str]) -> Self {
        let home = TempDir::new().unwrap();
        let (sandbox, address) = serve(home.path(), items, "127.0.0.1:0", options);
        Self { home, sandbox, address }
    }

    /// Runs a command with the rehearsal's configuration and quick retries.
    pub(crate) fn run(&self, arguments: &[&str]) -> Ended {
        end(self.command(arguments))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> std::process::Command {
        let mut command = takedown(self.home.path(), arguments);
        command.env("TAKEDOWN_RETRY__DELAYS", "10ms");
        command
    }

    /// Interrupts a slow run of the 40 items once the first of them have ended.
    fn interrupted_run(&self) -> (ExitStatus, Vec<String>) {
        let mut slow = self.command(&["run", "items.csv"]);
        slow.env("TAKEDOWN_ACCOUNTS__DESK__RATE", "4/s").env("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "4/s");
        let slow = Running::start(slow);
        slow.line("of 40 ended");
        slow.signal("INT");
        slow.wait()
    }

    /// Requests the sandbox has seen, that is gateway calls.
    fn seen(&self) -> usize {
        http(self.address, "GET", "/sandbox/seen", "").1.lines().filter(|line| line.contains("at_ms")).count()
    }
}

fn serve(home: &Path, items: usize, listen: &str, options: &[&str]) -> (Running, SocketAddr) {
    let items = items.to_string();
    let mut arguments = vec!["sandbox", "--dir", ".", "--listen", listen, "--items", &items];
    arguments.extend(options);
    let sandbox = Running::start(takedown(home, &arguments));
    let line = sandbox.line("open_platform");
    let address = line.split("http://").nth(1).unwrap().split('/').next().unwrap().parse().unwrap();
    sandbox.line("Ctrl-C");
    (sandbox, address)
}

fn items_by_status(json: &str, status: &str) -> u64 {
    let value: Value = serde_json::from_str(json).unwrap();
    let rows = value["outcomes"].as_array().unwrap();
    rows.iter().filter(|row| status == "any" || row["status"] == status).map(|row| row["items"].as_u64().unwrap()).sum()
}

#[test]
fn a_limit_refuses_nobody_who_keeps_to_it_and_somebody_who_does_not() {
    for (limit, is_refused) in [("1000/s", false), ("20/s", true)] {
        let rehearsal = Rehearsal::start(80, &["--limit", limit]);
        let mut command = rehearsal.command(&["run", "items.csv", "--json"]);
        for account in ["DESK", "SHOPS"] {
            command.env(format!("TAKEDOWN_ACCOUNTS__{account}__RATE"), "200/s");
        }
        let ended = end(command);
        assert_eq!((ended.code, items_by_status(&ended.stdout, "any")), (Some(0), 80), "{ended:?}");
        let seen = http(rehearsal.address, "GET", "/sandbox/seen", "").1;
        let refused = seen.lines().filter(|line| line.contains("isv.app-call-limited") || line.contains("\"429\""));
        assert_eq!(refused.count() > 0, is_refused, "{limit}: {seen}");
    }
}

#[test]
fn a_file_is_run_to_the_end_and_not_twice() {
    let rehearsal = Rehearsal::start(40, &[]);
    let ended = rehearsal.run(&["run", "items.csv", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(items_by_status(&ended.stdout, "any"), 40);
    let outcomes = fs::read_to_string(rehearsal.home.path().join("items.csv.outcomes.jsonl")).unwrap();
    assert_eq!(outcomes.lines().count(), 40);
    let calls = rehearsal.seen();
    assert!(calls >= 40, "{calls}");

    let again = rehearsal.run(&["run", "items.csv", "--json"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(again.stdout, ended.stdout);
    assert!(again.stderr.contains("40 rows are known from an earlier run; 0 items are left"), "{}", again.stderr);
    assert_eq!(rehearsal.seen(), calls);
}

#[test]
fn a_run_that_does_not_get_through_says_since_when_and_why() {
    let rehearsal = Rehearsal::start(6, &[]);
    rehearsal.sandbox.signal("KILL");
    let stuck = Running::start(rehearsal.command(&["run", "items.csv"]));
    let line = stuck.line("gateway not reached since");
    assert!(line.starts_with("0 of 6 ended after ") && line.contains(" because "), "{line}");
    assert!(!line.contains(" left"), "nobody knows how long it takes: {line}");
    stuck.signal("INT");
    let (ended, lines) = stuck.wait();
    assert_eq!(ended.code(), Some(10), "{lines:#?}");
}

#[test]
fn the_same_file_runs_by_protocol_v3() {
    let rehearsal = Rehearsal::start(40, &["--fault", "system_error=0.1", "--fault", "unsigned_success=0.1"]);
    let items = fs::read_to_string(rehearsal.home.path().join("items.csv")).unwrap();
    let shops: Vec<_> = items.lines().filter(|line| line.contains("open_platform")).collect();
    let rows = shops.join("\n").replace(",shops,", ",shops-v3,");
    fs::write(rehearsal.home.path().join("v3.csv"), format!("{}\n{rows}\n", items.lines().next().unwrap())).unwrap();
    let ended = rehearsal.run(&["run", "v3.csv", "--json"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(items_by_status(&ended.stdout, "any"), 20);
    let seen = http(rehearsal.address, "GET", "/sandbox/seen", "").1;
    let answered = |code: &str| seen.lines().filter(|line| line.contains(&format!(r#""answered":"{code}""#))).count();
    assert!(answered("200") >= 15 && answered("10000") == 0, "{seen}");
    assert_eq!(seen.lines().filter(|line| line.contains(r#""took_effect":true"#)).count(), 20 - off_sale(&rehearsal));
}

/// Items of the Open Platform that a call could not take off sale.
fn off_sale(rehearsal: &Rehearsal) -> usize {
    let outcomes = fs::read_to_string(rehearsal.home.path().join("v3.csv.outcomes.jsonl")).unwrap();
    ["item_not_found", "no_permission", "not_on_sale"].iter().map(|reason| outcomes.matches(reason).count()).sum()
}

#[test]
fn a_run_that_is_interrupted_drains_and_goes_on_later() {
    let rehearsal = Rehearsal::start(40, &[]);
    let (status, lines) = rehearsal.interrupted_run();
    assert_eq!(status.code(), Some(10), "{lines:#?}");
    assert!(lines.iter().any(|line| line.contains("the same command goes on")), "{lines:#?}");

    let rest = rehearsal.run(&["run", "items.csv", "--json"]);
    assert_eq!(rest.code, Some(0), "{rest:?}");
    assert_eq!(items_by_status(&rest.stdout, "any"), 40);
    assert_eq!(rehearsal.seen(), 40);
}

#[test]
fn items_of_an_account_that_left_the_configuration_do_not_hang_the_run() {
    let rehearsal = Rehearsal::start(40, &[]);
    rehearsal.interrupted_run();

    let config = rehearsal.home.path().join("takedown.toml");
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, text.split("[accounts.shops]").next().unwrap()).unwrap();
    let refused = rehearsal.run(&["run", "items.csv", "--skip-rejected"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("holds items of account `shops`, which is not configured"), "{refused:?}");
}

#[test]
fn dead_letters_of_a_run_are_listed_masked_replayed_and_purged() {
    let rehearsal = Rehearsal::start(6, &["--fault", "unlisted_code=1"]);
    let ended = rehearsal.run(&["run", "items.csv", "--json"]);
    assert_eq!(ended.code, Some(9), "{ended:?}");
    let dead = items_by_status(&ended.stdout, "dead");
    assert!(dead >= 4, "{ended:?}");

    let queue = ["--queue", "items.csv.queue"];
    let list = rehearsal.run(&["dead-letters", "list", "--json", queue[0], queue[1]]);
    let letters: Value = serde_json::from_str(&list.stdout).unwrap();
    let letters = letters.as_array().unwrap();
    assert_eq!(letters.len() as u64, dead);
    let mapi = letters.iter().find(|letter| letter["account"] == "desk").unwrap();
    assert_eq!(mapi["reason"], "unknown_code");
    assert_eq!(mapi["message"]["takedown"]["key"], "***");
    let table = rehearsal.run(&["dead-letters", "list", queue[0], queue[1], "--account", "desk", "--limit", "1"]);
    assert!(table.stdout.contains("unknown_code: the gateway answers a code no table lists"), "{}", table.stdout);

    let id = mapi["id"].as_str().unwrap();
    let shown = rehearsal.run(&["dead-letters", "show", id, queue[0], queue[1]]);
    assert!(shown.stdout.contains(id) && shown.stdout.contains(r#""key": "***""#), "{}", shown.stdout);
    assert!(!shown.stdout.contains("20110417"), "{}", shown.stdout);
    assert_eq!(rehearsal.run(&["dead-letters", "show", "nobody", queue[0], queue[1]]).code, Some(9));

    let unconfirmed = rehearsal.run(&["dead-letters", "purge", queue[0], queue[1], "--id", id]);
    assert_eq!(unconfirmed.code, Some(2), "{unconfirmed:?}");
    assert!(unconfirmed.stderr.contains("1 dead letter meets this filter; none was deleted"), "{unconfirmed:?}");
    let wrong = rehearsal.run(&["dead-letters", "purge", queue[0], queue[1], "--id", id, "--expect", "2"]);
    assert_eq!(wrong.code, Some(9), "{wrong:?}");
    let everything = rehearsal.run(&["dead-letters", "purge", queue[0], queue[1], "--expect", &dead.to_string()]);
    assert_eq!(everything.code, Some(2), "{everything:?}");
    let purged = rehearsal.run(&["dead-letters", "purge", queue[0], queue[1], "--id", id, "--expect", "1"]);
    assert_eq!((purged.code, purged.stdout.as_str()), (Some(0), "1 deleted\n"));
    let unplanned = rehearsal.run(&["dead-letters", "replay", queue[0], queue[1]]);
    assert_eq!(unplanned.code, Some(2), "{unplanned:?}");
    assert!(unplanned.stderr.contains("takedown dead-letters plan"), "{unplanned:?}");
    let unknown = rehearsal.run(&["dead-letters", "replay", queue[0], queue[1], "--plan", "nobody"]);
    assert_eq!(unknown.code, Some(2), "{unknown:?}");
    assert!(unknown.stderr.contains("there is no plan nobody"), "{unknown:?}");
    let planned = rehearsal.run(&["dead-letters", "plan", queue[0], queue[1], "--json"]);
    let plan: Value = serde_json::from_str(&planned.stdout).unwrap();
    assert_eq!(plan["letters"], dead - 1);
    let replay = ["dead-letters", "replay", queue[0], queue[1], "--plan", plan["plan"].as_str().unwrap()];
    let replayed = rehearsal.run(&replay);
    assert_eq!(replayed.stdout, format!("{} put back to work\n", dead - 1));
    assert_eq!(rehearsal.run(&replay).stdout, "0 put back to work\n");

    assert_eq!(http(rehearsal.address, "PUT", "/sandbox/faults", "").0, 204);
    let again = rehearsal.run(&["run", "items.csv", "--json"]);
    assert_eq!(again.code, Some(0), "{again:?}");
    assert_eq!(items_by_status(&again.stdout, "dead"), 1, "{again:?}");
}

#[test]
fn a_rehearsals_directory_is_written_once_and_its_keys_are_used_again() {
    let rehearsal = Rehearsal::start(10, &[]);
    let home = rehearsal.home.path();
    for name in ["sandbox.json", "desk.private.pem", "shops.private.pem", "m1.token"] {
        assert_eq!(fs::metadata(home.join(name)).unwrap().permissions().mode() & 0o777, 0o600, "{name}");
    }
    let checked = rehearsal.run(&["check", "--no-broker"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let before = fs::read(home.join("sandbox.json")).unwrap();
    rehearsal.sandbox.signal("TERM");
    let (status, lines) = rehearsal.sandbox.wait();
    assert_eq!(status.code(), Some(0), "{lines:#?}");

    let (again, _) = serve(home, 10, &rehearsal.address.to_string(), &[]);
    assert_eq!(fs::read(home.join("sandbox.json")).unwrap(), before);
    let ended = run(home, &["run", "items.csv"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    drop(again);
}

#[test]
fn check_names_a_gateway_that_is_down_and_a_key_that_is_ones_own() {
    let rehearsal = Rehearsal::start(10, &[]);
    let home = rehearsal.home.path();
    let own = "-----BEGIN PUBLIC KEY-----";
    let setup: Value = serde_json::from_slice(&fs::read(home.join("sandbox.json")).unwrap()).unwrap();
    let public = setup["open_platform"]["keys"]["caller_public"].as_str().unwrap();
    assert!(public.starts_with(own));
    fs::write(home.join("shops.gateway.pem"), public).unwrap();
    let mut command = rehearsal.command(&["check", "--no-broker", "--json"]);
    command.env("TAKEDOWN_ACCOUNTS__DESK__ENDPOINT", "http://127.0.0.1:1/gateway.do");
    let checked = end(command);
    assert_eq!(checked.code, Some(9), "{checked:?}");
    let findings: Value = serde_json::from_str(&checked.stdout).unwrap();
    let bad: Vec<_> = findings.as_array().unwrap().iter().filter(|finding| finding["ok"] == false).collect();
    let subjects: Vec<_> = bad.iter().map(|finding| finding["subject"].as_str().unwrap()).collect();
    assert_eq!(subjects, ["gateway of desk", "keys of shops", "keys of shops-v3"], "{bad:#?}");
    assert!(bad.iter().all(|finding| !finding["remedy"].as_str().unwrap().is_empty()));
}

#[test]
fn check_warns_of_secrets_that_others_may_read_and_of_nothing_public() {
    let rehearsal = Rehearsal::start(10, &[]);
    for name in ["desk.private.pem", "desk.gateway.pem", "m1.token"] {
        fs::set_permissions(rehearsal.home.path().join(name), fs::Permissions::from_mode(0o640)).unwrap();
    }
    let checked = rehearsal.run(&["check", "--no-broker"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let warnings: Vec<_> = checked.stdout.lines().filter(|line| line.starts_with("warn ")).collect();
    let of = |key, file| format!("warn   {key}: names {file}, which others than its owner may read (mode 640)");
    let expected = [
        of("accounts.desk.private_key_file", "desk.private.pem"),
        of("accounts.shops.merchants.m1.file", "m1.token"),
        of("accounts.shops-v3.merchants.m1.file", "m1.token"),
    ];
    assert_eq!(warnings, expected, "{checked:?}");
    let json = rehearsal.run(&["check", "--no-broker", "--json"]);
    let findings: Value = serde_json::from_str(&json.stdout).unwrap();
    let warned =
        |finding: &&Value| finding["ok"] == true && finding["remedy"].as_str().is_some_and(|r| r.contains("chmod 600"));
    assert_eq!(findings.as_array().unwrap().iter().filter(warned).count(), 3, "{json:?}");
}

#[test]
fn the_demo_ends_well_and_tells_no_lies() {
    let home = TempDir::new().unwrap();
    let demo = run(home.path(), &["demo", "--items", "60"]);
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert!(demo.stderr.contains("62 of 62 ended") && !demo.stderr.contains("of 60"), "{demo:?}");
    for part in ["62 outcomes", "taken_down", "outcome_unknown", "unknown_code", "invalid_message", "0 wrong", "Next:"]
    {
        assert!(demo.stdout.contains(part), "{part} in {}", demo.stdout);
    }
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
}

#[test]
fn a_demo_needs_no_ca_certificates() {
    let home = TempDir::new().unwrap();
    let mut demo = takedown(home.path(), &["demo", "--items", "20"]);
    demo.env("SSL_CERT_FILE", home.path().join("none")).env("SSL_CERT_DIR", home.path());
    let ended = end(demo);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// One item of the app in certificate mode, whose content is encrypted.
fn certified_item(rehearsal: &Rehearsal, id: &str) -> String {
    let file = format!("{id}.csv");
    let row = format!("id,account,commodity_id,shop_id\n{id},shops-cert,{id},2015052000077\n");
    fs::write(rehearsal.home.path().join(&file), row).unwrap();
    file
}

#[test]
fn the_account_with_certificates_works_like_any_other() {
    let rehearsal = Rehearsal::start(10, &[]);
    let checked = rehearsal.run(&["check", "--no-broker"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(
        checked.stdout.contains("ok     certificates of shops-cert: the app's certificate is valid"),
        "{checked:?}"
    );
    let ended = rehearsal.run(&["run", &certified_item(&rehearsal, "c1"), "--json"]);
    assert_eq!((ended.code, items_by_status(&ended.stdout, "success")), (Some(0), 1), "{ended:?}");
    let outcome = fs::read_to_string(rehearsal.home.path().join("c1.csv.outcomes.jsonl")).unwrap();
    let outcome: Value = serde_json::from_str(&outcome).unwrap();
    assert_eq!((&outcome["reason"], &outcome["verified"]), (&"taken_down".into(), &true.into()), "{outcome}");
}

#[test]
fn an_unknown_certificate_is_told_once_as_an_error_with_the_remedy() {
    let rehearsal = Rehearsal::start(10, &["--fault", "unknown_certificate=1"]);
    let ended = rehearsal.run(&["run", &certified_item(&rehearsal, "c1"), "--json"]);
    assert_eq!((ended.code, items_by_status(&ended.stdout, "dead")), (Some(9), 1), "{ended:?}");
    let told: Vec<_> = ended.stderr.lines().filter(|line| line.contains("add it to gateway_cert_files")).collect();
    assert_eq!(told.len(), 1, "{ended:?}");
    let parts = ["ERROR", "shops-cert", "00000000000000000000000000000000", "download the platform's new certificate"];
    assert!(parts.iter().all(|part| told[0].contains(part)), "{told:?}");
}
