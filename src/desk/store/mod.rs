//! A desk's file: what the broker's two streams told, counted, in SQLite.
//!
//! Promise: how far the streams were read is written in the transaction that counts what was read, and an outcome counts
//! by its stable id. So a desk that is killed neither loses nor doubles a count, and several desks may share one file:
//! each counts what the others have not. The file is a copy: deleted, it is read again from the streams, as far back as
//! they go.
//!
//! Calls block for a statement or two, a few milliseconds.

mod count;
mod views;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use tokio::sync::watch;

use crate::desk::DeskError;

pub use crate::desk::store::views::Minute;

const SCHEMA: &str = include_str!("schema.sql");
const APPLICATION_ID: i64 = 1_953_195_115;
const SCHEMA_VERSION: i64 = 1;

/// How long one process waits for another's transaction, which takes milliseconds.
const BUSY: Duration = Duration::from_secs(10);

/// A desk's file. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    path: Arc<Path>,
    db: Arc<Mutex<Connection>>,
    changed: watch::Sender<u64>,
}

impl Store {
    /// Opens or creates the file; `source` names the broker it counts.
    ///
    /// # Errors
    /// [`DeskError::File`] where the file is something else, or counts another broker; [`DeskError::Database`].
    pub fn open(path: &Path, source: &str) -> Result<Self, DeskError> {
        if let Some(directory) = path.parent().filter(|directory| !directory.as_os_str().is_empty()) {
            std::fs::create_dir_all(directory).map_err(|error| {
                let problem = format!("its directory cannot be made: {error}; name another by `[desk] file`");
                refused(path, problem)
            })?;
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path, flags).map_err(|source| opened(path, source))?;
        Self::prepare(path.into(), db, source)
    }

    /// Opens a file without a name that goes with the process: for a worker's pages.
    ///
    /// # Errors
    /// [`DeskError::Database`].
    pub fn temporary(source: &str) -> Result<Self, DeskError> {
        let path: PathBuf = "temporary".into();
        let db = Connection::open("").map_err(|source| opened(&path, source))?;
        Self::prepare(path, db, source)
    }

    fn prepare(path: PathBuf, mut db: Connection, source: &str) -> Result<Self, DeskError> {
        let problem = examine(&mut db, source).map_err(|source| opened(&path, source))?;
        if let Some(problem) = problem {
            return Err(refused(&path, problem));
        }
        Ok(Self { path: path.into(), db: Arc::new(Mutex::new(db)), changed: watch::Sender::new(0) })
    }

    /// Tells each time something was counted through this handle or a clone of it.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Returns where the file is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn read<T>(&self, read: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DeskError> {
        let db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        read(&db).map_err(|source| self.failed("read", source))
    }

    /// Runs one transaction; everything in it holds, or nothing.
    fn write<T>(&self, write: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, DeskError> {
        let mut db = self.db.lock().unwrap_or_else(PoisonError::into_inner);
        let written = (|| {
            let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = write(&transaction)?;
            fault_point!(Committing);
            transaction.commit()?;
            Ok(value)
        })();
        let value = written.map_err(|source| self.failed("written", source))?;
        self.changed.send_modify(|count| *count += 1);
        Ok(value)
    }

    fn failed(&self, action: &'static str, source: rusqlite::Error) -> DeskError {
        DeskError::Database { path: self.path.display().to_string(), action, source }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("path", &self.path).finish_non_exhaustive()
    }
}

fn opened(path: &Path, source: rusqlite::Error) -> DeskError {
    match source.sqlite_error_code() {
        Some(rusqlite::ErrorCode::NotADatabase) => {
            refused(path, "is no SQLite file; name another by `[desk] file`, it is left untouched".to_owned())
        }
        _ => DeskError::Database { path: path.display().to_string(), action: "opened", source },
    }
}

fn refused(path: &Path, problem: String) -> DeskError {
    DeskError::File { path: path.display().to_string(), problem }
}

/// Makes an empty file a desk's, and says what is wrong with another.
fn examine(db: &mut Connection, source: &str) -> rusqlite::Result<Option<String>> {
    db.busy_timeout(BUSY)?;
    db.set_prepared_statement_cache_capacity(64);
    let number = |db: &Connection, sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let (application, version) = (number(db, "PRAGMA application_id")?, number(db, "PRAGMA user_version")?);
    let is_new = application == 0 && version == 0 && number(db, "SELECT COUNT(*) FROM sqlite_schema")? == 0;
    if !is_new && application != APPLICATION_ID {
        let problem = "is a database of another program; name another by `[desk] file`, it is left untouched";
        return Ok(Some(problem.to_owned()));
    }
    if !is_new && version != SCHEMA_VERSION {
        return Ok(Some(format!(
            "has format {version}, this program knows format {SCHEMA_VERSION}; delete it: it is read again from the broker"
        )));
    }
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    // What a power cut undoes is read again: its place is undone with it.
    db.execute_batch("PRAGMA synchronous = NORMAL")?;
    let transaction = db.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if number(&transaction, "PRAGMA user_version")? == 0 {
        transaction.execute_batch(SCHEMA)?;
        transaction.execute("INSERT INTO source (name) VALUES (?1)", [source])?;
    }
    let counted: Option<String> = transaction.query_row("SELECT name FROM source", [], |row| row.get(0)).optional()?;
    transaction.commit()?;
    let counted = counted.unwrap_or_default();
    Ok((counted != source).then(|| {
        format!("counts the outcomes of {counted}, not of {source}; name another by `[desk] file`, or delete it")
    }))
}

fn to_millis(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn from_millis(millis: i64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(millis.unsigned_abs())
}

#[cfg(test)]
mod tests;
