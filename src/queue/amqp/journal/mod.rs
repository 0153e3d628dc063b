//! The outcome journal: a stream that says which outcome of an item came first, so that no item ever has two.
//!
//! The queues alone cannot promise that. One message may be worked twice (redelivered after a crash, put back to wait by
//! a worker that died before its ack, enqueued twice by a producer), and be judged otherwise the second time: a deadline
//! passed meanwhile, the attempts ran out, the item is off sale by now. So an outcome is *claimed* before anyone is told:
//! it is written to the stream, and read back. A stream has one order for all who read it. **The first entry of an item
//! (its id, in one round of replays) is its outcome**; whoever finds another's entry before its own tells that one
//! instead. A claim is a decision, too: what has a claim is told in the end, by whichever copy of its message comes next.
//!
//! # Closed by this
//! - A crash at any moment between the gateway's answer and the ack: the copy that comes again finds the claim, makes no
//!   call, and tells the same outcome once more (same `message_id`). Without a claim nobody was told anything.
//! - Two live copies at the same time, on whatever workers, however late a publish of one of them arrives: both claims
//!   are in the stream, in the same order for everyone.
//! - A broker that dies between the journal and the result queue: the journal is first, and what is not acked is told
//!   again. The reverse, told and not in the journal, cannot be.
//! - A dead letter is published only for an item whose claim says `dead`, and the journal notes that its letter lies in
//!   the queue, so that the copy that comes again adds no second one.
//!
//! # Left open
//! - What the stream no longer holds (seven days, 1 GB) or the index has forgotten (a million outcomes later):
//!   a copy that turns up after that is worked as if it were new.
//! - A stream does not sync each write to the disk (rabbitmq.com/docs/streams, "Data Safety"): a confirmed entry survives
//!   a killed broker, and a power cut as long as not all replicas lose power within the same moment.
//! - Outcomes of workers that know no journal, while both kinds are at work.
//! - A letter whose note was lost in a crash right after it: it may lie in its queue twice.
//!
//! # In the stream
//! Entries by their `type`: `takedown.journal.claims.v1` holds claims, the body of an outcome a line, and their order is
//! that of the lines; `takedown.outcome.v1` is a claim by itself, as workers wrote it that knew no other kind (they pass
//! over claims that travel together: stop them before the first of these starts); `takedown.journal.letter.v1` the note of
//! a letter, and `takedown.journal.mark.v1` a reader's mark, both without a body.
//! Consumers read the result exchange; in here are outcomes nobody was told. The stream is bound to an exchange of
//! its own name and to no other; writing by the default exchange would want the right to write to any queue.

mod group;
mod index;
mod reader;
mod standing;

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use lapin::BasicProperties;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, timeout};

use crate::domain::classify::Redelivery;
use crate::domain::outcome::FinalOutcome;
use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::journal::group::{Claim, Group};
use crate::queue::amqp::journal::index::{Entry, Index, Key};
use crate::queue::amqp::journal::standing::Standing;
use crate::queue::amqp::message::{self, short, stream_offset};
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::stream;

pub(super) use crate::queue::amqp::journal::reader::Reader;

const MARK_TYPE: &str = "takedown.journal.mark.v1";
const LETTER_TYPE: &str = "takedown.journal.letter.v1";

/// Longest wait for one entry the broker has.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);

/// The journal of one worker's queue.
pub(super) struct Journal {
    /// The one to consume: an alarm of the broker does not hold it back.
    link: Arc<Link>,
    publisher: Arc<Publisher>,
    stream: String,
    /// Longest wait for the journal to be read up to what was asked.
    patience: Duration,
    state: Mutex<State>,
    standing: Standing,
    /// Somebody claims.
    newcomers: Notify,
    barrier: Barrier,
}

#[derive(Default)]
struct State {
    index: Index,
    /// Where reading goes on; `None` at the first entry there is.
    next: Option<u64>,
    /// Claims that no entry holds yet.
    gathered: VecDeque<Claim>,
    /// Entries on their way.
    sent: Vec<Group>,
    /// Who waits for the first claim of an item, or for what kept it out.
    claims: HashMap<Key, Vec<oneshot::Sender<Result<Bytes, String>>>>,
    marks: HashMap<String, oneshot::Sender<()>>,
}

/// Counts barriers, so that one serves everybody who asked before it began.
#[derive(Default)]
struct Barrier {
    begun: Mutex<u64>,
    /// The last one that was read back.
    passed: tokio::sync::Mutex<u64>,
}

/// The outcome an item has.
#[derive(Debug)]
pub(super) struct First<'a> {
    pub(super) outcome: Cow<'a, FinalOutcome>,
    /// The outcome as it is told.
    pub(super) body: Bytes,
    /// Whether it was in the journal before one asked or claimed.
    pub(super) is_earlier: bool,
    /// Whether its dead letter is known to lie in its queue.
    pub(super) has_letter: bool,
}

