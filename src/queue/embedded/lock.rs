//! The lock beside the queue's file: one process works on a queue, and a second one is told which.
//!
//! A file of its own, because closing any handle of a SQLite file drops the locks SQLite holds on it
//! (sqlite.org/howtocorrupt.html, section 2.2). The lock is the kernel's and goes with the process, however it ends; the
//! file stays behind, since removing it would let two processes lock two files of the same name. It also says in what
//! state the last process left the queue, so that a part that is missing is missed.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::queue::QueueError;
use crate::queue::embedded::fault::refused;
use crate::queue::embedded::place::Found;

/// Holds the lock until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
    last: State,
}

/// How the last process left the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Nobody had it open yet, as far as is known.
    New,
    /// In the midst of work: the latest changes lie in the log beside it.
    Open,
    /// In order: everything lies in the one file.
    Folded,
}

impl State {
    fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Open => "open",
            Self::Folded => "folded",
        }
    }

    fn read(word: &str) -> Self {
        [Self::Open, Self::Folded].into_iter().find(|state| state.as_str() == word).unwrap_or(Self::New)
    }
}

impl Lock {
    /// Takes the lock of a queue file and writes this process's id into it.
    ///
    /// # Errors
    /// [`QueueError::File`], naming the process that holds it.
    pub(super) fn take(queue: &Path, found: Found) -> Result<Self, QueueError> {
        let path = path_for(queue);
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|error| refused(queue, format!("its lock file {} cannot be used: {error}", path.display())))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(refused(queue, held(&mut file))),
            Err(TryLockError::Error(error)) => {
                let problem = format!("cannot be locked ({error}); keep it on a local disk");
                return Err(refused(queue, problem));
            }
        }
        let unusable = |error| refused(queue, format!("its lock file {} cannot be used: {error}", path.display()));
        let (_, left) = read(&mut file).map_err(unusable)?;
        // What is said of a file that was moved away does not hold for the new one.
        let last = if found == Found::Created { State::New } else { left };
        let lock = Self { file, last };
        lock.write(last).map_err(unusable)?;
        Ok(lock)
    }

    /// Returns how the last process left the queue.
    pub(super) fn last(&self) -> State {
        self.last
    }

    /// Writes this process's id and a state, and syncs it: the log is removed on the word of this file.
    pub(super) fn write(&self, state: State) -> io::Result<()> {
        let text = format!("{} {}\n", std::process::id(), state.as_str());
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)?;
        self.file.sync_data()
    }
}

/// Returns the lock file of a queue file.
pub(super) fn path_for(queue: &Path) -> PathBuf {
    let mut name = queue.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

/// Reads the id of the last process, and the state it left.
fn read(file: &mut File) -> io::Result<(Option<u32>, State)> {
    let mut text = Vec::new();
    file.take(64).read_to_end(&mut text)?;
    let text = String::from_utf8_lossy(&text);
    let mut words = text.split_whitespace();
    let pid = words.next().and_then(|word| word.parse().ok());
    Ok((pid, words.next().map_or(State::New, State::read)))
}

fn held(file: &mut File) -> String {
    let holder = match read(file) {
        Ok((Some(pid), _)) if pid == std::process::id() => "this very process".to_owned(),
        Ok((Some(pid), _)) => format!("process {pid}"),
        Ok((None, _)) | Err(_) => "another process".to_owned(),
    };
    format!("is in use by {holder}; wait for it to end, or stop it, then try again")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_and_a_third_gets_it_after_release() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("q");
        let first = Lock::take(&queue, Found::There).unwrap();
        let error = Lock::take(&queue, Found::There).unwrap_err().to_string();
        assert!(error.contains("in use by this very process; wait for it to end"), "{error}");
        drop(first);
        Lock::take(&queue, Found::There).unwrap();
        assert_eq!(
            std::fs::read_to_string(path_for(&queue)).unwrap(),
            format!("{} new\n", std::process::id()),
            "the file stays and names the last holder"
        );
    }

    #[test]
    fn a_lock_file_without_a_number_still_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("q");
        let _first = Lock::take(&queue, Found::There).unwrap();
        std::fs::write(path_for(&queue), "?").unwrap();
        let error = Lock::take(&queue, Found::There).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
    }
}
