//! The task that reads the journal into the index, from its first entry on, and then keeps up with it.
//!
//! Promise: entries count in the order of the stream, none is left out, and one that is no claim counts for nothing.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::Channel;
use lapin::message::Delivery;
use lapin::options::BasicAckOptions;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::domain::cause::chain;
use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::connection::broker_error;
use crate::queue::amqp::journal::group::{self, CLAIMS_TYPE};
use crate::queue::amqp::journal::index::Key;
use crate::queue::amqp::journal::{Journal, LETTER_TYPE, MARK_TYPE, State};
use crate::queue::amqp::message::{OUTCOME_TYPE, stream_offset};
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::stream;
use crate::queue::amqp::topology::Topology;

/// Entries handed out ahead, 4 MB of full groups; acks are what a stream takes for leave to send more.
const PREFETCH: u16 = 128;

/// Entries to an ack.
const ACK_EVERY: u16 = 50;

/// How often what was read in between is acked, and the reading looked after: well below any `consumer_timeout`.
const TICK: Duration = Duration::from_millis(250);

/// How long a confirmed mark may stay out while nothing else comes either.
const QUIET: Duration = Duration::from_secs(10);

/// Entries that are none, told in a session.
const MAX_ODDITIES: u32 = 10;

/// Reads the journal until it is dropped.
pub(in crate::queue::amqp) struct Reader {
    pub(in crate::queue::amqp) journal: Arc<Journal>,
    /// What holds the stream.
    pub(in crate::queue::amqp) topology: Topology,
}

/// Where the next session begins.
enum End {
    /// Where this one ended.
    Cut(QueueError),
    /// At the first entry: the stream may be another now, or have lost its last entries with a broker's disk.
    Doubtful(&'static str),
}

impl From<QueueError> for End {
    fn from(error: QueueError) -> Self {
        Self::Cut(error)
    }
}

impl Reader {
    /// Reads session after session; returns once the connection is closed for good.
    pub(in crate::queue::amqp) async fn run(self) {
        let mut schedule = Schedule::new();
        loop {
            let began = Instant::now();
            let end = self.session().await;
            self.journal.standing.begin();
            let cause = match end {
                End::Cut(QueueError::Closed) => return,
                End::Cut(error) => chain(&error),
                End::Doubtful(cause) => {
                    self.journal.lock().begin_anew();
                    cause.to_owned()
                }
            };
            tracing::warn!(
                stream = %self.journal.stream,
                cause,
                "the journal cannot be read, and no message is taken until it can; `takedown topology check` looks at it"
            );
            schedule.note_uptime(began.elapsed());
            schedule.pause().await;
        }
    }

    async fn session(&self) -> End {
        match self.read().await {
            Ok(never) => match never {},
            Err(end) => end,
        }
    }

    async fn read(&self) -> Result<std::convert::Infallible, End> {
        let journal = &*self.journal;
        self.topology.apply_over(&journal.link).await?;
        let channel = journal.link.channel().await?;
        let from = journal.lock().next;
        let mut consumer = stream::subscribe(&channel, &journal.stream, PREFETCH, from).await?;
        // Once this mark is read, everything before it is.
        let (mark, mut seen) = journal.mark();
        let mut marking = pin!(journal.write_mark(&mark));
        let mut doubted = pin!(journal.standing.doubted());
        let (began, mut quiet_since) = (Instant::now(), None);
        let (mut is_read, mut oddities) = (false, 0);
        let mut acks = Acks { channel: &channel, last: 0, count: 0, stream: &journal.stream };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                marked = &mut marking, if quiet_since.is_none() => {
                    marked?;
                    quiet_since = Some(Instant::now());
                }
                result = &mut seen, if !is_read => {
                    result.map_err(|_| QueueError::Stale)?;
                    is_read = true;
                    journal.standing.note_read();
                    let (outcomes, took) = (journal.lock().index.len(), began.elapsed());
                    tracing::info!(stream = %journal.stream, outcomes, ?took, "the journal is read");
                }
                item = consumer.next() => match item {
                    Some(Ok(entry)) => {
                        quiet_since = quiet_since.map(|_| Instant::now());
                        acks.count_in(&entry).await?;
                        journal.take(&entry, &mut oddities);
                    }
                    Some(Err(error)) => return Err(broker_error(format!("read {}", journal.stream), error).into()),
                    None => return Err(End::Doubtful("the stream was deleted")),
                },
                _ = tick.tick() => {
                    acks.send().await?;
                    if !is_read && quiet_since.is_some_and(|since| since.elapsed() >= QUIET) {
                        return Err(End::Doubtful("what was written to the stream did not come out of it"));
                    }
                }
                () = &mut doubted => {
                    return Err(End::Doubtful("what was written to the stream did not come out of it in time"));
                }
            }
        }
    }
}

