//! Cancelling a batch in the file: what waits of it ends in the transaction that notes the cancel.

use rusqlite::{Connection, params};

use crate::domain::ids::BatchId;
use crate::domain::notice::{Notice, What};
use crate::domain::takedown::Takedown;
use crate::queue::QueueError;
use crate::queue::cancel;
use crate::queue::embedded::row::{COLUMNS, envelope};
use crate::queue::embedded::{EmbeddedQueue, desk_log, settle};

impl EmbeddedQueue {
    /// Cancels a batch: what waits of it ends as `cancelled` at once, each item with its outcome; what is in hand ends so
    /// when its turn comes. Returns how many ended. Any other notice is only written.
    ///
    /// # Errors
    /// [`QueueError::File`] and [`QueueError::Database`]; nothing was cancelled then.
    pub async fn cancel(&self, notice: &Notice) -> Result<u64, QueueError> {
        let What::BatchCancelled { batch, .. } = &notice.what else {
            self.write_notice(notice).await?;
            return Ok(0);
        };
        let (batch, noted) = (batch.clone(), notice.clone());
        let ended = self.writer().call("written", move |db| {
            desk_log::write(db, &noted.encode())?;
            end_waiting(db, &batch, &noted)
        });
        let ended = ended.await?;
        self.learn(notice);
        Ok(ended)
    }
}

/// Ends what waits of a batch; what is claimed is left to who has it.
fn end_waiting(db: &Connection, batch: &BatchId, notice: &Notice) -> rusqlite::Result<u64> {
    let sql = format!("SELECT seq, {COLUMNS} FROM message WHERE lease IS NULL ORDER BY seq");
    let mut statement = db.prepare(&sql)?;
    let mut rows = statement.query([])?;
    let mut meant = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get("seq")?, row.get("body")?);
        let Ok(takedown) = Takedown::decode(&body) else { continue };
        if takedown.batch.as_ref() == Some(batch) {
            let outcome = cancel::outcome(&takedown, &envelope(row)?, &notice.by, notice.at);
            meant.push((seq, outcome.encode()));
        }
    }
    for (seq, outcome) in &meant {
        settle::write_outcome(db, outcome)?;
        db.prepare_cached("DELETE FROM message WHERE seq = ?1")?.execute(params![seq])?;
    }
    Ok(meant.len() as u64)
}
