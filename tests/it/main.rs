//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod queue_contract;
mod support;
