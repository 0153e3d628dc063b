//! TLS to the broker: what is trusted, what is not, and what is said about it.

use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;

use takedown::domain::outcome::Status;
use takedown::domain::secret::Secret;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::tls::TlsSettings;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings};
use takedown::queue::{Queue, QueueError};
use takedown::sandbox::Sandbox;
use takedown::sandbox::setup::Setup;
use takedown::signing::SignType;
use takedown::tls::{Identity, Roots};

use super::{desk, line, start, start_error};
use crate::support::broker::{self, Broker, unique_prefix};
use crate::support::command::{Running, run, takedown};
use crate::support::pki::{Dates, Front, Pair, Pki};
use crate::support::queue::{eventually, within};
use crate::support::rehearsal;

const ITEMS: usize = 20;

/// What a broker asks of a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ask {
    Nothing,
    Certificate,
}

/// A broker with a listener for TLS beside the plain one, and the authority of its certificate.
struct Secured {
    broker: Broker,
    pki: Pki,
    port: u16,
    dir: tempfile::TempDir,
}

impl Secured {
    async fn start(ask: Ask) -> Self {
        tokio::task::spawn_blocking(move || {
            let (dir, pki) = (tempfile::tempdir().unwrap(), Pki::new());
            let Pair { certificate, key } = pki.issue(&["localhost"], Dates::Now);
            let write = |name: &str, text: &str| {
                fs::write(dir.path().join(name), text).unwrap();
                dir.path().join(name).display().to_string()
            };
            let [ca, certificate, key] = [("ca.pem", pki.root()), ("server.pem", certificate), ("server.key", key)]
                .map(|(name, text)| write(name, &text));
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let verify = match ask {
                Ask::Nothing => "{verify,verify_none}",
                Ask::Certificate => "{verify,verify_peer},{fail_if_no_peer_cert,true}",
            };
            let settings = format!(
                "[{{rabbit,[{{ssl_listeners,[{{\"127.0.0.1\",{port}}}]}},{{auth_mechanisms,['PLAIN','EXTERNAL']}},\
                 {{ssl_cert_login_from,common_name}},{{ssl_options,[{{cacertfile,{ca:?}}},{{certfile,{certificate:?}}},\
                 {{keyfile,{key:?}}},{verify}]}}]}}]."
            );
            Self { broker: Broker::start_with(&settings), pki, port, dir }
        })
        .await
        .unwrap()
    }

    fn url(&self, scheme: &str, host: &str) -> String {
        format!("{scheme}://guest:guest@{host}:{}/%2f", self.port)
    }

    fn settings(&self, tls: TlsSettings) -> AmqpSettings {
        AmqpSettings { tls, ..broker::settings(self.url("amqps", "localhost")) }
    }
}

fn trusting(pki: &Pki) -> TlsSettings {
    TlsSettings { roots: Some(Roots::read(&pki.root()).unwrap()), identity: None }
}

