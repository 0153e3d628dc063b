//! Where and as whom to connect, and what it means when that fails.
//!
//! Promise: no error, log line or `Debug` text from here holds the password.

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
use crate::queue::amqp::tls;
use crate::tls::TlsFault;

/// Time allowed for name resolution, TCP, TLS and the AMQP handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

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
         of TLS (5671)"
    )]
    Strange(lapin::Error),
    #[error("the broker's TLS handshake failed ({problem}); {}", fault.advice("amqp", "`amqp.url`"))]
    Tls { fault: TlsFault, problem: lapin::Error },
    #[error(
        "this machine trusts nobody: install root certificates (Debian: package ca-certificates), or give the broker's \
         authority as `amqp.ca_file`"
    )]
    Roots(#[source] io::Error),
    #[error("no answer within {} s; is it a broker, and does a firewall let it through?", CONNECT_TIMEOUT.as_secs())]
    Silent,
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

/// Where and as whom to connect.
#[derive(Clone)]
pub(super) struct Dial {
    uri: AMQPUri,
    tls: Option<RustlsConnector>,
    /// The address without its password.
    pub(super) shown: String,
    /// The connection's name on the broker's management page.
    pub(super) name: String,
}

impl Dial {
    /// Reads the address; `role` tells a worker's connections apart.
    ///
    /// # Errors
    /// [`QueueError::Connect`] when it is no broker's address, or TLS cannot be set up for it.
    pub(super) fn new(settings: &AmqpSettings, role: &str) -> Result<Self, QueueError> {
        let shown = masked(&settings.url);
        let fault = |problem: String| connect_error(&shown, ConnectFault::Url(problem));
        // lapin's parser quotes the whole text, password and all, in one of its errors, and takes an IPv6 host for
        // localhost: so parse first, and tell the host.
        let url = Url::parse(&settings.url).map_err(|e| fault(e.to_string()))?;
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| fault("it names no host".into()))?;
        if is_cut_short(&url) {
            return Err(fault(
                "it has an @ after the host; in a password write / as %2f, # as %23 and ? as %3f".into(),
            ));
        }
        let mut uri: AMQPUri = settings.url.parse().map_err(fault)?;
        uri.authority.host = host.trim_matches(['[', ']']).to_owned();
        uri.query.heartbeat.get_or_insert(HEARTBEAT_SECONDS);
        let tls = match uri.scheme {
            AMQPScheme::AMQP => None,
            AMQPScheme::AMQPS => {
                let connector = settings.tls.connector();
                Some(connector.map_err(|problem| connect_error(&shown, ConnectFault::Roots(problem)))?)
            }
        };
        Ok(Self { uri, tls, name: format!("{} {role}", settings.connection_name), shown })
    }

    /// Connects once.
    ///
    /// # Errors
    /// [`QueueError::Connect`], with what to look at.
    pub(super) async fn connect(&self) -> Result<Connection, QueueError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        match timeout(CONNECT_TIMEOUT, tls::connect(self.uri.clone(), self.tls.clone(), properties)).await {
            Ok(Ok(connection)) => Ok(connection),
            Ok(Err(error)) => Err(connect_error(&self.shown, self.judge(error))),
            Err(_) => Err(connect_error(&self.shown, ConnectFault::Silent)),
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

fn connect_error(shown: &str, fault: ConnectFault) -> QueueError {
    QueueError::Connect { url: shown.to_owned(), source: fault.into() }
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
        assert_eq!((dial.uri.authority.host.as_str(), dial.uri.authority.port), ("::1", 5673));
        assert_eq!(dial.uri.vhost, "/");
    }
}
