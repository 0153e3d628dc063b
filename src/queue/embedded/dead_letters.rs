//! Dead letters in the file: looked at without harm, put back to work, edited, or deleted.
//!
//! Promise: each step is one transaction, so that a letter is never at work and a letter at the same time, nor neither.

use rusqlite::{Connection, Row, named_params, params};
use tokio_util::sync::CancellationToken;

use crate::domain::classify::Effect;
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::outcome::FinalOutcome;
use crate::domain::takedown::Priority;
use crate::queue::QueueError;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::row::{self, COLUMNS, unreadable};
use crate::queue::envelope::Envelope;
use crate::queue::letters::{
    DeadLetter, DeadLetters, Edited, Left, Purged, Replay, ReplaySession, Seen, Selection, Step,
};

/// Letters read in one go, so that a long list does not hold up the settlements.
const CHUNK: usize = 500;

impl DeadLetters for EmbeddedQueue {
    type Session = EmbeddedReplay;

    async fn accounts(&self, selection: &Selection) -> Result<Vec<AccountId>, QueueError> {
        if !selection.accounts().is_empty() {
            return Ok(selection.accounts().to_vec());
        }
        let read = |db: &Connection| {
            let mut statement = db.prepare("SELECT DISTINCT account FROM dead_letter ORDER BY account")?;
            let accounts = statement.query_map([], |row| row::text(row, "account"))?;
            accounts.collect()
        };
        self.inner.store.writer().call("read", read).await
    }

    async fn look(&self, selection: &Selection, see: &mut (dyn FnMut(DeadLetter) + Send)) -> Result<Seen, QueueError> {
        let mut after = 0;
        loop {
            let (wanted, from) = (selection.clone(), after);
            let chunk =
                self.inner.store.writer().call("read", move |db| read(db, &wanted, None, from, CHUNK, CHUNK)).await?;
            chunk.letters.into_iter().for_each(|(_, letter)| see(letter));
            match chunk.last {
                Some(last) => after = last,
                None => return Ok(Seen::All),
            }
        }
    }

    async fn session(
        &self,
        account: &AccountId,
        selection: &Selection,
        replay: &Replay,
        stop: &CancellationToken,
    ) -> Result<EmbeddedReplay, QueueError> {
        Ok(EmbeddedReplay {
            queue: self.clone(),
            account: account.clone(),
            selection: selection.clone(),
            replay: replay.clone(),
            stop: stop.clone(),
            after: 0,
        })
    }

    async fn replace(&self, letter: &DeadLetter, edited: &Edited) -> Result<u64, QueueError> {
        let (letter, edited) = (letter.clone(), edited.clone());
        self.inner.store.writer().call("written", move |db| replace(db, &letter, &edited)).await
    }

    async fn purge(&self, selection: &Selection, planned: u64) -> Result<Purged, QueueError> {
        let wanted = selection.clone();
        self.inner.store.writer().call("written", move |db| purge(db, &wanted, planned)).await
    }
}

/// An account's letters being put back to work, from the oldest row on.
pub struct EmbeddedReplay {
    queue: EmbeddedQueue,
    account: AccountId,
    selection: Selection,
    replay: Replay,
    stop: CancellationToken,
    after: i64,
}

impl ReplaySession for EmbeddedReplay {
    async fn step(&mut self, count: usize) -> Result<Step, QueueError> {
        if self.stop.is_cancelled() {
            return Ok(Step { replayed: 0, left: Left::Other });
        }
        let inner = &self.queue.inner;
        let (account, selection, replay) = (self.account.clone(), self.selection.clone(), self.replay.clone());
        let (after, now, desk) = (self.after, inner.clock.now(), inner.desks.of(&self.account));
        let work = move |db: &Connection| {
            let chunk = read(db, &selection, Some(&account), after, count, CHUNK)?;
            let mut priorities = Vec::new();
            for (seq, letter) in &chunk.letters {
                priorities.push(revive(db, *seq, &replay.envelope(&letter.envelope), now)?);
                remove(db, *seq)?;
            }
            fault_point!(Committing);
            Ok((priorities, chunk.last))
        };
        let wake = move |(priorities, last): (Vec<Priority>, Option<i64>)| {
            fault_point!(Replaying);
            priorities.iter().for_each(|priority| desk.note(*priority, now));
            (priorities.len() as u64, last)
        };
        let (replayed, last) = inner.store.writer().call_then("written", work, wake).await?;
        self.after = last.unwrap_or(self.after);
        Ok(Step { replayed, left: if last.is_some() { Left::Some } else { Left::Nothing } })
    }

