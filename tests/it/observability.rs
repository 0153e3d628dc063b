//! What a worker tells of itself: metrics with their table, dashboard and alerts; traces; lines of the log.

mod alerts;
pub(crate) mod collector;
mod lines;
mod metrics;
mod promtool;
mod stage;
mod traces;
mod trouble;
