//! A gateway that cannot prove who it is: nothing is sent, nothing is spent, and somebody is told why.

use std::fs;
use std::time::{Duration, SystemTime};

use rcgen::{BasicConstraints, IsCa};
use takedown::domain::classify::{Effect, History, Outcome, Redelivery, classify};
use takedown::domain::codes::{Certainty, Scope};
use takedown::domain::outcome::{Reason, Status};
use takedown::domain::reply::{BrokenCall, CertificateFault, Reply};
use takedown::domain::takedown::{Gateway, Takedown};
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::{Endpoint, HttpClient, HttpSettings};
use takedown::tls::Roots;
use takedown::worker::event::WorkerEvent;

use super::told;
use crate::support::command::run;
use crate::support::peer::{Peer, Step};
use crate::support::pki::{Dates, Front, Pair, Pki, self_signed};
use crate::support::replica::{Bench, Tuning, account, goods};

const CLEAN: History = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };

/// Every certificate that must not pass, with what it is refused as.
fn bad(pki: &Pki) -> Vec<(Pair, CertificateFault)> {
    vec![
        (pki.issue(&["elsewhere.example"], Dates::Now), CertificateFault::WrongName),
        (pki.issue(&["localhost"], Dates::Past), CertificateFault::Expired),
        (pki.issue(&["localhost"], Dates::Future), CertificateFault::NotYetValid),
        (Pki::new().issue(&["localhost"], Dates::Now), CertificateFault::UnknownIssuer),
        (self_signed("localhost", IsCa::ExplicitNoCa), CertificateFault::UnknownIssuer),
        (self_signed("localhost", IsCa::Ca(BasicConstraints::Unconstrained)), CertificateFault::Authority),
    ]
}

fn trusting(pki: &Pki) -> HttpSettings {
    HttpSettings { roots: Some(Roots::read(&pki.root()).unwrap()), ..HttpSettings::default() }
}

/// The account of mapi, called through a server of TLS.
fn over_tls(bench: &Bench, front: &Front) -> GatewayAccount {
    let GatewayAccount::Mapi(mut desk) = bench.desk() else { unreachable!() };
    let path = desk.endpoint.url().path().to_owned();
    desk.endpoint = Endpoint::new(&format!("https://localhost:{}{path}", front.address.port())).unwrap();
    GatewayAccount::Mapi(desk)
}

#[tokio::test]
async fn a_certificate_that_does_not_hold_leaves_the_call_not_sent() {
    let (bench, pki) = (Bench::new().await, Pki::new());
    let good = pki.issue(&["localhost"], Dates::Now);
    let front = Front::start(&good, bench.sandbox.address()).await;
    let desk = over_tls(&bench, &front);
    let call = async |http: &HttpSettings| {
        let item = goods("g1").item;
        desk.call(&HttpClient::new(http).unwrap(), &item, SystemTime::now()).await
    };
    for (pair, fault) in bad(&pki) {
        front.show(&pair);
        let reply = call(&trusting(&pki)).await;
        assert_eq!(reply, Reply::NotSent(BrokenCall::Certificate(fault)));
        let expected = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
        assert_eq!(classify(Gateway::Mapi, &reply, CLEAN), expected);
    }
    front.show(&good);
    let unknown = BrokenCall::Certificate(CertificateFault::UnknownIssuer);
    assert_eq!(call(&HttpSettings::default()).await, Reply::NotSent(unknown), "the machine does not trust it");
    assert_eq!(bench.sandbox.seen().len(), 0);
    assert!(call(&trusting(&pki)).await.is_verified());
}

