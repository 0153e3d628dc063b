//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod embedded;
mod sandbox;
mod schemas;
mod gateway;
mod amqp;
mod queue_contract;
mod support;
mod vectors;
mod worker;
