//! A file that is there whole or not at all.
//!
//! It is written beside its place and moved there at the end (rename(2) puts the new file in the place of the old one in
//! one step). Promise: whoever opens it under its name sees the last whole one, also after a kill -9; what was begun and
//! not finished is removed.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::intake::beside;

/// A file being written.
#[derive(Debug)]
pub(super) struct WholeFile {
    path: PathBuf,
    part: PathBuf,
    file: Option<File>,
}

impl WholeFile {
    /// Begins, so that a place that cannot be written to is told before the work and not after it.
    ///
    /// # Errors
    /// [`Exit::Usage`] when it cannot be made there.
    pub(super) fn begin(path: &Path) -> Result<Self, Failure> {
        if path.is_dir() {
            return Err(unwritten(path, &io::Error::from(io::ErrorKind::IsADirectory)));
        }
        let part = beside(path, &format!("{:08x}.part", rand::random::<u32>()));
        let file = File::create_new(&part).map_err(|error| unwritten(path, &error))?;
        Ok(Self { path: path.to_owned(), part, file: Some(file) })
    }

    /// Writes it, and puts it in its place.
    ///
    /// # Errors
    /// [`Exit::Usage`] when the disk or its permissions changed meanwhile; the last whole file is still there.
    pub(super) fn place(mut self, text: &str) -> Result<(), Failure> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        let placed = written.and_then(|()| fs::rename(&self.part, &self.path));
        placed.map_err(|error| {
            self.remove();
            unwritten(&self.path, &error)
        })
    }

    fn remove(&self) {
        if let Err(error) = fs::remove_file(&self.part)
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(file = %self.part.display(), %error, "a half-written file could not be removed");
        }
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if self.file.is_some() {
            self.remove();
        }
    }
}

fn unwritten(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Usage, format!("{} cannot be written: {error}", path.display()))
        .remedy("name a file in a directory of yours, on a disk with space")
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn names(directory: &TempDir) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_last_whole_file_stays_until_the_next_one_is_whole() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("out.html");
        WholeFile::begin(&path).unwrap().place("first").unwrap();
        let second = WholeFile::begin(&path).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "first");
        second.place("second").unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), names(&directory).len()), ("second", 1));
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let directory = TempDir::new().unwrap();
        drop(WholeFile::begin(&directory.path().join("out.html")).unwrap());
        assert!(names(&directory).is_empty(), "{:?}", names(&directory));
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_at_once() {
        let directory = TempDir::new().unwrap();
        for place in [directory.path().join("nowhere/out.html"), directory.path().to_owned()] {
            let refused = WholeFile::begin(&place).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.problem.contains("cannot be written"), "{refused}");
        }
    }
}
