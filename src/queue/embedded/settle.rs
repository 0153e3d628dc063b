//! The one transaction that ends a delivery: outcome, state of the message, dead letter, all or nothing.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, named_params, params};

use crate::domain::classify::Effect;
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::queue::embedded::claim::{self, Held};
use crate::queue::embedded::clock::{Clock, Millis, to_millis};
use crate::queue::embedded::desk::AT_ONCE;
use crate::queue::envelope::Envelope;

/// Whether the claim still held the row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ended {
    /// It did; the changes are in the transaction.
    Held,
    /// It did not; nothing was changed.
    Stale,
}

/// A settlement as rows: worked out before the transaction, so that it can be repeated.
#[derive(Debug)]
pub(super) enum Change {
    /// The outcome.
    Complete(Vec<u8>),
    /// The outcome, and what is kept of the message.
    DeadLetter(Box<FinalOutcome>, Envelope),
    /// The message that follows, and when.
    PutOff { next: Envelope, placed_at: Millis, due_at: Millis },
    /// Nothing new.
    GiveBack,
}

impl Change {
    /// Works out the rows; `received` is when the delivery was handed out.
    pub(super) fn new(envelope: &Envelope, settlement: Settlement, clock: &Clock, received: SystemTime) -> Self {
        let put_off = |next, delay: Duration| Self::PutOff { next, placed_at: clock.now(), due_at: clock.after(delay) };
        match settlement {
            Settlement::Complete(outcome) => Self::Complete(outcome.encode()),
            Settlement::DeadLetter(outcome) => {
                let kept = envelope.dead(&outcome, received);
                Self::DeadLetter(outcome, kept)
            }
            Settlement::Retry { delay, effect, last_code } => {
                put_off(envelope.retried(effect, last_code, received), delay)
            }
            Settlement::Defer { delay, effect, reason: _ } => put_off(envelope.deferred(effect, received), delay),
            Settlement::GiveBack => Self::GiveBack,
        }
    }

    /// Returns until when the message waits afterwards, if it does.
    pub(super) fn waits_until(&self) -> Option<Millis> {
        match self {
            Self::Complete(_) | Self::DeadLetter(..) => None,
            Self::PutOff { due_at, .. } => Some(*due_at),
            Self::GiveBack => Some(AT_ONCE),
        }
    }

    /// Writes the rows.
    pub(super) fn apply(&self, db: &Connection, held: Held) -> rusqlite::Result<Ended> {
        let changed = match self {
            Self::Complete(outcome) => {
                let changed = remove(db, held)?;
                if changed > 0 {
                    write_outcome(db, outcome)?;
                }
                changed
            }
            Self::DeadLetter(outcome, kept) => {
                let body = outcome.encode();
                let changed = bury(db, held, outcome, &body, kept)?;
                if changed > 0 {
                    write_outcome(db, &body)?;
                    remove(db, held)?;
                }
                changed
            }
            Self::PutOff { next, placed_at, due_at } => put_off(db, held, next, *placed_at, *due_at)?,
            Self::GiveBack => claim::give_back(db, &[held])?,
        };
        Ok(if changed > 0 { Ended::Held } else { Ended::Stale })
    }
}

fn put_off(db: &Connection, held: Held, next: &Envelope, placed_at: Millis, due_at: Millis) -> rusqlite::Result<usize> {
    let sql = "UPDATE message SET lease = NULL, deliveries = 0, attempt = :attempt, deferrals = :deferrals,
             ambiguous = :ambiguous, last_code = :last_code, first_seen = :first_seen, history = :history,
             placed_at = :placed_at, due_at = :due_at
         WHERE seq = :seq AND lease = :lease";
    db.prepare_cached(sql)?.execute(named_params! {
        ":attempt": next.attempt, ":deferrals": next.deferrals, ":ambiguous": next.effect == Effect::Possible,
        ":last_code": next.last_code, ":first_seen": next.first_seen.map(to_millis), ":history": next.history.encode(),
        ":placed_at": placed_at, ":due_at": due_at, ":seq": held.seq, ":lease": held.lease,
    })
}

fn remove(db: &Connection, held: Held) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM message WHERE seq = ?1 AND lease = ?2")?.execute(params![held.seq, held.lease])
}

pub(super) fn write_outcome(db: &Connection, body: &[u8]) -> rusqlite::Result<usize> {
    db.prepare_cached("INSERT INTO outcome (body) VALUES (?1)")?.execute([body])
}

fn bury(db: &Connection, held: Held, outcome: &FinalOutcome, body: &[u8], kept: &Envelope) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO dead_letter (account, message_id, priority, attempt, deferrals, first_seen, ambiguous,
             last_code, replays, plan, history, body, id, reason, code, outcome)
         SELECT account, message_id, priority, attempt, deferrals, :first_seen, :ambiguous, last_code, replays, plan,
             :history, body, :id, :reason, :code, :outcome
         FROM message WHERE seq = :seq AND lease = :lease";
    db.prepare_cached(sql)?.execute(named_params! {
        ":first_seen": kept.first_seen.map(to_millis), ":ambiguous": kept.effect == Effect::Possible,
        ":history": kept.history.encode(), ":id": outcome.id, ":reason": outcome.reason.as_str(), ":code": outcome.gateway_code, ":outcome": body,
        ":seq": held.seq, ":lease": held.lease,
    })
}
