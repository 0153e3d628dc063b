//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod embedded;
mod schemas;
mod sandbox;
mod support;
mod vectors;
mod worker;
