//! A file that is there whole or not at all.
//!
//! It is written beside its place and moved there at the end (rename(2) puts the new file in the place of the old one in
//! one step), with the permissions of the one before. Promise: whoever opens it under its name sees the last whole one,
//! also after a kill -9; what was begun and not finished is removed, unless the process was killed (`NAME.….part`).

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
        // A link stays: what it leads to is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let before = fs::metadata(&path).ok();
        match &before {
            Some(before) if before.is_dir() => return Err(unwritten(&path, &io::ErrorKind::IsADirectory.into())),
            Some(before) if !before.is_file() => {
                return Err(unwritten(&path, &io::Error::other("it is a device or a pipe, not a file")));
            }
            Some(_) | None => {}
        }
        let part = beside(&path, &format!("{:08x}.part", rand::random::<u32>()));
        let file = File::create_new(&part).map_err(|error| unwritten(&path, &error))?;
        let begun = Self { path, part, file: Some(file) };
        if let (Some(before), Some(file)) = (before, &begun.file) {
            file.set_permissions(before.permissions()).map_err(|error| unwritten(&begun.path, &error))?;
        }
        Ok(begun)
    }

    /// Writes it, and puts it in its place.
    ///
    /// # Errors
    /// [`Exit::Usage`] when the disk or its permissions changed meanwhile; the last whole file is still there.
    pub(super) fn place(mut self, text: &str) -> Result<(), Failure> {
        self.write_all(text.as_bytes()).map_err(|error| unwritten(&self.path, &error))?;
        self.finish()
    }

    /// Puts what was written in its place.
    ///
    /// # Errors
    /// As [`WholeFile::place`].
    pub(super) fn finish(mut self) -> Result<(), Failure> {
        let Some(file) = self.file.take() else { return Ok(()) };
        let placed = file.sync_all().and_then(|()| fs::rename(&self.part, &self.path));
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

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_ref().map_or(Ok(0), |mut file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
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
    use std::os::unix::fs::PermissionsExt as _;

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
    fn one_that_is_replaced_keeps_its_permissions_and_the_links_to_it() {
        let directory = TempDir::new().unwrap();
        let (path, link) = (directory.path().join("out.csv"), directory.path().join("latest.csv"));
        fs::write(&path, "first").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        std::os::unix::fs::symlink(&path, &link).unwrap();
        WholeFile::begin(&link).unwrap().place("second").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "second");
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    }

    #[test]
    fn a_place_that_cannot_be_written_to_is_told_at_once() {
        let directory = TempDir::new().unwrap();
        let device = PathBuf::from("/dev/null");
        for place in [directory.path().join("nowhere/out.html"), directory.path().to_owned(), device] {
            let refused = WholeFile::begin(&place).unwrap_err();
            assert_eq!(refused.exit, Exit::Usage);
            assert!(refused.problem.contains("cannot be written"), "{refused}");
        }
    }
}
