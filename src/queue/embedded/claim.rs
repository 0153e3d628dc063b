//! Handing out messages and taking them back, by durable claims.
//!
//! A claim marks a batch of rows as held *before* any of them is handed out, so that after a crash each comes back as
//! redelivered; like a broker's prefetch this charges the whole batch, handed out or not. Promise: a claimed row is on its
//! desk, in a [`Lease`], known to be stuck, given back, or found by the next opening of the file; dropping a future or a
//! delivery loses none.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, named_params, params};

use crate::clock::Moment;
use crate::domain::classify::Redelivery;
use crate::domain::ids::AccountId;
use crate::domain::takedown::Priority;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::desk::{AT_ONCE, Desk, Due};
use crate::queue::embedded::row::{self, COLUMNS};
use crate::queue::embedded::writer::Writer;
use crate::queue::envelope::Envelope;
use crate::queue::{Delivery, Receipt};

/// Row and claim of a delivery. Dropped without a settlement, it lets the row wait again, marked as redelivered.
#[derive(Debug)]
pub(crate) struct Lease {
    pub(super) held: Held,
    pub(super) priority: Priority,
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
        self.desk.ended();
        if self.is_settled {
            return;
        }
        let (held, priority, desk) = (self.held, self.priority, Arc::clone(&self.desk));
        let handed_over = self.writer.submit(
            move |db| free(db, held),
            move |result| match result {
                Ok(_) => desk.note(priority, AT_ONCE),
                Err(error) => {
                    tracing::warn!(error = %error, "a dropped delivery could not be put back yet");
                    desk.strand(held);
                }
            },
        );
        if handed_over.is_err() {
            tracing::debug!("a delivery outlived its queue; it waits for the next opening");
        }
    }
}

/// A claimed row, not yet handed out.
pub(super) struct Claimed {
    pub(super) held: Held,
    priority: Priority,
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
    pub(super) fn is_high(&self) -> bool {
        self.priority == Priority::High
    }

    /// Orders rows as they are handed out.
    pub(super) fn rank(&self) -> (bool, Millis, i64) {
        (!self.is_high(), self.due_at, self.held.seq)
    }

    /// Makes the delivery.
    pub(super) fn hand_out(self, desk: &Arc<Desk>, writer: &Writer) -> Delivery {
        let lease = Lease {
            held: self.held,
            priority: self.priority,
            desk: Arc::clone(desk),
            received: Moment::now().later(),
            writer: writer.clone(),
            is_settled: false,
        };
        Delivery {
            body: self.body,
            envelope: Box::new(self.envelope),
            told_in: None,
            receipt: Receipt::Embedded(lease),
        }
    }
}

/// Lets a row wait again; that it was handed out stays known.
pub(super) fn free(db: &Connection, held: Held) -> rusqlite::Result<usize> {
    let sql = "UPDATE message SET lease = NULL WHERE seq = ?1 AND lease = ?2";
    db.prepare_cached(sql)?.execute(params![held.seq, held.lease])
}

/// Gives rows back as if they had never been claimed.
pub(super) fn give_back(db: &Connection, rows: &[Held]) -> rusqlite::Result<usize> {
    let sql = "UPDATE message SET lease = NULL, deliveries = deliveries - 1 WHERE seq = ?1 AND lease = ?2";
    let mut statement = db.prepare_cached(sql)?;
    rows.iter().try_fold(0, |sum, held| Ok(sum + statement.execute(params![held.seq, held.lease])?))
}

/// What a claim found, and when the first of the rows it left falls due.
pub(super) struct Found {
    pub(super) rows: Vec<Claimed>,
    pub(super) due: Due,
}

/// Claims due rows: so many of high priority, and normal ones as far as these leave room.
pub(super) fn claim(
    db: &Connection,
    account: &AccountId,
    lease: i64,
    now: Millis,
    most_high: usize,
    room: usize,
) -> rusqlite::Result<Found> {
    let mut rows = claim_of(db, account, Priority::High, lease, now, most_high)?;
    let room = room.saturating_sub(rows.len());
    rows.extend(claim_of(db, account, Priority::Normal, lease, now, room)?);
    let due = Due { high: first_due(db, account, Priority::High)?, normal: first_due(db, account, Priority::Normal)? };
    Ok(Found { rows, due })
}

fn first_due(db: &Connection, account: &AccountId, priority: Priority) -> rusqlite::Result<Option<Millis>> {
    let sql =
        "SELECT due_at FROM message WHERE account = ?1 AND priority = ?2 AND lease IS NULL ORDER BY due_at LIMIT 1";
    let mut statement = db.prepare_cached(sql)?;
    statement.query_row(params![account.as_str(), row::rank(priority)], |row| row.get(0)).optional()
}

fn claim_of(
    db: &Connection,
    account: &AccountId,
    priority: Priority,
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
        ":lease": lease, ":account": account.as_str(), ":priority": row::rank(priority), ":now": now,
        ":limit": i64::try_from(limit).unwrap_or(i64::MAX),
    };
    let rows = statement.query_map(values, |row| {
        // This claim counts itself; any before it ended without a settlement.
        let earlier = row.get::<_, u32>("deliveries")?.saturating_sub(1);
        let redelivery = if earlier == 0 { Redelivery::First } else { Redelivery::Again };
        Ok(Claimed {
            held: Held { seq: row.get("seq")?, lease },
            priority,
            due_at: row.get("due_at")?,
            envelope: Envelope { redelivery, delivery_count: earlier, ..row::envelope(row)? },
            body: row.get("body")?,
        })
    })?;
    rows.collect()
}
