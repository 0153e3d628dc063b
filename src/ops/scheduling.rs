//! How the kernel schedules this process: as work in bulk.
//!
//! An item passes from a thread that works on it to one that speaks to the broker and back. Woken one by one, each would
//! take the processor from the thread that woke it, do its moment's work, and sleep again. As batch work (`SCHED_BATCH`,
//! sched(7)) a thread that is woken waits until the other sleeps or has used up its time, and finds the work of many items
//! together. It gets no less of the processors for it, and one that is idle takes it up at once.

#[cfg(target_os = "linux")]
use std::fs;

/// Asks for it; for the calling thread, and those it starts from then on.
///
/// Whoever started the process with a policy of their own knows better: that stays. So does the usual one where the call
/// is refused, which is slower and nothing else. (A filter that kills instead of refusing wants the policy set outside.)
#[cfg(target_os = "linux")]
pub fn work_in_bulk() {
    if policy().as_deref() == Some(USUAL) {
        match scheduler::set_self_policy(scheduler::Policy::Batch, 0) {
            // Whichever it is, the work is the same.
            Ok(()) | Err(()) => {}
        }
    }
}

/// No other system has it.
#[cfg(not(target_os = "linux"))]
pub fn work_in_bulk() {}

/// `SCHED_OTHER`.
#[cfg(target_os = "linux")]
const USUAL: &str = "0";

/// Reads field 41 of proc(5), counted from the 3, which is the first behind the name. (What the kernel answers to the
/// question itself may be a policy that the crate has not heard of, and it panics at that.)
#[cfg(target_os = "linux")]
fn policy() -> Option<String> {
    let stat = fs::read_to_string("/proc/thread-self/stat").ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(38).map(str::to_owned)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::thread;

    use super::*;

    /// Returns the policy of a thread that one with this policy started after it had asked.
    fn asked_with(before: scheduler::Policy) -> Option<String> {
        let ask = || {
            scheduler::set_self_policy(before, 0).unwrap();
            work_in_bulk();
            thread::spawn(policy).join().unwrap()
        };
        thread::spawn(ask).join().unwrap()
    }

    #[test]
    fn a_thread_started_afterwards_is_batch_work_but_not_against_the_operators_word() {
        assert_eq!(asked_with(scheduler::Policy::Other).as_deref(), Some("3"));
        assert_eq!(asked_with(scheduler::Policy::Idle).as_deref(), Some("5"));
    }
}
