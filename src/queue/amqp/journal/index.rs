//! Which items the journal holds an outcome of, and where: a digest and an offset each.
//!
//! Promise: the first entry of an item stays its first, and memory has a bound: a million outcomes take 26 MB, and what
//! is older than the last one to two million is forgotten.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use crate::domain::outcome::FinalOutcome;

/// Entries of one generation: what a table of 2^20 places takes before it grows (25 bytes a place, so 26 MB).
const GENERATION: usize = (1 << 20) / 8 * 7;

/// Set in an offset once the item's dead letter is known to lie in its queue; a journal never has 2^63 entries.
const HAS_LETTER: u64 = 1 << 63;

/// An item in one round of its life: the digest of its id and of how often it was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// 128 bits: a million ids share one with a chance of one in 10^26.
    pub(super) fn new(id: &str, replays: u32) -> Self {
        let digest = Sha256::new().chain_update(id).chain_update(format!(":{replays}")).finalize();
        Self(std::array::from_fn(|place| digest[place]))
    }

    pub(super) fn of(outcome: &FinalOutcome) -> Self {
        Self::new(&outcome.id, outcome.replays)
    }

    /// Reads `<id>:<status>:<replays>`; an id may hold colons too.
    pub(super) fn of_outcome_id(text: &str) -> Option<Self> {
        let (rest, replays) = text.rsplit_once(':')?;
        let (id, _status) = rest.rsplit_once(':')?;
        Some(Self::new(id, replays.parse().ok()?))
    }
}

/// The first entry of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry(u64);

impl Entry {
    pub(super) fn offset(self) -> u64 {
        self.0 & !HAS_LETTER
    }

    pub(super) fn has_letter(self) -> bool {
        self.0 & HAS_LETTER != 0
    }
}

/// The first entries, in two generations: when the young one is full, the old one is forgotten as a whole.
#[derive(Debug, Default)]
pub(super) struct Index {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Index {
    pub(super) fn find(&self, key: Key) -> Option<Entry> {
        self.young.get(&key).or_else(|| self.old.get(&key)).copied()
    }

    /// Notes an entry, unless the item has an earlier one; says whether it is the first.
    pub(super) fn note(&mut self, key: Key, offset: u64) -> bool {
        if self.find(key).is_some() {
            return false;
        }
        if self.young.len() >= GENERATION {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, Entry(offset & !HAS_LETTER));
        true
    }

    /// Notes that the item's dead letter lies in its queue.
    pub(super) fn note_letter(&mut self, key: Key) {
        if let Some(entry) = self.young.get_mut(&key).or_else(|| self.old.get_mut(&key)) {
            entry.0 |= HAS_LETTER;
        }
    }

    /// Forgets an item whose entry the journal no longer holds.
    pub(super) fn forget(&mut self, key: Key) {
        self.young.remove(&key);
        self.old.remove(&key);
    }

    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: usize) -> Key {
        Key(std::array::from_fn(|place| number.to_le_bytes().get(place).copied().unwrap_or(0)))
    }

    #[test]
    fn the_first_entry_of_an_item_stays_its_first() {
        let mut index = Index::default();
        let item = Key::new("t-1", 0);
        assert!(index.note(item, 7));
        assert!(!index.note(item, 8));
        assert!(index.note(Key::new("t-1", 1), 9), "a replay is another round");
        index.note_letter(item);
        let entry = index.find(item).unwrap();
        assert_eq!((entry.offset(), entry.has_letter()), (7, true));
        assert!(!index.find(Key::new("t-1", 1)).unwrap().has_letter());
        index.forget(item);
        assert!(index.note(item, 20));
    }

    #[test]
    fn a_key_is_read_from_an_outcome_id() {
        assert_eq!(Key::of_outcome_id("sha256:ab:dead:3"), Some(Key::new("sha256:ab", 3)));
        assert_eq!(Key::of_outcome_id("t-1:dead"), None);
        assert_ne!(Key::new("t-1", 11), Key::new("t-1:1", 1));
    }

    #[test]
    fn the_oldest_are_forgotten_and_memory_has_a_bound() {
        let mut index = Index::default();
        for number in 0..=GENERATION {
            index.note(key(number), number as u64);
        }
        assert_eq!(index.find(key(0)).map(Entry::offset), Some(0), "the old generation still counts");
        assert!(!index.note(key(1), u64::MAX), "and stays the first");
        for number in GENERATION..=2 * GENERATION {
            index.note(key(number), number as u64);
        }
        assert_eq!(index.find(key(0)), None);
        assert!(index.len() <= 2 * GENERATION);
        let place = std::mem::size_of::<(Key, Entry)>() + 1;
        assert!(index.young.capacity().max(index.old.capacity()) <= GENERATION && place == 25, "{place}");
    }
}
