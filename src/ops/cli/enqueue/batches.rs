//! The batches a file of items makes: named, noted before the first item is published, refused where that would confuse.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::clock;
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, BatchId};
use crate::domain::notice::ledger::{Cancel, Ledger};
use crate::domain::notice::{Notice, What};
use crate::domain::takedown::{Takedown, rfc3339};
use crate::ops::chart::text::visible;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::counted;
use crate::ops::cli::times;
use crate::ops::operator;
use crate::queue::DeskLog;

/// Batches told by name; more are counted.
const TOLD: usize = 3;

/// The items of each batch, and those that have none yet.
#[derive(Default)]
pub(super) struct Counts {
    named: BTreeMap<BatchId, Part>,
    unnamed: Part,
}

/// The items of each batch.
pub(super) struct Batches {
    parts: BTreeMap<BatchId, Part>,
    /// The batch of items that name none.
    default: BatchId,
}

/// What becomes of items for a batch that has others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Existing {
    /// They are refused.
    Refuse,
    /// They are added.
    Add,
}

/// What one file adds to one batch.
#[derive(Default)]
struct Part {
    items: BTreeMap<AccountId, u64>,
    /// Sum of the ids' digests, eight bytes at a time: the same whatever their order in the file.
    sum: [u64; 4],
}

impl Part {
    /// Returns what tells these items from others.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        self.sum.iter().for_each(|part| digest.update(part.to_be_bytes()));
        hex(&digest.finalize())[..16].to_owned()
    }

    /// Takes an item in, by the digest of its id; one that is in the file already does not come here.
    fn add(&mut self, account: &AccountId, id: &[u8; 32]) {
        match self.items.get_mut(account) {
            Some(count) => *count += 1,
            None => {
                self.items.insert(account.clone(), 1);
            }
        }
        for (sum, bytes) in self.sum.iter_mut().zip(id.as_chunks().0) {
            *sum = sum.wrapping_add(u64::from_be_bytes(*bytes));
        }
    }

    fn merge(&mut self, other: Self) {
        for (account, count) in other.items {
            *self.items.entry(account).or_default() += count;
        }
        self.sum.iter_mut().zip(other.sum).for_each(|(sum, more)| *sum = sum.wrapping_add(more));
    }
}

impl Counts {
    /// Takes an item in, by the SHA-256 of its id.
    pub(super) fn add(&mut self, takedown: &Takedown, id: &[u8; 32]) {
        let part = match &takedown.batch {
            None => &mut self.unnamed,
            Some(batch) => match self.named.get_mut(batch) {
                Some(part) => part,
                None => self.named.entry(batch.clone()).or_default(),
            },
        };
        part.add(&takedown.account, id);
    }

    /// Names a batch for the items without one: by the day in UTC and the items, so that the same file enqueued again on
    /// that day makes the same one (`b-20261125-9f3a61c2`).
    pub(super) fn name(self) -> Batches {
        let Self { named: mut parts, unnamed } = self;
        let day: String = rfc3339(clock::now()).chars().take(10).filter(char::is_ascii_digit).collect();
        let name = format!("b-{day}-{}", &unnamed.digest()[..8]);
        let default = BatchId::new(name).expect("invariant: letters, digits and dashes");
        if !unnamed.items.is_empty() {
            parts.entry(default.clone()).or_default().merge(unnamed);
        }
        Batches { parts, default }
    }
}

impl Batches {
    /// Returns the item with its batch.
    pub(super) fn fill(&self, mut takedown: Takedown) -> Takedown {
        takedown.batch.get_or_insert_with(|| self.default.clone());
        takedown
    }

    /// Returns the accounts of all items.
    pub(super) fn accounts(&self) -> BTreeSet<&AccountId> {
        self.parts.values().flat_map(|part| part.items.keys()).collect()
    }

