//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod architecture;
mod crash;
mod embedded;
mod queue_contract;
mod schemas;
mod support;
mod vectors;
