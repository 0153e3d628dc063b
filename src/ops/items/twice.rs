//! A file that is read twice: once to be checked, once to be used.
//!
//! Promise: the second reader hands out no byte that the first did not read at the same place. It knows the first
//! reading by a digest a block, and looks at a block before it hands it on; a file that was written to in between ends
//! with [`Changed`] ahead of the first block that differs. The file stays open, so that one put in its place by a rename
//! is no change. What can be read once only (a pipe, a terminal) is copied to a temporary file first, which has no name
//! and is gone with the process.

use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use crate::ops::items::ItemsError;

/// Bytes read and compared at once.
const BLOCK: usize = 64 * 1024;

/// Says that a file is not what it was when it was checked.
#[derive(Debug, thiserror::Error)]
#[error("it was written to after it was checked")]
pub(super) struct Changed;

/// A file to be read from its beginning, then once more.
#[derive(Debug)]
pub(super) struct Twice {
    file: File,
    /// The digest of each block, its length included; the key is of this process.
    blocks: Vec<u64>,
    key: RandomState,
}

impl Twice {
    /// Opens a file, or copies what cannot be read twice.
    ///
    /// # Errors
    /// [`ItemsError::Read`]; [`ItemsError::Spool`] where there is no room for a copy.
    pub(super) fn open(path: &Path) -> Result<Self, ItemsError> {
        let failed = |source| ItemsError::Read { path: path.display().to_string(), source };
        let mut file = File::open(path).map_err(failed)?;
        if !file.metadata().map_err(failed)?.is_file() {
            file = spool(file, failed, |source| ItemsError::Spool { path: path.display().to_string(), source })?;
        }
        Ok(Self { file, blocks: Vec::new(), key: RandomState::new() })
    }

    /// Reads it for the first time.
    pub(super) fn first(&mut self) -> First<'_> {
        First { buffer: Buffer::default(), twice: self }
    }

    /// Reads it once more.
    ///
    /// # Errors
    /// When its beginning cannot be sought.
    pub(super) fn again(mut self) -> io::Result<Again> {
        self.file.seek(SeekFrom::Start(0))?;
        Ok(Again { buffer: Buffer::default(), twice: self, next: 0 })
    }

    /// Looks whether it still is what was read.
    ///
    /// # Errors
    /// When it cannot be read; [`Changed`].
    pub(super) fn verify(self) -> io::Result<Self> {
        let mut again = self.again()?;
        io::copy(&mut again, &mut io::sink())?;
        Ok(again.twice)
    }
}

/// Copies what is left of a file into one without a name.
fn spool<E>(mut from: File, unread: impl Fn(io::Error) -> E, unwritten: impl Fn(io::Error) -> E) -> Result<File, E> {
    let mut to = tempfile::tempfile().map_err(&unwritten)?;
    let mut block = vec![0; BLOCK];
    loop {
        let length = match from.read(&mut block) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(unread(error)),
        };
        to.write_all(&block[..length]).map_err(&unwritten)?;
    }
    to.seek(SeekFrom::Start(0)).map_err(&unwritten)?;
    Ok(to)
}

/// The first reading.
#[derive(Debug)]
pub(super) struct First<'a> {
    twice: &'a mut Twice,
    buffer: Buffer,
}

impl Read for First<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_used_up() {
            self.buffer.fill(&self.twice.file)?;
            self.twice.blocks.push(self.twice.key.hash_one(&self.buffer.block));
        }
        Ok(self.buffer.take(into))
    }
}

/// The second reading.
#[derive(Debug)]
pub(super) struct Again {
    twice: Twice,
    buffer: Buffer,
    /// Number of the next block.
    next: usize,
}

impl Read for Again {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.buffer.is_used_up() {
            self.buffer.fill(&self.twice.file)?;
            let is_known = self.twice.blocks.get(self.next) == Some(&self.twice.key.hash_one(&self.buffer.block));
            if !is_known {
                self.buffer.block.clear();
                return Err(io::Error::other(Changed));
            }
            self.next = (self.next + 1).min(self.twice.blocks.len() - 1);
        }
        Ok(self.buffer.take(into))
    }
}