fn showing(pki: &Pki, pair: &Pair) -> TlsSettings {
    let identity = Identity::read(pair.certificate.clone(), Secret::new(pair.key.clone())).unwrap();
    TlsSettings { identity: Some(identity), ..trusting(pki) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn the_whole_job_goes_over_tls_by_an_authority_of_ones_own() {
    let secured = Secured::start(Ask::Nothing).await;
    let settings = secured.settings(trusting(&secured.pki));
    let setup = Setup::generate(SignType::Rsa).unwrap();
    let sandbox = Sandbox::start(setup.settings().unwrap()).await.unwrap();
    let general =
        format!("[amqp]\nurl = {:?}\nprefix = {:?}\nca_file = \"ca.pem\"\n", settings.urls[0], settings.prefix);
    let dir = secured.dir.path().to_owned();
    rehearsal::write(&dir, &setup, &sandbox, &general, "");
    let worker = tokio::task::spawn_blocking(move || work(&dir)).await.unwrap();
    let mut results = Results::connect(&settings).await.unwrap();
    for _ in 0..ITEMS {
        let (_, outcome) = within("an outcome", results.next()).await.unwrap();
        assert_eq!(outcome.status(), Status::Success, "{outcome:?}");
    }
    worker.signal("TERM");
    let (ended, lines) = tokio::task::spawn_blocking(|| worker.wait()).await.unwrap();
    assert_eq!(ended.code(), Some(0), "{lines:#?}");
    let listeners =
        tokio::task::spawn_blocking(move || secured.broker.control(&["list_connections", "ssl"])).await.unwrap();
    assert!(listeners.lines().all(|line| line != "false"), "{listeners}");
}

/// The commands of a producer and an operator, then a worker.
fn work(dir: &Path) -> Running {
    let item = |n| format!(r#""takedown":{{"gateway":"open_platform","commodity_id":"{n}","shop_id":"s1"}}"#);
    let lines = (0..ITEMS).fold(String::new(), |mut lines, n| {
        writeln!(lines, r#"{{"version":1,"id":"t-{n}","account":"shops",{}}}"#, item(n)).unwrap();
        lines
    });
    fs::write(dir.join("items.jsonl"), lines).unwrap();
    for arguments in [&["topology", "apply"][..], &["check"], &["enqueue", "items.jsonl"], &["dead-letters", "list"]] {
        let ended = run(dir, arguments);
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
    }
    let mut command = takedown(dir, &["worker"]);
    command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0");
    let worker = Running::start(command);
    worker.line("worker started");
    worker
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn what_cannot_be_trusted_is_not_spoken_to_and_the_fault_is_named() {
    let secured = Secured::start(Ask::Nothing).await;
    let Secured { pki, broker, .. } = &secured;
    let plain: url::Url = broker.url().parse().unwrap();
    let behind = format!("127.0.0.1:{}", plain.port().unwrap()).parse().unwrap();
    let late = Front::start(&pki.issue(&["localhost"], Dates::Past), behind).await;
    let early = Front::start(&pki.issue(&["localhost"], Dates::Future), behind).await;
    let at = |port: u16| format!("amqps://guest:guest@localhost:{port}/%2f");
    let machine = TlsSettings::default;
    let unknown = "if the authority is your own, give its certificate as `amqp.ca_file`";
    for (url, tls, part) in [
        (secured.url("amqps", "localhost"), machine(), unknown),
        (secured.url("amqps", "localhost"), trusting(&Pki::new()), unknown),
        (secured.url("amqps", "127.0.0.1"), trusting(pki), "another name's: write the right one in `amqp.url`"),
        (at(late.address.port()), trusting(pki), "out of date: have it renewed"),
        (at(early.address.port()), trusting(pki), "begins later: set this machine's clock"),
        (at(behind.port()), trusting(pki), "does not speak TLS"),
        (secured.url("amqp", "localhost"), machine(), "amqps:// with one of TLS"),
    ] {
        let settings = AmqpSettings { urls: vec![url.clone()], ..secured.settings(tls) };
        let error = within("an error", start_error(settings)).await;
        let text = line(&error);
        assert!(matches!(error, QueueError::Connect { .. }) && text.contains(part), "{url}: {text}");
        assert!(!text.contains("guest:guest") && !text.contains('\n'), "{text}");
    }
}

#[tokio::test]
async fn an_address_of_tls_is_never_spoken_to_plainly() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("amqps://guest:guest@localhost:{}/%2f", listener.local_addr().unwrap().port());
    let server = std::thread::spawn(move || {
        let mut first = [0];
        listener.accept().unwrap().0.read_exact(&mut first).unwrap();
        (listener, first[0])
    });
    let settings = AmqpSettings { tls: trusting(&Pki::new()), ..AmqpSettings::new(url) };
    let error = within("an error", start_error(settings)).await;
    let (listener, first) = server.join().unwrap();
    assert_eq!(first, 0x16, "a handshake record (RFC 8446, section 5.1): {}", line(&error));
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock, "and nothing else is tried");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_broker_that_asks_for_a_certificate_is_shown_one() {
    let secured = Secured::start(Ask::Certificate).await;
    let pki = &secured.pki;
    let stranger = Pki::new().issue(&["worker-1"], Dates::Now);
    for (tls, part) in [
        (trusting(pki), "give `amqp.client_cert_file` and `amqp.client_key_file`"),
        (showing(pki, &stranger), "it does not accept our certificate"),
        (showing(pki, &pki.issue(&["worker-1"], Dates::Past)), "`amqp.client_cert_file` must be in date"),
    ] {
        // A broker that refuses a certificate hangs up at once, and its reason may be lost with what it had not read.
        eventually(part, async || {
            let text = line(&start_error(secured.settings(tls.clone())).await);
            assert!(text.contains("amqp.client_cert_file"), "{text}");
            text.contains(part)
        })
        .await;
    }
    let own = showing(pki, &pki.issue(&["worker-1"], Dates::Now));
    let by_password = secured.settings(own.clone());
    let queue = start(&by_password, 4).await;
    queue.close().await.unwrap();

    // The certificate's name as the login.
    let secured = tokio::task::spawn_blocking(|| {
        let plugin = "{ok, F} = application:get_env(rabbit, enabled_plugins_file), \
                      ok = file:write_file(F, \"[rabbitmq_auth_mechanism_ssl].\\n\"), rabbit_plugins:ensure(F).";
        for order in [
            &["eval", plugin][..],
            &["add_user", "worker-1", "not-used"],
            &["clear_password", "worker-1"],
            &["set_permissions", "worker-1", ".*", ".*", ".*"],
        ] {
            secured.broker.control(order);
        }
        secured
    });
    let secured = secured.await.unwrap();
    let url = format!("amqps://localhost:{}/%2f?auth_mechanism=external", secured.port);
    let by_certificate = AmqpSettings { urls: vec![url], prefix: unique_prefix(), ..by_password };
    let queue = start(&by_certificate, 4).await;
    queue.close().await.unwrap();
    Topology::new(&by_certificate, &[desk()]).delete(&by_certificate).await.unwrap();
    let unknown = showing(&secured.pki, &secured.pki.issue(&["worker-2"], Dates::Now));
    let refused = AmqpQueue::start(AmqpSettings { tls: unknown, ..by_certificate }, Vec::new()).await.unwrap_err();
    assert!(line(&refused).contains("the broker refused the login"), "{}", line(&refused));
}
