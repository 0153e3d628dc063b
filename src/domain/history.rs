//! What happened to a message so far: its attempts, deferrals, ends, replays and edits, as an operator reads them.
//!
//! It travels with the message, so it is bounded: [`MAX_ENTRIES`] entries, of which the oldest goes first, and short
//! texts. Promise: nothing is decided by it, but which of two copies of a letter was edited last. What decides (attempt, ambiguity, replays) stands beside it, whatever a
//! history has lost or a producer has written into one.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::domain::classify::Effect;

/// Most entries kept.
pub const MAX_ENTRIES: usize = 20;

/// Longest text of an entry, in characters.
const MAX_TEXT: usize = 128;

/// Longest history read, in bytes; twenty entries of the longest texts stay below it.
const MAX_BYTES: usize = 32 * 1024;

/// What an entry tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum What {
    /// A call that used up an attempt.
    Attempt,
    /// It was put off without using one.
    Deferral,
    /// It ended.
    End,
    /// An operator put it back to work.
    Replay,
    /// An operator changed its message.
    Edit,
}

impl What {
    const ALL: [Self; 5] = [Self::Attempt, Self::Deferral, Self::End, Self::Replay, Self::Edit];

    /// Returns the word used in messages and views.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempt => "attempt",
            Self::Deferral => "deferral",
            Self::End => "end",
            Self::Replay => "replay",
            Self::Edit => "edit",
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// When; of several alike, the last. Whole milliseconds.
    pub at: SystemTime,
    /// What.
    pub what: What,
    /// Which attempt it was, or was to be, from 1.
    pub attempt: u32,
    /// The gateway's code or how the call broke; why it was put off or ended; the plan of a replay; the fields of an edit.
    pub how: String,
    /// Whether this very attempt may have taken effect.
    pub effect: Effect,
    /// Which worker or operator.
    pub by: String,
    /// How often the same happened in a row, from 1.
    pub times: u32,
}

impl Entry {
    /// Returns an entry of something that happened once and cannot have taken effect.
    #[must_use]
    pub fn new(what: What, attempt: u32, how: &str, by: &str, at: SystemTime) -> Self {
        let at = at.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let at = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(at).unwrap_or(0));
        Self { at, what, attempt, how: cut(how), effect: Effect::None, by: cut(by), times: 1 }
    }

    fn is_like(&self, other: &Self) -> bool {
        (self.what, self.attempt, &self.how, self.effect, &self.by)
            == (other.what, other.attempt, &other.how, other.effect, &other.by)
    }
}

/// A message's entries, the oldest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Record(Vec<Entry>);

/// Milliseconds since 1970, what, attempt, how, 1 if it may have taken effect, by whom, how often.
type Wire = (u64, String, u32, String, u8, String, u32);

impl Record {
    /// Adds an entry; a deferral like the one before it is counted there, or a held night would push out everything else.
    pub fn push(&mut self, entry: Entry) {
        if let Some(last) = self.0.last_mut()
            && entry.what == What::Deferral
            && last.is_like(&entry)
        {
            last.times = last.times.saturating_add(entry.times);
            last.at = entry.at;
            return;
        }
        self.0.push(entry);
        self.bound();
    }

    /// Returns the entries, the oldest first.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.0
    }

    /// Says whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes it as a header or a column holds it.
    #[must_use]
    pub fn encode(&self) -> String {
        let wire = self.0.iter().map(|entry| -> Wire {
            let Entry { at, what, attempt, how, effect, by, times } = entry;
            let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis();
            let at = u64::try_from(since).unwrap_or(u64::MAX);
            let effect = u8::from(*effect == Effect::Possible);
            (at, what.as_str().to_owned(), *attempt, how.clone(), effect, by.clone(), *times)
        });
        serde_json::to_string(&wire.collect::<Vec<_>>()).expect("invariant: plain strings and numbers always serialise")
    }

    /// Reads what [`Record::encode`] wrote; of anything else, whatever can be read.
    #[must_use]
    pub fn decode(text: &str) -> Self {
        if text.len() > MAX_BYTES {
            return Self::default();
        }
        let wire: Vec<Wire> = serde_json::from_str(text).unwrap_or_default();
        let entries = wire.into_iter().filter_map(|(at, what, attempt, how, effect, by, times)| {
            let what = What::ALL.into_iter().find(|known| known.as_str() == what)?;
            // Up to the year 9999, as everywhere.
            let at = Duration::from_millis(at);
            (at < Duration::from_secs(253_402_300_799)).then(|| Entry {
                at: SystemTime::UNIX_EPOCH + at,
                what,
                attempt,
                how: cut(&how),
                effect: if effect == 0 { Effect::None } else { Effect::Possible },
                by: cut(&by),
                times: times.max(1),
            })
        });
        let mut record = Self(entries.collect());
        record.bound();
        record
    }

    fn bound(&mut self) {
        let surplus = self.0.len().saturating_sub(MAX_ENTRIES);
        self.0.drain(..surplus);
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_history_survives_the_wire() {
        let mut record = Record::default();
        let mut entry = Entry::new(What::Attempt, 1, "isp.unknown-error \"\u{1b}", "worker-1", at(5));
        entry.effect = Effect::Possible;
        record.push(entry);
        record.push(Entry::new(What::End, 2, "outcome_unknown", "worker-2", at(9)));
        assert_eq!(Record::decode(&record.encode()), record);
    }

    #[test]
    fn the_oldest_entries_go_first() {
        let mut record = Record::default();
        for n in 1..=50 {
            record.push(Entry::new(What::Attempt, n, &"x".repeat(900), &"w".repeat(900), at(u64::from(n))));
        }
        assert_eq!(record.entries().len(), MAX_ENTRIES);
        assert_eq!(record.entries()[0].attempt, 31);
        assert!(record.encode().len() < 8 * 1024, "{}", record.encode().len());
        assert_eq!(Record::decode(&record.encode()), record);
    }

    #[test]
    fn deferrals_alike_are_one_entry() {
        let mut record = Record::default();
        record.push(Entry::new(What::Attempt, 1, "timeout", "w", at(1)));
        for n in 2..=40 {
            record.push(Entry::new(What::Deferral, 2, "held", "w", at(n)));
        }
        record.push(Entry::new(What::Deferral, 2, "throttled", "w", at(41)));
        let told: Vec<_> = record.entries().iter().map(|e| (e.how.as_str(), e.times, e.at)).collect();
        assert_eq!(told, [("timeout", 1, at(1)), ("held", 39, at(40)), ("throttled", 1, at(41))]);
    }

    proptest! {
        #[test]
        fn whatever_a_producer_wrote_is_read_without_harm(text in ".{0,200}") {
            prop_assert!(Record::decode(&text).entries().len() <= MAX_ENTRIES);
        }
    }
}
