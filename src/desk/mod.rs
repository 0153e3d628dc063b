//! What the operators' side knows and does: outcomes counted, batches, plans and replays.
//!
//! Web pages, commands and charts are in `ops`; this layer knows the queue and nothing of workers. Promise: what it
//! counts, it counts once, however often it is interrupted.

pub mod fleet;
pub mod letters;
