//! What the operators' side knows and does: outcomes counted, batches, plans and replays.
//!
//! Web pages, commands and charts are in `ops`; this layer knows the queue and nothing of workers. Promise: what it
//! counts, it counts once, however often it is interrupted.

pub mod batch;
pub mod cancel;
pub mod fleet;
pub mod follow;
pub mod letters;
pub mod store;

use crate::queue::QueueError;

/// Says what the operators' side could not do.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The desk's file cannot be used.
    #[error("desk file {path}: {problem}")]
    File {
        /// The file.
        path: String,
        /// What is wrong, and the remedy.
        problem: String,
    },
    /// A statement on the desk's file failed.
    #[error("the desk file {path} could not be {action}")]
    Database {
        /// The file.
        path: String,
        /// Read, written, opened.
        action: &'static str,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The queue, or the broker, failed.
    #[error(transparent)]
    Queue(#[from] QueueError),
}