impl Journal {
    pub(super) fn new(link: Arc<Link>, publisher: Arc<Publisher>, stream: String, patience: Duration) -> Self {
        Self {
            link,
            publisher,
            stream,
            patience,
            state: Mutex::default(),
            standing: Standing::new(),
            newcomers: Notify::new(),
            barrier: Barrier::default(),
        }
    }

    /// Waits until the journal is read up to its end, and kept so.
    pub(super) async fn read(&self) {
        self.standing.read().await;
    }

    /// Says whether the journal is read up to its end.
    pub(super) fn is_read(&self) -> bool {
        self.standing.is_read()
    }

    /// Finds the outcome an item has. For a message that comes again everything is read first that was confirmed to
    /// anyone before this call; for another, what was read so far has to do, since its own claim will tell the rest. A
    /// journal that cannot be asked is asked again as long as patience lasts.
    ///
    /// # Errors
    /// [`QueueError::Publish`] and [`QueueError::Broker`] when the journal cannot be asked.
    pub(super) async fn told(
        &self,
        id: &str,
        replays: u32,
        redelivery: Redelivery,
    ) -> Result<Option<First<'static>>, QueueError> {
        let (key, until, mut schedule) = (Key::new(id, replays), Instant::now() + self.patience, Schedule::new());
        loop {
            match self.ask(key, redelivery).await {
                Err(QueueError::Publish { .. } | QueueError::Broker { .. }) if Instant::now() < until => {
                    // Handed back at once, it would be here again at once, and charged for it by the broker.
                    schedule.pause().await;
                }
                asked => return asked,
            }
        }
    }

    async fn ask(&self, key: Key, redelivery: Redelivery) -> Result<Option<First<'static>>, QueueError> {
        // In a box, as is what is read back: few messages need either, and all would carry the kilobytes.
        if redelivery == Redelivery::Again || !self.is_read() {
            Box::pin(self.catch_up(redelivery)).await?;
        }
        self.recall(key, &mut None).await
    }

    async fn catch_up(&self, redelivery: Redelivery) -> Result<(), QueueError> {
        timeout(self.patience, self.read()).await.map_err(|_| self.unread())?;
        if redelivery == Redelivery::Again { self.barrier().await } else { Ok(()) }
    }

    /// Claims an outcome for its item, and returns the one the item has.
    ///
    /// # Errors
    /// [`QueueError::Publish`] when the claim was not confirmed or not read back, [`QueueError::Stale`] when it is no
    /// longer wanted, [`QueueError::Broker`] when an earlier one could not be read. A claim may be in the journal all the
    /// same; the message that comes again will find it.
    pub(super) async fn claim<'a>(
        &self,
        outcome: &'a FinalOutcome,
        is_wanted: impl Fn() -> bool,
    ) -> Result<First<'a>, QueueError> {
        let (key, body) = (Key::new(&outcome.id, outcome.replays), Bytes::from(outcome.encode()));
        let mut looked_at = None;
        let told = loop {
            if !is_wanted() {
                return Err(QueueError::Stale);
            }
            if let Some(told) = self.gather(Claim { key, body: body.clone() }, looked_at) {
                break told;
            }
            if let Some(first) = self.recall(key, &mut looked_at).await? {
                return Ok(first);
            }
        };
        // Once to be confirmed, and once to be read back.
        let first = match timeout(2 * self.patience, told).await {
            Ok(Ok(Ok(first))) => first,
            Ok(Ok(Err(problem))) => return Err(QueueError::Publish { exchange: self.stream.clone(), problem }),
            Ok(Err(_)) | Err(_) => {
                self.lock().tidy();
                return Err(self.doubt());
            }
        };
        if first == body {
            return Ok(First { outcome: Cow::Borrowed(outcome), body, is_earlier: false, has_letter: false });
        }
        let outcome = FinalOutcome::decode(&first).expect("invariant: what is told was encoded or decoded here");
        Ok(First { outcome: Cow::Owned(outcome), body: first, is_earlier: true, has_letter: false })
    }

    /// Notes that the dead letter of an item lies in its queue.
    ///
    /// # Errors
    /// [`QueueError::Publish`] and [`QueueError::Stale`]; the letter may then come twice.
    pub(super) async fn note_letter(
        &self,
        outcome: &FinalOutcome,
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), QueueError> {
        let properties = message::raw().with_type(short(LETTER_TYPE)).with_message_id(short(&outcome.outcome_id()));
        self.write(properties, b"", is_wanted).await
    }

    /// Reads the first entry of an item back, of those after the last that was looked at. One the stream no longer holds
    /// is forgotten; one of another item, or that is no outcome, stands.
    async fn recall(&self, key: Key, looked_at: &mut Option<u64>) -> Result<Option<First<'static>>, QueueError> {
        loop {
            let Some(entry) = self.lock().index.find(key, *looked_at) else { return Ok(None) };
            match Box::pin(self.read_at(entry)).await? {
                None => self.lock().index.forget(key, entry.offset),
                Some(body) => {
                    if let Some((outcome, body)) = group::find(&body, key) {
                        let outcome = Cow::Owned(outcome);
                        return Ok(Some(First { outcome, body, is_earlier: true, has_letter: entry.has_letter }));
                    }
                }
            }
            *looked_at = Some(entry.offset);
        }
    }

    async fn read_at(&self, entry: Entry) -> Result<Option<Vec<u8>>, QueueError> {
        let read = async {
            let channel = self.link.channel().await?;
            let mut consumer = stream::subscribe(&channel, &self.stream, 1, Some(entry.offset)).await?;
            match consumer.next().await {
                Some(Ok(found)) if stream_offset(&found.properties) == Some(entry.offset) => Ok(Some(found.data)),
                Some(Ok(_)) => Ok(None),
                Some(Err(error)) => Err(broker_error(format!("read {}", self.stream), error)),
                None => Err(QueueError::Stale),
            }
        };
        match timeout(REPLY_TIMEOUT, read).await {
            Ok(read) => read,
            Err(late) => Err(broker_error(format!("read {}", self.stream), late)),
        }
    }

    /// Waits until everything is read that is in the stream at this moment.
    async fn barrier(&self) -> Result<(), QueueError> {
        // The next to begin is the first that is certainly behind what the caller wants to see.
        let wanted = *self.barrier.begun() + 1;
        let passed = timeout(self.patience, self.barrier.passed.lock()).await;
        let mut passed = passed.map_err(|_| self.unread())?;
        if *passed >= wanted {
            return Ok(());
        }
        let number = {
            let mut begun = self.barrier.begun();
            *begun += 1;
            *begun
        };
        let (mark, seen) = self.mark();
        self.write_mark(&mark).await?;
        match timeout(self.patience, seen).await {
            Ok(Ok(())) => {}
            Ok(Err(_)) | Err(_) => return Err(self.doubt()),
        }
        *passed = number;
        Ok(())
    }

    /// Prepares a mark, and says when it will have been read.
    fn mark(&self) -> (String, oneshot::Receiver<()>) {
        let (sender, seen) = oneshot::channel();
        let mark = stream::new_id();
        let mut state = self.lock();
        state.tidy();
        state.marks.insert(mark.clone(), sender);
        (mark, seen)
    }

    async fn write_mark(&self, mark: &str) -> Result<(), QueueError> {
        let properties = message::raw().with_type(short(MARK_TYPE)).with_message_id(short(mark));
        self.write(properties, b"", || true).await
    }

    /// Publishes to the stream.
    async fn write(
        &self,
        properties: BasicProperties,
        body: &[u8],
        is_wanted: impl Fn() -> bool,
    ) -> Result<(), QueueError> {
        let outgoing = Outgoing { exchange: self.stream.clone(), routing_key: String::new(), properties, body };
        self.publisher.publish(&outgoing, is_wanted).await
    }

    /// Claims, and says what the first claim of the item is once it is read; `None` if there is an entry that may be it,
    /// after those that were looked at.
    fn gather(&self, claim: Claim, looked_at: Option<u64>) -> Option<oneshot::Receiver<Result<Bytes, String>>> {
        let mut state = self.lock();
        if state.index.find(claim.key, looked_at).is_some() {
            return None;
        }
        let (sender, told) = oneshot::channel();
        state.claims.entry(claim.key).or_default().push(sender);
        state.gathered.push_back(claim);
        self.newcomers.notify_one();
        Some(told)
    }

    fn unread(&self) -> QueueError {
        let problem = format!("what is in it was not read within {:?}", self.patience);
        QueueError::Publish { exchange: self.stream.clone(), problem }
    }

    /// What was confirmed and does not come back in time puts the reader in doubt: it begins anew.
    fn doubt(&self) -> QueueError {
        self.standing.doubt();
        self.unread()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Drops what nobody waits for any more.
    fn tidy(&mut self) {
        self.marks.retain(|_, sender| !sender.is_closed());
        self.claims.retain(|_, senders| {
            senders.retain(|sender| !sender.is_closed());
            !senders.is_empty()
        });
        self.sent.retain(|group| group.claims.iter().any(|claim| self.claims.contains_key(&claim.key)));
    }
}

impl Barrier {
    fn begun(&self) -> MutexGuard<'_, u64> {
        self.begun.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
