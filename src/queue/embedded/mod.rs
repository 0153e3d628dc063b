//! The embedded adapter: one SQLite file, one process, the same promises as the broker.
//!
//! What `takedown run` and `takedown demo` live on: a moderation desk without a broker, resumable after `kill -9`.
//! Every change is one transaction on one writer thread, synced before it is answered (see `store` for what a power cut
//! leaves). Delays are exact, high priority comes first, then the order of falling due. One process holds the file; a
//! second is refused and told who has it.

mod batch;
mod cancel;
mod claim;
mod clock;
mod dead_letters;
mod desk;
mod desk_log;
mod desks;
mod fault;
mod inbox;
mod lock;
mod log;
mod place;
mod row;
#[cfg(test)]
mod scheduled;
mod settle;
mod store;
mod threads;
mod writer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use rusqlite::{Connection, params};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub(crate) use self::claim::Lease;
use self::claim::give_back;
use self::clock::Clock;
use self::desk::Next;
use self::desks::Desks;
use self::place::Missing;
use self::settle::{Change, Ended};
use self::store::Store;
use self::writer::Writer;
use crate::domain::ids::AccountId;
use crate::domain::notice::Notice;
use crate::domain::notice::ledger::Ledger;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::domain::takedown::{Priority, Takedown};
use crate::queue::{Delivery, Enqueued, Intake, Queue, QueueError, Receipt, Settled};

/// Takedowns in one transaction of [`Intake::enqueue`], so that a long list does not hold up the settlements.
const ENQUEUE: usize = 1000;

/// How much of what the file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting, now or for their time.
    pub waiting: u64,
    /// Handed out and not settled.
    pub in_hand: u64,
    /// Outcomes written.
    pub outcomes: u64,
    /// Dead letters.
    pub dead: u64,
}

/// A queue in one SQLite file, for one process. Cheap to clone; the last one dropped releases the lock file.
#[derive(Debug, Clone)]
pub struct EmbeddedQueue {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    store: Store,
    desks: Arc<Desks>,
    clock: Clock,
    /// Number of the next claim; no two claims of one opening share one.
    leases: AtomicI64,
    stopped: CancellationToken,
    ledger: watch::Sender<Arc<Ledger>>,
}

impl Inner {
    fn next_lease(&self) -> i64 {
        self.leases.fetch_add(1, Ordering::Relaxed)
    }
}

impl EmbeddedQueue {
    /// Opens or creates the file; what was in hand when the last process died waits again, marked as redelivered.
    ///
    /// Blocks while the file is checked, some 0.25 s for 100,000 messages.
    ///
    /// # Errors
    /// [`QueueError::File`] when another process holds it, it is no queue file, or is damaged; with the remedy.
    pub fn open(path: &Path) -> Result<Self, QueueError> {
        Self::start(path, Missing::Create)
    }

    /// As [`EmbeddedQueue::open`], but refuses a file that does not exist: for commands that look into a queue.
    ///
    /// # Errors
    /// As [`EmbeddedQueue::open`].
    pub fn open_existing(path: &Path) -> Result<Self, QueueError> {
        Self::start(path, Missing::Refuse)
    }

    /// Takes a notice in that was committed.
    fn learn(&self, notice: &Notice) {
        self.inner.ledger.send_modify(|ledger| Arc::make_mut(ledger).take(notice));
    }

    fn writer(&self) -> &Writer {
        self.inner.store.writer()
    }

