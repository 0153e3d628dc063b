//! The file: opened, recognised or refused, and owned by the writer thread.
//!
//! Durability: write-ahead log with `synchronous=FULL`, so a commit is synced to the disk before anyone hears of it. What
//! was accepted survives a killed process, a crashed machine and a power cut, as far as the disk keeps its word about a
//! sync. `NORMAL` would sync at checkpoints alone, and a power cut would undo the latest commits: items told as accepted
//! would be gone. Group commit makes up for most of the cost. A full disk is an error of the operation; what was committed
//! before stays.

use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::thread::JoinHandle;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::domain::notice::Notice;
use crate::queue::QueueError;
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::desk_log;
use crate::queue::embedded::fault::{damaged, named, refused};
use crate::queue::embedded::lock::{Lock, State};
use crate::queue::embedded::place::{self, Missing};
use crate::queue::embedded::writer::Writer;

const SCHEMA: &str = include_str!("schema.sql");
const APPLICATION_ID: i64 = 1_953_195_118;
const SCHEMA_VERSION: i64 = 2;

/// What makes a file of each schema before this one a file of the next, the first from schema 1 to schema 2.
const MIGRATIONS: [&str; 1] = [include_str!("schema_2.sql")];

/// An open queue file. Dropped, it lets the last transaction finish and releases the lock.
#[derive(Debug)]
pub(super) struct Store {
    writer: Writer,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Store {
    /// Opens the file; everything in hand waits again. Returns the operators' log with it.
    ///
    /// # Errors
    /// [`QueueError::File`] with the remedy; [`QueueError::Database`] for what has none.
    pub(super) fn open(path: &Path, missing: Missing, now: Millis) -> Result<(Self, Vec<Notice>), QueueError> {
        let (path, found) = place::find(path, missing)?;
        let lock = Lock::take(&path, found)?;
        place::refuse_foreign_bytes(&path)?;
        place::refuse_parted(&path, lock.last())?;
        place::refuse_torn_log(&path)?;
        let faulty = |source| named(&path, "opened", source);
        let has_log = place::has_log(&path);
        let db = connect(&path).map_err(faulty)?;
        // A file that is refused stays as it was, its log beside it.
        keep_log(&db, has_log).map_err(faulty)?;
        let (is_ours, problem) = examine(&db).map_err(faulty)?;
        if let Some(problem) = problem {
            return Err(refused(&path, problem));
        }
        prepare(&db, is_ours, now).map_err(faulty)?;
        let notices = desk_log::read(&db).map_err(faulty)?;
        place::sync_names(&path)?;
        keep_log(&db, true).map_err(faulty)?;
        lock.write(State::Open).map_err(|error| refused(&path, format!("its lock file cannot be written: {error}")))?;
        let (writer, thread) = Writer::start(&path, db, lock, tidy)
            .map_err(|error| refused(&path, format!("no thread could be started for it: {error}")))?;
        Ok((Self { writer, thread: Mutex::new(Some(thread)) }, notices))
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

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    // Keys and tokens of finished items are overwritten, not merely unlinked.
    db.execute_batch("PRAGMA secure_delete = ON; PRAGMA temp_store = MEMORY; PRAGMA synchronous = FULL;")?;
    // Folding the log in costs two syncs more and holds a group up: after 16 MiB, not after SQLite's 4.
    db.execute_batch("PRAGMA wal_autocheckpoint = 4096;")?;
    db.set_prepared_statement_cache_capacity(64);
    Ok(db)
}

/// Says whether the log stays when the connection is closed; if not, SQLite folds it in and removes it.
fn keep_log(db: &Connection, stays: bool) -> rusqlite::Result<bool> {
    db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, stays)
}

/// Notes in the lock file that the log is folded in, before closing the connection removes it.
fn tidy(db: &Connection, lock: &Lock) {
    if let Err(error) = lock.write(State::Folded) {
        tracing::warn!(error = %error, "the queue's lock file could not be written; the write-ahead log stays");
    } else if let Err(error) = keep_log(db, false) {
        tracing::warn!(error = %error, "the queue's write-ahead log stays, empty");
    }
}

/// What the file is at first sight.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Contents {
    Nothing,
    /// A queue, written by a program that knew the schemas up to this one.
    Queue(i64),
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
    } else if !(1..=SCHEMA_VERSION).contains(&version) {
        Some(format!(
            "has format {version}, this program knows formats up to {SCHEMA_VERSION}; use the version of takedown that \
             wrote it"
        ))
    } else {
        // Reads all, the indexes against their tables, since a message its index lacks would never be handed out: 2.3 s for a
        // million messages and half as many outcomes (570 MB, read lately); `quick_check` leaves the indexes out: 1.5 s.
        let verdict: String = db.query_row("PRAGMA integrity_check(1)", [], |row| row.get(0))?;
        (verdict != "ok").then(|| damaged(&verdict))
    };
    Ok((Contents::Queue(version), problem))
}

fn prepare(db: &Connection, contents: Contents, now: Millis) -> rusqlite::Result<()> {
    db.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    let transaction = rusqlite::Transaction::new_unchecked(db, TransactionBehavior::Immediate)?;
    match contents {
        Contents::Nothing => transaction.execute_batch(SCHEMA)?,
        Contents::Queue(version) => {
            for (_, migration) in (1..).zip(MIGRATIONS).filter(|(from, _)| *from >= version) {
                transaction.execute_batch(migration)?;
            }
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
