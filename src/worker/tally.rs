//! What a replica did for one account since it began: for its beats, and whoever watches the fleet.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::Instant;

use crate::domain::fleet::standing::CutOff;

/// Longest cause told, in characters.
const MAX_CAUSE: usize = 80;

/// Counts of one account. Shared by all its tasks.
#[derive(Debug, Default)]
pub struct Tally {
    called: AtomicU64,
    ended: AtomicU64,
    cut_off: Mutex<Option<(String, Instant)>>,
}

impl Tally {
    /// A call was made.
    pub(super) fn call(&self) {
        self.called.fetch_add(1, Ordering::Relaxed);
    }

    /// An item ended.
    pub(super) fn end(&self) {
        self.ended.fetch_add(1, Ordering::Relaxed);
    }

    /// The gateway is not reached; since when is known from the first time.
    pub(super) fn cut_off(&self, cause: &str) {
        let mut cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        let since = cut_off.as_ref().map_or_else(Instant::now, |(_, since)| *since);
        *cut_off = Some((cause.chars().take(MAX_CAUSE).collect(), since));
    }

    /// The gateway is reached again.
    pub(super) fn reach(&self) {
        *self.cut_off.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Returns the calls made.
    #[must_use]
    pub fn called(&self) -> u64 {
        self.called.load(Ordering::Relaxed)
    }

    /// Returns the items ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended.load(Ordering::Relaxed)
    }

    /// Says since when the gateway is not reached, and why.
    #[must_use]
    pub fn told_cut_off(&self) -> Option<CutOff> {
        let cut_off = self.cut_off.lock().unwrap_or_else(PoisonError::into_inner);
        cut_off.as_ref().map(|(cause, since)| CutOff {
            cause: cause.clone(),
            age_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        })
    }
}
