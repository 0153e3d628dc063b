//! One connection to the broker that is kept up: opened once with a clear error, then reopened for ever.
//!
//! lapin's own recovery stays off: it replays channels behind one's back, and an ack must never meet another channel
//! than its delivery's. Promise: no error, log line or `Debug` text from here holds the password.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use backoff::ExponentialBackoff;
use backoff::backoff::Backoff;
use futures_util::StreamExt;
use lapin::protocol::{AMQPErrorKind, AMQPHardError, AMQPSoftError};
use lapin::uri::AMQPUri;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, sleep, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};
use url::{Position, Url};

use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;

/// Time allowed for name resolution, TCP, TLS and the AMQP handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Time allowed for a channel to open.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time allowed for a connection to close; a worker closes two, one after the other.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// Heartbeat asked for unless the URL names one (`?heartbeat=`), in seconds; a dead peer is found after two of them.
/// 5 to 20 s is what rabbitmq.com/docs/heartbeats recommends.
const HEARTBEAT_SECONDS: u16 = 20;

/// How long a connection or a consumer lasts before it counts as up.
const STEADY: Duration = Duration::from_secs(60);

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
        "what answers there is not understood ({0}); amqp:// goes with a plain port (5672), amqps:// with one of TLS \
         (5671) whose certificate this machine trusts"
    )]
    Strange(lapin::Error),
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

/// When to try again: from 0.2 s doubling to 30 s, each spread by half, without an end.
///
/// The one user of the `backoff` crate.
pub(super) struct Schedule(ExponentialBackoff);

impl Schedule {
    pub(super) fn new() -> Self {
        Self(ExponentialBackoff {
            initial_interval: Duration::from_millis(200),
            current_interval: Duration::from_millis(200),
            multiplier: 2.0,
            randomization_factor: 0.5,
            max_interval: Duration::from_secs(30),
            max_elapsed_time: None,
            ..ExponentialBackoff::default()
        })
    }

    /// Draws the next wait.
    pub(super) fn next_wait(&mut self) -> Duration {
        self.0.next_backoff().expect("invariant: a schedule without a longest time never ends")
    }

    /// Waits for the next turn.
    pub(super) async fn pause(&mut self) {
        sleep(self.next_wait()).await;
    }

    /// Begins anew, after something worked.
    pub(super) fn reset(&mut self) {
        self.0.reset();
    }

    /// Begins anew if what came up also stayed up; what dies again at once has not worked.
    pub(super) fn note_uptime(&mut self, uptime: Duration) {
        if uptime >= STEADY {
            self.reset();
        }
    }
}

/// Where and as whom to connect.
#[derive(Clone)]
struct Dial {
    uri: AMQPUri,
    shown: String,
    name: String,
}

impl Dial {
    fn new(settings: &AmqpSettings, role: &str) -> Result<Self, QueueError> {
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
        Ok(Self { uri, name: format!("{} {role}", settings.connection_name), shown })
    }

    async fn connect(&self) -> Result<Connection, QueueError> {
        let properties = ConnectionProperties::default().with_connection_name(self.name.as_str().into());
        match timeout(CONNECT_TIMEOUT, Connection::connect_uri(self.uri.clone(), properties)).await {
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
            // What rustls cannot read or does not trust is invalid data to lapin.
            ErrorKind::IOError(cause) if cause.kind() == std::io::ErrorKind::InvalidData => {
                ConnectFault::Strange(error)
            }
            ErrorKind::ParsingError(_) => ConnectFault::Strange(error),
            _ => ConnectFault::Unreachable(error),
        }
    }

    async fn reconnect(&self, schedule: &mut Schedule) -> Connection {
        loop {
            schedule.pause().await;
            match self.connect().await {
                Ok(connection) => return connection,
                Err(error) => tracing::warn!(broker = %self.shown, error = %chain(&error), "still no connection"),
            }
        }
    }
}

/// A connection that is kept up until it is closed or dropped.
pub(super) struct Link {
    state: watch::Receiver<State>,
    closing: CancellationToken,
    keeper: Mutex<Option<JoinHandle<()>>>,
    _guard: DropGuard,
}

#[derive(Clone, Default)]
struct State {
    connection: Option<Arc<Connection>>,
    is_blocked: bool,
}

impl Link {
    /// Connects once; from then on the link reconnects by itself.
    ///
    /// # Errors
    /// [`QueueError::Connect`] when the first connection fails.
    pub(super) async fn open(settings: &AmqpSettings, role: &str) -> Result<Self, QueueError> {
        let dial = Dial::new(settings, role)?;
        let connection = dial.connect().await?;
        let (sender, state) = watch::channel(State::default());
        let closing = CancellationToken::new();
        let keeper = tokio::spawn(keep(dial, connection, sender, closing.clone()));
        Ok(Self { state, keeper: Mutex::new(Some(keeper)), _guard: closing.clone().drop_guard(), closing })
    }

