//! Following the two streams that desks live on, outcomes and notices, each from where one left off.
//!
//! Promise: what is handed out was written, in this order, and nothing between two entries is left out. A stream that was
//! deleted and made anew counts its entries from 0 again, and one that was cut short begins later; so a reader does not
//! trust a number alone: it reads its last entry once more, and where that is not found it begins at the first entry
//! there is. Whoever counts has to drop repeats by the outcomes' ids.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use tokio::time::timeout;

use crate::domain::cause::chain;
use crate::domain::notice::Notice;
use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::Link;
use crate::queue::amqp::desk_log::NOTICE_TYPE;
use crate::queue::amqp::message::{self, OUTCOME_TYPE, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::stream::{self, Entry, Stream};
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::work_queue::WorkQueue;

/// `type` of the entry by which a reader finds the end of a stream; it has no body.
pub(super) const MARK_TYPE: &str = "takedown.desk.mark.v1";

/// Most entries handed out together.
const TOGETHER: usize = 1000;

/// Longest wait for an entry that is in the stream.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The last entry of a stream that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Where it lies.
    pub offset: u64,
    /// Its `message_id`.
    pub id: String,
}

/// Which stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// `takedown.results.log`: every outcome of the last seven days, at most 1 GB.
    Outcomes,
    /// `takedown.desk`: the operators' log.
    Notices,
}

/// One entry of either stream.
#[derive(Debug)]
pub enum Told {
    /// An outcome.
    Outcome(Box<FinalOutcome>),
    /// A notice, and the id of its entry.
    Notice(String, Box<Notice>),
    /// A mark that [`Streams::mark`] wrote.
    Mark(String),
}

/// The way to a broker's two streams.
pub struct Streams {
    link: Arc<Link>,
    publisher: Arc<Publisher>,
    names: Names,
}

/// A reader of one stream.
pub struct Tail {
    stream: Stream,
    name: String,
    /// Read again, and not to be handed out, if it is the one expected.
    waiting: Option<Entry>,
    place: Option<Place>,
}

impl Streams {
    /// Connects, and declares the streams where they are missing.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] where one exists otherwise.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Arc::new(Link::open(settings, "desk").await?);
        Topology::new::<WorkQueue>(settings, []).apply_over(&link).await?;
        let publisher = Arc::new(Publisher::open(settings).await?);
        Ok(Self::over(link, publisher, Names::new(settings)))
    }

    /// Says whether the broker is there.
    pub(super) fn is_connected(&self) -> bool {
        self.link.is_connected()
    }

    /// Goes by connections that somebody else closes.
    pub(super) fn over(link: Arc<Link>, publisher: Arc<Publisher>, names: Names) -> Self {
        Self { link, publisher, names }
    }

    /// Reads a stream from after an entry on, or from its first.
    ///
    /// # Errors
    /// [`QueueError::Broker`] and [`QueueError::Closed`].
    pub async fn open(&self, log: Log, after: Option<Place>) -> Result<Tail, QueueError> {
        let name = self.name(log);
        if let Some(place) = after {
            let mut stream = Stream::open(&self.link, &name, Some(place.offset)).await?;
            match timeout(REPLY_TIMEOUT, stream.next()).await {
                Ok(Ok(entry)) if entry.offset == place.offset && entry.id() == place.id => {
                    return Ok(Tail { stream, name, waiting: None, place: Some(place) });
                }
                Ok(Err(error)) => return Err(error),
                Ok(Ok(_)) | Err(_) => {
                    tracing::warn!(stream = %name, "what was read last is not there any more: all is read again");
                }
            }
        }
        let stream = Stream::open(&self.link, &name, None).await?;
        Ok(Tail { stream, name, waiting: None, place: None })
    }

    /// Writes a mark at the end of a stream; a tail that hands it out has handed out all before it.
    ///
    /// # Errors
    /// [`QueueError::Publish`], also where this login may not write there.
    pub async fn mark(&self, log: Log, mark: &str) -> Result<(), QueueError> {
        let properties = message::raw().with_type(short(MARK_TYPE)).with_message_id(short(mark));
        let outgoing = Outgoing { exchange: self.name(log), routing_key: String::new(), properties, body: b"" };
        self.publisher.publish(&outgoing, || true).await
    }

    /// Closes the connections in order; dropping does it in the background.
    pub async fn close(&self) {
        self.link.close().await;
        self.publisher.close().await;
    }

    pub(super) fn link(&self) -> &Link {
        &self.link
    }

    pub(super) fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    fn name(&self, log: Log) -> String {
        match log {
            Log::Outcomes => self.names.results_log(),
            Log::Notices => self.names.desk(),
        }
    }
}

/// Draws a mark nobody else writes.
#[must_use]
pub fn new_mark() -> String {
    stream::new_id()
}

impl Tail {
    /// Waits for entries; hands out all that are there, at most a thousand.
    ///
    /// # Errors
    /// [`QueueError::Broker`] and [`QueueError::Stale`]; the reading is over, and another tail goes on.
    ///
    /// # Cancel safety
    /// Safe: no entry is lost.
    pub async fn next(&mut self) -> Result<Vec<Told>, QueueError> {
        if self.waiting.is_none() {
            self.waiting = Some(self.stream.next().await?);
        }
        let mut told = Vec::new();
        while told.len() < TOGETHER
            && let Some(entry) = self.waiting.take()
        {
            self.place = Some(Place { offset: entry.offset, id: entry.id().to_owned() });
            told.extend(self.read(entry));
            // What is not there yet is for the next call; an error is, too.
            self.waiting = self.stream.next().now_or_never().and_then(Result::ok);
        }
        Ok(told)
    }

    /// Returns the last entry handed out: where another tail goes on.
    #[must_use]
    pub fn place(&self) -> Option<&Place> {
        self.place.as_ref()
    }

    /// Anyone may write to a queue: what is none of ours is passed over.
    fn read(&self, entry: Entry) -> Option<Told> {
        let problem = match entry.kind() {
            OUTCOME_TYPE => match FinalOutcome::decode(&entry.data) {
                Ok(outcome) => return Some(Told::Outcome(Box::new(outcome))),
                Err(error) => error.to_string(),
            },
            NOTICE_TYPE => match Notice::decode(&entry.data) {
                Ok(notice) => return Some(Told::Notice(entry.id().to_owned(), Box::new(notice))),
                Err(error) => chain(&error),
            },
            MARK_TYPE => return Some(Told::Mark(entry.id().to_owned())),
            _ => "its type is none of the stream's".to_owned(),
        };
        tracing::warn!(stream = %self.name, offset = entry.offset, problem, "an entry is passed over");
        None
    }
}
