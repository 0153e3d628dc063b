//! What people touch: configuration, command line, metrics, status.

pub mod cli;
pub mod config;
pub mod items;
pub mod metrics;
pub mod status;
