//! One connection to the broker that is kept up: opened once with a clear error, then reopened for ever.
//!
//! lapin's own recovery stays off: it replays channels behind one's back, and an ack must never meet another channel
//! than its delivery's. Promise: no error, log line or `Debug` text from here holds the password.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use lapin::{Channel, Connection};
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, interval, timeout};
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::domain::cause::chain;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::dial::Dial;
use crate::queue::amqp::schedule::Schedule;

/// Time allowed for a channel to open.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// Time allowed for a connection to close; a worker closes two or three, one after the other.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

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
        Self::over(Dial::new(settings, role)?).await
    }

    /// The same by a dial of one's own.
    ///
    /// # Errors
    /// As above.
    pub(super) async fn over(mut dial: Dial) -> Result<Self, QueueError> {
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

    /// Says whether there is a connection now.
    pub(super) fn is_connected(&self) -> bool {
        self.state.borrow().connection.as_ref().is_some_and(|connection| connection.status().connected())
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

async fn keep(mut dial: Dial, first: Connection, sender: watch::Sender<State>, closing: CancellationToken) {
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
        tracing::warn!(broker = %dial.shown(), connection = %dial.name, "the connection was lost");
        dial.pass_on();
        schedule.note_uptime(began.elapsed());
        connection = tokio::select! {
            () = closing.cancelled() => return,
            connection = reconnect(&mut dial, &mut schedule) => Arc::new(connection),
        };
        tracing::info!(broker = %dial.shown(), connection = %dial.name, "connected again");
    }
}

async fn reconnect(dial: &mut Dial, schedule: &mut Schedule) -> Connection {
    loop {
        schedule.pause().await;
        match dial.connect().await {
            Ok(connection) => return connection,
            Err(error) => tracing::warn!(error = %chain(&error), connection = %dial.name, "still no connection"),
        }
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
