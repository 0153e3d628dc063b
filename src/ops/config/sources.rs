//! The files a configuration was read from, and whether they are still the same.
//!
//! Promise: a file that changes while it is read counts as changed afterwards, and so does one that was missing and
//! appears, or is reached through a link that now leads elsewhere.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// How a file looked: which it is, how long, and when it was last touched. Its time of change covers contents, mode and
/// name, and cannot be set back.
type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// The directory that paths are relative to, and every file looked for so far.
#[derive(Debug, Default)]
pub(super) struct Sources {
    base: PathBuf,
    seen: RefCell<Seen>,
}

/// Files as they looked just before they were read; `None` for one that was not there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen(BTreeMap<PathBuf, Stamp>);

impl Sources {
    /// Goes on from what was seen already.
    pub(super) fn new(base: &Path, seen: Seen) -> Self {
        Self { base: base.to_owned(), seen: RefCell::new(seen) }
    }

    /// Returns where a file lies, and remembers how it looks now: ask before reading it.
    pub(super) fn find(&self, name: &str) -> PathBuf {
        let path = self.base.join(name);
        self.seen.borrow_mut().note(&path);
        path
    }

    /// Returns the directory that paths are relative to.
    pub(super) fn base(&self) -> &Path {
        &self.base
    }

    pub(super) fn into_seen(self) -> Seen {
        self.seen.into_inner()
    }
}

impl Seen {
    /// Remembers how a file looks now. What was remembered first stays.
    pub(super) fn note(&mut self, path: &Path) {
        self.0.entry(path.to_owned()).or_insert_with(|| stamp(path));
    }

    /// Looks at the same files again.
    #[must_use]
    pub fn look_again(&self) -> Self {
        Self(self.0.keys().map(|path| (path.clone(), stamp(path))).collect())
    }
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.ctime(), file.ctime_nsec()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn seen(path: &Path) -> Seen {
        let mut seen = Seen::default();
        seen.note(path);
        seen
    }

    #[test]
    fn a_file_is_the_same_until_something_happens_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let missing = seen(&path);
        assert_eq!(missing, missing.look_again());
        fs::write(&path, "one").unwrap();
        assert_ne!(missing, missing.look_again());
        let first = seen(&path);
        assert_eq!(first, first.look_again());
        fs::write(dir.path().join("next"), "two").unwrap();
        fs::rename(dir.path().join("next"), &path).unwrap();
        assert_ne!(first, first.look_again());
        let second = seen(&path);
        fs::remove_file(&path).unwrap();
        assert_ne!(second, second.look_again());
    }

    #[test]
    fn a_mounted_secret_changes_by_its_directory_alone() {
        // As Kubernetes mounts one: key -> ..data/key, ..data -> a directory by time, swapped by a rename.
        let dir = tempfile::tempdir().unwrap();
        for (version, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(dir.path().join(version)).unwrap();
            fs::write(dir.path().join(version).join("key"), text).unwrap();
        }
        symlink("..1", dir.path().join("..data")).unwrap();
        symlink("..data/key", dir.path().join("key")).unwrap();
        let first = seen(&dir.path().join("key"));
        symlink("..2", dir.path().join("..data_tmp")).unwrap();
        assert_eq!(first, first.look_again());
        fs::rename(dir.path().join("..data_tmp"), dir.path().join("..data")).unwrap();
        assert_ne!(first, first.look_again());
    }
}
