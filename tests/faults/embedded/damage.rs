//! Files that are not what the last process left: damaged, cut, emptied, without a part, copied, or in use.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{Intake, Queue, QueueError};
use tempfile::TempDir;

use super::{Desk, queue_of};
use crate::support::command::{Running, run};
use crate::support::queue::{account, eventually, outcome, take, takedown};
use crate::{Length, length};

const ITEMS: usize = 120;

/// A queue file with some items waiting and some ended, closed in order.
async fn closed(dir: &TempDir) -> PathBuf {
    let path = dir.path().join("items.queue");
    let queue = EmbeddedQueue::open(&path).unwrap();
    work(&queue).await;
    queue.close().await.unwrap();
    path
}

async fn work(queue: &EmbeddedQueue) {
    queue.enqueue((0..ITEMS).map(|n| takedown(&format!("t-{n}"), "shops")).collect()).await.unwrap();
    for _ in 0..20 {
        let delivery = take(queue, &account("shops")).await;
        let end = Settlement::Complete(outcome(&delivery, Reason::TakenDown));
        queue.settle(delivery, end).await.unwrap();
    }
}

/// What a killed process leaves: file, log and lock as they are while it is at work.
async fn killed(dir: &TempDir) -> PathBuf {
    let live = TempDir::new().unwrap();
    let queue = EmbeddedQueue::open(&live.path().join("items.queue")).unwrap();
    work(&queue).await;
    for name in ["items.queue", "items.queue-wal", "items.queue.lock"] {
        std::fs::copy(live.path().join(name), dir.path().join(name)).unwrap();
    }
    dir.path().join("items.queue")
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// The refusal of a file, which stays as it is, log and all.
fn refusal(path: &Path) -> String {
    let bytes = || [path.to_owned(), beside(path, "-wal")].map(|path| std::fs::read(path).ok());
    let before = bytes();
    let error = EmbeddedQueue::open(path).expect_err("it is refused");
    assert!(before == bytes(), "what is refused is left as it is: {error}");
    assert!(matches!(error, QueueError::File { .. }), "{error:?}");
    let text = error.to_string();
    assert!(text.contains(path.to_str().unwrap()), "{text}");
    assert_eq!(EmbeddedQueue::open(path).expect_err("again").to_string(), text, "and refused again");
    text
}

#[tokio::test]
async fn flipped_bytes_are_refused_or_harm_no_more_than_what_they_hit() {
    let turns = if length() == Length::Long { 3000 } else { 120 };
    let seed = std::env::var("TAKEDOWN_FAULT_SEED").map_or_else(|_| rand::random(), |seed| seed.parse().unwrap());
    println!(
        "again: TAKEDOWN_FAULT_SEED={seed} cargo test --features fault-points --test faults embedded::damage::flipped"
    );
    let mut random = StdRng::seed_from_u64(seed);
    let dir = TempDir::new().unwrap();
    let path = closed(&dir).await;
    let whole = std::fs::read(&path).unwrap();
    let mut refused = 0;
    for _ in 0..turns {
        let mut bytes = whole.clone();
        let at = random.random_range(0..bytes.len());
        let length = random.random_range(1..32).min(bytes.len() - at);
        random.fill(&mut bytes[at..at + length]);
        std::fs::write(&path, &bytes).unwrap();
        let queue = match EmbeddedQueue::open(&path) {
            Ok(queue) => queue,
            Err(QueueError::File { .. }) => {
                assert!(std::fs::read(&path).unwrap() == bytes, "byte {at}: what is refused is left as it is");
                refused += 1;
                continue;
            }
            Err(other) => panic!("byte {at}: {other:?}"),
        };
        // The pages make sense; a value may not, which is told, or is the worker's to judge.
        match drain(&queue).await {
            Ok(handed_out) => assert_eq!(handed_out, ITEMS - 20, "byte {at}: {length} bytes cost a message"),
            Err(QueueError::File { problem, .. }) => assert!(problem.contains("is damaged"), "byte {at}: {problem}"),
            Err(other) => panic!("byte {at}: {other:?}"),
        }
    }
    println!("{turns} damaged files, {refused} refused at the opening");
    assert!(refused > 0);
}

/// Takes everything that waits, and counts it.
async fn drain(queue: &EmbeddedQueue) -> Result<usize, QueueError> {
    let mut accounts = BTreeSet::from_iter(queue.accounts().await?);
    let mut in_hand = Vec::new();
    while let Some(name) = accounts.first().cloned() {
        let counts = queue.counts().await?;
        if counts.waiting == 0 {
            break;
        }
        let account = account(&name);
        let next = tokio::time::timeout(std::time::Duration::from_secs(2), queue.next(&account)).await;
        match next {
            Ok(delivery) => {
                in_hand.push(delivery?.expect("not stopped"));
            }
            // Nothing more of this account falls due today.
            Err(_) => {
                accounts.remove(&name);
            }
        }
    }
    Ok(in_hand.len())
}

#[tokio::test]
async fn a_file_cut_short_or_emptied_is_refused() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir).await;
    let whole = std::fs::read(&path).unwrap();
    for length in [0, 1, 15, 16, 99, 4095, 4096, whole.len() / 2, whole.len() - 4096, whole.len() - 1] {
        std::fs::write(&path, &whole[..length]).unwrap();
        let text = refusal(&path);
        let remedies = ["put a copy back", "put back a copy", "it is left untouched"];
        assert!(remedies.iter().any(|remedy| text.contains(remedy)), "{length} bytes: {text}");
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(EmbeddedQueue::open(&path).unwrap().counts().await.unwrap().waiting, ITEMS as u64 - 20);
}

