//! Confirmed, mandatory publishing.
//!
//! Promise: `Ok` means that the broker has taken the message into a queue. Messages that are published by themselves have
//! a channel each, those that go together one for all (see [`flight`]): what comes back of one is never taken for another's.
//!
//! lapin keeps room for 64 frames of the largest size a connection has, 8 MB by the broker's own. All properties of a
//! message travel in one frame, and a worker's are small but for what a producer may add: so it has a connection of small
//! frames, and one of the broker's own for messages with more than that, which is opened once there is such a message.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lapin::options::ConfirmSelectOptions;
use lapin::{BasicProperties, Channel};
use tokio::sync::{OnceCell, Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep_until, timeout};

use crate::domain::cause::chain;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::dial::Dial;
use crate::queue::amqp::flight::{self, Landing, Ready};
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::schedule::Schedule;

/// Channels in use at once, each for one message or one group; a broker allows 2047 a connection by default.
pub(super) const IN_FLIGHT: usize = 64;

/// Size of a small frame. Bodies are split into as many as they need.
const SMALL_FRAME: u32 = 16 * 1024;

/// Room for headers in a small frame, beside the thirteen other properties: none of them takes more than 256 bytes.
const MAX_SMALL_HEADERS: usize = 12 * 1024;

/// One message to publish.
#[derive(Clone)]
pub(super) struct Outgoing<'a> {
    pub(super) exchange: String,
    pub(super) routing_key: String,
    pub(super) properties: BasicProperties,
    pub(super) body: &'a [u8],
}

/// Publishes with confirms over a connection of its own.
pub(super) struct Publisher {
    link: Arc<Link>,
    idle: Mutex<Vec<Channel>>,
    slots: Semaphore,
    confirm_timeout: Duration,
    rest: Mutex<Rest>,
    large: Option<Large>,
}

/// Publishes what does not fit into small frames.
struct Large {
    settings: AmqpSettings,
    publisher: OnceCell<Box<Publisher>>,
}

/// How long to leave off after a publish that failed for good.
///
/// Its message is held until it can be published; without a rest more would be handed out, and their gateway called, for
/// outcomes that have nowhere to go either.
struct Rest {
    schedule: Schedule,
    until: Option<Instant>,
}

impl Rest {
    fn note_failure(&mut self) {
        // Those in flight together fail together: one step for all.
        if self.until.is_none_or(|until| until <= Instant::now()) {
            self.until = Some(Instant::now() + self.schedule.next_wait());
        }
    }

    fn note_success(&mut self) {
        self.schedule.reset();
        self.until = None;
    }
}

