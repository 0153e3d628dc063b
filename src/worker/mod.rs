//! A replica's work: take a delivery, call, judge, settle; start, drain, stop.

pub mod context;
pub mod event;
pub mod pipeline;
pub mod shutdown;
