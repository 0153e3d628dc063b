//! Counting what the streams tell, and how far they were read, in one transaction.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, params};

use crate::desk::DeskError;
use crate::desk::store::{Store, to_millis};
use crate::domain::notice::{Notice, What};
use crate::domain::outcome::FinalOutcome;
use crate::queue::amqp::tail::{Log, Place, Told};

/// Minutes are kept for a day.
const MINUTES: Duration = Duration::from_hours(25);

/// Outcomes of no batch are kept for as long as the stream may tell of them again, twice over.
const LOOSE: Duration = Duration::from_hours(14 * 24);

/// Batches are kept for so long after their last outcome.
const BATCHES: Duration = Duration::from_hours(90 * 24);

const MINUTE: i64 = 60_000;

impl Store {
    /// Returns the last entry of a stream that was counted.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn place(&self, log: Log) -> Result<Option<Place>, DeskError> {
        self.read(|db| {
            let sql = "SELECT offset, id FROM place WHERE stream = ?1";
            let place =
                |row: &rusqlite::Row<'_>| Ok(Place { offset: row.get::<_, i64>(0)?.unsigned_abs(), id: row.get(1)? });
            db.query_row(sql, [name(log)], place).optional()
        })
    }

    /// Counts what was read of a stream up to a place; what was counted before counts for nothing. Returns how much was
    /// new.
    ///
    /// # Errors
    /// [`DeskError::Database`]; nothing of it was counted then.
    pub fn count(&self, log: Log, told: &[Told], place: Option<&Place>) -> Result<u64, DeskError> {
        self.write(|db| {
            let mut new = 0;
            for told in told {
                new += match told {
                    Told::Outcome(outcome) => count_outcome(db, outcome)?,
                    Told::Notice(id, notice) => count_notice(db, id, notice)?,
                    Told::Mark(_) => 0,
                };
            }
            if let Some(Place { offset, id }) = place {
                let sql = "INSERT OR REPLACE INTO place (stream, offset, id) VALUES (?1, ?2, ?3)";
                let offset = i64::try_from(*offset).unwrap_or(i64::MAX);
                db.prepare_cached(sql)?.execute(params![name(log), offset, id])?;
            }
            Ok(new)
        })
    }

    /// Forgets what is too old at `now`.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn tidy(&self, now: SystemTime) -> Result<(), DeskError> {
        let before = |age: Duration| now.checked_sub(age).map_or(0, to_millis);
        self.write(|db| {
            db.execute("DELETE FROM minute WHERE minute < ?1", [before(MINUTES)])?;
            db.execute("DELETE FROM outcome WHERE batch IS NULL AND finished_at < ?1", [before(LOOSE)])?;
            let old = "SELECT batch FROM batch WHERE COALESCE(last_at, made_at, cancelled_at, 0) < ?1";
            for table in ["outcome", "tally", "part", "batch"] {
                db.execute(&format!("DELETE FROM {table} WHERE batch IN ({old})"), [before(BATCHES)])?;
            }
            Ok(())
        })
    }
}

fn name(log: Log) -> &'static str {
    match log {
        Log::Outcomes => "outcomes",
        Log::Notices => "notices",
    }
}