    fn start(path: &Path, missing: Missing) -> Result<Self, QueueError> {
        let clock = Clock::start();
        let (store, notices) = Store::open(path, missing, clock.now())?;
        let inner = Inner {
            store,
            desks: Arc::default(),
            clock,
            leases: AtomicI64::new(1),
            stopped: CancellationToken::new(),
            ledger: watch::Sender::new(Arc::new(Ledger::of(&notices))),
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Puts one raw message under an account, as a producer on a broker could; an id already held is no hindrance.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn put_raw(
        &self,
        account: &AccountId,
        message_id: Option<&str>,
        body: Vec<u8>,
    ) -> Result<(), QueueError> {
        let message = NewMessage {
            account: account.clone(),
            message_id: message_id.map(ToOwned::to_owned),
            priority: Priority::Normal,
            body,
        };
        let (now, desk) = (self.inner.clock.now(), self.inner.desks.of(account));
        let put = move |db: &Connection| message.insert(db, now);
        self.inner.store.writer().call_then("written", put, move |_| desk.note(Priority::Normal, now)).await
    }

    /// Counts what the file holds.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn counts(&self) -> Result<Counts, QueueError> {
        let sql = "SELECT (SELECT COUNT(*) FROM message WHERE lease IS NULL),
                (SELECT COUNT(*) FROM message WHERE lease IS NOT NULL),
                (SELECT COALESCE(MAX(seq), 0) FROM outcome),
                (SELECT COUNT(*) FROM dead_letter)";
        let read = |db: &Connection| {
            db.query_row(sql, [], |row| {
                let number = |column| row.get(column).map(i64::unsigned_abs);
                Ok([number(0)?, number(1)?, number(2)?, number(3)?])
            })
        };
        let [waiting, claimed, outcomes, dead] = self.inner.store.writer().call("read", read).await?;
        // What lies on a desk is claimed in the file, and waiting to everyone else.
        let untouched = self.inner.desks.untouched().min(claimed);
        Ok(Counts { waiting: waiting + untouched, in_hand: claimed - untouched, outcomes, dead })
    }

    /// Says whether nothing waits and nothing is in hand; costs the same however much does.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn is_empty(&self) -> Result<bool, QueueError> {
        let read = |db: &Connection| db.query_row("SELECT NOT EXISTS (SELECT 1 FROM message)", [], |row| row.get(0));
        self.inner.store.writer().call("read", read).await
    }

    /// Returns the accounts that have messages here, in the order of their names.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn accounts(&self) -> Result<Vec<String>, QueueError> {
        // From name to name by the index, not from row to row.
        let sql = "WITH RECURSIVE waiting (account) AS (
                 SELECT MIN(account) FROM message WHERE lease IS NULL
                 UNION ALL
                 SELECT (SELECT MIN(account) FROM message WHERE lease IS NULL AND account > waiting.account)
                 FROM waiting WHERE account IS NOT NULL)
             SELECT account FROM waiting WHERE account IS NOT NULL
             UNION SELECT account FROM message WHERE lease IS NOT NULL ORDER BY account";
        let read = move |db: &Connection| {
            let mut statement = db.prepare(sql)?;
            let accounts = statement.query_map([], |row| row.get(0))?;
            accounts.collect()
        };
        self.inner.store.writer().call("read", read).await
    }

    /// Reads outcomes in the order they were written, from after `after` (0 for the first), at most `limit`.
    ///
    /// # Errors
    /// [`QueueError::Database`].
    pub async fn outcomes(&self, after: i64, limit: usize) -> Result<Vec<(i64, FinalOutcome)>, QueueError> {
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let read = move |db: &Connection| {
            let mut statement =
                db.prepare_cached("SELECT seq, body FROM outcome WHERE seq > ?1 ORDER BY seq LIMIT ?2")?;
            let rows = statement.query_map(params![after, limit], |row| {
                let body: Vec<u8> = row.get(1)?;
                Ok((row.get(0)?, FinalOutcome::decode(&body).map_err(|e| row::unreadable(e.into()))?))
            })?;
            rows.collect()
        };
        self.inner.store.writer().call("read", read).await
    }
}

impl Queue for EmbeddedQueue {
    async fn next(&self, account: &AccountId) -> Result<Option<Delivery>, QueueError> {
        let inner = &self.inner;
        let desk = inner.desks.of(account);
        let _turn = desk.turn.lock().await;
        loop {
            if inner.stopped.is_cancelled() {
                return Ok(None);
            }
            let writer = inner.store.writer();
            desk.free_stuck(writer).await?;
            let now = inner.clock.now();
            if desk.runs_low(now) {
                desk.claim_ahead(writer, inner.next_lease(), now)?;
            }
            let due = match desk.next(now) {
                Next::Row(row) => return Ok(Some(row.hand_out(&desk, writer))),
                Next::Claim => {
                    desk.claim(writer, inner.next_lease(), now).await?;
                    continue;
                }
                Next::Wait(due) => due,
            };
            tokio::select! {
                () = inner.stopped.cancelled() => {}
                () = desk.changed.notified() => {}
                () = inner.clock.reached(due) => {}
            }
        }
    }

