//! What an account may do now: its rate, its calls in flight, its hold.
//!
//! It knows no gateway and no queue. Promise: no call leaves without having been admitted, and a held account's
//! backlog is put off, never spent.

pub mod in_flight;
pub mod pause;
pub mod rate;
