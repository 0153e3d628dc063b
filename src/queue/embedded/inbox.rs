//! Where threads meet: many put jobs in, the one writer takes all there are at once.
//!
//! Promise: what was put in is taken in that order, or dropped by [`Inbox::close`], never forgotten; after a stop nothing
//! more gets in. `scheduled` plays the meetings through.

use std::collections::VecDeque;

use super::threads::{Condvar, Mutex, MutexGuard, PoisonError};

/// A queue in memory, without bound: whoever puts in waits for the answer, so the callers are the bound.
#[derive(Debug)]
pub(super) struct Inbox<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

#[derive(Debug)]
struct State<T> {
    queued: VecDeque<T>,
    is_stopped: bool,
}

impl<T> Inbox<T> {
    pub(super) fn new() -> Self {
        let state = State { queued: VecDeque::new(), is_stopped: false };
        Self { state: Mutex::new(state), changed: Condvar::new() }
    }

    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts one in; gives it back once stopped.
    pub(super) fn put(&self, one: T) -> Result<(), T> {
        let mut state = self.state();
        if state.is_stopped {
            return Err(one);
        }
        state.queued.push_back(one);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Waits for some and takes them, at most so many; none once stopped and empty.
    pub(super) fn take(&self, most: usize) -> Vec<T> {
        let mut state = self.state();
        while state.queued.is_empty() && !state.is_stopped {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let count = state.queued.len().min(most);
        state.queued.drain(..count).collect()
    }

    /// Lets nothing more in; what is in is still taken.
    pub(super) fn stop(&self) {
        self.state().is_stopped = true;
        self.changed.notify_all();
    }

    /// Lets nothing more in and drops what is in, since nobody will take it.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.is_stopped = true;
        let left = std::mem::take(&mut state.queued);
        // Dropped outside the lock: the end of a job may put in another.
        drop(state);
        drop(left);
    }
}
