//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod sandbox;
mod support;
mod vectors;
