//! Where and as whom to connect, and what it means when that fails.
//!
//! The addresses are the nodes of one cluster. A replica begins with one chosen by its name, so that replicas spread and
//! the connections of one replica lead to the same node; each further try, and each connection lost, goes on with the
//! next, for a node that lost power answers nothing at all. Promise: no error, log line or `Debug` text from here holds
//! the password, and an error names every address that was tried with its own fault.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io;
use std::time::Duration;

use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::tcp::RustlsConnector;
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;
use url::{Position, Url};

use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::tls::{self, TlsSettings};
use crate::tls::TlsFault;

/// Time allowed for name resolution, TCP, TLS and the AMQP handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// The same where another address may answer meanwhile: what the broker itself allows for the handshake
/// (`handshake_timeout`, rabbitmq.com/docs/networking).
const NEXT_TIMEOUT: Duration = Duration::from_secs(10);

/// Heartbeat asked for unless the URL names one (`?heartbeat=`), in seconds; a dead peer is found after two of them.
/// 5 to 20 s is what rabbitmq.com/docs/heartbeats recommends.
const HEARTBEAT_SECONDS: u16 = 20;

/// Says why the broker cannot be used, and what to look at.
#[derive(Debug, thiserror::Error)]
enum ConnectFault {
    #[error(
        "the address is not one of a broker: {0}; expected amqp://user:password@host:port/vhost, with vhost / as %2f"
    )]
    Url(String),
    #[error("no broker answers there ({0}); is it running, and are host and port right?")]
    Unreachable(lapin::Error),
    #[error(
        "what answers there hangs up, or is not understood ({0}); amqp:// goes with a plain port (5672), amqps:// with one \
         of TLS (5671), and `amqp.client_cert_file` with one that asks for a certificate and hangs up without"
    )]
    Strange(lapin::Error),
    #[error("no answer within {} s; is it a broker, and does a firewall let it through?", .0.as_secs())]
    Silent(Duration),
    #[error("the broker's TLS handshake failed ({problem}); {}", fault.advice("amqp", "`amqp.url`"))]
    Tls { fault: TlsFault, problem: lapin::Error },
    #[error(
        "this machine trusts nobody: install root certificates (Debian: package ca-certificates), or give the broker's \
         authority as `amqp.ca_file`"
    )]
    Roots(#[source] io::Error),
    #[error(
        "the broker refused the login ({0}); check user and password (guest may log in from the broker's own host only)"
    )]
    Login(lapin::Error),
    #[error(
        "the broker refused virtual host {vhost:?} ({problem}); create it or grant the user access, and write / as %2f"
    )]
    Vhost { vhost: String, problem: lapin::Error },
    #[error("the broker refused the connection ({0})")]
    Refused(lapin::Error),
}

/// The faults of several addresses, each with its address.
#[derive(Debug, thiserror::Error)]
struct ConnectFaults(Vec<(String, ConnectFault)>);

impl fmt::Display for ConnectFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (shown, fault)) in self.0.iter().enumerate() {
            let gap = if number == 0 { "" } else { "; " };
            write!(f, "{gap}{shown}: {fault}")?;
        }
        Ok(())
    }
}

/// Where and as whom to connect, and which address is next.
#[derive(Clone)]
pub(super) struct Dial {
    brokers: Vec<Broker>,
    at: usize,
    /// The connection's name on the broker's management page.
    pub(super) name: String,
}

/// One address.
#[derive(Clone)]
struct Broker {
    uri: AMQPUri,
    tls: Option<RustlsConnector>,
    /// The address without its password.
    shown: String,
}

impl Dial {
    /// Reads the addresses; `role` tells a worker's connections apart.
    ///
    /// # Errors
    /// [`QueueError::Connect`] when one is no broker's address or there is none, or when TLS cannot be set up.
    pub(super) fn new(settings: &AmqpSettings, role: &str) -> Result<Self, QueueError> {
        let brokers =
            settings.urls.iter().map(|url| Broker::read(url, &settings.tls)).collect::<Result<Vec<_>, _>>()?;
        if brokers.is_empty() {
            return Err(connect_error("no address", ConnectFault::Url("none is given".into())));
        }
        let at = first_of(brokers.len(), &settings.connection_name);
        Ok(Self { brokers, at, name: format!("{} {role}", settings.connection_name) })
    }

    /// Bounds the frames of its connections, and by that their buffers.
    #[must_use]
    pub(super) fn with_frames_of(mut self, bytes: u32) -> Self {
        for broker in &mut self.brokers {
            let asked = broker.uri.query.frame_max.filter(|asked| (1..bytes).contains(asked));
            broker.uri.query.frame_max = Some(asked.unwrap_or(bytes));
        }
        self
    }