/// A block in hand.
#[derive(Debug, Default)]
struct Buffer {
    block: Vec<u8>,
    at: usize,
}

impl Buffer {
    fn is_used_up(&self) -> bool {
        self.at == self.block.len()
    }

    /// Reads a whole block, or up to the end of the file; an empty one is the end.
    fn fill(&mut self, mut file: &File) -> io::Result<()> {
        self.block.clear();
        self.at = 0;
        (&mut file).take(BLOCK as u64).read_to_end(&mut self.block)?;
        Ok(())
    }

    fn take(&mut self, into: &mut [u8]) -> usize {
        let length = into.len().min(self.block.len() - self.at);
        into[..length].copy_from_slice(&self.block[self.at..self.at + length]);
        self.at += length;
        length
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, OpenOptions};

    use super::*;

    fn whole(from: &mut impl Read) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).map(|_| bytes)
    }

    fn checked(path: &Path) -> Twice {
        let mut twice = Twice::open(path).unwrap();
        whole(&mut twice.first()).unwrap();
        twice
    }

    /// Three blocks and a bit.
    fn text() -> Vec<u8> {
        (0..BLOCK * 3 + 1000).map(|at| (at % 251) as u8).collect()
    }

    #[test]
    fn an_unchanged_file_is_read_twice_alike() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        for bytes in [text(), text()[..BLOCK * 2].to_vec(), Vec::new()] {
            fs::write(&path, &bytes).unwrap();
            let mut twice = Twice::open(&path).unwrap();
            assert_eq!(whole(&mut twice.first()).unwrap(), bytes);
            // One of the same name is another file.
            fs::write(dir.path().join("other"), b"other").unwrap();
            fs::rename(dir.path().join("other"), &path).unwrap();
            assert_eq!(whole(&mut twice.again().unwrap()).unwrap(), bytes);
        }
    }

    #[test]
    fn no_byte_is_handed_out_that_was_not_read_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        let change = |change: &dyn Fn(&mut File)| {
            fs::write(&path, text()).unwrap();
            let twice = checked(&path);
            let twice = twice.verify().unwrap();
            change(&mut OpenOptions::new().write(true).open(&path).unwrap());
            let mut again = twice.again().unwrap();
            let mut bytes = Vec::new();
            let error = again.read_to_end(&mut bytes).unwrap_err();
            assert!(error.get_ref().unwrap().is::<Changed>(), "{error}");
            assert!(text().starts_with(&bytes));
            assert!(again.twice.verify().unwrap_err().get_ref().unwrap().is::<Changed>());
            bytes.len()
        };
        let at = |offset: usize| {
            move |file: &mut File| {
                file.seek(SeekFrom::Start(offset as u64)).unwrap();
                file.write_all(b"\xff").unwrap();
            }
        };
        assert_eq!(change(&at(0)), 0);
        assert_eq!(change(&at(BLOCK * 2 - 1)), BLOCK);
        assert_eq!(change(&at(BLOCK * 3 + 1000)), BLOCK * 3, "appended to");
        assert_eq!(change(&|file| file.set_len(BLOCK as u64 * 2).unwrap()), BLOCK * 2, "cut at a block");
        assert_eq!(change(&|file| file.set_len(10).unwrap()), 0, "cut within one");
    }

    #[test]
    fn a_pipe_is_read_twice() {
        let (reader, mut writer) = io::pipe().unwrap();
        let fed = std::thread::spawn(move || writer.write_all(&text()));
        let failed = |error: io::Error| -> io::Error { error };
        let file = spool(File::from(std::os::fd::OwnedFd::from(reader)), failed, failed).unwrap();
        fed.join().unwrap().unwrap();
        let mut twice = Twice { file, blocks: Vec::new(), key: RandomState::new() };
        assert_eq!(whole(&mut twice.first()).unwrap(), text());
        assert_eq!(whole(&mut twice.again().unwrap()).unwrap(), text());
    }
}
