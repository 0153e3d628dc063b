//! Which items the journal holds an outcome of, and where: a digest and an offset each.
//!
//! Promise: the first entry of an item stays its first, and memory has a bound: a million outcomes take 16 MB, and of
//! those the last million at least is remembered.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::domain::outcome::FinalOutcome;

/// Outcomes of one segment: what a table of 2^17 places takes before it grows (13 bytes a place, so 1.7 MB).
const SEGMENT: usize = (1 << 17) / 8 * 7;

/// Segments kept; all but the young one are full.
const SEGMENTS: usize = 10;

/// Set in a distance once the item's dead letter is known to lie in its queue; no segment reaches that far.
const HAS_LETTER: u32 = 1 << 31;

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

    fn half(self) -> [u8; 8] {
        std::array::from_fn(|place| self.0[place])
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
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) has_letter: bool,
}

/// The first entries, in segments: beyond so many, the oldest is forgotten as a whole.
#[derive(Debug, Default)]
pub(super) struct Index {
    segments: VecDeque<Segment>,
}

/// Entries that lie together in the stream.
#[derive(Debug)]
struct Segment {
    base: u64,
    /// By half a key, the distance from the base: in bytes, so that no place is lost to alignment. An item that shares its
    /// half with one of the last million (a chance of one in 10^13) takes its place once the mistake is read.
    entries: HashMap<[u8; 8], [u8; 4]>,
}

impl Index {
    pub(super) fn find(&self, key: Key) -> Option<Entry> {
        self.segments.iter().rev().find_map(|segment| {
            let distance = u32::from_le_bytes(*segment.entries.get(&key.half())?);
            let offset = segment.base + u64::from(distance & !HAS_LETTER);
            Some(Entry { offset, has_letter: distance & HAS_LETTER != 0 })
        })
    }

    /// Notes an entry, unless the item has an earlier one; says whether it is the first.
    pub(super) fn note(&mut self, key: Key, offset: u64) -> bool {
        if self.find(key).is_some() {
            return false;
        }
        let (segment, distance) = self.young(offset);
        segment.entries.insert(key.half(), distance.to_le_bytes());
        true
    }

    /// Notes that the item's dead letter lies in its queue.
    pub(super) fn note_letter(&mut self, key: Key) {
        if let Some(distance) = self.segments.iter_mut().find_map(|segment| segment.entries.get_mut(&key.half())) {
            *distance = (u32::from_le_bytes(*distance) | HAS_LETTER).to_le_bytes();
        }
    }

    /// Forgets an item whose entry the journal no longer holds.
    ///
    /// The one looked at, that is: meanwhile the item may have another.
    pub(super) fn forget(&mut self, key: Key, offset: u64) {
        if self.find(key).is_none_or(|entry| entry.offset != offset) {
            return;
        }
        for segment in &mut self.segments {
            segment.entries.remove(&key.half());
        }
    }

    pub(super) fn len(&self) -> usize {
        self.segments.iter().map(|segment| segment.entries.len()).sum()
    }

    /// Returns the segment for an entry, and how far from its base the entry lies.
    fn young(&mut self, offset: u64) -> (&mut Segment, u32) {
        let distance = self.segments.back().and_then(|young| young.reach(offset));
        if distance.is_none() {
            if self.segments.len() >= SEGMENTS {
                self.segments.pop_front();
            }
            self.segments.push_back(Segment { base: offset, entries: HashMap::new() });
        }
        let young = self.segments.back_mut().expect("invariant: there is one by now");
        (young, distance.unwrap_or(0))
    }
}

impl Segment {
    /// Returns how far from the base an entry lies; `None` if it belongs into another.
    fn reach(&self, offset: u64) -> Option<u32> {
        let distance = u32::try_from(offset.checked_sub(self.base)?).ok()?;
        (self.entries.len() < SEGMENT && distance < HAS_LETTER).then_some(distance)
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
        assert_eq!(entry, Entry { offset: 7, has_letter: true });
        assert!(!index.find(Key::new("t-1", 1)).unwrap().has_letter);
        index.forget(item, 6);
        assert!(index.find(item).is_some(), "another entry than the one that was looked at");
        index.forget(item, 7);
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
        for number in 0..SEGMENT * SEGMENTS {
            let (segment, distance) = index.young(number as u64);
            segment.entries.insert(key(number).half(), distance.to_le_bytes());
        }
        assert_eq!(index.find(key(0)).map(|entry| entry.offset), Some(0), "the oldest still counts");
        assert!(!index.note(key(1), u64::MAX), "and stays the first");
        index.note(key(SEGMENT * SEGMENTS), (SEGMENT * SEGMENTS) as u64);
        assert_eq!((index.find(key(0)), index.len()), (None, SEGMENT * (SEGMENTS - 1) + 1));
        assert!(index.len() > 1_000_000, "the last million is remembered");
        assert_eq!(index.find(key(SEGMENT)).map(|entry| entry.offset), Some(SEGMENT as u64));
        let place = std::mem::size_of::<([u8; 8], [u8; 4])>() + 1;
        assert!(index.segments.iter().all(|segment| segment.entries.capacity() <= SEGMENT) && place == 13, "{place}");
    }

    #[test]
    fn an_entry_out_of_reach_begins_a_segment() {
        let mut index = Index::default();
        let offsets = [7, 7 + u64::from(HAS_LETTER), 5];
        for (number, offset) in offsets.into_iter().enumerate() {
            assert!(index.note(key(number), offset));
            index.note_letter(key(number));
        }
        let found: Vec<_> = (0..offsets.len()).map(|number| index.find(key(number)).unwrap()).collect();
        assert_eq!(found, offsets.map(|offset| Entry { offset, has_letter: true }));
        assert_eq!(index.segments.len(), 3);
    }
}