    async fn close(self) -> Result<(), QueueError> {
        Ok(())
    }
}

/// Some letters that are meant, with their rows.
struct Chunk {
    letters: Vec<(i64, DeadLetter)>,
    /// The last row looked at; `None` when there was none.
    last: Option<i64>,
}

/// Looks at rows after one, until enough are meant or enough were looked at.
fn read(
    db: &Connection,
    selection: &Selection,
    account: Option<&AccountId>,
    after: i64,
    most: usize,
    rows: usize,
) -> rusqlite::Result<Chunk> {
    let sql = format!(
        "SELECT {COLUMNS}, seq, id, outcome FROM dead_letter
         WHERE seq > :after AND (:account IS NULL OR account = :account) ORDER BY seq LIMIT :rows"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let mut found = statement.query(named_params! {
        ":after": after, ":account": account.map(AccountId::as_str), ":rows": i64::try_from(rows).unwrap_or(i64::MAX),
    })?;
    let mut chunk = Chunk { letters: Vec::new(), last: None };
    while chunk.letters.len() < most
        && let Some(row) = found.next()?
    {
        let seq = row.get("seq")?;
        chunk.last = Some(seq);
        let letter = letter(row)?;
        if selection.means(&letter) {
            chunk.letters.push((seq, letter));
        }
    }
    Ok(chunk)
}

/// Puts a letter back to work at `now`, and returns its priority. Attempts and age start over, or an item dead of old age
/// would die again at once; what is known of earlier attempts stays, for it decides how "not on sale" is read.
fn revive(db: &Connection, seq: i64, next: &Envelope, now: Millis) -> rusqlite::Result<Priority> {
    let sql =
        "INSERT INTO message (account, message_id, priority, placed_at, due_at, ambiguous, last_code, replays, plan,
             history, body)
         SELECT account, message_id, priority, :now, :now, :ambiguous, :last_code, :replays, :plan, :history, body
         FROM dead_letter WHERE seq = :seq
         RETURNING priority";
    let values = named_params! {
        ":now": now, ":ambiguous": next.effect == Effect::Possible, ":last_code": next.last_code,
        ":replays": next.replays, ":plan": next.plan.as_ref().map(PlanId::as_str), ":history": next.history.encode(),
        ":seq": seq,
    };
    db.prepare_cached(sql)?.query_row(values, |row| row.get(0).map(row::priority))
}

fn remove(db: &Connection, seq: i64) -> rusqlite::Result<usize> {
    db.prepare_cached("DELETE FROM dead_letter WHERE seq = ?1")?.execute([seq])
}

/// Writes the edited letter into the first row of its id, account and round, and deletes the others.
fn replace(db: &Connection, letter: &DeadLetter, edited: &Edited) -> rusqlite::Result<u64> {
    let sql = format!(
        "SELECT {COLUMNS}, seq, id, outcome FROM dead_letter
         WHERE account = ?1 AND id = ?2 AND replays = ?3 ORDER BY seq"
    );
    let mut statement = db.prepare_cached(&sql)?;
    let rows = statement.query_map(params![letter.account, letter.id, letter.envelope.replays], |row| {
        Ok((row.get::<_, i64>("seq")?, self::letter(row)?))
    })?;
    let copies: Vec<_> = rows.collect::<rusqlite::Result<_>>()?;
    if !copies.iter().any(|(_, copy)| copy == letter) {
        return Ok(0);
    }
    let envelope = edited.envelope(&letter.envelope);
    for (number, (seq, _)) in copies.iter().enumerate() {
        if number > 0 {
            remove(db, *seq)?;
            continue;
        }
        let sql = "UPDATE dead_letter SET account = ?2, body = ?3, priority = ?4, history = ?5 WHERE seq = ?1";
        let priority = row::rank(edited.priority);
        let values = params![seq, edited.account.as_str(), edited.body, priority, envelope.history.encode()];
        db.prepare_cached(sql)?.execute(values)?;
    }
    Ok(copies.len() as u64)
}

fn purge(db: &Connection, selection: &Selection, planned: u64) -> rusqlite::Result<Purged> {
    let (mut rows, mut after) = (Vec::new(), 0);
    loop {
        let chunk = read(db, selection, None, after, CHUNK, CHUNK)?;
        rows.extend(chunk.letters.iter().map(|(seq, _)| *seq));
        match chunk.last {
            Some(last) => after = last,
            None => break,
        }
    }
    let count = rows.len() as u64;
    if count != planned {
        return Ok(Purged::Otherwise(count));
    }
    for seq in rows {
        remove(db, seq)?;
    }
    Ok(Purged::AsPlanned(count))
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
