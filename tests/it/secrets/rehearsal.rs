//! Rehearsals: the sandbox plays every fault it knows, and shows what it has seen; the demo, which keeps nothing.

use std::fs;
use std::net::SocketAddr;

use takedown::gateway::open_platform::v3;
use takedown::sandbox::setup::{CERTIFIED_ACCOUNT, OPEN_PLATFORM_V3_ACCOUNT};
use tempfile::TempDir;

use super::needles::Needles;
use crate::support::command::{Running, end, http, takedown};

const FAULTS: [&str; 10] = [
    "system_error=0.1",
    "reset=0.1",
    "garbage=0.1",
    "unsigned_success=0.1",
    "bad_signature=0.1",
    "throttled=0.05",
    "gbk=0.2",
    "illegal_sign=0.02",
    "unlisted_code=0.1",
    "unknown_certificate=0.1",
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
            name if name.ends_with(".content.key") => needles.text("a content key", text().trim()),
            // The gateways' side is in it, too.
            "sandbox.json" => {
                let text = text();
                let pems: Vec<_> = text.split('"').filter(|part| part.contains("PRIVATE KEY")).collect();
                assert!(pems.len() >= 6, "{}", pems.len());
                pems.iter().for_each(|pem| needles.key("a key of the setup", &pem.replace("\\n", "\n")));
            }
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

/// Works items of the accounts `items.csv` does not use.
fn run_of_every_account(home: &TempDir) -> String {
    let mut lines = String::new();
    for number in 0..12 {
        for (account, merchant) in [(CERTIFIED_ACCOUNT, ""), (OPEN_PLATFORM_V3_ACCOUNT, r#","merchant":"m1""#)] {
            lines.push_str(&format!(
                r#"{{"version":1,"id":"{account}-{number}","account":"{account}","takedown":{{"gateway":"open_platform","commodity_id":"{account}","shop_id":"{number}"{merchant}}}}}"#
            ));
            lines.push('\n');
        }
    }
    fs::write(home.path().join("more.jsonl"), lines).unwrap();
    let mut run = takedown(home.path(), &["run", "more.jsonl", "--log", "trace"]);
    run.env("TAKEDOWN_RETRY__DELAYS", "10ms");
    for account in ["SHOPS_CERT", "SHOPS_V3"] {
        for (setting, value) in [("COOL_DOWN", "10ms"), ("HOLD__FIRST_PROBE", "100ms"), ("HOLD__MAX_PROBE", "200ms")] {
            run.env(format!("TAKEDOWN_ACCOUNTS__{account}__{setting}"), value);
        }
    }
    let ended = end(run);
    assert!(matches!(ended.code, Some(0 | 9)), "{ended:?}");
    assert!(ended.stderr.matches("gateway called").count() >= 24, "{ended:?}");
    ended.stdout + &ended.stderr
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
    let more = run_of_every_account(&home);
    let token = fs::read_to_string(home.path().join("m1.token")).unwrap();
    let stray = format!("app_id=1&app_auth_token={}&sign=x", token.trim());
    let [mapi, open_platform, v3] = ["/cooperate/gateway.do", "/gateway.do", v3::PATH]
        .map(|path| http(address, "POST", &format!("{path}?{stray}"), &stray).1);
    let pages = ["/", "/healthz", "/sandbox/items", "/sandbox/seen"].map(|path| http(address, "GET", path, "").1);
    assert!(pages[3].contains("at_ms"), "{}", pages[3]);
    let seen = pages.concat() + &mapi + &open_platform + &v3;
    sandbox.signal("TERM");
    shown.extend(sandbox.wait().1);

    let needles = needles(&home);
    needles.must_not_be_in("the run", &(ended.stdout + &ended.stderr));
    needles.must_not_be_in("the run by certificates and by v3", &more);
    needles.must_not_be_in("the sandbox", &shown.join("\n"));
    needles.must_not_be_in("the sandbox's pages", &seen);
    let outcomes = fs::read_to_string(home.path().join("items.csv.outcomes.jsonl")).unwrap();
    needles.must_not_be_in("the outcomes", &outcomes);
}

/// Its keys are gone with it, so what is looked for is whatever keys, signatures and requests look like.
#[test]
fn a_demo_shows_nothing_that_looks_like_a_secret() {
    let home = TempDir::new().unwrap();
    let demo = end(takedown(home.path(), &["demo", "--items", "60", "--log", "trace"]));
    assert_eq!(demo.code, Some(0), "{demo:?}");
    assert!(demo.stderr.matches("gateway called").count() > 60, "{demo:?}");
    let shown = demo.stdout + &demo.stderr;
    for word in
        ["PRIVATE KEY", "sign=", "app_auth_token=", "sns_user_id=", "biz_content=", "Authorization", "&sign_type"]
    {
        assert!(!shown.contains(word), "{word}: {shown}");
    }
    // A signature, a key, encrypted content. Ids of messages nobody could read are digests, and so hex.
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
    let words = shown.split(|c| !is_base64(c)).filter(|word| word.len() >= 56);
    let found = words.into_iter().find(|word| !word.bytes().all(|byte| byte.is_ascii_hexdigit()));
    assert_eq!(found, None);
}
