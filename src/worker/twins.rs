//! Copies of one message in hand at the same time: one is worked, the others wait until it has ended.
//!
//! A crash between a confirm and an ack leaves two copies, and a producer may send one twice. Each asks first how the item
//! ended; worked side by side, none would find anything, and every one would call. Promise: of the copies in this
//! replica's hands, the next one asks after the one before was settled. Copies in other replicas' hands are the queue's
//! affair, which tells one outcome.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OwnedMutexGuard;

/// A message, and the round of replays it is in.
type Key = (String, u32);

/// The messages in hand.
#[derive(Debug, Default)]
pub(super) struct Twins(Mutex<HashMap<Key, Arc<tokio::sync::Mutex<()>>>>);

/// Held while a message is worked, until it is settled.
pub(super) struct Alone<'a> {
    twins: &'a Twins,
    key: Key,
    guard: Option<OwnedMutexGuard<()>>,
}

impl Twins {
    /// Waits until no other copy is worked.
    pub(super) async fn alone(&self, label: &str, replays: u32) -> Alone<'_> {
        let key = (label.to_owned(), replays);
        let lock = {
            let mut in_hand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(in_hand.entry(key.clone()).or_default())
        };
        // From here on, so that one that stops waiting is forgotten too.
        let mut alone = Alone { twins: self, key, guard: None };
        alone.guard = Some(lock.lock_owned().await);
        alone
    }

    fn forget(&self, key: &Key) {
        let mut in_hand = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if in_hand.get(key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
            in_hand.remove(key);
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        drop(self.guard.take());
        self.twins.forget(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_copy_waits_for_the_one_before_and_nothing_is_kept() {
        let twins = Twins::default();
        let first = twins.alone("t-1", 0).await;
        assert!(twins.alone("t-1", 0).now_or_never().is_none(), "another copy");
        for (label, replays) in [("t-2", 0), ("t-1", 1)] {
            assert!(twins.alone(label, replays).now_or_never().is_some(), "another message or round");
        }
        drop(first);
        assert!(twins.alone("t-1", 0).now_or_never().is_some());
        assert!(twins.0.lock().unwrap().is_empty());
    }
}
