//! The one transaction that ends a delivery: outcome, state of the message, dead letter, all or nothing.

use std::time::Duration;

use rusqlite::{Connection, named_params, params};

use crate::domain::classify::{Effect, Redelivery};
use crate::domain::outcome::FinalOutcome;
use crate::domain::settlement::Settlement;
use crate::queue::embedded::claim::{self, Held};
use crate::queue::embedded::clock::{Clock, Millis, to_millis};
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
    Complete(Vec<u8>),
    DeadLetter { outcome: Box<FinalOutcome>, ambiguous: bool, died_at: Millis },
    PutOff(PutOff),
    GiveBack,
}

#[derive(Debug)]
pub(super) struct PutOff {
    attempt: u32,
    deferrals: u32,
    ambiguous: bool,
    last_code: Option<String>,
    first_seen: Millis,
    placed_at: Millis,
    due_at: Millis,
}

impl Change {
    /// Works out the rows. `first_seen` is for a message seen for the first time now.
    pub(super) fn new(envelope: &Envelope, settlement: Settlement, clock: &Clock, first_seen: Millis) -> Self {
        // A claim lost to a crash may hide a whole attempt. The message that follows starts as a first delivery, so what
        // is known of the crash goes over to it here.
        let before = envelope.effect == Effect::Possible || envelope.redelivery == Redelivery::Again;
        let put_off = |delay: Duration| PutOff {
            attempt: envelope.attempt,
            deferrals: envelope.deferrals,
            ambiguous: before,
            last_code: envelope.last_code.clone(),
            first_seen: envelope.first_seen.map_or(first_seen, to_millis),
            placed_at: clock.now(),
            due_at: clock.after(delay),
        };
        match settlement {
            Settlement::Complete(outcome) => Self::Complete(outcome.encode()),
            Settlement::DeadLetter(outcome) => Self::DeadLetter { outcome, ambiguous: before, died_at: clock.now() },
            Settlement::Retry { delay, effect, last_code } => {
                let mut row = put_off(delay);
                row.attempt = row.attempt.saturating_add(1);
                row.ambiguous |= effect == Effect::Possible;
                row.last_code = last_code.or(row.last_code);
                Self::PutOff(row)
            }
            Settlement::Defer { delay, reason: _ } => {
                let mut row = put_off(delay);
                row.deferrals = row.deferrals.saturating_add(1);
                Self::PutOff(row)
            }
            Settlement::GiveBack => Self::GiveBack,
        }
    }

    /// Says whether the message waits again afterwards.
    pub(super) fn is_waiting_again(&self) -> bool {
        match self {
            Self::Complete(_) | Self::DeadLetter { .. } => false,
            Self::PutOff(_) | Self::GiveBack => true,
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
            Self::DeadLetter { outcome, ambiguous, died_at } => {
                let body = outcome.encode();
                let changed = bury(db, held, outcome, &body, *ambiguous, *died_at)?;
                if changed > 0 {
                    write_outcome(db, &body)?;
                    remove(db, held)?;
                }
                changed
            }
            Self::PutOff(row) => row.write(db, held)?,
            Self::GiveBack => claim::give_back(db, &[held])?,
        };
        Ok(if changed > 0 { Ended::Held } else { Ended::Stale })
    }
}

impl PutOff {
    fn write(&self, db: &Connection, held: Held) -> rusqlite::Result<usize> {
        let sql = "UPDATE message SET lease = NULL, deliveries = 0, attempt = :attempt, deferrals = :deferrals,
                 ambiguous = :ambiguous, last_code = :last_code, first_seen = :first_seen, placed_at = :placed_at,
                 due_at = :due_at
             WHERE seq = :seq AND lease = :lease";
        db.prepare_cached(sql)?.execute(named_params! {
            ":attempt": self.attempt, ":deferrals": self.deferrals, ":ambiguous": self.ambiguous,
            ":last_code": self.last_code, ":first_seen": self.first_seen, ":placed_at": self.placed_at,
            ":due_at": self.due_at, ":seq": held.seq, ":lease": held.lease,
        })
    }
}

fn remove(db: &Connection, held: Held) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM message WHERE seq = ?1 AND lease = ?2")?.execute(params![held.seq, held.lease])
}

fn write_outcome(db: &Connection, body: &[u8]) -> rusqlite::Result<usize> {
    db.prepare_cached("INSERT INTO outcome (body) VALUES (?1)")?.execute([body])
}

fn bury(
    db: &Connection,
    held: Held,
    outcome: &FinalOutcome,
    body: &[u8],
    ambiguous: bool,
    died_at: Millis,
) -> rusqlite::Result<usize> {
    let sql = "INSERT INTO dead_letter (account, message_id, priority, deliveries, attempt, deferrals, first_seen,
             ambiguous, last_code, replays, body, id, reason, code, outcome, died_at)
         SELECT account, message_id, priority, deliveries, attempt, deferrals, COALESCE(first_seen, :first_seen),
             :ambiguous, last_code, replays, body, :id, :reason, :code, :outcome, :died_at
         FROM message WHERE seq = :seq AND lease = :lease";
    db.prepare_cached(sql)?.execute(named_params! {
        ":first_seen": to_millis(outcome.first_seen), ":ambiguous": ambiguous, ":id": outcome.id,
        ":reason": outcome.reason.as_str(), ":code": outcome.gateway_code, ":outcome": body, ":died_at": died_at,
        ":seq": held.seq, ":lease": held.lease,
    })
}