#[tokio::test]
async fn an_index_that_lacks_a_message_is_seen() {
    let dir = TempDir::new().unwrap();
    let path = closed(&dir).await;
    let db = rusqlite::Connection::open(&path).unwrap();
    let sql = "SELECT sql FROM sqlite_schema WHERE name = 'message_waiting'";
    let index: String = db.query_row(sql, [], |row| row.get(0)).unwrap();
    db.execute_batch(
        "PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'lease IS NULL', 'lease IS NULL AND 0') WHERE name = 'message_waiting'",
    )
    .unwrap();
    drop(db);
    let db = rusqlite::Connection::open(&path).unwrap();
    db.execute_batch("INSERT INTO message (account, placed_at, due_at, body) VALUES ('shops', 0, 0, x'00')").unwrap();
    db.execute_batch("PRAGMA writable_schema = ON").unwrap();
    db.execute("UPDATE sqlite_schema SET sql = ?1 WHERE name = 'message_waiting'", [index]).unwrap();
    drop(db);
    let text = refusal(&path);
    assert!(text.contains("is damaged") && text.contains("message_waiting"), "{text}");
}

#[tokio::test]
async fn a_file_without_its_log_is_refused_and_the_log_without_its_file() {
    let dir = TempDir::new().unwrap();
    let path = killed(&dir).await;
    let log = beside(&path, "-wal");
    let whole = std::fs::read(&log).unwrap();
    assert!(whole.len() > 4096, "the changes lie in the log");
    std::fs::remove_file(&log).unwrap();
    let text = refusal(&path);
    assert!(text.contains("lacks its write-ahead log") && text.contains("put a copy back"), "{text}");

    std::fs::write(&log, &whole).unwrap();
    let file = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let text = refusal(&path);
    assert!(text.contains("put the file back") && !path.exists(), "{text}");

    std::fs::write(&path, file).unwrap();
    let queue = EmbeddedQueue::open(&path).unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!((counts.waiting, counts.outcomes), (ITEMS as u64 - 20, 20), "both together are whole");
    queue.close().await.unwrap();
    assert!(!log.exists(), "an end in order leaves one file");
    drop(EmbeddedQueue::open(&path).unwrap());
}