impl Publisher {
    /// Connects.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub(super) async fn open(settings: &AmqpSettings) -> Result<Self, QueueError> {
        Ok(Self::over(Link::open(settings, "publish").await?, settings.confirm_timeout, None))
    }

    /// Connects with small frames, for who stays long. Messages that go together must fit them.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub(super) async fn open_small(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let dial = Dial::new(settings, "publish")?.with_frames_of(SMALL_FRAME);
        let large = Large { settings: settings.clone(), publisher: OnceCell::new() };
        Ok(Self::over(Link::over(dial).await?, settings.confirm_timeout, Some(large)))
    }

    fn over(link: Link, confirm_timeout: Duration, large: Option<Large>) -> Self {
        Self {
            link: Arc::new(link),
            idle: Mutex::new(Vec::new()),
            slots: Semaphore::new(IN_FLIGHT),
            confirm_timeout,
            rest: Mutex::new(Rest { schedule: Schedule::new(), until: None }),
            large,
        }
    }

    /// Publishes one message and waits for its confirm; a lost connection is waited for and the message sent again, as
    /// long as `is_wanted` and within the confirm time-out.
    ///
    /// # Errors
    /// [`QueueError::Publish`] on a nack, a return or the time-out; [`QueueError::Stale`] when no longer wanted.
    pub(super) async fn publish(
        &self,
        outgoing: &Outgoing<'_>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), QueueError> {
        let late = || outgoing.failed(self.unconfirmed());
        // That a connection for large headers cannot be had is no reason for the others to rest.
        let publisher =
            timeout(self.confirm_timeout, self.with_room_for(outgoing)).await.unwrap_or_else(|_| Err(late()))?;
        let published = publisher.publish_until_settled(outgoing, is_wanted);
        let result = timeout(self.confirm_timeout, published).await.unwrap_or_else(|_| Err(late()));
        self.note(&result);
        result
    }

    async fn with_room_for(&self, outgoing: &Outgoing<'_>) -> Result<&Self, QueueError> {
        match &self.large {
            Some(large) if message::header_bytes(&outgoing.properties) > MAX_SMALL_HEADERS => {
                let opened = large.publisher.get_or_try_init(async || Self::open(&large.settings).await.map(Box::new));
                opened.await.map(|publisher| &**publisher).map_err(|error| outgoing.failed(chain(&error)))
            }
            Some(_) | None => Ok(self),
        }
    }

    /// Rests after a failure, and no longer after a success.
    pub(super) fn note(&self, result: &Result<(), QueueError>) {
        match result {
            Ok(()) => self.rest().note_success(),
            Err(QueueError::Stale) => {}
            Err(_) => self.rest().note_failure(),
        }
    }

    /// Waits for the right to use one channel more.
    pub(super) async fn slot(&self) -> Result<SemaphorePermit<'_>, QueueError> {
        self.slots.acquire().await.map_err(|_| QueueError::Closed)
    }

    async fn publish_until_settled(
        &self,
        outgoing: &Outgoing<'_>,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), QueueError> {
        let _slot = self.slot().await?;
        let mut schedule = Schedule::new();
        while is_wanted() {
            // A channel left half-way (an error, a time-out, a dropped future) is not put back: its next confirm would
            // belong to another message.
            let channel = match self.channel().await {
                Ok(channel) => channel,
                Err(error @ QueueError::Broker { .. }) => {
                    tracing::debug!(exchange = %outgoing.exchange, error = %chain(&error), "no channel to publish on");
                    schedule.pause().await;
                    continue;
                }
                Err(error) => return Err(error),
            };
            match flight::publish_alone(&channel, short(&outgoing.exchange), outgoing.ready()).await {
                Landing::Taken => {
                    self.put_back(channel);
                    return Ok(());
                }
                Landing::Refused(problem) => {
                    self.put_back(channel);
                    return Err(outgoing.failed(problem));
                }
                Landing::Cut(problem) => return Err(outgoing.failed(problem)),
                Landing::Lost => {
                    tracing::debug!(exchange = %outgoing.exchange, "publishing again after a lost connection");
                    schedule.pause().await;
                }
            }
        }
        Err(QueueError::Stale)
    }

    /// How long to wait for a confirm.
    pub(super) fn confirm_timeout(&self) -> Duration {
        self.confirm_timeout
    }

    /// Says that none came.
    pub(super) fn unconfirmed(&self) -> String {
        let hint = if self.link.is_usable() {
            ""
        } else {
            "; the broker cannot be reached, or holds publishers back (an alarm of memory or disk)"
        };
        format!("no confirm within {:?}{hint}", self.confirm_timeout)
    }

    /// Returns a channel that confirms and has nothing in flight.
    pub(super) async fn channel(&self) -> Result<Channel, QueueError> {
        while let Some(channel) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            if channel.status().connected() {
                return Ok(channel);
            }
        }
        let channel = self.link.channel().await?;
        channel
            .confirm_select(ConfirmSelectOptions::default())
            .await
            .map_err(|error| broker_error("confirm publishes", error))?;
        Ok(channel)
    }

    /// Gives a channel back whose confirms have all come; one that was closed is found out when it is taken.
    pub(super) fn put_back(&self, channel: Channel) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(channel);
    }

    /// Returns the connection, for what is published without a confirm.
    pub(super) fn link(&self) -> Arc<Link> {
        Arc::clone(&self.link)
    }

    /// Waits until messages can be published.
    pub(super) async fn usable(&self) {
        loop {
            self.link.usable().await;
            let Some(until) = self.resting_until() else { return };
            sleep_until(until).await;
        }
    }

    /// Says whether messages can be published now.
    pub(super) fn is_usable(&self) -> bool {
        self.link.is_usable() && self.resting_until().is_none()
    }

    fn resting_until(&self) -> Option<Instant> {
        self.rest().until.filter(|until| *until > Instant::now())
    }

    fn rest(&self) -> MutexGuard<'_, Rest> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) async fn close(&self) {
        if let Some(publisher) = self.large.as_ref().and_then(|large| large.publisher.get()) {
            publisher.link.close().await;
        }
        self.link.close().await;
    }
}

impl Outgoing<'_> {
    fn ready(&self) -> Ready<&[u8]> {
        Ready { routing_key: short(&self.routing_key), properties: self.properties.clone(), body: self.body }
    }

    /// The exchange without a name is told by the queue it routes to.
    fn failed(&self, problem: String) -> QueueError {
        let named = if self.exchange.is_empty() { &self.routing_key } else { &self.exchange };
        QueueError::Publish { exchange: named.clone(), problem }
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("is_usable", &self.is_usable()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn failures_together_are_one_rest_and_a_success_ends_it() {
        let mut rest = Rest { schedule: Schedule::new(), until: None };
        rest.note_failure();
        let first = rest.until.unwrap();
        (0..100).for_each(|_| rest.note_failure());
        assert_eq!(rest.until, Some(first));
        for _ in 0..20 {
            sleep_until(rest.until.unwrap()).await;
            rest.note_failure();
        }
        let long = rest.until.unwrap() - Instant::now();
        assert!(long >= Duration::from_secs(4), "{long:?}");
        rest.note_success();
        assert_eq!(rest.until, None);
        rest.note_failure();
        assert!(rest.until.unwrap() - Instant::now() < Duration::from_secs(1));
    }
}
