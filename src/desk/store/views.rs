//! What pages and commands ask a desk's file for.

use std::collections::BTreeMap;
use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::desk::DeskError;
use crate::desk::batch::{Batch, Ended, Note};
use crate::desk::store::{Store, from_millis, to_millis};
use crate::domain::ids::{AccountId, BatchId};
use crate::domain::notice::Notice;
use crate::domain::outcome::{FinalOutcome, Reason};

/// Outcomes decided within one minute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minute {
    /// When it began.
    pub at: SystemTime,
    /// How many, by account and reason.
    pub outcomes: BTreeMap<(String, Reason), u64>,
}

impl Store {
    /// Returns every batch that is known, the latest first.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn batches(&self) -> Result<Vec<Batch>, DeskError> {
        self.read(|db| {
            let sql = "SELECT batch FROM batch ORDER BY MAX(COALESCE(made_at, 0), COALESCE(last_at, 0)) DESC, batch";
            let ids: Vec<String> =
                db.prepare_cached(sql)?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            // A producer may have written anything into its outcomes' source; what is no batch id is no batch.
            let ids = ids.into_iter().filter_map(|id| BatchId::new(id).ok());
            ids.filter_map(|id| batch(db, id).transpose()).collect()
        })
    }

    /// Returns one batch; `None` where neither an outcome nor a notice told of it.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn batch(&self, id: &BatchId) -> Result<Option<Batch>, DeskError> {
        self.read(|db| batch(db, id.clone()))
    }

    /// Returns the minutes from one that began at `since` or later, in their order; one without outcomes is left out.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn minutes(&self, since: SystemTime) -> Result<Vec<Minute>, DeskError> {
        self.read(|db| {
            let sql = "SELECT minute, account, reason, outcomes FROM minute WHERE minute >= ?1 ORDER BY minute";
            let mut statement = db.prepare_cached(sql)?;
            let mut rows = statement.query([to_millis(since)])?;
            let mut minutes: Vec<Minute> = Vec::new();
            while let Some(row) = rows.next()? {
                let at = from_millis(row.get(0)?);
                let Ok(reason) = row.get::<_, String>(2)?.parse::<Reason>() else { continue };
                if minutes.last().is_none_or(|last| last.at != at) {
                    minutes.push(Minute { at, outcomes: BTreeMap::new() });
                }
                if let Some(minute) = minutes.last_mut() {
                    minute.outcomes.insert((row.get(1)?, reason), row.get::<_, i64>(3)?.unsigned_abs());
                }
            }
            Ok(minutes)
        })
    }

    /// Reads a batch's outcomes in the order they came, the latest of each item, from after `after` (0 for the first).
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn outcomes(&self, batch: &BatchId, after: i64, limit: u32) -> Result<Vec<(i64, FinalOutcome)>, DeskError> {
        self.read(|db| {
            let sql = "SELECT seq, body FROM outcome
                WHERE batch = ?1 AND seq > ?2 AND is_latest = 1 AND body IS NOT NULL ORDER BY seq LIMIT ?3";
            let mut statement = db.prepare_cached(sql)?;
            let rows = statement.query_map(params![batch.as_str(), after, limit], |row| {
                let body: Vec<u8> = row.get(1)?;
                Ok((row.get(0)?, FinalOutcome::decode(&body).map_err(|error| unreadable(error.into()))?))
            })?;
            rows.collect()
        })
    }

    /// Returns the latest entries of the operators' log, the newest first.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn notices(&self, limit: u32) -> Result<Vec<Notice>, DeskError> {
        self.read(|db| {
            let mut statement = db.prepare_cached("SELECT body FROM notice ORDER BY seq DESC LIMIT ?1")?;
            let rows = statement.query_map([limit], |row| {
                let body: Vec<u8> = row.get(0)?;
                Notice::decode(&body).map_err(|error| unreadable(error.into()))
            })?;
            rows.collect()
        })
    }
}

fn batch(db: &Connection, id: BatchId) -> rusqlite::Result<Option<Batch>> {
    let sql = "SELECT made_at, made_by, cancelled_at, cancelled_by, cancel_reason, first_at, last_at
        FROM batch WHERE batch = ?1";
    let found = db.prepare_cached(sql)?.query_row([id.as_str()], |row| {
        let note = |at, by, reason: Option<String>| -> rusqlite::Result<Option<Note>> {
            let Some(at) = moment(row, at)? else { return Ok(None) };
            Ok(Some(Note { at, by: row.get::<_, Option<String>>(by)?.unwrap_or_default(), reason }))
        };
        let (made, cancelled) = (note(0, 1, None)?, note(2, 3, row.get(4)?)?);
        Ok(Batch { made, cancelled, first: moment(row, 5)?, last: moment(row, 6)?, ..Batch::unknown(id.clone()) })
    });
    let Some(mut batch) = found.optional()? else { return Ok(None) };
    let sql = "SELECT account, SUM(items) FROM part WHERE batch = ?1 GROUP BY account";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([id.as_str()])?;
    while let Some(row) = rows.next()? {
        if let Ok(account) = AccountId::new(row.get::<_, String>(0)?) {
            batch.expected.insert(account, row.get::<_, i64>(1)?.unsigned_abs());
        }
    }
    let sql = "SELECT account, reason, items FROM tally WHERE batch = ?1 AND items > 0 ORDER BY account, reason";
    let mut statement = db.prepare_cached(sql)?;
    let mut rows = statement.query([id.as_str()])?;
    while let Some(row) = rows.next()? {
        if let Ok(reason) = row.get::<_, String>(1)?.parse() {
            batch.ended.push(Ended { account: row.get(0)?, reason, items: row.get::<_, i64>(2)?.unsigned_abs() });
        }
    }
    Ok(Some(batch))
}

fn moment(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<SystemTime>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(from_millis))
}

fn unreadable(cause: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, rusqlite::types::Type::Blob, cause)
}
