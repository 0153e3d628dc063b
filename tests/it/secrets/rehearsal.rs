//! A rehearsal: the sandbox plays every fault it knows, and shows what it has seen.

use std::fs;
use std::net::SocketAddr;

use tempfile::TempDir;

use super::needles::Needles;
use crate::support::command::{Running, end, http, takedown};

const FAULTS: [&str; 9] = [
    "system_error=0.1",
    "reset=0.1",
    "garbage=0.1",
    "unsigned_success=0.1",
    "bad_signature=0.1",
    "throttled=0.05",
    "gbk=0.2",
    "illegal_sign=0.02",
    "unlisted_code=0.1",
];

/// Looks for every secret a rehearsal's directory holds.
fn needles(home: &TempDir) -> Needles {
    let mut needles = Needles::default();
    for entry in fs::read_dir(home.path()).unwrap() {
        let path = entry.unwrap().path();
        let text = || fs::read_to_string(&path).unwrap();
        match path.file_name().unwrap().to_str().unwrap() {
            name if name.ends_with(".private.pem") => needles.key("a private key", &text()),
            name if name.ends_with(".token") => needles.text("a token", text().trim()),
            "items.csv" => {
                let mut reader = csv::Reader::from_path(&path).unwrap();
                let column = reader.headers().unwrap().iter().position(|name| name == "key").unwrap();
                let keys: Vec<String> = reader.records().map(|row| row.unwrap()[column].to_owned()).collect();
                let keys: Vec<_> = keys.iter().filter(|key| !key.is_empty()).collect();
                assert!(keys.len() > 10, "{keys:?}");
                keys.into_iter().for_each(|key| needles.text("a user key", key));
            }
            _ => {}
        }
    }
    needles
}

#[test]
fn a_rehearsal_with_every_fault_shows_no_secret() {
    let home = TempDir::new().unwrap();
    let mut arguments = vec!["sandbox", "--dir", ".", "--listen", "127.0.0.1:0", "--items", "40", "--log", "trace"];
    arguments.extend(FAULTS.iter().flat_map(|fault| ["--fault", fault]));
    let sandbox = Running::start(takedown(home.path(), &arguments));
    let mut shown = sandbox.lines_to("open_platform");
    let address = shown.last().unwrap().split("http://").nth(1).unwrap().split('/').next().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    shown.extend(sandbox.lines_to("Ctrl-C"));

    let mut run = takedown(home.path(), &["run", "items.csv", "--log", "trace"]);
    run.env("TAKEDOWN_RETRY__DELAYS", "10ms").env("TAKEDOWN_HTTP__CONNECT_TIMEOUT", "500ms");
    let ended = end(run);
    assert!(matches!(ended.code, Some(0 | 9)), "{ended:?}");
    assert!(ended.stderr.matches("gateway called").count() > 40, "{ended:?}");
    let seen = ["/", "/sandbox/seen"].map(|path| http(address, "GET", path, "").1).concat();
    assert!(seen.contains("at_ms"), "{seen}");
    sandbox.signal("TERM");
    shown.extend(sandbox.wait().1);

    let needles = needles(&home);
    needles.must_not_be_in("the run", &(ended.stdout + &ended.stderr));
    needles.must_not_be_in("the sandbox", &shown.join("\n"));
    needles.must_not_be_in("the sandbox's pages", &seen);
    let outcomes = fs::read_to_string(home.path().join("items.csv.outcomes.jsonl")).unwrap();
    needles.must_not_be_in("the outcomes", &outcomes);
}
