//! Places where the process kills itself, for tests of what a crash leaves behind.
//!
//! Compiled with the feature `fault-points` only. `TAKEDOWN_FAULT_POINT=confirmed:3` arms one point: the third time it is
//! reached, the process says so on stderr and is gone by a real SIGKILL. Promise: no destructor runs, nothing is flushed,
//! the broker hears no goodbye.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use rustix::process::{Signal, getpid, kill_process};

const VARIABLE: &str = "TAKEDOWN_FAULT_POINT";

/// A place to die at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// A message is in hand; nothing was done with it.
    Received,
    /// The call of a takedown whose id begins with [`POISON`] is about to be made.
    Poison,
    /// The gateway has answered; nobody else knows.
    Answered,
    /// The broker has a successor; its confirm was not read.
    Published,
    /// Every successor is confirmed; the delivery is not acked.
    Confirmed,
    /// The embedded queue's changes are in the transaction; it is not committed.
    Committing,
    /// They are committed; nobody was told.
    Committed,
    /// A drain was asked for, with work in flight.
    Draining,
    /// A dead letter is back at work, confirmed; it is a dead letter still.
    Replaying,
}

/// How the id of a takedown begins that reaches [`Point::Poison`].
pub const POISON: &str = "poison-";

/// All of them, by the names they are armed with.
const NAMES: [(&str, Point); 9] = [
    ("received", Point::Received),
    ("poison", Point::Poison),
    ("answered", Point::Answered),
    ("published", Point::Published),
    ("confirmed", Point::Confirmed),
    ("committing", Point::Committing),
    ("committed", Point::Committed),
    ("draining", Point::Draining),
    ("replaying", Point::Replaying),
];

impl Point {
    /// Dies here if it is the turn.
    pub fn reach(self) {
        if self.is_due() {
            self.die();
        }
    }

    /// Counts an arrival at this point, and says whether it is the one to die at.
    #[must_use]
    pub fn is_due(self) -> bool {
        static ARMED: OnceLock<Option<(Point, AtomicU32)>> = OnceLock::new();
        match ARMED.get_or_init(armed) {
            Some((point, left)) if *point == self => left.fetch_sub(1, Ordering::Relaxed) == 1,
            Some(_) | None => false,
        }
    }

    /// Dies.
    pub fn die(self) -> ! {
        eprintln!("fault point reached: {self:?}");
        kill_process(getpid(), Signal::KILL).expect("invariant: a process may kill itself");
        loop {
            std::thread::park();
        }
    }
}

/// Reads the variable; what it cannot mean would make a test prove nothing, so it ends the process.
fn armed() -> Option<(Point, AtomicU32)> {
    let text = std::env::var(VARIABLE).ok()?;
    let (name, count) = text.split_once(':').unwrap_or((&text, "1"));
    let point = NAMES.iter().find(|(known, _)| *known == name).map(|(_, point)| *point);
    match (point, count.parse()) {
        (Some(point), Ok(count @ 1..)) => Some((point, AtomicU32::new(count))),
        (Some(_) | None, Ok(_) | Err(_)) => {
            eprintln!(
                "{VARIABLE}={text}: write name or name:count, count from 1; the names are {:?}",
                NAMES.map(|n| n.0)
            );
            std::process::exit(2)
        }
    }
}