    /// Opens a channel, once there is a connection.
    ///
    /// # Errors
    /// [`QueueError::Closed`] once the link is closed; [`QueueError::Broker`] when the broker opens none.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        let connection = self.connection().await?;
        match timeout(REPLY_TIMEOUT, connection.create_channel()).await {
            Ok(Ok(channel)) => Ok(channel),
            Ok(Err(error)) => Err(broker_error("open a channel", error)),
            Err(late) => Err(broker_error("open a channel", late)),
        }
    }

    async fn connection(&self) -> Result<Arc<Connection>, QueueError> {
        let mut state = self.state.clone();
        loop {
            let connection = state.borrow_and_update().connection.clone();
            if let Some(connection) = connection.filter(|connection| connection.status().connected()) {
                return Ok(connection);
            }
            state.changed().await.map_err(|_| QueueError::Closed)?;
        }
    }

    /// Waits until messages can be published: connected, and not blocked by an alarm of the broker
    /// (rabbitmq.com/docs/alarms). For ever, once the link is closed.
    pub(super) async fn usable(&self) {
        let mut state = self.state.clone();
        if state.wait_for(State::is_usable).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Says whether messages can be published now.
    pub(super) fn is_usable(&self) -> bool {
        self.state.borrow().is_usable()
    }

    /// Closes the connection; deliveries still in hand come back to their queues.
    pub(super) async fn close(&self) {
        self.closing.cancel();
        if let Some(keeper) = self.keeper.lock().await.take()
            && let Err(error) = keeper.await
        {
            tracing::error!(%error, "the task that kept a connection failed");
        }
    }
}

impl State {
    fn is_usable(&self) -> bool {
        !self.is_blocked && self.connection.as_ref().is_some_and(|connection| connection.status().connected())
    }
}

async fn keep(dial: Dial, first: Connection, sender: watch::Sender<State>, closing: CancellationToken) {
    let mut connection = Arc::new(first);
    let mut schedule = Schedule::new();
    loop {
        let began = Instant::now();
        sender.send_replace(State { connection: Some(Arc::clone(&connection)), is_blocked: false });
        tokio::select! {
            () = closing.cancelled() => return close(&connection).await,
            () = watch_until_lost(&connection, &sender) => {}
        }
        sender.send_replace(State::default());
        tracing::warn!(broker = %dial.shown, connection = %dial.name, "the connection was lost");
        schedule.note_uptime(began.elapsed());
        connection = tokio::select! {
            () = closing.cancelled() => return,
            connection = dial.reconnect(&mut schedule) => Arc::new(connection),
        };
        tracing::info!(broker = %dial.shown, connection = %dial.name, "connected again");
    }
}

/// Events tell at once; the tick is for endings that lapin tells nobody of, such as a close without an error code.
async fn watch_until_lost(connection: &Connection, sender: &watch::Sender<State>) {
    let mut events = connection.events_listener().fuse();
    let mut tick = interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            Some(_) = events.next() => {}
            _ = tick.tick() => {}
        }
        let status = connection.status();
        if !status.connected() {
            return;
        }
        let is_blocked = status.blocked();
        sender.send_if_modified(|state| std::mem::replace(&mut state.is_blocked, is_blocked) != is_blocked);
    }
}

/// Everything is settled by now, so that an end which is not confirmed is worth no long wait.
async fn close(connection: &Connection) {
    let ended = async {
        // A channel closes behind our back once its last handle is dropped, and a connection closed amid that makes
        // lapin fail or hang; a round trip of our own lets those closes go first.
        let last = connection.create_channel().await?;
        last.close(200, "done".into()).await?;
        connection.close(200, "closed by the worker".into()).await
    };
    match timeout(CLOSE_TIMEOUT, ended).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "the connection was gone before it was closed"),
        Err(_) => tracing::warn!("the broker did not confirm the end of the connection"),
    }
}

/// Wraps what the broker, or the way to it, said.
pub(super) fn broker_error(
    action: impl Into<String>,
    source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
) -> QueueError {
    QueueError::Broker { action: action.into(), source: source.into() }
}

fn connect_error(shown: &str, fault: ConnectFault) -> QueueError {
    QueueError::Connect { url: shown.to_owned(), source: fault.into() }
}

/// Writes an error with its causes on one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
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

    #[tokio::test(start_paused = true)]
    async fn the_schedule_grows_to_its_ceiling_and_never_ends() {
        let mut schedule = Schedule::new();
        let mut last = Duration::ZERO;
        for _ in 0..40 {
            let before = tokio::time::Instant::now();
            schedule.pause().await;
            last = before.elapsed();
        }
        assert!(last >= Duration::from_secs(15) && last <= Duration::from_secs(46), "{last:?}");
        schedule.note_uptime(Duration::from_secs(1));
        assert!(schedule.next_wait() >= Duration::from_secs(15), "what dies at once has not worked");
        schedule.note_uptime(STEADY);
        assert!(schedule.next_wait() < Duration::from_secs(1));
    }
}
