//! Which ids a file has had so far, each with the line of its first row, in some 20 bytes an id.
//!
//! An id is told by the first 96 bits of its SHA-256: two ids of a file of a billion rows share them once in 10^11 files.
//! Many small tables instead of one, each grown by an eighth when it is full, so that growing never holds twice of all.

/// SHA-256 of an id.
pub(super) type Digest = [u8; 32];

/// Tables, told apart by the first byte of a digest.
const SHARDS: usize = 256;

/// Bytes kept of a digest, from its second on: the first is the table's number.
const KEPT: usize = 12;

/// Bytes of a line's number; files of more than 10^12 lines have other troubles.
const LINE: usize = 5;

/// What is kept of an id; a line of 0 is a free place.
type Slot = [u8; KEPT + LINE];

/// The ids so far.
#[derive(Debug)]
pub(super) struct Seen(Vec<Shard>);

#[derive(Debug, Default, Clone)]
struct Shard {
    slots: Vec<Slot>,
    taken: usize,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self(vec![Shard::default(); SHARDS])
    }

    /// Takes an id in, or returns the line it was met on first.
    pub(super) fn insert(&mut self, digest: &Digest, line: u64) -> Option<u64> {
        let mut slot = [0; KEPT + LINE];
        slot[..KEPT].copy_from_slice(&digest[1..=KEPT]);
        slot[KEPT..].copy_from_slice(&line.to_be_bytes()[8 - LINE..]);
        self.0[usize::from(digest[0])].insert(&slot)
    }

    /// Returns how many bytes are held.
    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.0.iter().map(|shard| shard.slots.capacity() * size_of::<Slot>()).sum()
    }
}

impl Shard {
    fn insert(&mut self, slot: &Slot) -> Option<u64> {
        if self.taken * 8 >= self.slots.len() * 7 {
            self.grow();
        }
        let at = self.place(slot);
        let line = line_of(&self.slots[at]);
        if line == 0 {
            self.slots[at] = *slot;
            self.taken += 1;
            return None;
        }
        Some(line)
    }

    /// Returns where this id is, or would be.
    fn place(&self, slot: &Slot) -> usize {
        let key = u64::from_be_bytes(slot[..8].try_into().expect("invariant: eight bytes"));
        let length = self.slots.len();
        let scaled = (u128::from(key) * length as u128) >> 64;
        let mut at = usize::try_from(scaled).expect("invariant: less than a length");
        while line_of(&self.slots[at]) != 0 && self.slots[at][..KEPT] != slot[..KEPT] {
            at = if at + 1 == length { 0 } else { at + 1 };
        }
        at
    }

    fn grow(&mut self) {
        let length = self.slots.len() + self.slots.len() / 8 + 16;
        let before = std::mem::replace(&mut self.slots, vec![[0; KEPT + LINE]; length]);
        for slot in before.iter().filter(|slot| line_of(slot) != 0) {
            let at = self.place(slot);
            self.slots[at] = *slot;
        }
    }
}

fn line_of(slot: &Slot) -> u64 {
    slot[KEPT..].iter().fold(0, |line, byte| line << 8 | u64::from(*byte))
}

#[cfg(test)]
mod tests {
    use sha2::{Digest as _, Sha256};

    use super::*;

    fn digest(number: u64) -> Digest {
        Sha256::digest(number.to_be_bytes()).into()
    }

    #[test]
    fn a_million_ids_are_told_apart_and_found_again_in_25_bytes_each() {
        let mut seen = Seen::new();
        let most = (0..1_000_000).map(|number| {
            assert_eq!(seen.insert(&digest(number), number + 2), None);
            if number % 10_000 == 0 { seen.bytes() } else { 0 }
        });
        let most = most.max().unwrap();
        assert!(most.max(seen.bytes()) <= 25_000_000, "{} bytes", seen.bytes());
        for number in (0..1_000_000).step_by(1000) {
            assert_eq!(seen.insert(&digest(number), 1), Some(number + 2));
        }
    }

    #[test]
    fn neighbours_in_one_table_are_not_taken_for_each_other() {
        let mut seen = Seen::new();
        let of = |last: u8| {
            let mut digest = [0xff; 32];
            digest[KEPT] = last;
            digest
        };
        (0..=255).for_each(|last| assert_eq!(seen.insert(&of(last), u64::from(last) + 1), None));
        (0..=255).for_each(|last| assert_eq!(seen.insert(&of(last), 9999), Some(u64::from(last) + 1)));
    }
}
