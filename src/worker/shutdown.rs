//! The two signals of the end: drain, and leave at once.

use tokio_util::sync::CancellationToken;

/// Tells every task of a replica to drain, or to leave at once. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    drain: CancellationToken,
    leave: CancellationToken,
}

impl Shutdown {
    /// Returns a signal nobody has given yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for a drain: no new message is taken, calls in flight finish.
    pub fn drain(&self) {
        self.drain.cancel();
    }

    /// Asks to leave at once; what is in hand comes back to the queue. Implies a drain.
    pub fn leave(&self) {
        self.leave.cancel();
        self.drain.cancel();
    }

    /// Waits for a drain to be asked for.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn draining(&self) {
        self.drain.cancelled().await;
    }

    /// Waits until everyone is to leave at once.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn leaving(&self) {
        self.leave.cancelled().await;
    }

    /// Says whether a drain was asked for.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.drain.is_cancelled()
    }
}