    /// Writes `batch b-1`, or as many as are told.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.parts.keys().take(TOLD).map(BatchId::as_str).collect();
        match self.parts.len() {
            0 => "no batch".to_owned(),
            1 => format!("batch {}", names[0]),
            count if count <= TOLD => format!("batches {}", names.join(", ")),
            count => format!("batches {} and {} more", names.join(", "), count - TOLD),
        }
    }

    /// Notes what each batch has, unless that is noted already: the file was enqueued before, or half of it.
    ///
    /// Nothing is noted if any batch is refused: one that was cancelled, whose items would end at once, or one that has
    /// other items, unless more are to be added.
    pub(super) async fn note(&self, log: &impl DeskLog, existing: Existing) -> Result<(), Failure> {
        let ledger = Ledger::of(&log.notices().await?);
        let mut new = Vec::new();
        for (batch, part) in &self.parts {
            let digest = part.digest();
            let known = ledger.batch(batch);
            if let Some(cancel) = known.and_then(|entry| entry.cancelled.as_ref()) {
                return Err(cancelled(batch, cancel));
            }
            let parts = known.map(|entry| &entry.parts).filter(|parts| !parts.is_empty());
            match parts {
                Some(parts) if parts.contains_key(&digest) => {}
                Some(_) if existing == Existing::Refuse => {
                    let total = known.map_or(0, |entry| entry.total());
                    return Err(other_items(batch, total));
                }
                Some(_) | None => new.push((batch, part, digest)),
            }
        }
        for (batch, part, digest) in new {
            let what = What::BatchMade { batch: batch.clone(), items: part.items.clone(), part: digest };
            log.note(&Notice { at: clock::now(), by: operator::name(), what }).await?;
        }
        Ok(())
    }

    /// Says what to do when the file was written to after its batches were noted.
    pub(super) fn half_published(&self, changed: Failure) -> Failure {
        let names = self.names();
        changed.remedy(format!(
            "bring the file back as it was and run the same command again: what is enqueued twice is told by its stable \
             id; or, if it is right as it is now, name another batch (--batch ID, or in its rows), for {names} was noted \
             with what the file held before"
        ))
    }
}

fn cancelled(batch: &BatchId, cancel: &Cancel) -> Failure {
    let at = times::wall(cancel.at, clock::now());
    let reason = cancel.reason.as_deref().map(|reason| format!(" ({})", visible(reason))).unwrap_or_default();
    let problem = format!(
        "batch {batch} was cancelled {at} by {}{reason}; its items would end as cancelled",
        visible(&cancel.by)
    );
    Failure::new(Exit::Usage, problem).remedy(
        "nothing was published; name another batch: --batch ID. An item that ended as cancelled is taken up again only \
         under another `id`",
    )
}

fn other_items(batch: &BatchId, total: u64) -> Failure {
    let has = counted(total, "other item", "other items");
    Failure::new(Exit::Usage, format!("batch {batch} exists and has {has}")).remedy(
        "nothing was published; name another batch: --batch ID; or, if none of these items is in it yet, add them: --add",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn takedown(id: &str, batch: Option<&str>) -> Takedown {
        let batch = batch.map(|batch| format!(r#""batch":"{batch}","#)).unwrap_or_default();
        let body = format!(
            r#"{{"version":1,"id":"{id}","account":"shops",{batch}"takedown":{{"gateway":"open_platform","commodity_id":"c","shop_id":"s"}}}}"#
        );
        Takedown::decode(body.as_bytes()).unwrap()
    }

    fn named(takedowns: &[Takedown]) -> Batches {
        let mut counts = Counts::default();
        for takedown in takedowns {
            counts.add(takedown, &Sha256::digest(takedown.id.as_str()).into());
        }
        counts.name()
    }

    #[test]
    fn the_same_items_make_the_same_batch_in_whatever_order() {
        let name = |ids: &[&str]| {
            let takedowns: Vec<_> = ids.iter().map(|id| takedown(id, None)).collect();
            named(&takedowns).fill(takedowns[0].clone()).batch.unwrap()
        };
        assert_eq!(name(&["a", "b"]), name(&["b", "a"]));
        assert_ne!(name(&["a", "b"]), name(&["a", "c"]));
    }

    #[test]
    fn rows_keep_their_own_batch() {
        let takedowns = [takedown("a", Some("b-1")), takedown("b", None), takedown("c", None)];
        let batches = named(&takedowns);
        let totals: Vec<u64> = batches.parts.values().flat_map(|part| part.items.values().copied()).collect();
        assert_eq!(totals, [1, 2]);
        assert!(batches.names().starts_with("batches b-"), "{}", batches.names());
        assert_eq!(batches.fill(takedowns[0].clone()).batch, takedowns[0].batch);
        assert_eq!(named(&takedowns[..1]).parts.len(), 1, "no batch without items");
    }
}
