//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod architecture;
mod embedded;
mod schemas;
mod amqp;
mod queue_contract;
mod support;
mod vectors;
