//! Dead letters in the file: looked at without harm, put back to work, or deleted.

use rusqlite::{Connection, Row, named_params};

use crate::domain::ids::AccountId;
use crate::domain::outcome::FinalOutcome;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::row::{self, COLUMNS, unreadable};
use crate::queue::{DeadLetter, DeadLetterFilter};

/// A filter as values of one statement.
#[derive(Debug, Clone)]
pub(super) struct Selection {
    accounts: String,
    reason: Option<&'static str>,
    code: Option<String>,
    id: Option<String>,
    limit: i64,
}

impl Selection {
    pub(super) fn new(filter: &DeadLetterFilter) -> Self {
        let accounts: Vec<&str> = filter.accounts.iter().map(AccountId::as_str).collect();
        Self {
            accounts: serde_json::Value::from(accounts).to_string(),
            reason: filter.reason.map(|reason| reason.as_str()),
            code: filter.code.clone(),
            id: filter.id.as_ref().map(ToString::to_string),
            limit: filter.limit.map_or(-1, |limit| i64::try_from(limit).unwrap_or(i64::MAX)),
        }
    }

    fn query<T>(
        &self,
        db: &Connection,
        columns: &str,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Vec<T>> {
        let sql = format!(
            "SELECT {columns} FROM dead_letter
             WHERE (:accounts = '[]' OR account IN (SELECT value FROM json_each(:accounts)))
               AND (:reason IS NULL OR reason = :reason)
               AND (:code IS NULL OR code = :code)
               AND (:id IS NULL OR id = :id)
             ORDER BY seq LIMIT :limit"
        );
        let values = named_params! {
            ":accounts": self.accounts, ":reason": self.reason, ":code": self.code, ":id": self.id,
            ":limit": self.limit,
        };
        db.prepare_cached(&sql)?.query_map(values, read)?.collect()
    }

    /// Reads the letters, the oldest first.
    pub(super) fn list(&self, db: &Connection) -> rusqlite::Result<Vec<DeadLetter>> {
        self.query(db, &format!("{COLUMNS}, id, outcome"), letter)
    }

    /// Puts the letters back to work at `now`; returns the account and urgency of each.
    pub(super) fn replay(&self, db: &Connection, now: Millis) -> rusqlite::Result<Vec<Replayed>> {
        let letters = self.query(db, "seq, account, priority", |row| {
            Ok((row.get(0)?, Replayed { account: row::text(row, "account")?, is_high: row.get("priority")? }))
        })?;
        // Attempts and age start over, or an item dead of old age would die again at once; what is known of earlier
        // attempts stays, for it decides how "not on sale" is read.
        let sql = "INSERT INTO message (account, message_id, priority, placed_at, due_at, ambiguous, last_code, replays, body)
             SELECT account, message_id, priority, ?2, ?2, ambiguous, last_code, replays + 1, body
             FROM dead_letter WHERE seq = ?1";
        let mut revive = db.prepare_cached(sql)?;
        for (seq, _) in &letters {
            revive.execute([*seq, now])?;
        }
        remove(db, letters.iter().map(|(seq, _)| *seq))?;
        Ok(letters.into_iter().map(|(_, replayed)| replayed).collect())
    }

    /// Deletes the letters; returns how many.
    pub(super) fn purge(&self, db: &Connection) -> rusqlite::Result<u64> {
        let letters: Vec<i64> = self.query(db, "seq", |row| row.get(0))?;
        remove(db, letters.iter().copied())?;
        Ok(letters.len() as u64)
    }
}

/// A letter put back to work.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) account: AccountId,
    pub(super) is_high: bool,
}

fn remove(db: &Connection, letters: impl Iterator<Item = i64>) -> rusqlite::Result<()> {
    let mut statement = db.prepare_cached("DELETE FROM dead_letter WHERE seq = ?1")?;
    for seq in letters {
        statement.execute([seq])?;
    }
    Ok(())
}

fn letter(row: &Row<'_>) -> rusqlite::Result<DeadLetter> {
    let outcome = FinalOutcome::decode(&row.get::<_, Vec<u8>>("outcome")?).map_err(|e| unreadable(e.into()))?;
    Ok(DeadLetter {
        id: row.get("id")?,
        account: row.get("account")?,
        reason: outcome.reason,
        died_at: outcome.finished_at,
        outcome,
        body: row.get("body")?,
        envelope: row::envelope(row)?,
    })
}
