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

/// The items of each batch.
pub(super) struct Batches(BTreeMap<BatchId, Part>);

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
    ids: BTreeSet<String>,
}

impl Part {
    /// Returns the digest of the ids, whatever their order in the file.
    fn digest(&self) -> String {
        let mut digest = Sha256::new();
        for id in &self.ids {
            digest.update(id.as_bytes());
            digest.update(b"\n");
        }
        hex(&digest.finalize())[..16].to_owned()
    }

    /// An item that is in the file twice is one item.
    fn add(&mut self, takedown: &Takedown) {
        if self.ids.insert(takedown.id.to_string()) {
            *self.items.entry(takedown.account.clone()).or_default() += 1;
        }
    }
}

impl Batches {
    /// Counts the items, and names a batch for those without one: by the day in UTC and the items, so that the same file
    /// enqueued again on that day makes the same one (`b-20261125-9f3a61c2`).
    pub(super) fn name(takedowns: &mut [Takedown]) -> Self {
        let mut unnamed = Part::default();
        takedowns.iter().filter(|takedown| takedown.batch.is_none()).for_each(|takedown| unnamed.add(takedown));
        let day: String = rfc3339(clock::now()).chars().take(10).filter(char::is_ascii_digit).collect();
        let name = format!("b-{day}-{}", &unnamed.digest()[..8]);
        let name = BatchId::new(name).expect("invariant: letters, digits and dashes");
        let mut batches: BTreeMap<BatchId, Part> = BTreeMap::new();
        for takedown in takedowns {
            let batch = takedown.batch.get_or_insert_with(|| name.clone()).clone();
            batches.entry(batch).or_default().add(takedown);
        }
        Self(batches)
    }

    /// Returns the accounts of all items.
    pub(super) fn accounts(&self) -> BTreeSet<&AccountId> {
        self.0.values().flat_map(|part| part.items.keys()).collect()
    }

    /// Writes `batch b-1`, or as many as are told.
    pub(super) fn names(&self) -> String {
        let names: Vec<&str> = self.0.keys().take(TOLD).map(BatchId::as_str).collect();
        match self.0.len() {
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
        for (batch, part) in &self.0 {
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

    #[test]
    fn the_same_items_make_the_same_batch_in_whatever_order() {
        let name = |ids: &[&str]| {
            let mut takedowns: Vec<_> = ids.iter().map(|id| takedown(id, None)).collect();
            Batches::name(&mut takedowns);
            takedowns[0].batch.clone().unwrap()
        };
        assert_eq!(name(&["a", "b"]), name(&["b", "a"]));
        assert_ne!(name(&["a", "b"]), name(&["a", "c"]));
    }

    #[test]
    fn rows_keep_their_own_batch_and_a_row_twice_is_one_item() {
        let mut takedowns = [takedown("a", Some("b-1")), takedown("b", None), takedown("b", None)];
        let batches = Batches::name(&mut takedowns);
        assert_eq!(batches.0.len(), 2);
        let totals: Vec<u64> = batches.0.values().flat_map(|part| part.items.values().copied()).collect();
        assert_eq!(totals, [1, 1]);
        assert!(batches.names().starts_with("batches b-"), "{}", batches.names());
    }
}
