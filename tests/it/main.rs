//! The one integration binary.
#![allow(clippy::unwrap_used)]

mod gateway;
mod support;
mod vectors;
