//! What the writer's threads meet by, named in one place: the standard library's, or in a test a scheduler's.

pub(super) use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
pub(super) use std::thread::{Builder, JoinHandle};
