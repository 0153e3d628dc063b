//! What a killed process leaves in the embedded queue's file.

use std::collections::{BTreeSet, VecDeque};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use takedown::domain::classify::Redelivery;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{Intake, Queue};

use crate::support::queue::{account, id_of, outcome, take, takedown};

const CHILD: &str = "TAKEDOWN_TEST_QUEUE_OF_A_CHILD";

/// The same test is parent and child: the child works until it is killed, and says what was confirmed to it.
#[test]
fn a_killed_process_loses_nothing_that_was_confirmed() {
    if let Some(path) = std::env::var_os(CHILD) {
        child(Path::new(&path));
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("items.queue");
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash::a_killed_process_loses_nothing_that_was_confirmed", "--nocapture"])
        .env(CHILD, &path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut confirmed: Vec<String> =
        lines.by_ref().filter_map(|line| line.strip_prefix("confirmed ").map(str::to_owned)).take(100).collect();
    let held_by = EmbeddedQueue::open(&path).unwrap_err().to_string();
    child.kill().unwrap();
    child.wait().unwrap();
    confirmed.extend(lines.filter_map(|line| line.strip_prefix("confirmed ").map(str::to_owned)));
    assert!(held_by.contains(&format!("is in use by process {}", child.id())), "{held_by}");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let queue = EmbeddedQueue::open(&path).unwrap();
        let outcomes = queue.outcomes(0, usize::MAX).await.unwrap();
        let ended: BTreeSet<_> = outcomes.iter().map(|(_, outcome)| outcome.id.clone()).collect();
        assert_eq!(ended.len(), outcomes.len(), "no item ended twice");
        for id in &confirmed {
            assert!(ended.contains(id), "{id} was confirmed and is gone");
        }
        let counts = queue.counts().await.unwrap();
        assert_eq!((counts.in_hand, counts.waiting + counts.outcomes), (0, 1000), "every item is somewhere");

        // What the child had in hand when it died comes back first, and says so.
        let again = take(&queue, &account("shops")).await;
        assert_eq!((again.envelope.redelivery, again.envelope.delivery_count), (Redelivery::Again, 1));
    });
}

fn child(path: &Path) -> ! {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let queue = EmbeddedQueue::open(path).unwrap();
        queue.enqueue((0..1000).map(|n| takedown(&format!("t-{n}"), "shops")).collect()).await.unwrap();
        let mut in_hand = VecDeque::new();
        loop {
            in_hand.push_back(take(&queue, &account("shops")).await);
            if in_hand.len() > 4 {
                let delivery = in_hand.pop_front().unwrap();
                let id = id_of(&delivery);
                let end = Settlement::Complete(outcome(&delivery, Reason::TakenDown));
                queue.settle(delivery, end).await.unwrap();
                println!("confirmed {id}");
            }
        }
    })
}
