//! Counting lines on the way, as editors do: CR LF ends one, and so does either alone.

use std::io::{self, Read};

/// Longest row, in bytes, its line breaks included; a takedown is a few hundred. Beyond it nobody can say where the row
/// ends, and it is not kept.
pub(super) const MAX_ROW: usize = 4 * 1024 * 1024;

/// Says that a row goes on and on.
#[derive(Debug, thiserror::Error)]
#[error("the row that begins on line {line} is longer than {} MiB", MAX_ROW / 1024 / 1024)]
pub(super) struct TooLong {
    /// Line it begins on, from 1.
    pub(super) line: u64,
}

/// A reader that knows on which line the bytes stand that went through it.
///
/// It keeps what was read and not counted yet: what another reader has read ahead, and the row at hand.
#[derive(Debug)]
pub(super) struct Lines<R> {
    inner: R,
    kept: Vec<u8>,
    /// How many of the kept bytes are counted.
    counted: usize,
    /// How many bytes are counted in all.
    at: u64,
    number: u64,
    /// Whether the last counted byte was a CR.
    after_return: bool,
}

impl<R: Read> Read for Lines<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.kept.len() - self.counted > MAX_ROW {
            self.blank();
            if self.kept.len() - self.counted > MAX_ROW {
                return Err(io::Error::other(TooLong { line: self.number }));
            }
        }
        let length = self.inner.read(into)?;
        if self.counted > self.kept.len() / 2 {
            self.kept.drain(..self.counted);
            self.counted = 0;
        }
        self.kept.extend_from_slice(&into[..length]);
        Ok(length)
    }
}

impl<R> Lines<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, kept: Vec::new(), counted: 0, at: 0, number: 1, after_return: false }
    }

    /// Counts the lines ahead of a place, which is where a row has ended.
    pub(super) fn count_to(&mut self, place: u64) {
        let left = usize::try_from(place.saturating_sub(self.at)).unwrap_or(usize::MAX);
        self.count(left.min(self.kept.len() - self.counted));
    }

    /// Returns the line the next row begins on: behind the rest of a CR LF, and behind blank lines.
    pub(super) fn next(&mut self) -> u64 {
        self.blank();
        self.number
    }

    fn blank(&mut self) {
        let rest = &self.kept[self.counted..];
        let breaks = rest.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        self.count(breaks);
    }

    fn count(&mut self, length: usize) {
        let passed = &self.kept[self.counted..self.counted + length];
        if self.after_return || passed.contains(&b'\r') {
            for byte in passed {
                self.number += u64::from(*byte == b'\r' || *byte == b'\n' && !self.after_return);
                self.after_return = *byte == b'\r';
            }
        } else {
            self.number += passed.iter().filter(|byte| **byte == b'\n').count() as u64;
        }
        self.counted += length;
        self.at += length as u64;
    }
}
