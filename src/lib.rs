//! Bulk takedown worker.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod domain;
pub mod gateway;
pub mod limits;
pub mod ops;
pub mod queue;
pub mod sandbox;
pub mod signing;
pub mod worker;