    /// Returns the address connected to, without its password; before that, the one tried next.
    pub(super) fn shown(&self) -> &str {
        &self.brokers[self.at].shown
    }

    /// Goes on to the next address: the connection to this one was lost.
    pub(super) fn pass_on(&mut self) {
        self.at = (self.at + 1) % self.brokers.len();
    }

    /// Connects once, to the first in turn that lets it.
    ///
    /// # Errors
    /// [`QueueError::Connect`], with what to look at, at each address.
    pub(super) async fn connect(&mut self) -> Result<Connection, QueueError> {
        let patience = if self.brokers.len() == 1 { CONNECT_TIMEOUT } else { NEXT_TIMEOUT };
        let mut faults = Vec::new();
        for _ in 0..self.brokers.len() {
            let broker = &self.brokers[self.at];
            match broker.connect(&self.name, patience).await {
                Ok(connection) => return Ok(connection),
                Err(fault) => faults.push((broker.shown.clone(), fault)),
            }
            self.pass_on();
        }
        Err(match faults.pop() {
            Some((shown, fault)) if faults.is_empty() => connect_error(&shown, fault),
            last => {
                faults.extend(last);
                connect_error(&format!("any of {} brokers", faults.len()), ConnectFaults(faults))
            }
        })
    }
}

/// Chooses by a name where to begin.
fn first_of(number: usize, name: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    let number = u64::try_from(number).expect("invariant: a list is shorter than that");
    usize::try_from(hasher.finish() % number).expect("invariant: it is less than the list's length")
}

impl Broker {
    fn read(text: &str, tls: &TlsSettings) -> Result<Self, QueueError> {
        let shown = masked(text);
        let fault = |problem: String| connect_error(&shown, ConnectFault::Url(problem));
        // lapin's parser quotes the whole text, password and all, in one of its errors, and takes an IPv6 host for
        // localhost: so parse first, and tell the host.
        let url = Url::parse(text).map_err(|e| fault(e.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| fault("it names no host".into()))?;
        if is_cut_short(&url) {
            return Err(fault(
                "it has an @ after the host; in a password write / as %2f, # as %23 and ? as %3f".into(),
            ));
        }
        let mut uri: AMQPUri = text.parse().map_err(fault)?;
        uri.authority.host = host.trim_matches(['[', ']']).to_owned();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => {
                let connector = tls.connector();
                Some(connector.map_err(|problem| connect_error(&shown, ConnectFault::Roots(problem)))?)
            }
        };
        Ok(Self { uri, tls, shown })
    }

    async fn connect(&self, name: &str, patience: Duration) -> Result<Connection, ConnectFault> {
        let properties = ConnectionProperties::default().with_connection_name(name.into());
        match timeout(patience, tls::connect(self.uri.clone(), self.tls.clone(), properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(self.judge(error)),
            Err(_) => Err(ConnectFault::Silent(patience)),
        }
    }

    fn judge(&self, error: lapin::Error) -> ConnectFault {
        match error.kind() {
            ErrorKind::ProtocolError(told) => match told.kind() {
                AMQPErrorKind::Soft(AMQPSoftError::ACCESSREFUSED) => ConnectFault::Login(error),
                AMQPErrorKind::Hard(AMQPHardError::NOTALLOWED) => {
                    ConnectFault::Vhost { vhost: self.uri.vhost.clone(), problem: error }
                }
                AMQPErrorKind::Soft(_) | AMQPErrorKind::Hard(_) => ConnectFault::Refused(error),
            },
            ErrorKind::IOError(cause) => match TlsFault::of(&**cause) {
                Some(fault) => ConnectFault::Tls { fault, problem: error },
                None if is_hang_up(cause.kind()) => ConnectFault::Strange(error),
                None => ConnectFault::Unreachable(error),
            },
            ErrorKind::ParsingError(_) => ConnectFault::Strange(error),
            _ => ConnectFault::Unreachable(error),
        }
    }
}

/// What a listener for TLS does with plain AMQP, and the other way round.
fn is_hang_up(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::UnexpectedEof)
}

