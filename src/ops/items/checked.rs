//! A file of which every row was checked, and the takedowns in it.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::domain::takedown::Takedown;
use crate::ops::items::rejects::Rejects;
use crate::ops::items::rows::{Fault, Rows};
use crate::ops::items::sieve::Sieve;
use crate::ops::items::twice::{Again, Twice};
use crate::ops::items::{Format, ItemsError, Options};

/// Rejected rows told one by one; the file of rejected rows has them all.
const TOLD: usize = 5;

/// A file whose rows were all checked.
#[derive(Debug)]
pub struct Checked {
    path: PathBuf,
    format: Format,
    twice: Twice,
    marks: Marks,
    accepted: u64,
    told: Vec<(u64, String)>,
    rejects: Option<PathBuf>,
}

/// Checks every row of a file, and writes the rejected ones beside it, with `line` and `reason` in front: mended, that
/// file can be read again as it is. `accepted` hears of each takedown, and of the SHA-256 of its id; no two are alike.
///
/// # Errors
/// [`ItemsError`] for what is wrong with the file as a whole, or when the rejected rows cannot be written; a file of
/// theirs is then as it was. A bad row is no error.
pub fn check(
    path: &Path,
    options: &Options<'_>,
    mut accepted: impl FnMut(&Takedown, &[u8; 32]),
) -> Result<Checked, ItemsError> {
    let format = options.format(path)?;
    let named = |fault| ItemsError::of(path, fault);
    let mut twice = Twice::open(path)?;
    let mut rows = Rows::begin(twice.first(), format, options).map_err(named)?;
    let mut rejects = Rejects::new(path, rows.layout(options.charset));
    let mut sieve = Sieve::new(*options);
    let (mut marks, mut count, mut told) = (Marks::default(), 0, Vec::new());
    while let Some(line) = rows.advance().map_err(named)? {
        match rows.decode(options).and_then(|candidate| sieve.check(line, candidate)) {
            Ok((takedown, digest)) => {
                marks.push(Verdict::Accepted);
                count += 1;
                accepted(&takedown, &digest);
            }
            Err(reason) => {
                marks.push(Verdict::Rejected);
                rejects.row(line, &reason, &rows.record())?;
                if told.len() < TOLD {
                    told.push((line, reason));
                }
            }
        }
    }
    drop(rows);
    let rejects = rejects.finish()?;
    Ok(Checked { path: path.to_owned(), format, twice, marks, accepted: count, told, rejects })
}

impl Checked {
    /// Returns how many rows are takedowns.
    #[must_use]
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// Returns how many rows are none.
    #[must_use]
    pub fn rejected(&self) -> u64 {
        self.marks.count - self.accepted
    }

    /// Returns the first rejected rows: the line each begins on, and what is wrong, naming the column.
    #[must_use]
    pub fn told(&self) -> &[(u64, String)] {
        &self.told
    }

    /// Returns the file of rejected rows, if there are any.
    #[must_use]
    pub fn rejects(&self) -> Option<&Path> {
        self.rejects.as_deref()
    }

    /// Looks whether the file still is what was checked, before anybody is told of its takedowns.
    ///
    /// # Errors
    /// [`ItemsError::Read`]; [`ItemsError::Changed`].
    pub fn verify(self) -> Result<Self, ItemsError> {
        let Self { path, twice, .. } = self;
        match twice.verify() {
            Ok(twice) => Ok(Self { path, twice, ..self }),
            Err(error) => Err(ItemsError::of(&path, Fault::Read(error))),
        }
    }

    /// Reads the takedowns, in the order of the file; the options must be those it was checked with.
    ///
    /// # Errors
    /// [`ItemsError::Read`]; [`ItemsError::Changed`] if its beginning was written to.
    pub fn takedowns<'a>(self, options: &Options<'a>) -> Result<Takedowns<'a>, ItemsError> {
        let Self { path, format, twice, marks, .. } = self;
        let again = twice.again().map_err(|error| ItemsError::of(&path, Fault::Read(error)))?;
        let rows = Rows::begin(again, format, options).map_err(|fault| ItemsError::of(&path, fault))?;
        Ok(Takedowns { path, rows, marks, next: 0, options: *options })
    }
}

/// The takedowns of a checked file, read anew: only what was checked, byte by byte.
///
/// Where the file was written to meanwhile, the last is [`ItemsError::Changed`]; those before it are as they were.
pub struct Takedowns<'a> {
    path: PathBuf,
    rows: Rows<Again>,
    marks: Marks,
    next: u64,
    options: Options<'a>,
}

impl Iterator for Takedowns<'_> {
    type Item = Result<Takedown, ItemsError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.rows.advance() {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(fault) => return Some(Err(ItemsError::of(&self.path, fault))),
            }
            let verdict = self.marks.get(self.next);
            self.next += 1;
            if verdict == Verdict::Rejected {
                continue;
            }
            return Some(match self.rows.decode(&self.options) {
                Ok(candidate) => Ok(candidate.complete()),
                // Out of the same bytes comes the same takedown.
                Err(_) => Err(ItemsError::Changed { path: self.path.display().to_string() }),
            });
        }
    }
}

impl fmt::Debug for Takedowns<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Takedowns").field("path", &self.path).field("next", &self.next).finish_non_exhaustive()
    }
}

/// What was said of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Accepted,
    Rejected,
}

/// A verdict a row, in one bit.
#[derive(Debug, Default)]
struct Marks {
    words: Vec<u64>,
    count: u64,
}

impl Marks {
    fn push(&mut self, verdict: Verdict) {
        if self.count.is_multiple_of(64) {
            self.words.push(0);
        }
        if verdict == Verdict::Rejected
            && let Some(word) = self.words.last_mut()
        {
            *word |= 1 << (self.count % 64);
        }
        self.count += 1;
    }

    /// Of a row nobody has seen it is that it is rejected.
    fn get(&self, row: u64) -> Verdict {
        let word = usize::try_from(row / 64).ok().and_then(|at| self.words.get(at));
        match word {
            Some(word) if row < self.count && word >> (row % 64) & 1 == 0 => Verdict::Accepted,
            Some(_) | None => Verdict::Rejected,
        }
    }
}

#[cfg(test)]
mod tests;
