//! What a takedown is and how its fate is decided: pure data and pure functions.
//!
//! Nothing here is async, does I/O, reads a clock or draws a random number; time and jitter arrive as arguments.
//! Its promise: given the same reply, history and policy, the same settlement is decided every time.

pub mod advice;
pub mod cause;
pub mod classify;
pub mod codes;
pub mod fleet;
pub mod hex;
pub mod history;
pub mod ids;
pub mod notice;
pub mod outcome;
pub mod reply;
pub mod retry;
pub mod secret;
pub mod settlement;
pub mod takedown;
pub mod trace;
