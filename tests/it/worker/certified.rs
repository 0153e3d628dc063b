//! Certificate mode from queue to outcome: a certificate nobody holds must not cost a night's backlog.

use std::time::Duration;

use takedown::domain::outcome::{Reason, Status};
use takedown::sandbox::faults::{Fault, Faults};
use takedown::worker::event::WorkerEvent;

use super::told;
use crate::support::replica::{Bench, Tuning, certified, shop_item};

#[tokio::test]
async fn an_item_is_taken_down_and_its_encrypted_answer_verified() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    replica.enqueue([certified(shop_item("c1"))]).await;
    let outcome = replica.outcome("c1").await;
    assert_eq!(told(&outcome), ("c1", Status::Success, Reason::TakenDown, 1));
    assert!(outcome.verified);
}

#[tokio::test]
async fn an_unknown_certificate_is_told_by_number_and_holds_the_account_after_five_items() {
    let bench = Bench::new().await;
    // What the platform does the night it takes a new certificate.
    bench.sandbox.set_faults(Faults { rates: vec![(Fault::UnknownCertificate, 1.0)], ..Faults::default() });
    let mut tuning = Tuning::default();
    tuning.limits.in_flight = 1;
    // No retry comes between.
    tuning.policy.delays = vec![Duration::from_secs(1)];
    let replica = bench.start(tuning);
    replica.enqueue((1..=20).map(|n| certified(shop_item(&format!("c{n}"))))).await;
    let cause = |event: &WorkerEvent| match event {
        WorkerEvent::Held { account, party: None, cause, .. } => Some(format!("{account} {cause}")),
        _ => None,
    };
    let held = replica.wait_for("hold", |events| events.iter().find_map(cause)).await;
    assert_eq!(held, "shops-cert answers_not_believed");
    replica.wait_for("failed probe", |events| events.iter().filter_map(cause).nth(1)).await;
    let called: Vec<_> = bench.sandbox.seen().into_iter().map(|seen| seen.item).collect();
    assert!(called.len() <= 8, "what is in the queue stays there: {called:?}");
    let is_told = |event: &WorkerEvent| matches!(event, WorkerEvent::UnknownCertificate { number, .. } if *number == "0".repeat(32));
    assert!(replica.events().iter().any(is_told));
    bench.sandbox.set_faults(Faults::default());
    for n in 1..=20 {
        let outcome = replica.outcome(&format!("c{n}")).await;
        assert_eq!((outcome.status(), outcome.verified), (Status::Success, true), "c{n}");
    }
}
