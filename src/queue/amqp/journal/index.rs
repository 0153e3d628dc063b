//! Which items the journal may hold an outcome of, and where: 48 bits of a digest and an offset each.
//!
//! An entry found here is one to look at, for two items may look alike: a million outcomes hold one that looks like
//! another item's with a chance of one in 280 million. Whoever finds an entry reads it in the stream; one of another
//! item stands, and the next is looked at. Promise: the first entry of an item stays its first, and memory has a bound:
//! a million outcomes take 9 MB, and of those the last million at least is remembered.

use std::collections::{HashMap, VecDeque};

use sha2::{Digest, Sha256};

/// Outcomes that lie in a map before they are sorted in: what one of 2^14 places takes before it grows.
const YOUNG: usize = (1 << 14) / 8 * 7;

/// Times the young are sorted in before the oldest are forgotten.
const AGES: usize = 71;

/// Most outcomes sorted in.
const OLD: usize = YOUNG * AGES;

/// The sorted lie in so many buckets, by the first bits of their keys; a dozen or so each.
const BUCKETS: usize = 1 << 16;

/// Set in a place once the item's dead letter is known to lie in its queue.
const HAS_LETTER: u32 = 1 << 31;

/// The place of an entry the journal no longer holds, and one more than the farthest there is.
const GONE: u32 = HAS_LETTER - 1;

/// Entries kept beside one that looks like theirs: mostly second claims of the same item, which nobody misses.
const MAX_ALIKE: usize = 10_000;

/// An item in one round of its life: the digest of its id and of how often it was replayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Key([u8; 16]);

impl Key {
    /// 128 bits: a million ids share one with a chance of one in 10^26.
    pub(super) fn new(id: &str, replays: u32) -> Self {
        let digest = Sha256::new().chain_update(id).chain_update(replays.to_le_bytes()).finalize();
        Self(std::array::from_fn(|place| digest[place]))
    }

    /// Reads `<id>:<status>:<replays>`; an id may hold colons too.
    pub(super) fn of_outcome_id(text: &str) -> Option<Self> {
        let (rest, replays) = text.rsplit_once(':')?;
        let (id, _status) = rest.rsplit_once(':')?;
        Some(Self::new(id, replays.parse().ok()?))
    }

    fn look(self) -> Look {
        let [a, b, c, d, e, f, ..] = self.0;
        Look { bucket: u16::from_le_bytes([a, b]), rest: u32::from_le_bytes([c, d, e, f]) }
    }
}

/// The 48 bits of a key by which items are told apart here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Look {
    bucket: u16,
    rest: u32,
}

/// An entry sorted in; the first bits of its key are those of its bucket.
#[derive(Debug, Clone, Copy, Default)]
struct Slot {
    rest: u32,
    place: u32,
}

/// Where the first entry of an item may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) offset: u64,
    /// Whether the dead letter of its item is known to lie in its queue.
    pub(super) has_letter: bool,
}

/// The first entries. A place is the distance from the base, and whether there is a letter.
#[derive(Debug, Default)]
pub(super) struct Index {
    base: u64,
    young: HashMap<Look, u32>,
    /// Bucket after bucket. Room for all is asked for once, of which a page takes no memory before it is written: grown
    /// bit by bit it would leave as much behind.
    old: Vec<Slot>,
    /// Where each bucket begins, and where the last one ends.
    starts: Vec<usize>,
    /// The last offset of each age that is sorted in, the oldest first.
    ages: VecDeque<u64>,
    /// By their whole keys, entries that look like one noted before them.
    alike: HashMap<Key, u32>,
}

impl Index {
    /// Finds the next entry that may be the item's, after the one looked at last.
    pub(super) fn find(&self, key: Key, after: Option<u64>) -> Option<Entry> {
        let alike = self.alike.get(&key).copied();
        let alike_has_letter = alike.is_some_and(|place| place & HAS_LETTER != 0);
        let entry = |place: u32| Entry {
            offset: self.base + u64::from(place & GONE),
            // If both are the item's, its letter may have been noted at either.
            has_letter: alike_has_letter || place & HAS_LETTER != 0,
        };
        let found = self.place(key.look()).into_iter().chain(alike).map(entry);
        found.filter(|entry| after.is_none_or(|after| after < entry.offset)).min_by_key(|entry| entry.offset)
    }

    /// Notes an entry, which counts if no earlier one turns out to be the item's.
    pub(super) fn note(&mut self, key: Key, offset: u64) {
        let place = self.reach(offset);
        if self.place(key.look()).is_none() {
            if !self.alike.contains_key(&key) {
                self.insert(key.look(), place, offset);
            }
        } else if self.alike.len() < MAX_ALIKE {
            self.alike.entry(key).or_insert(place);
        }
    }

