//! How the kernel schedules this process: as work in bulk.
//!
//! An item passes from a thread that works on it to one that speaks to the broker and back. Woken one by one, each would
//! take the processor from the thread that woke it, do its moment's work, and sleep again. As batch work (`SCHED_BATCH`,
//! sched(7)) a thread that is woken waits until the other sleeps or has used up its time, and finds the work of many items
//! together. It gets no less of the processors for it, and one that is idle takes it up at once.

/// Asks for it; for the calling thread, and those it starts from then on.
///
/// A place that forbids the call leaves everything as it was, which is slower and nothing else.
#[cfg(target_os = "linux")]
pub fn work_in_bulk() {
    scheduler::set_self_policy(scheduler::Policy::Batch, 0).unwrap_or_default();
}

/// No other system has it.
#[cfg(not(target_os = "linux"))]
pub fn work_in_bulk() {}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_started_afterwards_is_batch_work() {
        // Field 41 of proc(5), counted from the 3, which is the first behind the name; 3 is SCHED_BATCH.
        let policy = || {
            let stat = fs::read_to_string("/proc/thread-self/stat").unwrap();
            stat.rsplit_once(')').unwrap().1.split_whitespace().nth(38).unwrap().to_owned()
        };
        let asked = move || {
            work_in_bulk();
            thread::spawn(policy).join().unwrap()
        };
        assert_eq!(thread::spawn(asked).join().unwrap(), "3");
    }
}
