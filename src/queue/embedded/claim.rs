//! Handing out messages and taking them back: one desk an account, filled by durable claims.
//!
//! A claim marks a batch of rows as held *before* any of them is handed out, so that after a crash each comes back as
//! redelivered; like a broker's prefetch this charges the whole batch, handed out or not. A desk that runs low is filled
//! ahead, in the commit that the settlements wait for anyway. Promise: a claimed row is on its desk, in a [`Lease`], known
//! to be stuck, given back, or found by the next opening of the file; dropping a future or a delivery loses none.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, named_params, params};
use tokio::sync::Notify;

use crate::clock::Moment;
use crate::domain::classify::Redelivery;
use crate::domain::ids::AccountId;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::row::{self, COLUMNS};
use crate::queue::embedded::writer::Writer;
use crate::queue::envelope::Envelope;
use crate::queue::{Delivery, QueueError, Receipt};

/// Rows a desk holds at least, and at most: a crash charges all of them. In between it holds twice what is in hand, so
/// that a full desk outlasts the commit that fills it again.
const LEAST: usize = 16;
const MOST: usize = 256;

/// Row and claim of a delivery. Dropped without a settlement, it lets the row wait again, marked as redelivered.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) held: Held,
    pub(super) desk: Arc<Desk>,
    /// When the row was handed out.
    pub(super) received: SystemTime,
    writer: Writer,
    is_settled: bool,
}

/// Which claim holds which row: every statement that ends a claim names both, so a late one changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) seq: i64,
    pub(super) lease: i64,
}

impl Lease {
    /// Returns when the row was handed out.
    pub(crate) fn received(&self) -> SystemTime {
        self.received
    }

    /// Marks the claim as ended, so that the drop leaves the row alone.
    pub(super) fn settled(mut self) {
        self.is_settled = true;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.desk.in_hand.fetch_sub(1, Ordering::Relaxed);
        if self.is_settled {
            return;
        }
        let (held, desk) = (self.held, Arc::clone(&self.desk));
        let handed_over = self.writer.submit(
            move |db| free(db, held),
            move |result| {
                if let Err(error) = result {
                    tracing::warn!(error = %error, "a dropped delivery could not be put back yet");
                    desk.stuck().push(held);
                }
                desk.changed.notify_one();
            },
        );
        if handed_over.is_err() {
            tracing::debug!("a delivery outlived its queue; it waits for the next opening");
        }
    }
}

/// A claimed row, not yet handed out.
pub(super) struct Claimed {
    held: Held,
    is_high: bool,
    due_at: Millis,
    envelope: Envelope,
    body: Vec<u8>,
}

