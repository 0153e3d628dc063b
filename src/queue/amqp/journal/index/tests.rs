use super::*;

/// Keys of numbers look alike only where their first six bytes are the same.
fn key(number: usize) -> Key {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&(number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes());
    Key(bytes)
}

/// Another item that looks like this one.
fn twin(key: Key, number: u8) -> Key {
    let mut bytes = key.0;
    bytes[15] = number;
    Key(bytes)
}

fn full(index: &mut Index, from: usize) {
    for number in from..from + YOUNG {
        index.note(key(number), number as u64);
    }
}

fn entry(offset: u64) -> Option<Entry> {
    Some(Entry { offset, has_letter: false })
}

#[test]
fn the_first_entry_of_an_item_stays_its_first() {
    let item = Key::new("t-1", 0);
    for is_old in [false, true] {
        let mut index = Index::default();
        index.note(item, 0);
        index.note(item, 1);
        index.note(Key::new("t-1", 1), 2);
        if is_old {
            full(&mut index, 3);
            assert!(index.young.len() < 3);
        }
        index.note_letter(item);
        assert_eq!(index.find(item, None), Some(Entry { offset: 0, has_letter: true }));
        assert_eq!(index.find(Key::new("t-1", 1), None), entry(2), "a replay is another round");
        index.forget(item, 7);
        assert_eq!(index.find(item, None).unwrap().offset, 0, "another entry than the one that was looked at");
        index.forget(item, 0);
        assert_eq!(index.find(item, None).unwrap().offset, 1, "the next is its first now");
        index.forget(item, 1);
        assert_eq!(index.find(item, None), None);
        index.note(item, 1_000_000);
        assert_eq!(index.find(item, None), entry(1_000_000));
    }
}

#[test]
fn items_that_look_alike_keep_an_entry_and_a_letter_each() {
    for is_old in [false, true] {
        let mut index = Index::default();
        let (one, other) = (key(1), twin(key(1), 1));
        index.note(one, 10);
        if is_old {
            full(&mut index, 11);
        }
        index.note(other, 100_000);
        assert_eq!(index.find(one, None), entry(10));
        assert_eq!(index.find(one, Some(10)), None);
        // The one that looks like it is looked at first, and passed over.
        assert_eq!(index.find(other, None), entry(10));
        assert_eq!(index.find(other, Some(10)), entry(100_000));
        assert_eq!(index.find(other, Some(100_000)), None);
        index.note_letter(other);
        assert_eq!(index.find(one, None), entry(10));
        assert!(index.find(other, Some(10)).unwrap().has_letter);
        // Once the stream has lost the one, a third takes its place; entries are looked at in their order all the same.
        index.forget(one, 10);
        let third = twin(key(1), 2);
        index.note(third, 200_000);
        assert_eq!(index.find(other, None).unwrap().offset, 100_000);
        assert_eq!(index.find(third, None), entry(200_000));
        index.note(other, 300_000);
        assert_eq!(index.find(other, Some(200_000)), None, "its first stays its first");
    }
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
    let noted = OLD + 2 * YOUNG - 1;
    for number in 0..noted {
        index.note(key(number), number as u64);
        if number == OLD {
            assert_eq!(index.find(key(0), None).map(|entry| entry.offset), Some(0), "the oldest still counts");
        }
        index.note_letter(key(number / 2));
    }
    assert_eq!(index.len(), OLD + 1 + YOUNG - 1);
    const { assert!(OLD > 1_000_000, "the last million is remembered") };
    assert!(index.alike.is_empty());
    let forgotten = noted - index.len();
    for number in 0..noted {
        let has_letter = number <= noted / 2;
        let found = (number >= forgotten).then_some(Entry { offset: number as u64, has_letter });
        assert_eq!(index.find(key(number), None), found, "{number}");
    }
    assert!(index.old.capacity() <= OLD + YOUNG && std::mem::size_of::<Slot>() == 8);
}

#[test]
fn an_entry_out_of_reach_leaves_those_behind_that_no_stream_can_hold() {
    let mut index = Index::default();
    let far = u64::from(GONE);
    for (number, offset) in [7, 7 + far - 1, 7 + far].into_iter().enumerate() {
        index.note(key(number), offset);
        assert_eq!(index.find(key(number), None), entry(offset));
    }
    assert_eq!((index.find(key(0), None), index.find(key(1), None)), (None, entry(7 + far - 1)));
    index.note(key(3), 3 * far);
    assert_eq!((index.find(key(2), None), index.find(key(3), None)), (None, entry(3 * far)));
    index.note(key(0), 5);
    assert_eq!((index.find(key(3), None), index.find(key(0), None)), (None, entry(5)), "another stream");
}

#[test]
fn what_is_kept_of_those_that_look_alike_has_a_bound() {
    let mut index = Index::default();
    for number in 0..2 * MAX_ALIKE as u64 {
        let bytes = number.to_le_bytes();
        index.note(Key(std::array::from_fn(|place| if place < 8 { 0 } else { bytes[place - 8] })), number);
    }
    assert_eq!(index.len(), 1 + MAX_ALIKE);
}
