//! Calls in flight: a ceiling, and a guard that frees its place on drop.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Places for calls in flight.
#[derive(Debug)]
pub struct InFlight {
    places: Arc<Semaphore>,
}

/// One place; free again on drop.
#[derive(Debug)]
#[must_use = "a place is free again as soon as its permit is dropped"]
pub struct Permit(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl InFlight {
    /// Opens a number of places, at least one.
    #[must_use]
    pub fn new(ceiling: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(ceiling.clamp(1, Semaphore::MAX_PERMITS))) }
    }

    /// Waits for a free place, in order of asking.
    ///
    /// # Cancel safety
    /// Nothing is taken when dropped.
    pub async fn place(&self) -> Permit {
        let permit = Arc::clone(&self.places).acquire_owned().await;
        Permit(permit.expect("invariant: the semaphore is never closed"))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn a_place_is_free_again_when_its_permit_is_dropped() {
        let in_flight = InFlight::new(1);
        let first = in_flight.place().await;
        assert!(in_flight.place().now_or_never().is_none());
        drop(first);
        assert!(in_flight.place().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_ceiling_of_nothing_still_lets_one_through() {
        assert!(InFlight::new(0).place().now_or_never().is_some());
    }
}
