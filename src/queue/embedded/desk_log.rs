//! The operators' log in the file: one row a notice; to note a cancel is to cancel.

use rusqlite::{Connection, params};

use crate::domain::cause::chain;
use crate::domain::notice::Notice;
use crate::queue::embedded::EmbeddedQueue;
use crate::queue::{DeskLog, QueueError};

impl DeskLog for EmbeddedQueue {
    async fn note(&self, notice: &Notice) -> Result<(), QueueError> {
        self.cancel(notice).await.map(drop)
    }

    async fn notices(&self) -> Result<Vec<Notice>, QueueError> {
        self.writer().call("read", read).await
    }
}

impl EmbeddedQueue {
    /// Writes a notice that changes no message.
    pub(super) async fn write_notice(&self, notice: &Notice) -> Result<(), QueueError> {
        let body = notice.encode();
        self.writer().call("written", move |db| write(db, &body)).await?;
        self.learn(notice);
        Ok(())
    }
}

/// Adds one notice.
pub(super) fn write(db: &Connection, body: &[u8]) -> rusqlite::Result<()> {
    db.prepare_cached("INSERT INTO desk_log (body) VALUES (?1)")?.execute(params![body]).map(drop)
}

/// Reads them all; what cannot be read is told and passed over.
pub(super) fn read(db: &Connection) -> rusqlite::Result<Vec<Notice>> {
    let mut statement = db.prepare_cached("SELECT seq, body FROM desk_log ORDER BY seq")?;
    let mut rows = statement.query([])?;
    let mut notices = Vec::new();
    while let Some(row) = rows.next()? {
        let (seq, body): (i64, Vec<u8>) = (row.get(0)?, row.get(1)?);
        match Notice::decode(&body) {
            Ok(notice) => notices.push(notice),
            Err(error) => {
                tracing::warn!(seq, problem = chain(&error), "an entry of the operators' log is passed over");
            }
        }
    }
    Ok(notices)
}