#[tokio::test]
async fn a_wrong_certificate_for_a_night_spends_no_backlog() {
    let (bench, pki) = (Bench::new().await, Pki::new());
    let good = pki.issue(&["localhost"], Dates::Now);
    let front = Front::start(&pki.issue(&["localhost"], Dates::Past), bench.sandbox.address()).await;
    let mut tuning = Tuning { http: trusting(&pki), ..Tuning::default() };
    tuning.limits.hold.max_probe = Duration::from_millis(400);
    let replica = bench.start(tuning);
    replica.context.accounts[&account("desk")].renew(over_tls(&bench, &front));
    let ids: Vec<_> = (0..60).map(|n| format!("g{n}")).collect();
    replica.enqueue(ids.iter().map(|id| goods(id)).collect::<Vec<Takedown>>()).await;
    // More failed probes than an item has attempts: without a hold, everything were dead by then.
    let told_why = replica.wait_for("ten failed probes", |events| {
        let held = |event: &&WorkerEvent| matches!(event, WorkerEvent::Held { party: None, cause, .. } if cause == "certificate_expired");
        (events.iter().filter(held).count() > 10).then_some(())
    });
    told_why.await;
    front.show(&good);
    for id in &ids {
        let outcome = replica.outcome(id).await;
        let (_, status, reason, attempts) = told(&outcome);
        assert_eq!((status, reason), (Status::Success, Reason::TakenDown), "{id}");
        assert!(attempts <= 3, "{id} took {attempts} attempts");
    }
    let seen = bench.sandbox.seen();
    assert_eq!(seen.len(), ids.len(), "each was called for once");
}

#[tokio::test]
async fn check_says_what_is_wrong_with_a_gateways_certificate() {
    let (home, pki) = (tempfile::tempdir().unwrap(), Pki::new());
    let good = pki.issue(&["localhost"], Dates::Now);
    let bench = Bench::new().await;
    let front = Front::start(&good, bench.sandbox.address()).await;
    fs::write(home.path().join("ca.pem"), pki.root()).unwrap();
    let check = async |more: &str| {
        let config = format!(
            "{more}[accounts.desk]\ngateway = \"mapi\"\nendpoint = \"https://localhost:{}/cooperate/gateway.do\"\n\
             partner = \"2088000000000001\"\nsign_type = \"MD5\"\nsecret = \"0123456789abcdef\"\n",
            front.address.port()
        );
        fs::write(home.path().join("takedown.toml"), config).unwrap();
        let home = home.path().to_owned();
        tokio::task::spawn_blocking(move || run(&home, &["check", "--no-broker"])).await.unwrap()
    };
    let trusting = "[http]\nca_file = \"ca.pem\"\n";
    let words = [
        "write the right one in its `endpoint`",
        "have it renewed",
        "set this machine's clock",
        "give its certificate as `http.ca_file`",
        "give its certificate as `http.ca_file`",
        "issue one for the server",
    ];
    for ((pair, _), remedy) in bad(&pki).into_iter().zip(words) {
        front.show(&pair);
        let told = check(trusting).await;
        let expected = ["FAULT  gateway of desk: https://localhost", "the TLS handshake failed", remedy];
        assert!(told.code == Some(9) && expected.iter().all(|part| told.stdout.contains(part)), "{told:?}");
    }
    front.show(&good);
    assert_eq!(check("").await.code, Some(9), "the machine does not trust it");
    let well = check(trusting).await;
    assert!(well.code == Some(0) && well.stdout.contains("answers over TLS"), "{well:?}");
}

#[tokio::test]
async fn a_head_without_end_is_not_read_to_its_end() {
    let line = format!("x-filler: {}\r\n", "x".repeat(1000));
    let endless = [b"HTTP/1.1 200 OK\r\n".to_vec(), line.repeat(20_000).into_bytes()].concat();
    let peer = Peer::start(vec![vec![Step::Read, Step::Write(endless), Step::Stall]]).await;
    let bench = Bench::new().await;
    let GatewayAccount::Mapi(mut desk) = bench.desk() else { unreachable!() };
    desk.endpoint = Endpoint::new(&format!("http://{}/", peer.address)).unwrap();
    let client = HttpClient::for_loopback(&HttpSettings::default()).unwrap();
    let reply = GatewayAccount::Mapi(desk).call(&client, &goods("g1").item, SystemTime::now()).await;
    assert_eq!(reply, Reply::MaybeSent(BrokenCall::Protocol));
}
