//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod embedded;
mod sandbox;
mod support;