impl fmt::Debug for Claimed {
    /// Shows no body: it may hold secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Claimed")
            .field("held", &self.held)
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

impl Claimed {
    /// Makes the delivery.
    pub(super) fn hand_out(self, desk: &Arc<Desk>, writer: &Writer) -> Delivery {
        desk.in_hand.fetch_add(1, Ordering::Relaxed);
        let lease = Lease {
            held: self.held,
            desk: Arc::clone(desk),
            received: Moment::now().later(),
            writer: writer.clone(),
            is_settled: false,
        };
        Delivery { body: self.body, envelope: self.envelope, told_in: None, receipt: Receipt::Embedded(lease) }
    }
}

/// Where one account's claimed rows lie until they are handed out.
#[derive(Debug)]
pub(super) struct Desk {
    account: AccountId,
    rows: Mutex<VecDeque<Claimed>>,
    /// Rows asked of the writer and not on the desk yet.
    coming: AtomicUsize,
    /// Claims ahead on their way. These alone tell `changed`: whoever claims for himself hears the answer.
    ahead: AtomicUsize,
    /// Deliveries not settled.
    in_hand: AtomicUsize,
    /// Rows whose delivery was dropped while the file could not be written: nobody has them, and no claim finds them.
    stuck: Mutex<Vec<Held>>,
    /// Something of high priority came that the rows here must not delay.
    is_urgent: AtomicBool,
    /// Rows of the account were added or became free.
    pub(super) changed: Notify,
    /// One caller at a time claims and waits; the others queue up behind it.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl Desk {
    pub(super) fn new(account: AccountId) -> Self {
        Self {
            account,
            rows: Mutex::default(),
            coming: AtomicUsize::new(0),
            ahead: AtomicUsize::new(0),
            in_hand: AtomicUsize::new(0),
            stuck: Mutex::default(),
            is_urgent: AtomicBool::new(false),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.account
    }

    fn rows(&self) -> MutexGuard<'_, VecDeque<Claimed>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stuck(&self) -> MutexGuard<'_, Vec<Held>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the rows claimed and not handed out.
    pub(super) fn untouched(&self) -> usize {
        self.rows().len()
    }

    /// Takes every row that was claimed and not handed out.
    pub(super) fn clear(&self) -> Vec<Held> {
        std::mem::take(&mut *self.rows()).into_iter().map(|row| row.held).collect()
    }

    /// Lets stuck rows wait again, so that a full disk is an error for the next caller and not a wait without end.
    ///
    /// # Errors
    /// [`QueueError::Database`] while the file still cannot be written; [`QueueError::Closed`].
    pub(super) async fn free_stuck(&self, writer: &Writer) -> Result<(), QueueError> {
        let stuck = self.stuck().clone();
        if !stuck.is_empty() {
            let rows = stuck.clone();
            writer.call("written", move |db| rows.iter().try_for_each(|held| free(db, *held).map(drop))).await?;
            self.stuck().retain(|held| !stuck.contains(held));
        }
        Ok(())
    }

    /// Takes the next row, unless one of high priority is to be claimed first.
    pub(super) fn pop(&self) -> Option<Claimed> {
        if self.must_claim_first() { None } else { self.rows().pop_front() }
    }

    /// Says whether something urgent is to be claimed before the first row here, which is none itself.
    fn must_claim_first(&self) -> bool {
        self.is_urgent.load(Ordering::Acquire) && !self.rows().front().is_some_and(|row| row.is_high)
    }

    /// Tells whoever waits that rows came or became free.
    pub(super) fn wake(&self, has_high: bool) {
        if has_high {
            self.is_urgent.store(true, Ordering::Release);
        }
        self.changed.notify_one();
    }

    fn put(&self, claimed: Vec<Claimed>) {
        let mut rows = self.rows();
        rows.extend(claimed);
        rows.make_contiguous().sort_by_key(|row| (!row.is_high, row.due_at, row.held.seq));
    }

    /// Says whether rows are on their way that will do; `changed` is told when they have come, or will not.
    pub(super) fn is_filling(&self) -> bool {
        !self.is_urgent.load(Ordering::Acquire) && self.ahead.load(Ordering::Acquire) > 0
    }

    /// Says whether the desk is not empty, and will be soon. What is urgent is not claimed ahead but waited for.
    pub(super) fn runs_low(&self) -> bool {
        !self.must_claim_first() && (1..=self.size() / 2).contains(&self.sure())
    }

    /// Returns how many rows are here or on their way. Those that arrive meanwhile count twice rather than not at all.
    fn sure(&self) -> usize {
        let coming = self.coming.load(Ordering::Acquire);
        coming + self.rows().len()
    }

    /// Returns how many rows the desk holds when full.
    fn size(&self) -> usize {
        (2 * self.in_hand.load(Ordering::Relaxed)).clamp(LEAST, MOST)
    }

    /// Claims due rows onto the desk; returns when the next one falls due if none is now.
    ///
    /// # Errors
    /// [`QueueError::Database`] and [`QueueError::Closed`].
    ///
    /// # Cancel safety
    /// Safe: what is claimed lies on the desk, whoever comes next.
    pub(super) async fn claim(
        self: &Arc<Self>,
        writer: &Writer,
        lease: i64,
        now: Millis,
    ) -> Result<Option<Millis>, QueueError> {
        self.is_urgent.store(false, Ordering::Release);
        let (work, put) = self.order(lease, now, Waiting::Caller);
        let claimed = writer.call_then("written", work, put).await;
        if claimed.is_err() {
            // Nobody knows what was urgent, so that the next claim looks.
            self.is_urgent.store(true, Ordering::Release);
        }
        claimed
    }

    /// As [`Desk::claim`], without waiting. An error is left to whoever finds the desk empty and claims.
    pub(super) fn claim_ahead(self: &Arc<Self>, writer: &Writer, lease: i64, now: Millis) -> Result<(), QueueError> {
        let (work, put) = self.order(lease, now, Waiting::Nobody);
        writer.submit(work, move |result| drop(result.map(put)))
    }

    /// Returns the two steps of a claim: in the transaction, and after its commit.
    fn order(
        self: &Arc<Self>,
        lease: i64,
        now: Millis,
        waiting: Waiting,
    ) -> (
        impl FnMut(&Connection) -> rusqlite::Result<Claims> + Send + use<>,
        impl FnOnce(Claims) -> Option<Millis> + Send + use<>,
    ) {
        let account = self.account.clone();
        let room = self.size().saturating_sub(self.sure());
        let coming = Coming::to(self, room, waiting);
        let put = move |(claimed, next_due): Claims| {
            // As many as were asked for: more may wait in the file, and come before the other rows here.
            let has_more = claimed.iter().filter(|row| row.is_high).count() >= most_high(room);
            coming.desk.put(claimed);
            if has_more {
                coming.desk.is_urgent.store(true, Ordering::Release);
            }
            next_due
        };
        (move |db: &Connection| claim(db, &account, lease, now, room), put)
    }
}

/// Who hears the answer to a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// Whoever claims, or nobody once he was dropped.
    Caller,
    /// Nobody: it was claimed ahead.
    Nobody,
}

/// Rows on their way to a desk; dropped when they have come, or will not.
struct Coming {
    desk: Arc<Desk>,
    rows: usize,
    waiting: Waiting,
}

impl Coming {
    fn to(desk: &Arc<Desk>, rows: usize, waiting: Waiting) -> Self {
        desk.coming.fetch_add(rows, Ordering::AcqRel);
        if waiting == Waiting::Nobody {
            desk.ahead.fetch_add(1, Ordering::AcqRel);
        }
        Self { desk: Arc::clone(desk), rows, waiting }
    }
}

impl Drop for Coming {
    fn drop(&mut self) {
        self.desk.coming.fetch_sub(self.rows, Ordering::AcqRel);
        if self.waiting == Waiting::Nobody {
            self.desk.ahead.fetch_sub(1, Ordering::AcqRel);
            self.desk.changed.notify_one();
        }
    }
}

/// Lets a row wait again; that it was handed out stays known.
fn free(db: &Connection, held: Held) -> rusqlite::Result<usize> {
    let sql = "UPDATE message SET lease = NULL WHERE seq = ?1 AND lease = ?2";
    db.prepare_cached(sql)?.execute(params![held.seq, held.lease])
}

/// Gives rows back as if they had never been claimed.
pub(super) fn give_back(db: &Connection, rows: &[Held]) -> rusqlite::Result<usize> {
    let sql = "UPDATE message SET lease = NULL, deliveries = deliveries - 1 WHERE seq = ?1 AND lease = ?2";
    let mut statement = db.prepare_cached(sql)?;
    rows.iter().try_fold(0, |sum, held| Ok(sum + statement.execute(params![held.seq, held.lease])?))
}

/// Returns how many rows of high priority a claim takes; there is room for some in any case.
fn most_high(room: usize) -> usize {
    room.max(LEAST)
}

/// What a claim found, and when the next row falls due if that is nothing.
type Claims = (Vec<Claimed>, Option<Millis>);

fn claim(db: &Connection, account: &AccountId, lease: i64, now: Millis, room: usize) -> rusqlite::Result<Claims> {
    // High priority is claimed beyond the room left, or the slow normal rows on the desk would hold it up.
    let mut claimed = claim_of(db, account, 1, lease, now, most_high(room))?;
    let room = room.saturating_sub(claimed.len());
    claimed.extend(claim_of(db, account, 0, lease, now, room)?);
    if !claimed.is_empty() {
        return Ok((claimed, None));
    }
    let sql =
        "SELECT due_at FROM message WHERE account = ?1 AND priority = ?2 AND lease IS NULL ORDER BY due_at LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    let mut next_due = None;
    for priority in [0, 1] {
        let due: Option<Millis> =
            statement.query_row(params![account.as_str(), priority], |row| row.get(0)).optional()?;
        next_due = next_due.into_iter().chain(due).min();
    }
    Ok((claimed, next_due))
}

fn claim_of(
    db: &Connection,
    account: &AccountId,
    priority: i64,
    lease: i64,
    now: Millis,
    limit: usize,
) -> rusqlite::Result<Vec<Claimed>> {
    let sql = format!(
        "UPDATE message SET lease = :lease, deliveries = deliveries + 1 WHERE seq IN (
             SELECT seq FROM message
             WHERE account = :account AND priority = :priority AND lease IS NULL AND due_at <= :now
             ORDER BY due_at, seq LIMIT :limit)
         RETURNING {COLUMNS}, seq, due_at, deliveries"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let values = named_params! {
        ":lease": lease, ":account": account.as_str(), ":priority": priority, ":now": now,
        ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let rows = statement.query_map(values, |row| {
        // This claim counts itself; any before it ended without a settlement.
        let earlier = row.get::<_, u32>("deliveries")?.saturating_sub(1);
        let redelivery = if earlier == 0 { Redelivery::First } else { Redelivery::Again };
        Ok(Claimed {
            held: Held { seq: row.get("seq")?, lease },
            is_high: priority == 1,
            due_at: row.get("due_at")?,
            envelope: Envelope { redelivery, delivery_count: earlier, ..row::envelope(row)? },
            body: row.get("body")?,
        })
    })?;
    rows.collect()
}
