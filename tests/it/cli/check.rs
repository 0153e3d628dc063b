//! `takedown check` on what changes with time: the machine's clock and the certificates' dates; and on chains.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::Value;
use takedown::signing::SignType;
use takedown::signing::generate::authority::{Authority, Lifetime};
use takedown::signing::generate::{KeyPair, key_pair};
use tempfile::TempDir;

use crate::support::command::{Ended, Running, run, takedown};
use crate::support::peer::{Peer, Step};

const DAY: Duration = Duration::from_hours(24);

/// Answers each connection with a date this far from now.
async fn peer(skew: jiff::SignedDuration, connections: usize) -> Peer {
    let date = (Timestamp::now() + skew).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    answering(&format!("date: {date}\r\n"), connections).await
}

async fn answering(header: &str, connections: usize) -> Peer {
    let answer = format!("HTTP/1.1 200 OK\r\n{header}content-length: 0\r\nconnection: close\r\n\r\n");
    Peer::start(vec![vec![Step::Read, Step::Write(answer.into_bytes())]; connections]).await
}

/// The keys of an app in certificate mode, and whoever issues its certificates.
struct Keys {
    home: TempDir,
    app: KeyPair,
    gateway: KeyPair,
    authority: Authority,
}

fn lifetime(from_days: i64, until_days: i64) -> Lifetime {
    let at = |days: i64| {
        let now = SystemTime::now();
        if days < 0 { now - DAY * days.unsigned_abs() as u32 } else { now + DAY * days as u32 }
    };
    // An hour more, so that the days left are whole whenever the test gets to them.
    Lifetime { from: at(from_days), until: at(until_days) + Duration::from_hours(1) }
}

impl Keys {
    fn new() -> Self {
        let [app, gateway] = [(); 2].map(|()| key_pair(SignType::Rsa2).unwrap());
        let authority = Authority::new("Check Root", lifetime(-100, 1000)).unwrap();
        let keys = Self { home: TempDir::new().unwrap(), app, gateway, authority };
        keys.write("app.pem", keys.app.private.expose());
        keys.write("root.crt", keys.authority.certificate());
        keys.issue_app(lifetime(-1, 400));
        keys.issue_gateway("gateway.crt", &keys.authority, lifetime(-1, 400));
        keys
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.home.path().join(name), text).unwrap();
    }

    fn issue_app(&self, lifetime: Lifetime) {
        self.write("app.crt", &self.authority.issue("app", self.app.public.expose(), lifetime).unwrap());
    }

    fn issue_gateway(&self, file: &str, authority: &Authority, lifetime: Lifetime) {
        self.write(file, &authority.issue("gateway", self.gateway.public.expose(), lifetime).unwrap());
    }

    fn check(&self, peer: &Peer, gateway_cert_files: &str) -> Ended {
        let config = format!(
            "[accounts.shops]\ngateway = \"open_platform\"\nendpoint = \"http://{}/gateway.do\"\napp_id = \"1\"\n\
             private_key_file = \"app.pem\"\napp_cert_file = \"app.crt\"\nroot_cert_file = \"root.crt\"\n\
             gateway_cert_files = [{gateway_cert_files}]\n",
            peer.address
        );
        check(self.home.path(), &config)
    }

    /// Checks with one gateway certificate and gives what is said of the certificates.
    fn certificates(&self, peer: &Peer) -> Vec<(Option<i32>, bool, String)> {
        let ended = self.check(peer, "\"gateway.crt\"");
        about(&ended, "certificates of shops").into_iter().map(|(ok, text)| (ended.code, ok, text)).collect()
    }
}

fn check(home: &Path, config: &str) -> Ended {
    fs::write(home.join("takedown.toml"), config).unwrap();
    run(home, &["check", "--no-broker", "--json"])
}

/// What is said about a subject: whether it is no fault, and in which words.
fn about(ended: &Ended, subject: &str) -> Vec<(bool, String)> {
    let findings: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let of_subject = findings.as_array().unwrap().iter().filter(|finding| finding["subject"] == subject);
    of_subject
        .map(|finding| {
            assert_eq!(finding["problem"].is_null(), finding["remedy"].is_null(), "{finding}");
            let text = finding["note"].as_str().or(finding["problem"].as_str()).unwrap();
            (finding["ok"].as_bool().unwrap(), text.to_owned())
        })
        .collect()
}

const SHOPS: &str = "[accounts.shops]\ngateway = \"open_platform\"\napp_id = \"1\"\nprivate_key_file = \"app.pem\"\n\
                     gateway_key_file = \"gateway.pem\"\n";