#[tokio::test]
async fn who_gives_the_log_up_goes_on_as_told() {
    let dir = TempDir::new().unwrap();
    let path = killed(&dir).await;
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    refusal(&path);
    std::fs::remove_file(beside(&path, ".lock")).unwrap();
    let queue = EmbeddedQueue::open(&path).unwrap();
    let items = (0..ITEMS).map(|n| takedown(&format!("t-{n}"), "shops")).collect();
    queue.enqueue(items).await.unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!(counts.waiting + counts.outcomes, ITEMS as u64, "the items file brings all back");
}

#[tokio::test]
async fn a_log_with_a_hole_in_it_is_refused_and_one_with_a_torn_end_is_not() {
    let dir = TempDir::new().unwrap();
    let path = killed(&dir).await;
    let log = beside(&path, "-wal");
    let whole = std::fs::read(&log).unwrap();
    // Of a power cut in the midst of a commit nobody was told of.
    std::fs::write(&log, &whole[..whole.len() - 100]).unwrap();
    let queue = EmbeddedQueue::open(&path).unwrap();
    let counts = queue.counts().await.unwrap();
    assert_eq!(counts.waiting + counts.in_hand + counts.outcomes, ITEMS as u64);
    queue.close().await.unwrap();
    drop(queue);

    let path = killed(&dir).await;
    for at in [8, 5000, whole.len() / 2] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        std::fs::write(&log, &bytes).unwrap();
        let text = refusal(&path);
        assert!(text.contains("write-ahead log") && text.contains("is damaged"), "byte {at}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_process_has_the_queue_by_whatever_name_and_a_dead_one_has_it_no_more() {
    let desk = Desk::new(200, 13, "40/s").await;
    let first = Running::start(desk.run());
    let seen = || desk.sandbox.seen().len();
    eventually("a call", async || seen() > 0).await;
    let queue = queue_of(&desk.path("items.jsonl"));

    let run = |file: &str| tokio::task::block_in_place(|| run(desk.dir.path(), &["run", file]));
    let second = run("items.jsonl");
    assert_eq!(second.code, Some(7), "{second:?}");
    assert!(second.stderr.contains("is in use by process "), "{second:?}");

    // Another spelling, a symbolic link, a hard link.
    std::fs::create_dir(desk.path("sub")).unwrap();
    let other = run("sub/../items.jsonl");
    assert!(other.stderr.contains("is in use by process "), "{other:?}");
    desk.write_items(&desk.path("link.jsonl"));
    std::os::unix::fs::symlink(&queue, queue_of(&desk.path("link.jsonl"))).unwrap();
    let linked = run("link.jsonl");
    assert_eq!(linked.code, Some(7), "{linked:?}");
    assert!(linked.stderr.contains("is in use by process "), "{linked:?}");
    desk.write_items(&desk.path("hard.jsonl"));
    std::fs::hard_link(&queue, queue_of(&desk.path("hard.jsonl"))).unwrap();
    let hard = run("hard.jsonl");
    assert_eq!(hard.code, Some(7), "{hard:?}");
    assert!(hard.stderr.contains("has a second name (a hard link)"), "{hard:?}");
    std::fs::remove_file(queue_of(&desk.path("hard.jsonl"))).unwrap();

    // A copy made meanwhile, without the log, is a queue of its own or none, and no harm to the first.
    desk.write_items(&desk.path("copy.jsonl"));
    std::fs::copy(&queue, queue_of(&desk.path("copy.jsonl"))).unwrap();
    match EmbeddedQueue::open(&queue_of(&desk.path("copy.jsonl"))) {
        Ok(copy) => copy.close().await.unwrap(),
        Err(error) => assert!(error.to_string().contains("is damaged"), "{error}"),
    }

    // Killed, it holds nothing.
    drop(first);
    let ended = run("items.jsonl");
    assert_eq!(ended.code, Some(0), "{ended:?}");
    desk.check(&desk.path("items.jsonl.outcomes.jsonl"), 1);
}
