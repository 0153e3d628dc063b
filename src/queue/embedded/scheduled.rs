//! The writer under a scheduler that plays its meetings through: the very files, with the scheduler's threads in them.
//!
//! Each test runs many times, every time in another order of steps. A wait that nobody ends fails it as a deadlock.

use std::path::Path;
use std::sync::mpsc;

use rusqlite::Connection;
use shuttle::future::block_on;
use shuttle::thread;

use self::writer::Writer;
use crate::queue::QueueError;

#[expect(clippy::duplicate_mod, reason = "the same file, on the scheduler's threads")]
#[path = "inbox.rs"]
mod inbox;
#[expect(clippy::duplicate_mod, reason = "the same file, on the scheduler's threads")]
#[path = "writer.rs"]
mod writer;

/// The scheduler's threads, by the names of the real ones.
mod threads {
    pub(super) use shuttle::sync::atomic::{AtomicBool, Ordering};
    pub(super) use shuttle::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
    pub(super) use shuttle::thread::{Builder, JoinHandle};
}

/// Orders tried a test. Random ones, and as many by a scheduler that holds one thread back as long as it can.
const ORDERS: usize = 300;

fn play(meeting: impl Fn() + Send + Sync + 'static) {
    let meeting = std::sync::Arc::new(meeting);
    let mut config = shuttle::Config::new();
    // SQLite runs on the scheduler's stacks.
    config.stack_size = 1 << 20;
    let random = shuttle::scheduler::RandomScheduler::new(ORDERS);
    let again = std::sync::Arc::clone(&meeting);
    shuttle::Runner::new(random, config.clone()).run(move || again());
    let patient = shuttle::scheduler::PctScheduler::new(3, ORDERS);
    shuttle::Runner::new(patient, config).run(move || meeting());
}

fn database() -> Connection {
    let db = Connection::open_in_memory().unwrap();
    db.execute_batch("CREATE TABLE n (x INTEGER UNIQUE, place INTEGER PRIMARY KEY AUTOINCREMENT) STRICT").unwrap();
    db
}

fn insert(x: i64) -> impl FnMut(&Connection) -> rusqlite::Result<usize> + Send + 'static {
    move |db| db.execute("INSERT INTO n (x) VALUES (?1)", [x])
}

fn rows(db: &Connection) -> rusqlite::Result<Vec<i64>> {
    db.prepare("SELECT x FROM n ORDER BY place")?.query_map([], |row| row.get(0))?.collect()
}

/// Starts the writer on a database in memory.
fn start() -> (Writer, threads::JoinHandle<()>) {
    Writer::start(Path::new("q"), database(), (), |_, ()| {}).unwrap()
}

#[test]
fn every_caller_hears_and_each_ones_jobs_keep_their_order() {
    play(|| {
        let (writer, thread) = start();
        let callers: Vec<_> = [0, 10]
            .map(|first| {
                let writer = writer.clone();
                thread::spawn(move || {
                    // Two are handed over without waiting; the third's answer comes after theirs.
                    for x in [first, first + 1] {
                        writer.submit(insert(x), |result| assert_eq!(result, Ok(1))).unwrap();
                    }
                    assert_eq!(block_on(writer.call("written", insert(first + 2))).unwrap(), 1);
                })
            })
            .into_iter()
            .collect();
        for caller in callers {
            caller.join().unwrap();
        }
        let all = block_on(writer.call("read", rows)).unwrap();
        for first in [0, 10] {
            let own: Vec<_> = all.iter().copied().filter(|x| x / 10 == first / 10).collect();
            assert_eq!(own, [first, first + 1, first + 2]);
        }
        writer.stop();
        thread.join().unwrap();
    });
}

