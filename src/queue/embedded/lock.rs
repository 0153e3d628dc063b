//! The lock beside the queue's file: one process works on a queue, and a second one is told which.
//!
//! A file of its own, because closing any handle of a SQLite file drops the locks SQLite holds on it
//! (sqlite.org/howtocorrupt.html, section 2.2). The lock is the kernel's and goes with the process, however it ends; the
//! file stays behind, since removing it would let two processes lock two files of the same name.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use crate::queue::QueueError;

/// Holds the lock until dropped.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock of a queue file and writes this process's id into it.
    ///
    /// # Errors
    /// [`QueueError::File`], naming the process that holds it.
    pub(super) fn take(queue: &Path) -> Result<Self, QueueError> {
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
        write_pid(&mut file)
            .map_err(|error| refused(queue, format!("its lock file {} cannot be written: {error}", path.display())))?;
        Ok(Self { _file: file })
    }
}

/// Returns the lock file of a queue file.
pub(super) fn path_for(queue: &Path) -> PathBuf {
    let mut name = queue.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

fn write_pid(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())?;
    file.flush()
}

fn held(file: &mut File) -> String {
    let mut text = String::new();
    let holder = match file.read_to_string(&mut text).map(|_| text.trim().parse::<u32>()) {
        Ok(Ok(pid)) if pid == std::process::id() => "this very process".to_owned(),
        Ok(Ok(pid)) => format!("process {pid}"),
        Ok(Err(_)) | Err(_) => "another process".to_owned(),
    };
    format!("is in use by {holder}; wait for it to end, or stop it, then try again")
}

fn refused(queue: &Path, problem: String) -> QueueError {
    QueueError::File { path: queue.display().to_string(), problem }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_holder_is_told_who_has_it_and_a_third_gets_it_after_release() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("q");
        let first = Lock::take(&queue).unwrap();
        let error = Lock::take(&queue).unwrap_err().to_string();
        assert!(error.contains("in use by this very process; wait for it to end"), "{error}");
        drop(first);
        Lock::take(&queue).unwrap();
        assert_eq!(
            std::fs::read_to_string(path_for(&queue)).unwrap().trim(),
            std::process::id().to_string(),
            "the file stays and names the last holder"
        );
    }

    #[test]
    fn a_lock_file_without_a_number_still_refuses() {
        let dir = tempfile::tempdir().unwrap();
        let queue = dir.path().join("q");
        let _first = Lock::take(&queue).unwrap();
        std::fs::write(path_for(&queue), "?").unwrap();
        let error = Lock::take(&queue).unwrap_err().to_string();
        assert!(error.contains("in use by another process"), "{error}");
    }
}
