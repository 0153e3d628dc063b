//! The file: opened, recognised or refused, and owned by the writer thread.
//!
//! Durability: write-ahead log with `synchronous=FULL`, so a commit is synced to the disk before anyone hears of it. What
//! was accepted survives a killed process, a crashed machine and a power cut, as far as the disk keeps its word about a
//! sync. A full disk is an error of the operation; what was committed before stays.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};

use crate::queue::QueueError;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::lock::Lock;
use crate::queue::embedded::writer::Writer;

const SCHEMA: &str = include_str!("schema.sql");
const APPLICATION_ID: i64 = 1_953_195_118;
const SCHEMA_VERSION: i64 = 1;
/// First bytes of every SQLite file (sqlite.org/fileformat.html, section 1.3.1).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What to do about a file that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

/// An open queue file. Dropped, it lets the last transaction finish and releases the lock.
#[derive(Debug)]
pub(super) struct Store {
    writer: Writer,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the file; everything in hand waits again.
    ///
    /// # Errors
    /// [`QueueError::File`] with the remedy; [`QueueError::Database`] for what has none.
    pub(super) fn open(path: &Path, missing: Missing, now: Millis) -> Result<Self, QueueError> {
        let path = find(path, missing)?;
        let lock = Lock::take(&path)?;
        refuse_foreign_bytes(&path)?;
        let db = connect(&path).map_err(|source| faulty(&path, source))?;
        let (is_ours, problem) = examine(&db).map_err(|source| faulty(&path, source))?;
        if let Some(problem) = problem {
            return Err(refused(&path, problem));
        }
        prepare(&db, is_ours, now).map_err(|source| faulty(&path, source))?;
        let (writer, thread) = Writer::start(db, lock)
            .map_err(|error| refused(&path, format!("no thread could be started for it: {error}")))?;
        Ok(Self { writer, thread: Mutex::new(Some(thread)) })
    }

    /// Returns the way to hand jobs to the writer thread.
    pub(super) fn writer(&self) -> &Writer {
        &self.writer
    }

    /// Ends the writer thread after the jobs handed over so far, and releases the lock.
    ///
    /// # Errors
    /// [`QueueError::Closed`] when the thread had died of a panic.
    pub(super) async fn close(&self) -> Result<(), QueueError> {
        let Some(thread) = self.end() else { return Ok(()) };
        match tokio::task::spawn_blocking(move || thread.join()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(QueueError::Closed),
        }
    }

    fn end(&self) -> Option<JoinHandle<()>> {
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if thread.is_some() {
            self.writer.stop();
        }
        thread
    }
}

impl Drop for Store {
    /// Waits for the last commit, a matter of milliseconds, so that whoever opens the file next finds it free.
    fn drop(&mut self) {
        if self.end().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the queue's writer thread had panicked");
        }
    }
}

/// Makes sure the file exists, a new one readable by its owner alone (messages hold keys), and follows links to it.
///
/// A file that exists is not opened here: closing it would drop the locks of a connection this process may have.
fn find(path: &Path, missing: Missing) -> Result<PathBuf, QueueError> {
    let found = path.canonicalize().or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound || missing == Missing::Refuse {
            return Err(error);
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        options.open(path)?;
        path.canonicalize()
    });
    found.map_err(|error| match (missing, error.kind()) {
        (Missing::Refuse, io::ErrorKind::NotFound) => refused(
            path,
            "does not exist; check the name (`takedown run FILE` keeps its queue in FILE.queue)".to_owned(),
        ),
        _ => refused(path, unusable(&error)),
    })
}

fn refuse_foreign_bytes(path: &Path) -> Result<(), QueueError> {
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(SQLITE_MAGIC.len() as u64).read_to_end(&mut start))
        .map_err(|error| refused(path, unusable(&error)))?;
    if start.is_empty() || start == SQLITE_MAGIC {
        return Ok(());
    }
    Err(refused(path, "is not a queue file; name another, it is left untouched".to_owned()))
}

fn unusable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "cannot be created: its directory does not exist; create it first".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read or written by this user; mend its permissions".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory; name a file in it".to_owned(),
        _ => format!("cannot be opened: {error}"),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    // Keys and tokens of finished items are overwritten, not merely unlinked.
    db.execute_batch("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// What the file is at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    Nothing,
    Queue,
}

fn examine(db: &Connection) -> rusqlite::Result<(Contents, Option<String>)> {
    let number = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0));
    let application = number("PRAGMA application_id")?;
    let version = number("PRAGMA user_version")?;
    if application == 0 && version == 0 && number("SELECT COUNT(*) FROM sqlite_schema")? == 0 {
        return Ok((Contents::Nothing, None));
    }
    let problem = if application != APPLICATION_ID {
        Some("is a database of another program; name another, it is left untouched".to_owned())
    } else if version != SCHEMA_VERSION {
        Some(format!(
            "has format {version}, this program knows format {SCHEMA_VERSION}; use the version of takedown that wrote it"
        ))
    } else {
        // Reads every page once: some 0.1 s for 100,000 messages.
        let verdict: String = db.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
        (verdict != "ok").then(|| damaged(&verdict))
    };
    Ok((Contents::Queue, problem))
}

fn prepare(db: &Connection, contents: Contents, now: Millis) -> rusqlite::Result<()> {
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    match contents {
        Contents::Nothing => transaction.execute_batch(SCHEMA)?,
        Contents::Queue => {
            transaction.execute("UPDATE message SET lease = NULL WHERE lease IS NOT NULL", [])?;
            // The wall clock was set back since: keep each wait, not its date.
            transaction.execute(
                "UPDATE message SET due_at = due_at - placed_at + ?1, placed_at = ?1 WHERE placed_at > ?1",
                [now],
            )?;
        }
    }
    transaction.commit()
}

fn faulty(path: &Path, source: rusqlite::Error) -> QueueError {
    match source.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => refused(path, damaged(&source.to_string())),
        Some(ErrorCode::ReadOnly) => refused(path, "may not be written by this user; mend its permissions".to_owned()),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            refused(path, "is locked by another program, such as a database browser; close it".to_owned())
        }
        _ => QueueError::Database { action: "opened", source },
    }
}

fn damaged(detail: &str) -> String {
    format!(
        "is damaged ({detail}); move it away and start again from the items: repeating a takedown does no harm \
         (`sqlite3 FILE .recover` may save the rest)"
    )
}

fn refused(path: &Path, problem: String) -> QueueError {
    QueueError::File { path: path.display().to_string(), problem }
}
