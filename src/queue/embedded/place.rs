//! Where the file lies: found or made, all of its parts there, under one name.
//!
//! Promise: what is not a whole queue is refused before SQLite opens it, and left as it was. SQLite itself would take an
//! emptied file for a new one, and a file without its log for an older state of it, and say nothing.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::queue::QueueError;
use crate::queue::embedded::fault::{damaged, refused};
use crate::queue::embedded::lock::{self, State};
use crate::queue::embedded::log::{self, Worth};

/// First bytes of every SQLite file (sqlite.org/fileformat.html, section 1.3.1).
const SQLITE_MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What to do about a file that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Missing {
    Create,
    Refuse,
}

/// Whether the file was there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    There,
    Created,
}

/// Makes sure the file exists, a new one readable by its owner alone (messages hold keys), and follows links to it.
///
/// A file that exists is not opened here: closing it would drop the locks of a connection this process may have.
pub(super) fn find(path: &Path, missing: Missing) -> Result<(PathBuf, Found), QueueError> {
    let mut found = Found::There;
    let whole = path.canonicalize().or_else(|error| {
        if error.kind() != io::ErrorKind::NotFound || missing == Missing::Refuse {
            return Err(error);
        }
        refuse_orphan(path)?;
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        found = Found::Created;
        path.canonicalize()
    });
    let whole = whole.map_err(|error| match (missing, error.kind()) {
        (Missing::Refuse, io::ErrorKind::NotFound) => refused(
            path,
            "does not exist; check the name (`takedown run FILE` keeps its queue in FILE.queue)".to_owned(),
        ),
        _ => refused(path, unusable(&error)),
    })?;
    let names = whole.metadata().map_err(|error| refused(path, unusable(&error)))?;
    // Lock and log go by the name: under another one a second process would find neither (sqlite.org/howtocorrupt.html,
    // section 2.6).
    if names.is_file() && names.nlink() > 1 {
        let problem = "has a second name (a hard link), under which another process could use it unseen; remove that \
                       one, or work on a copy";
        return Err(refused(path, problem.to_owned()));
    }
    Ok((whole, found))
}

/// Refuses to make a new file beside the log of an old one: SQLite would delete the log.
fn refuse_orphan(path: &Path) -> io::Result<()> {
    if has_log(path) {
        return Err(io::Error::other(format!(
            "the file is gone and its write-ahead log {} is not; put the file back, or move the log away too",
            log_of(path).display()
        )));
    }
    Ok(())
}

/// Refuses what does not begin like a SQLite file, or lacks its end.
pub(super) fn refuse_foreign_bytes(path: &Path) -> Result<(), QueueError> {
    let mut start = Vec::new();
    let mut read = || {
        let file = File::open(path)?;
        let length = file.metadata()?.len();
        file.take(32).read_to_end(&mut start)?;
        Ok(length)
    };
    let length = read().map_err(|error| refused(path, unusable(&error)))?;
    if !start.is_empty() && !start.starts_with(SQLITE_MAGIC) {
        return Err(refused(path, "is not a queue file; name another, it is left untouched".to_owned()));
    }
    // With a log, the file may be behind what it says itself; without one SQLite would read zeros for what is missing of
    // the last page (sqlite.org/fileformat.html, section 1.3: page size at 16, number of pages at 28).
    if let [_, .., p1, p0, _, _, _, _, _, _, _, _, _, _, n3, n2, n1, n0] = start[..]
        && start.len() == 32
        && !has_log(path)
    {
        let page = match u16::from_be_bytes([p1, p0]) {
            1 => 65536,
            size => u64::from(size),
        };
        if length < page * u64::from(u32::from_be_bytes([n3, n2, n1, n0])) {
            return Err(refused(path, damaged("its end is missing")));
        }
    }
    Ok(())
}

/// Refuses a queue that lacks a part the last process left behind.
pub(super) fn refuse_parted(path: &Path, last: State) -> Result<(), QueueError> {
    let size = path.metadata().map_err(|error| refused(path, unusable(&error)))?.len();
    let (log, lock) = (log_of(path), lock::path_for(path));
    let lacks = match last {
        State::Open if !log.exists() => format!("lacks its write-ahead log {}, and the latest changes", log.display()),
        State::Open | State::Folded if size == 0 => "has been emptied".to_owned(),
        State::New | State::Open | State::Folded => return Ok(()),
    };
    Err(refused(
        path,
        format!(
            "{lacks}; put a copy back, or, to go on with what is there, remove {} and start again from the items: \
             repeating a takedown does no harm",
            lock.display()
        ),
    ))
}

/// Refuses a log with a hole in it, which SQLite would take for its end.
pub(super) fn refuse_torn_log(path: &Path) -> Result<(), QueueError> {
    let log = log_of(path);
    let worth = match log::examine(&log) {
        Ok(worth) => worth,
        Err(error) if error.kind() == io::ErrorKind::NotFound => Worth::Whole,
        Err(error) => return Err(refused(path, format!("its log {} cannot be read: {error}", log.display()))),
    };
    match worth {
        Worth::Whole => Ok(()),
        Worth::Damaged => Err(refused(path, damaged(&format!("its write-ahead log {}, in the midst", log.display())))),
    }
}

/// Makes the names of the file and its log last through a power cut.
pub(super) fn sync_names(path: &Path) -> Result<(), QueueError> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let problem = |error| refused(path, format!("its directory cannot be synced to the disk: {error}"));
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(problem)
}

/// Says whether a log with something in it lies beside the file.
pub(super) fn has_log(path: &Path) -> bool {
    fs::metadata(log_of(path)).is_ok_and(|log| log.len() > 0)
}

fn log_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}

fn unusable(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "cannot be created: its directory does not exist; create it first".to_owned(),
        io::ErrorKind::PermissionDenied => "may not be read or written by this user; mend its permissions".to_owned(),
        io::ErrorKind::IsADirectory => "is a directory; name a file in it".to_owned(),
        io::ErrorKind::StorageFull => "cannot be created: its disk is full; free some space".to_owned(),
        _ => format!("cannot be opened: {error}"),
    }
}
