//! Nothing lost: whole workers on real brokers and gateways, under faults.
//!
//! The short form is part of every run of the tests; `TAKEDOWN_FAULTS=long` (`tests/run --long`) is the whole of it.
#![allow(clippy::unwrap_used)]

mod broker;
mod checker;
mod cluster;
mod embedded;
mod fault;
mod journal;
mod orphans;
mod plan;
mod points;
mod post;
mod proxy;
mod random;
mod reader;
mod soak;
mod stale;
#[expect(dead_code, reason = "shared with the other integration binary, which uses the rest")]
#[path = "../support/mod.rs"]
mod support;
mod world;

/// How much of the faults a run wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    /// A few minutes, for every change.
    Short,
    /// Everything, for a night.
    Long,
}

fn length() -> Length {
    match std::env::var("TAKEDOWN_FAULTS").as_deref() {
        Ok("long") => Length::Long,
        Ok(other) => panic!("TAKEDOWN_FAULTS is {other:?}; it is unset, or long"),
        Err(_) => Length::Short,
    }
}
