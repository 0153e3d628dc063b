//! Where one account's deliveries wait until a task takes them, and what its consumer and the rest tell each other.
//!
//! Promise: a delivery is in the inbox, with the one who took it, or back with the broker.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use crate::queue::{Delivery, Receipt};

/// Deliveries of one account that nobody has taken yet; the broker's prefetch bounds them.
#[derive(Debug)]
pub(super) struct Inbox {
    state: Mutex<Waiting>,
    changed: Notify,
    is_consuming: AtomicBool,
    is_active: AtomicBool,
    prefetch: watch::Sender<u16>,
    most: u16,
}

#[derive(Debug, Default)]
struct Waiting {
    deliveries: VecDeque<Delivery>,
    has_ended: bool,
}

impl Inbox {
    /// Opens an empty one; `most` is the prefetch to begin with, and the largest.
    pub(super) fn new(most: u16) -> Self {
        // 0 would mean without bound.
        let most = most.max(1);
        Self {
            state: Mutex::default(),
            changed: Notify::new(),
            is_consuming: AtomicBool::new(false),
            is_active: AtomicBool::new(false),
            prefetch: watch::Sender::new(most),
            most,
        }
    }

    /// Waits for the next delivery; `None` once ended.
    ///
    /// # Cancel safety
    /// Safe: a delivery is taken in the same poll that returns it.
    pub(super) async fn next(&self) -> Option<Delivery> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.has_ended {
                    return None;
                }
                if let Some(delivery) = state.deliveries.pop_front() {
                    return Some(delivery);
                }
            }
            changed.await;
        }
    }

    /// Says whether the account's consumer is at work.
    pub(super) fn is_consuming(&self) -> bool {
        self.is_consuming.load(Ordering::Relaxed)
    }

    /// Says whether the account's consumer was handed anything since it began.
    pub(super) fn is_active(&self) -> bool {
        self.is_active.load(Ordering::Relaxed)
    }

    /// The account's consumer is at work.
    pub(super) fn began(&self) {
        self.is_consuming.store(true, Ordering::Relaxed);
    }

    /// It no longer is.
    pub(super) fn ended(&self) {
        self.is_consuming.store(false, Ordering::Relaxed);
        self.is_active.store(false, Ordering::Relaxed);
    }

    /// Returns how many deliveries are to be handed out ahead.
    pub(super) fn prefetch(&self) -> u16 {
        *self.prefetch.borrow()
    }

    /// Asks for another prefetch, if `judge` does, which is told the one in use and the largest.
    pub(super) fn resize(&self, judge: impl FnOnce(u16, u16) -> Option<u16>) {
        self.prefetch.send_if_modified(|now| match judge(*now, self.most) {
            Some(wanted) => std::mem::replace(now, wanted.clamp(1, self.most)) != *now,
            None => false,
        });
    }

    /// Waits until another prefetch is asked for than this one.
    ///
    /// # Cancel safety
    /// Safe.
    pub(super) async fn resized_from(&self, prefetch: u16) -> u16 {
        let mut wanted = self.prefetch.subscribe();
        let wanted = wanted.wait_for(|wanted| *wanted != prefetch).await;
        *wanted.expect("invariant: the sender lives in the inbox")
    }

    /// Returns how many wait.
    pub(super) fn len(&self) -> usize {
        self.lock().deliveries.len()
    }

    /// Ends every [`Inbox::next`], now and later.
    pub(super) fn end(&self) {
        self.lock().has_ended = true;
        self.changed.notify_waiters();
    }

    pub(super) fn push(&self, delivery: Delivery) {
        self.is_active.store(true, Ordering::Relaxed);
        self.lock().deliveries.push_back(delivery);
        self.changed.notify_waiters();
    }

    /// Hands all back but so many of the oldest.
    pub(super) async fn give_back(&self, keep: usize) {
        let untouched = {
            let mut state = self.lock();
            let keep = keep.min(state.deliveries.len());
            state.deliveries.split_off(keep)
        };
        for delivery in untouched {
            give_back(delivery).await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A delivery of a channel that is gone is back already.
async fn give_back(delivery: Delivery) {
    if let Receipt::Amqp(tag) = delivery.receipt
        && let Err(error) = tag.give_back().await
    {
        tracing::debug!(%error, "an untouched delivery returned with its channel");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[tokio::test]
    async fn an_ended_inbox_gives_nothing_more() {
        let inbox = Arc::new(Inbox::new(1));
        let waiting = tokio::spawn({
            let inbox = Arc::clone(&inbox);
            async move { inbox.next().await }
        });
        tokio::task::yield_now().await;
        inbox.end();
        assert!(waiting.await.unwrap().is_none());
        assert!(inbox.next().await.is_none());
    }
}
