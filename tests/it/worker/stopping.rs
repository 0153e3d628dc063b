//! How a run ends: drained, cut short, or by a queue that fails; and that nothing is lost by it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use takedown::domain::outcome::{Reason, Status};
use takedown::queue::{Queue, QueueError};
use takedown::sandbox::faults::{Effect, Fault};
use takedown::worker::Summary;
use takedown::worker::event::WorkerEvent;

use super::told;
use crate::support::replica::{Bench, Replica, Tuning, goods, shop_item};

#[tokio::test]
async fn a_drain_gives_back_what_waits_for_its_turn() {
    let bench = Bench::new().await;
    let mut tuning = Tuning::default();
    // The second call is a minute away, however slow the machine, and everyone in hand waits for it.
    tuning.limits.rate = "1/min".parse().unwrap();
    tuning.limits.max_wait = Duration::from_mins(10);
    let replica = bench.start(tuning);
    replica.enqueue((1..=30).map(|n| goods(&format!("g{n}")))).await;
    replica
        .wait_for("first call", |events| events.iter().find(|e| matches!(e, WorkerEvent::Finished { .. })).cloned())
        .await;
    let summary = replica.drain().await;
    assert_eq!(summary.abandoned, 0);
    let queue = bench.queue();
    assert_eq!(queue.counts().await.unwrap().waiting, 29);
    let replica = bench.start_on(queue, Tuning::default());
    for n in 2..=30 {
        let outcome = replica.outcome(&format!("g{n}")).await;
        assert_eq!((outcome.reason, outcome.attempts, outcome.deferrals), (Reason::TakenDown, 1, 0));
    }
}

#[tokio::test]
async fn a_drain_lets_calls_in_flight_finish() {
    let bench = Bench::new().await;
    let in_hand = Arc::new(AtomicUsize::new(usize::MAX));
    let told = Arc::clone(&in_hand);
    let spy = move |event: &WorkerEvent| {
        if let WorkerEvent::Draining { in_flight } = event {
            told.store(*in_flight, Ordering::Relaxed);
        }
    };
    let replica = bench.start(Tuning { spy: Box::new(spy), ..Tuning::default() });
    replica.enqueue((1..=5).map(|n| goods(&format!("g{n}")))).await;
    for n in 1..=5 {
        replica.outcome(&format!("g{n}")).await;
    }
    bench.play([Fault::Latency(Duration::from_millis(400))]);
    replica.enqueue([shop_item("c1")]).await;
    replica.calls_in_flight(1).await;
    assert_eq!(replica.drain().await, Summary { settled: 6, abandoned: 0 });
    assert_eq!(in_hand.load(Ordering::Relaxed), 1, "what is done is not in flight");
    let outcomes = bench.queue().outcomes(0, 10).await.unwrap();
    assert!(outcomes.len() == 6 && outcomes.iter().all(|(_, outcome)| outcome.reason == Reason::TakenDown));
}

/// Starts a call that is not answered, ends the run by force, and lets a second run find what the first call did.
async fn cut_off(tuning: Tuning, end: impl AsyncFnOnce(&Replica)) {
    let bench = Bench::new().await;
    bench.play([Fault::Timeout(Effect::Taken)]);
    let replica = bench.start(tuning);
    replica.enqueue([shop_item("c1")]).await;
    bench.took_effect("c1@s1").await;
    end(&replica).await;
    assert_eq!(replica.end().await.unwrap(), Summary { settled: 0, abandoned: 1 });
    let replica = bench.start(Tuning::default());
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Success, Reason::TakenDownEarlier, 1));
}

#[tokio::test]
async fn leaving_at_once_abandons_calls_in_flight_to_the_queue() {
    cut_off(Tuning::default(), async |replica| replica.shutdown.leave()).await;
}

#[tokio::test]
async fn a_drain_ends_when_its_time_is_out() {
    let tuning = Tuning { drain_timeout: Duration::from_millis(50), ..Tuning::default() };
    cut_off(tuning, async |replica| replica.shutdown.drain()).await;
}

#[tokio::test]
async fn a_second_signal_cuts_a_drain_short() {
    cut_off(Tuning::default(), async |replica| {
        replica.shutdown.drain();
        replica.wait_for("drain", |e| e.iter().find(|e| matches!(e, WorkerEvent::Draining { .. })).cloned()).await;
        replica.shutdown.leave();
    })
    .await;
}

#[tokio::test]
async fn a_settlement_that_fails_is_told_and_the_item_comes_back() {
    let bench = Bench::new().await;
    bench.play([Fault::Latency(Duration::from_millis(400))]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([shop_item("c1")]).await;
    replica.calls_in_flight(1).await;
    replica.queue.close().await.unwrap();
    let failed = replica.wait_for("failed settlement", |events| {
        events.iter().find_map(|event| match event {
            WorkerEvent::SettleFailed { id, error } => Some((id.clone(), error.clone())),
            _ => None,
        })
    });
    assert_eq!(failed.await, ("c1".to_owned(), QueueError::Closed.to_string()));
    assert_eq!(replica.end().await.unwrap(), Summary::default(), "a queue closed by someone else ends the run");
    let replica = bench.start(Tuning::default());
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Success, Reason::TakenDownEarlier, 1));
}

#[tokio::test]
async fn a_queue_that_fails_for_good_ends_the_run() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    rusqlite::Connection::open(bench.queue_path()).unwrap().execute_batch("DROP TABLE message").unwrap();
    let replica = bench.start_on(queue, Tuning::default());
    let shutdown = replica.shutdown.clone();
    replica.wait_for("end", |e| e.iter().find(|e| matches!(e, WorkerEvent::Stopped { .. })).cloned()).await;
    let error = replica.end().await.unwrap_err().to_string();
    assert!(error.contains("is damaged (no such table: message"), "{error}");
    assert!(shutdown.is_draining(), "whoever looks at the shutdown sees it");
}
