//! Calls in flight: a ceiling, and a guard that frees its place on drop.

/// Places for calls in flight.
#[derive(Debug)]
pub struct InFlight {}

/// One place; free again on drop.
#[derive(Debug)]
pub struct Permit {}