const DESK: &str = "[accounts.desk]\ngateway = \"mapi\"\npartner = \"2088000000000001\"\nsign_type = \"MD5\"\n\
                    secret = \"made-up-for-tests\"\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_differs_is_warned_of_and_then_a_fault_where_requests_carry_the_time() {
    let keys = Keys::new();
    keys.write("gateway.pem", keys.gateway.public.expose());
    let minute = jiff::SignedDuration::from_mins(1);
    for (skew, code, is_fine, words) in [
        // The date is as old as the answer is slow, so nothing is said here of how equal the two are.
        (jiff::SignedDuration::ZERO, 0, true, ""),
        (minute * 2, 0, true, "this machine is"),
        (minute * -2, 0, true, "ahead"),
        (minute * 12, 9, false, "behind"),
        (minute * -12, 9, false, "ahead"),
    ] {
        let peer = peer(skew, 2).await;
        let endpoint = format!("endpoint = \"http://{}/gateway.do\"\n", peer.address);
        let ended = check(keys.home.path(), &format!("{SHOPS}{endpoint}{DESK}{endpoint}"));
        assert_eq!(ended.code, Some(code), "{ended:?}");
        let told = about(&ended, "clock, by the gateway of shops");
        assert!(told[0].0 == is_fine && told[0].1.contains(words), "{skew:?} {told:?}");
        let is_warned = ended.stdout.contains("keep it by NTP");
        assert_eq!(is_warned, !skew.is_zero(), "{ended:?}");
        let mapi = about(&ended, "clock, by the gateway of desk");
        assert!(mapi[0].0 && mapi[0].1.ends_with("requests of mapi carry no time"), "{mapi:?}");
        assert!(about(&ended, "gateway of shops")[0].1.ends_with("answers without TLS"), "{ended:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_tells_no_time_is_no_fault() {
    let keys = Keys::new();
    let peer = answering("", 1).await;
    let ended = keys.check(&peer, "\"gateway.crt\"");
    let clock = vec![(true, "the gateway tells no time".to_owned())];
    assert_eq!((ended.code, about(&ended, "clock, by the gateway of shops")), (Some(0), clock));
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_of_certificates_are_told_with_their_day() {
    let keys = Keys::new();
    let peer = answering("", 20).await;
    let day = |moment: SystemTime| Timestamp::try_from(moment).unwrap().strftime("%Y-%m-%d").to_string();
    let said = |text: String, code, ok| vec![(Some(code), ok, text)];

    let good = lifetime(-1, 400);
    let (app, gateway) = (day(good.until), day(good.until));
    let well = format!(
        "the app's certificate is valid until {app}, the gateway's until {gateway}; the gateway's lead to a root"
    );
    assert_eq!(keys.certificates(&peer), said(well, 0, true));

    let soon = lifetime(-300, 29);
    keys.issue_app(soon);
    let warning = format!("the app's certificate \"app\" expires on {}, in 29 days", day(soon.until));
    assert_eq!(keys.certificates(&peer), said(warning, 0, true));

    let over = lifetime(-300, -2);
    keys.issue_app(over);
    assert_eq!(
        keys.certificates(&peer),
        said(format!("the app's certificate \"app\" expired on {}", day(over.until)), 9, false)
    );

    let unborn = lifetime(3, 400);
    keys.issue_app(unborn);
    let fault = format!("the app's certificate \"app\" is not valid before {}", day(unborn.from));
    assert_eq!(keys.certificates(&peer), said(fault, 9, false));

    keys.issue_app(good);
    keys.issue_gateway("gateway.crt", &keys.authority, over);
    let fault = format!("the gateway's certificate \"gateway\" expired on {}", day(over.until));
    assert_eq!(keys.certificates(&peer), said(fault.clone(), 9, false));
    // Beside one that replaces it, it is only in the way.
    keys.issue_gateway("new.crt", &keys.authority, good);
    let ended = keys.check(&peer, "\"gateway.crt\", \"new.crt\"");
    assert_eq!((ended.code, about(&ended, "certificates of shops")), (Some(0), vec![(true, fault)]));
    assert!(ended.stdout.contains("remove it from gateway_cert_files"), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateways_certificate_of_another_root_is_a_fault() {
    let keys = Keys::new();
    let peer = answering("", 2).await;
    for (name, words) in
        [("Stranger Root", "neither a root nor in the file"), ("Check Root", "whose key did not sign it")]
    {
        let stranger = Authority::new(name, lifetime(-1, 400)).unwrap();
        keys.issue_gateway("gateway.crt", &stranger, lifetime(-1, 400));
        let told = keys.certificates(&peer);
        assert!(told.len() == 1 && told[0].0 == Some(9) && told[0].2.contains(words), "{told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_worker_warns_of_certificates_at_its_start() {
    let keys = Keys::new();
    keys.issue_app(lifetime(-300, -2));
    let peer = answering("", 1).await;
    keys.check(&peer, "\"gateway.crt\"");
    let mut command = takedown(keys.home.path(), &["worker"]);
    // Nobody listens on port 1.
    command.env("TAKEDOWN_AMQP__URL", "amqp://127.0.0.1:1/%2f").env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    let (status, lines) = Running::start(command).wait();
    assert_eq!(status.code(), Some(4), "{lines:?}");
    let warned =
        lines.iter().any(|line| line.contains("WARN") && line.contains("expired on") && line.contains("renew it"));
    assert!(warned, "{lines:#?}");
}
