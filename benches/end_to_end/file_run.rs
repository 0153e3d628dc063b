//! `takedown run`: a file of items through the embedded queue, watched through the queue's own file.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::process::Process;
use crate::stage::Stage;
use crate::worker::takedown;

/// A million rows are taken in within it.
const PATIENCE: Duration = Duration::from_secs(180);

/// One that runs.
pub(crate) struct FileRun {
    pub(crate) process: Process,
    pub(crate) started: Instant,
    queue: PathBuf,
    db: Option<Connection>,
}

impl FileRun {
    /// Starts it on `items.csv` of a directory, which may hold the queue of an earlier run.
    pub(crate) fn start(stage: &Stage, directory: &Path, configuration: &str) -> Result<Self> {
        fs::write(directory.join("takedown.toml"), configuration)?;
        let started = Instant::now();
        let process = Process::start("takedown run", takedown(stage, directory, &["run", "items.csv"]))?;
        Ok(Self { process, started, queue: directory.join("items.csv.queue"), db: None })
    }

    /// Returns the rows it has taken in, of earlier runs too.
    pub(crate) fn taken_in(&mut self) -> Result<u64> {
        self.number("SELECT seq FROM sqlite_sequence WHERE name = 'message'")
    }

    /// Returns the outcomes it has committed, of earlier runs too.
    pub(crate) fn settled(&mut self) -> Result<u64> {
        self.number("SELECT seq FROM sqlite_sequence WHERE name = 'outcome'")
    }

    /// Waits until a number is reached; returns the time since its start.
    pub(crate) fn wait(&mut self, what: fn(&mut Self) -> Result<u64>, least: u64) -> Result<Duration> {
        loop {
            let number = what(self)?;
            if number >= least {
                return Ok(self.started.elapsed());
            }
            if self.started.elapsed() > PATIENCE {
                bail!("{number} of {least} rows within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// A reader that comes before the file has become what it is to be would be in its owner's way.
    fn number(&mut self, sql: &str) -> Result<u64> {
        if self.db.is_none() {
            let log = self.queue.with_extension("queue-wal");
            if !fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
                return Ok(0);
            }
            let db = Connection::open_with_flags(&self.queue, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            db.busy_timeout(Duration::from_secs(5))?;
            self.db = Some(db);
        }
        let Some(db) = &self.db else { return Ok(0) };
        let number: Option<i64> = match db.query_row(sql, [], |row| row.get(0)).optional() {
            Ok(number) => number,
            // The schema is written in the first transaction.
            Err(rusqlite::Error::SqliteFailure(_, Some(text))) if text.contains("no such table") => None,
            Err(error) => return Err(error.into()),
        };
        Ok(number.unwrap_or_default().unsigned_abs())
    }
}