fn count_outcome(db: &Connection, outcome: &FinalOutcome) -> rusqlite::Result<u64> {
    let (finished_at, reason) = (to_millis(outcome.finished_at), outcome.reason.as_str());
    // Two outcomes of one round cannot be; should they, the first one counts.
    let sql = "SELECT seq, replays, batch, account, reason FROM outcome WHERE item = ?1 AND is_latest = 1";
    let before = db.prepare_cached(sql)?.query_row([&outcome.id], |row| {
        Ok((row.get::<_, i64>(0)?, row.get::<_, u32>(1)?, row.get(2)?, row.get(3)?, row.get(4)?))
    });
    let before: Option<(i64, u32, Option<String>, String, String)> = before.optional()?;
    let is_latest = before.as_ref().is_none_or(|(_, replays, ..)| *replays < outcome.replays);
    let sql = "INSERT OR IGNORE INTO outcome
            (outcome_id, item, replays, is_latest, batch, account, reason, finished_at, body)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    let body = outcome.batch.as_ref().map(|_| outcome.encode());
    let values = params![
        outcome.outcome_id(),
        outcome.id,
        outcome.replays,
        is_latest,
        outcome.batch,
        outcome.account,
        reason,
        finished_at,
        body
    ];
    if db.prepare_cached(sql)?.execute(values)? == 0 {
        return Ok(0);
    }
    let sql = "INSERT INTO minute (minute, account, reason, outcomes) VALUES (?1, ?2, ?3, 1)
        ON CONFLICT DO UPDATE SET outcomes = outcomes + 1";
    db.prepare_cached(sql)?.execute(params![finished_at - finished_at % MINUTE, outcome.account, reason])?;
    if is_latest {
        if let Some((seq, _, batch, account, reason)) = before {
            db.prepare_cached("UPDATE outcome SET is_latest = 0 WHERE seq = ?1")?.execute([seq])?;
            if let Some(batch) = batch {
                let sql = "UPDATE tally SET items = items - 1 WHERE batch = ?1 AND account = ?2 AND reason = ?3";
                db.prepare_cached(sql)?.execute(params![batch, account, reason])?;
            }
        }
        if let Some(batch) = &outcome.batch {
            let sql = "INSERT INTO tally (batch, account, reason, items) VALUES (?1, ?2, ?3, 1)
                ON CONFLICT DO UPDATE SET items = items + 1";
            db.prepare_cached(sql)?.execute(params![batch, outcome.account, reason])?;
        }
    }
    if let Some(batch) = &outcome.batch {
        let sql = "INSERT INTO batch (batch, first_at, last_at) VALUES (?1, ?2, ?2)
            ON CONFLICT DO UPDATE SET first_at = MIN(COALESCE(first_at, ?2), ?2), last_at = MAX(COALESCE(last_at, ?2), ?2)";
        db.prepare_cached(sql)?.execute(params![batch, finished_at])?;
    }
    Ok(1)
}

fn count_notice(db: &Connection, id: &str, notice: &Notice) -> rusqlite::Result<u64> {
    let sql = "INSERT OR IGNORE INTO notice (id, body) VALUES (?1, ?2)";
    if db.prepare_cached(sql)?.execute(params![id, notice.encode()])? == 0 {
        return Ok(0);
    }
    let (at, by) = (to_millis(notice.at), &notice.by);
    match &notice.what {
        What::BatchMade { batch, items, part } => {
            let sql = "INSERT INTO batch (batch, made_at, made_by) VALUES (?1, ?2, ?3)
                ON CONFLICT DO UPDATE SET made_at = COALESCE(made_at, ?2), made_by = COALESCE(made_by, ?3)";
            db.prepare_cached(sql)?.execute(params![batch.as_str(), at, by])?;
            for (account, items) in items {
                let sql = "INSERT OR IGNORE INTO part (batch, part, account, items) VALUES (?1, ?2, ?3, ?4)";
                let items = i64::try_from(*items).unwrap_or(i64::MAX);
                db.prepare_cached(sql)?.execute(params![batch.as_str(), part, account.as_str(), items])?;
            }
        }
        What::BatchCancelled { batch, reason } => {
            let sql = "INSERT INTO batch (batch, cancelled_at, cancelled_by, cancel_reason) VALUES (?1, ?2, ?3, ?4)
                ON CONFLICT DO UPDATE SET cancelled_at = ?2, cancelled_by = ?3, cancel_reason = ?4
                WHERE cancelled_at IS NULL";
            db.prepare_cached(sql)?.execute(params![batch.as_str(), at, by, reason])?;
        }
        What::PlanMade(_)
        | What::ReplayBegan { .. }
        | What::ReplayEnded { .. }
        | What::LetterEdited { .. }
        | What::LettersPurged { .. } => {}
    }
    Ok(1)
}