    async fn settle(&self, delivery: Delivery, settlement: Settlement) -> Result<Settled, QueueError> {
        let Delivery { body: _, envelope, told_in: _, receipt } = delivery;
        let lease = match receipt {
            Receipt::Embedded(lease) if self.inner.desks.has(&lease.desk) => lease,
            Receipt::Embedded(_) | Receipt::Amqp(_) => return Err(QueueError::Stale),
        };
        let change = Change::new(&envelope, settlement, &self.inner.clock, lease.received);
        let (held, desk, waits_until) = (lease.held, Arc::clone(&lease.desk), change.waits_until());
        let priority = lease.priority;
        let apply = move |db: &Connection| {
            let ended = change.apply(db, held);
            fault_point!(Committing);
            ended
        };
        let wake = move |ended| {
            fault_point!(Committed);
            if let Some(due_at) = waits_until {
                desk.note(priority, due_at);
            }
            ended
        };
        // Dropped on an error or half-way, the lease puts the row back, unless the transaction has ended it after all.
        match self.inner.store.writer().call_then("written", apply, wake).await? {
            Ended::Held => {
                lease.settled();
                Ok(Settled::AsAsked)
            }
            Ended::Stale => Err(QueueError::Stale),
        }
    }

    async fn stop(&self) {
        self.inner.stopped.cancel();
        for desk in self.inner.desks.all() {
            drop(desk.turn.lock().await);
        }
        // Nobody claims from here on; an empty job shows that every claim handed over before has reached its desk.
        let writer = self.inner.store.writer();
        let mut given_back = writer.call("read", |_| Ok(0)).await;
        if given_back.is_ok() {
            let rows = self.inner.desks.clear();
            given_back = writer.call("written", move |db| give_back(db, &rows)).await;
        }
        match given_back {
            Ok(_) | Err(QueueError::Closed) => {}
            Err(error) => {
                tracing::warn!(error = %error, "untouched messages could not be given back; they come back as redelivered");
            }
        }
    }

    async fn close(&self) -> Result<(), QueueError> {
        self.stop().await;
        self.inner.store.close().await
    }

    fn ledger(&self) -> watch::Receiver<Arc<Ledger>> {
        self.inner.ledger.subscribe()
    }

    fn is_ready(&self) -> bool {
        !self.inner.stopped.is_cancelled() && self.inner.store.writer().is_well()
    }
}

impl Intake for EmbeddedQueue {
    async fn enqueue(&self, takedowns: Vec<Takedown>) -> Result<Enqueued, QueueError> {
        let mut sum = Enqueued::default();
        for chunk in takedowns.chunks(ENQUEUE) {
            let messages: Vec<NewMessage> = chunk.iter().map(NewMessage::from).collect();
            let (now, desks) = (self.inner.clock.now(), Arc::clone(&self.inner.desks));
            let put = move |db: &Connection| {
                let mut added = Vec::new();
                for message in &messages {
                    if message.insert_unless_known(db, now)? == Added::New {
                        added.push((message.account.clone(), message.priority));
                    }
                }
                Ok(added)
            };
            let wake = move |added: Vec<(AccountId, Priority)>| {
                for (account, priority) in &added {
                    desks.of(account).note(*priority, now);
                }
                added.len()
            };
            let accepted = self.inner.store.writer().call_then("written", put, wake).await?;
            sum.accepted += accepted as u64;
            sum.repeated += (chunk.len() - accepted) as u64;
        }
        Ok(sum)
    }
}

/// A message about to be written.
struct NewMessage {
    account: AccountId,
    message_id: Option<String>,
    priority: Priority,
    body: Vec<u8>,
}

/// Whether a takedown was new to the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Added {
    New,
    Known,
}

impl From<&Takedown> for NewMessage {
    fn from(takedown: &Takedown) -> Self {
        Self {
            account: takedown.account.clone(),
            message_id: Some(takedown.id.to_string()),
            priority: takedown.priority,
            body: takedown.encode(),
        }
    }
}

impl NewMessage {
    fn insert_unless_known(&self, db: &Connection, now: clock::Millis) -> rusqlite::Result<Added> {
        let mut remember = db.prepare_cached("INSERT OR IGNORE INTO known (id) VALUES (?1)")?;
        if remember.execute([&self.message_id])? == 0 {
            return Ok(Added::Known);
        }
        self.insert(db, now)?;
        Ok(Added::New)
    }

    fn insert(&self, db: &Connection, now: clock::Millis) -> rusqlite::Result<usize> {
        let sql = "INSERT INTO message (account, message_id, priority, placed_at, due_at, body)
             VALUES (?1, ?2, ?3, ?4, ?4, ?5)";
        let priority = row::rank(self.priority);
        db.prepare_cached(sql)?.execute(params![self.account.as_str(), self.message_id, priority, now, self.body])
    }
}

#[cfg(test)]
mod tests;
