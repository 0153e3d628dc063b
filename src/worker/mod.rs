//! A replica's work: take a delivery, call, judge, settle; start, drain, stop.

pub mod context;
pub mod event;
pub mod pipeline;
pub mod shutdown;

use std::sync::Arc;

use crate::queue::{Queue, QueueError};
use crate::worker::context::Context;
use crate::worker::shutdown::Shutdown;

/// How a replica's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Deliveries settled.
    pub settled: u64,
    /// Deliveries left in hand; they come back to the queue.
    pub abandoned: usize,
}

/// Works until a drain is asked for (or a queue error is final), then gives back the untouched, finishes what is in
/// flight within the drain time-out, and closes the queue.
///
/// # Errors
/// The queue's own error when it is final; everything in hand then comes back by itself.
pub async fn run<Q: Queue>(queue: Arc<Q>, context: Arc<Context>, shutdown: Shutdown) -> Result<Summary, QueueError> {
    todo!("{} {shutdown:?} {}", context.worker, queue.is_ready())
}
