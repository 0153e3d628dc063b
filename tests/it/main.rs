//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod architecture;
mod embedded;
mod schemas;
mod support;
mod vectors;
