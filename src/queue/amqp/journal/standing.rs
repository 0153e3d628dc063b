//! How far the journal is read, and whether somebody doubts that.
//!
//! Promise: of many who doubt a reading, all are heard once; a doubt never outlives the reading it was of.

use tokio::sync::watch;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stand {
    Behind,
    Read,
    Doubted,
}

/// Where the reader of a journal stands.
#[derive(Debug)]
pub(super) struct Standing(watch::Sender<Stand>);

impl Standing {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Stand::Behind))
    }

    /// A reading begins, or is over.
    pub(super) fn begin(&self) {
        self.0.send_replace(Stand::Behind);
    }

    /// Everything is read.
    pub(super) fn note_read(&self) {
        self.0.send_replace(Stand::Read);
    }

    /// What is read cannot be all.
    pub(super) fn doubt(&self) {
        self.0.send_if_modified(|stand| {
            let is_read = *stand == Stand::Read;
            if is_read {
                *stand = Stand::Doubted;
            }
            is_read
        });
    }

    pub(super) fn is_read(&self) -> bool {
        *self.0.borrow() == Stand::Read
    }

    /// Waits until everything is read.
    pub(super) async fn read(&self) {
        self.wait_for(Stand::Read).await;
    }

    /// Waits until somebody doubts it.
    pub(super) async fn doubted(&self) {
        self.wait_for(Stand::Doubted).await;
    }

    async fn wait_for(&self, wanted: Stand) {
        let reached = self.0.subscribe().wait_for(|stand| *stand == wanted).await.map(drop);
        reached.expect("invariant: the sender outlives the borrow of itself");
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn those_who_give_up_together_are_one_doubt() {
        let standing = Standing::new();
        standing.doubt();
        assert!(standing.doubted().now_or_never().is_none(), "nothing is read yet");
        standing.note_read();
        let mut doubted = Box::pin(standing.doubted());
        assert!(doubted.as_mut().now_or_never().is_none());
        standing.doubt();
        doubted.now_or_never().unwrap();
        standing.doubt();
        standing.begin();
        (0..64).for_each(|_| standing.doubt());
        standing.note_read();
        assert!(standing.is_read() && standing.doubted().now_or_never().is_none());
    }
}