    /// Notes that the item's dead letter lies in its queue.
    pub(super) fn note_letter(&mut self, key: Key) {
        // Of two that look alike, the one with its whole key is certainly the item's.
        if let Some(place) = self.alike.get_mut(&key) {
            *place |= HAS_LETTER;
        } else if let Some(place) = self.young.get_mut(&key.look()) {
            *place |= HAS_LETTER;
        } else if let Some(slot) = self.slot(key.look()) {
            self.old[slot].place |= HAS_LETTER;
        }
    }

    /// Forgets an entry the journal no longer holds.
    pub(super) fn forget(&mut self, key: Key, offset: u64) {
        let Some(distance) = offset.checked_sub(self.base) else { return };
        let is_it = |place: u32| u64::from(place & GONE) == distance;
        self.alike.retain(|other, place| *other != key || !is_it(*place));
        if !self.place(key.look()).is_some_and(is_it) || self.young.remove(&key.look()).is_some() {
            return;
        }
        if let Some(slot) = self.slot(key.look()) {
            self.old[slot].place |= GONE;
        }
    }

    /// Counts what is remembered.
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len() + self.alike.len()
    }

    fn place(&self, look: Look) -> Option<u32> {
        self.young.get(&look).copied().or_else(|| self.slot(look).map(|slot| self.old[slot].place))
    }

    /// Finds an entry among the sorted.
    fn slot(&self, look: Look) -> Option<usize> {
        let bucket = usize::from(look.bucket);
        let [start, end] = *self.starts.get(bucket..bucket + 2)?.first_chunk()?;
        let is_it = |slot: &Slot| slot.rest == look.rest && slot.place & GONE != GONE;
        self.old[start..end].iter().position(is_it).map(|slot| start + slot)
    }

    /// Returns the place of an entry.
    fn reach(&mut self, offset: u64) -> u32 {
        if offset < self.base {
            // A stream that counts anew is another.
            *self = Self::default();
        }
        if self.len() == 0 {
            self.base = offset;
        }
        if offset - self.base >= u64::from(GONE) {
            // No stream of a few gigabytes holds so many entries: these are long gone.
            self.forget_before(offset - u64::from(GONE / 2));
        }
        u32::try_from(offset - self.base).expect("invariant: it is within reach by now")
    }

    fn insert(&mut self, look: Look, place: u32, offset: u64) {
        self.young.insert(look, place);
        if self.young.len() < YOUNG {
            return;
        }
        if self.ages.len() >= AGES
            && let Some(end) = self.ages.pop_front()
        {
            self.forget_before(end);
        }
        self.sort_in();
        self.ages.push_back(offset);
    }

    /// Sorts the young in, in place.
    fn sort_in(&mut self) {
        let mut young: Vec<(Look, u32)> = self.young.drain().collect();
        young.sort_unstable();
        if self.starts.is_empty() {
            self.starts = vec![0; BUCKETS + 1];
            self.old.reserve_exact(OLD + YOUNG);
        }
        // From the last to the first, so that nothing is written over that is still to be moved.
        let mut read = self.old.len();
        self.old.resize(read + young.len(), Slot::default());
        let mut write = self.old.len();
        for bucket in (0..BUCKETS).rev() {
            let start = self.starts[bucket];
            self.starts[bucket + 1] = write;
            while let Some((look, place)) = young.pop_if(|(look, _)| usize::from(look.bucket) == bucket) {
                write -= 1;
                self.old[write] = Slot { rest: look.rest, place };
            }
            write -= read - start;
            self.old.copy_within(start..read, write);
            read = start;
        }
    }

    /// Forgets what lies before an offset, and counts from there.
    fn forget_before(&mut self, base: u64) {
        let Some(by) = base.checked_sub(self.base) else { return };
        let moved = |place: u32| match place & GONE {
            GONE => None,
            distance => Some(distance.checked_sub(u32::try_from(by).ok()?)? | place & HAS_LETTER),
        };
        let keep = |place: &mut u32| moved(*place).map(|moved| *place = moved).is_some();
        self.young.retain(|_, place| keep(place));
        self.alike.retain(|_, place| keep(place));
        let (mut read, mut write) = (0, 0);
        for bucket in 1..self.starts.len() {
            let end = self.starts[bucket];
            for slot in read..end {
                let Slot { rest, mut place } = self.old[slot];
                if keep(&mut place) {
                    self.old[write] = Slot { rest, place };
                    write += 1;
                }
            }
            read = end;
            self.starts[bucket] = write;
        }
        self.old.truncate(write);
        self.base = base;
    }
}

#[cfg(test)]
mod tests;