fn connect_error(brokers: &str, fault: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> QueueError {
    QueueError::Connect { brokers: brokers.to_owned(), source: fault.into() }
}

/// Says whether the host ends before an `@`: a `/`, `#` or `?` in the password, written plainly, passes for its end.
fn is_cut_short(url: &Url) -> bool {
    url[Position::AfterPort..].contains('@')
}

/// Returns the URL without its password; a text that is no URL is not shown at all.
pub(super) fn masked(url: &str) -> String {
    let mut parsed = match Url::parse(url) {
        Ok(parsed) if parsed.has_host() && !is_cut_short(&parsed) => parsed,
        Ok(_) | Err(_) => return "(not a broker's URL)".to_owned(),
    };
    if parsed.password().is_some() {
        parsed.set_password(Some("***")).expect("invariant: a URL with a host and a password takes another");
    }
    parsed.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::cause::chain;

    #[test]
    fn a_masked_url_keeps_everything_but_the_password() {
        assert_eq!(masked("amqp://desk:s3cret@mq:5672/%2f?heartbeat=5"), "amqp://desk:***@mq:5672/%2f?heartbeat=5");
        assert_eq!(masked("amqp://mq"), "amqp://mq");
        for slip in ["amqp://desk:1/s3cret@mq/", "amqp://desk:#s3cret@mq", "amqp://desk:1?s3cret@mq"] {
            assert!(!masked(slip).contains("s3cret"), "{}", masked(slip));
        }
        assert!(!masked("desk:s3cret@mq").contains("s3cret"));
        assert!(!masked("s3cret").contains("s3cret"));
    }

    #[test]
    fn a_bad_address_is_refused_without_its_password() {
        for (url, part) in [
            ("http://desk:s3cret@mq/", "http"),
            ("amqp:desk:s3cret@mq", "no host"),
            ("amqp://desk:s3cret@mq:x/", "port"),
            ("mq.s3cret.example", "relative URL"),
            ("amqp://desk:1/s3cret@mq/", "write / as %2f"),
            ("amqp://desk:#s3cret@mq", "# as %23"),
        ] {
            let Err(error) = Dial::new(&AmqpSettings::new(url), "test") else { panic!("{url} was taken") };
            let text = chain(&error);
            assert!(text.contains(part) && !text.contains("s3cret"), "{url}: {text}");
        }
    }

    #[test]
    fn a_host_may_be_an_ipv6_address() {
        let dial = Dial::new(&AmqpSettings::new("amqp://[::1]:5673/%2f"), "test").unwrap();
        let uri = &dial.brokers[0].uri;
        assert_eq!((uri.authority.host.as_str(), uri.authority.port), ("::1", 5673));
        assert_eq!(uri.vhost, "/");
    }

    #[test]
    fn frames_can_be_bounded_below_what_an_address_asks_for() {
        for (asked, bounded) in
            [("", 16_384), ("?frame_max=0", 16_384), ("?frame_max=65536", 16_384), ("?frame_max=8192", 8192)]
        {
            let dial = Dial::new(&AmqpSettings::new(format!("amqp://mq/%2f{asked}")), "test").unwrap();
            assert_eq!(dial.with_frames_of(16_384).brokers[0].uri.query.frame_max, Some(bounded), "{asked}");
        }
    }

    #[test]
    fn replicas_begin_at_different_brokers_and_pass_on_round_the_list() {
        let urls = vec!["amqp://a/".to_owned(), "amqp://b/".to_owned(), "amqp://c/".to_owned()];
        let settings = AmqpSettings { urls, ..AmqpSettings::new("") };
        let dial = |name: &str, role| {
            let connection_name = format!("worker-{name}");
            Dial::new(&AmqpSettings { connection_name, ..settings.clone() }, role).unwrap()
        };
        let begun: std::collections::BTreeSet<_> =
            (0..20).map(|n| dial(&n.to_string(), "consume").shown().to_owned()).collect();
        assert_eq!(begun.len(), 3, "{begun:?}");
        let (consume, mut dial) = (dial("7", "consume"), dial("7", "publish"));
        let first = dial.shown().to_owned();
        assert_eq!(first, consume.shown(), "a replica's connections begin together");
        let passed: Vec<_> = (0..3)
            .map(|_| {
                dial.pass_on();
                dial.shown().to_owned()
            })
            .collect();
        assert_eq!(passed.iter().collect::<std::collections::BTreeSet<_>>().len(), 3);
        assert_eq!(passed[2], first);
    }

    #[tokio::test]
    async fn an_error_names_every_address_with_its_own_fault() {
        let urls = vec!["amqp://desk:s3cret@127.0.0.1:1/".to_owned(), "amqp://desk:s3cret@nowhere.invalid/".to_owned()];
        let Err(error) = Dial::new(&AmqpSettings { urls, ..AmqpSettings::new("") }, "test").unwrap().connect().await
        else {
            panic!("somebody answers")
        };
        let text = chain(&error);
        assert!(text.starts_with("cannot connect to any of 2 brokers: "), "{text}");
        for part in ["amqp://desk:***@127.0.0.1:1/: no broker answers there", "amqp://desk:***@nowhere.invalid/: "] {
            assert!(text.contains(part), "{text}");
        }
        assert!(!text.contains("s3cret"), "{text}");
    }
}
