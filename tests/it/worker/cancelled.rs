//! A batch that is cancelled while its items wait, are in hand, or are called for.

use std::time::{Duration, SystemTime};

use takedown::domain::ids::BatchId;
use takedown::domain::notice::{Notice, What};
use takedown::domain::outcome::Reason;
use takedown::domain::retry::RetryPolicy;
use takedown::domain::takedown::Takedown;
use takedown::limits::LimitSettings;
use takedown::queue::{DeskLog, Intake};
use takedown::sandbox::ItemState;
use takedown::sandbox::faults::{Effect, Fault, Faults};

use crate::support::replica::{Bench, Tuning, goods, shop_item};

fn batch() -> BatchId {
    BatchId::new("b-1").unwrap()
}

fn of_batch(takedown: Takedown) -> Takedown {
    Takedown { batch: Some(batch()), ..takedown }
}

fn cancel() -> Notice {
    let what = What::BatchCancelled { batch: batch(), reason: None };
    Notice { at: SystemTime::now(), by: "ada@desk".into(), what }
}

#[tokio::test]
async fn items_that_wait_for_their_turn_end_at_once_and_others_are_worked() {
    let bench = Bench::new().await;
    let defaults = Tuning::default();
    let limits = LimitSettings { rate: "10/min".parse().unwrap(), ..defaults.limits };
    let replica = bench.start(Tuning { limits, ..defaults });
    replica.enqueue((0..30).map(|n| of_batch(shop_item(&format!("c{n}"))))).await;
    replica.enqueue([goods("g1")]).await;
    assert_eq!(replica.outcome("c0").await.reason, Reason::TakenDown);
    replica.queue.note(&cancel()).await.unwrap();
    // What waits in the file has its outcome by the cancel itself; what the worker has, it ends.
    let ends = async || replica.queue.outcomes(0, 100).await.unwrap();
    crate::support::queue::eventually("every outcome", async || ends().await.len() == 31).await;
    let ends = ends().await;
    let cancelled = ends.iter().filter(|(_, outcome)| outcome.reason == Reason::BatchCancelled).count();
    let called = ends.iter().filter(|(_, outcome)| outcome.reason == Reason::TakenDown).count();
    assert_eq!(cancelled + called, 31);
    assert!(cancelled >= 28, "six seconds a call: {cancelled}");
    assert_eq!(replica.outcome("g1").await.reason, Reason::TakenDown);
    assert_eq!(bench.sandbox.item("c29@s1"), ItemState::OnSale, "it was not called for");
    replica.drain().await;
}

#[tokio::test]
async fn a_call_under_way_is_finished_and_its_doubt_is_told() {
    let bench = Bench::new().await;
    bench.sandbox.set_faults(Faults { script: Vec::new(), rates: vec![(Fault::Timeout(Effect::Taken), 1.0)] });
    let defaults = Tuning::default();
    let http = takedown::gateway::http::HttpSettings { total_timeout: Duration::from_secs(2), ..defaults.http };
    // Without a cancel it would wait for an hour.
    let policy = RetryPolicy { delays: vec![Duration::from_hours(1)], ..defaults.policy };
    let replica = bench.start(Tuning { http, policy, ..Tuning::default() });
    replica.enqueue([of_batch(shop_item("c1"))]).await;
    bench.took_effect("c1@s1").await;
    replica.queue.note(&cancel()).await.unwrap();
    let outcome = replica.outcome("c1").await;
    assert_eq!((outcome.reason, outcome.attempts), (Reason::BatchCancelled, 1));
    let told = outcome.gateway_message.as_deref();
    assert_eq!(told, Some("cancelled; an earlier call may have taken effect"), "it may be off sale");
    replica.drain().await;
}

#[tokio::test]
async fn a_worker_started_after_the_cancel_calls_for_nothing_of_it() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    queue.note(&cancel()).await.unwrap();
    queue.enqueue(vec![of_batch(goods("g1")), goods("g2")]).await.unwrap();
    drop(queue);
    let replica = bench.start(Tuning::default());
    assert_eq!(replica.outcome("g1").await.reason, Reason::BatchCancelled);
    assert_eq!(replica.outcome("g2").await.reason, Reason::TakenDown);
    assert_eq!(bench.sandbox.item("g1"), ItemState::OnSale);
    replica.drain().await;
}
