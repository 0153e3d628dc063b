//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod amqp;
mod embedded;
mod sandbox;
mod support;