/// Acks many entries at once. Left unacked they would be taken for a stuck consumer's, and the channel closed
/// (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").
struct Acks<'a> {
    channel: &'a Channel,
    stream: &'a str,
    last: u64,
    count: u16,
}

impl Acks<'_> {
    async fn count_in(&mut self, entry: &Delivery) -> Result<(), QueueError> {
        (self.last, self.count) = (entry.delivery_tag, self.count + 1);
        if self.count >= ACK_EVERY { self.send().await } else { Ok(()) }
    }

    async fn send(&mut self) -> Result<(), QueueError> {
        if std::mem::take(&mut self.count) == 0 {
            return Ok(());
        }
        let acked = self.channel.basic_ack(self.last, BasicAckOptions { multiple: true }).await;
        acked.map_err(|error| broker_error(format!("read {}", self.stream), error))
    }
}

impl Journal {
    /// Takes one entry in. Anyone may write to a queue: what is none of ours is passed over.
    fn take(&self, entry: &Delivery, oddities: &mut u32) {
        let properties = &entry.properties;
        let kind = properties.kind().as_ref().map_or("", |kind| kind.as_str());
        let id = properties.message_id().as_ref().map_or("", |id| id.as_str());
        let Some(offset) = stream_offset(properties) else {
            return self.pass_over(None, "it has no offset", oddities);
        };
        let mut state = self.lock();
        state.next = Some(offset + 1);
        match kind {
            CLAIMS_TYPE | OUTCOME_TYPE => match state.take_sent(id) {
                Some(claims) => {
                    for claim in claims {
                        state.index.note(claim.key, offset);
                        state.tell(claim.key, &claim.body);
                    }
                }
                None => {
                    for line in group::lines(&entry.data) {
                        match line {
                            Ok((key, line)) => state.take_line(key, line, offset),
                            Err(error) => self.pass_over(Some(offset), &error.to_string(), oddities),
                        }
                    }
                }
            },
            // A mark of another reader is none of this one's.
            MARK_TYPE => {
                if state.marks.remove(id).is_some_and(|sender| sender.send(()).is_err()) {
                    tracing::debug!(stream = %self.stream, "nobody waits for a mark any more");
                }
            }
            LETTER_TYPE => match Key::of_outcome_id(id) {
                Some(key) => state.index.note_letter(key),
                None => self.pass_over(Some(offset), "its message_id is no outcome's", oddities),
            },
            _ => self.pass_over(Some(offset), "its type is none of the journal's", oddities),
        }
    }

    fn pass_over(&self, offset: Option<u64>, problem: &str, oddities: &mut u32) {
        *oddities += 1;
        if *oddities <= MAX_ODDITIES {
            tracing::warn!(stream = %self.stream, offset, problem, "an entry of the journal is passed over");
        }
    }
}

impl State {
    /// Takes in what another claims. It is told only to those who claim the same, and only if it is an outcome.
    pub(super) fn take_line(&mut self, key: Key, line: &[u8], offset: u64) {
        self.index.note(key, offset);
        if self.claims.contains_key(&key) && FinalOutcome::decode(line).is_ok() {
            self.tell(key, &Bytes::copy_from_slice(line));
        }
    }

    /// Tells the first claim of an item to who waits for it: nobody waits for an item that had one already.
    fn tell(&mut self, key: Key, body: &Bytes) {
        for sender in self.claims.remove(&key).into_iter().flatten() {
            // Whoever gave up waiting finds it by the index.
            drop(sender.send(Ok(body.clone())));
        }
    }

    /// Forgets what was read. What is on its way stays, for those who wait for it.
    pub(super) fn begin_anew(&mut self) {
        (self.index, self.next) = Default::default();
        self.tidy();
    }
}