#[test]
fn a_group_whose_commit_fails_answers_every_member() {
    play(|| {
        let db = database();
        // The check is made at the commit, so that one bad member spoils the whole group.
        db.execute_batch(
            "PRAGMA foreign_keys = ON;
             CREATE TABLE child (x INTEGER REFERENCES n (x) DEFERRABLE INITIALLY DEFERRED)",
        )
        .unwrap();
        let (writer, thread) = Writer::start(Path::new("q"), db, (), |_, ()| {}).unwrap();
        let callers = [1, 2, 3].map(|x| {
            let writer = writer.clone();
            thread::spawn(move || {
                if x == 2 {
                    let orphan = |db: &Connection| db.execute("INSERT INTO child VALUES (99)", []);
                    assert!(block_on(writer.call("written", orphan)).is_err());
                } else {
                    assert_eq!(block_on(writer.call("written", insert(x))).unwrap(), 1);
                }
            })
        });
        for caller in callers {
            caller.join().unwrap();
        }
        let mut kept = block_on(writer.call("read", rows)).unwrap();
        kept.sort_unstable();
        assert_eq!(kept, [1, 3]);
        // Whoever hears of a commit, or that there was none, finds the writer in that state.
        block_on(writer.call("written", |db| db.execute("INSERT INTO child VALUES (99)", []))).unwrap_err();
        assert!(!writer.is_well());
        block_on(writer.call("written", insert(4))).unwrap();
        assert!(writer.is_well());
        writer.stop();
        thread.join().unwrap();
    });
}

#[test]
fn a_stop_lets_what_was_handed_over_finish_and_refuses_the_rest() {
    play(|| {
        let (guard, is_released) = mpsc::channel::<()>();
        let (folded, was_folded) = mpsc::channel();
        let tell = move |db: &Connection, _: &mpsc::Sender<()>| folded.send(rows(db)).unwrap();
        let (writer, thread) = Writer::start(Path::new("q"), database(), guard, tell).unwrap();
        writer.submit(insert(1), |result| assert_eq!(result, Ok(1))).unwrap();
        let late = {
            let writer = writer.clone();
            thread::spawn(move || match block_on(writer.call("written", insert(2))) {
                Ok(1) => true,
                Err(QueueError::Closed) => false,
                other => panic!("{other:?}"),
            })
        };
        writer.stop();
        let got_in = late.join().unwrap();
        thread.join().unwrap();
        assert!(matches!(block_on(writer.call("written", insert(3))), Err(QueueError::Closed)));
        assert!(!writer.is_well(), "nobody is there to write");
        let mut kept = was_folded.try_recv().unwrap().unwrap();
        kept.sort_unstable();
        assert_eq!(kept, if got_in { vec![1, 2] } else { vec![1] }, "what was answered was done, and nothing else");
        assert_eq!(is_released.try_recv(), Err(mpsc::TryRecvError::Disconnected));
    });
}

#[test]
fn a_writer_that_dies_leaves_nobody_waiting() {
    play(|| {
        let writer = Writer::new(Path::new("q"));
        let serving = writer.clone();
        let thread = thread::spawn(move || {
            let serve = std::panic::AssertUnwindSafe(|| serving.serve(database(), (), |_, ()| {}));
            assert!(std::panic::catch_unwind(serve).is_err());
        });
        let callers = [1, 2].map(|x| {
            let writer = writer.clone();
            thread::spawn(move || match block_on(writer.call("written", insert(x))) {
                Ok(1) | Err(QueueError::Closed) => {}
                other => panic!("{other:?}"),
            })
        });
        // Says nothing on the way down, as `panic!` would.
        let die = |_: &Connection| -> rusqlite::Result<()> { std::panic::resume_unwind(Box::new("dead")) };
        assert!(matches!(block_on(writer.call("written", die)), Err(QueueError::Closed)));
        for caller in callers {
            caller.join().unwrap();
        }
        thread.join().unwrap();
        assert!(!writer.is_well());
        assert!(matches!(block_on(writer.call("written", insert(3))), Err(QueueError::Closed)));
    });
}

#[test]
fn a_call_nobody_waits_for_is_done_all_the_same() {
    play(|| {
        let (writer, thread) = start();
        let (stepped, has_stepped) = mpsc::channel();
        let given_up = {
            let writer = writer.clone();
            thread::spawn(move || {
                let mut call = Box::pin(writer.call_then("written", insert(1), move |n| stepped.send(n).unwrap()));
                // One poll hands the job over; then the future is dropped.
                block_on(std::future::poll_fn(|context| {
                    call.as_mut().poll(context).map(Result::unwrap).is_ready();
                    std::task::Poll::Ready(())
                }));
            })
        };
        given_up.join().unwrap();
        writer.stop();
        thread.join().unwrap();
        assert_eq!(has_stepped.try_recv(), Ok(1));
    });
}
