//! The worker on real parts: embedded queue file, both gateways of the sandbox over HTTP.

mod cancelled;
mod certified;
mod credentials;
mod fairness;
mod slow;
mod stopping;
mod tls;
mod unreachable;
mod v3;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, Reason, Status};
use takedown::domain::takedown::Takedown;
use takedown::gateway::http::HttpSettings;
use takedown::queue::{DeadLetters, Queue};
use takedown::sandbox::ItemState;
use takedown::sandbox::faults::{Effect, Fault, Faults, Scripted};
use takedown::worker::Summary;
use takedown::worker::event::WorkerEvent;

use crate::support::replica::{Bench, LAPSED, Tuning, account, goods, merchant_item, shop_item};

fn told(outcome: &FinalOutcome) -> (&str, Status, Reason, u32) {
    (outcome.id.as_str(), outcome.status(), outcome.reason, outcome.attempts)
}

#[tokio::test]
async fn items_of_both_gateways_are_taken_down() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    replica.enqueue([goods("g1"), shop_item("c1"), merchant_item("c2", "m1")]).await;
    for (id, item) in [("g1", "g1"), ("c1", "c1@s1"), ("c2", "c2@s1")] {
        let outcome = replica.outcome(id).await;
        assert_eq!(told(&outcome), (id, Status::Success, Reason::TakenDown, 1));
        assert!(outcome.verified);
        assert_eq!(bench.sandbox.item(item), ItemState::OffSale);
    }
    assert_eq!(replica.drain().await, Summary { settled: 3, abandoned: 0 });
    assert_eq!(bench.queue().outcomes(0, 10).await.unwrap().len(), 3);
}

#[tokio::test]
async fn a_refused_item_ends_with_the_gateways_code() {
    let bench = Bench::new().await;
    bench.sandbox.set_item("g1", ItemState::Missing);
    bench.sandbox.set_item("c1@s1", ItemState::OffSale);
    let replica = bench.start(Tuning::default());
    replica.enqueue([goods("g1"), shop_item("c1")]).await;
    let missing = replica.outcome("g1").await;
    assert_eq!(told(&missing), ("g1", Status::Terminal, Reason::ItemNotFound, 1));
    assert_eq!(missing.gateway_code.as_deref(), Some("GOODS_NOT_EXIST"));
    let off = replica.outcome("c1").await;
    assert_eq!(told(&off), ("c1", Status::Terminal, Reason::NotOnSale, 1));
}

#[tokio::test]
async fn a_failed_attempt_is_repeated_and_then_succeeds() {
    let bench = Bench::new().await;
    bench.play([Fault::SystemError(Effect::NotTaken), Fault::Garbage]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([shop_item("c1")]).await;
    // Garbage is answered after the call was carried out: the third call finds the item off sale.
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Success, Reason::TakenDownEarlier, 3));
    replica.enqueue([shop_item("c2")]).await;
    assert_eq!(told(&replica.outcome("c2").await), ("c2", Status::Success, Reason::TakenDown, 1));
}

#[tokio::test]
async fn an_attempt_that_took_effect_unsaid_ends_as_taken_down_earlier() {
    for fault in [Fault::SystemError(Effect::Taken), Fault::Reset(Effect::Taken)] {
        let bench = Bench::new().await;
        let replica = bench.start(Tuning::default());
        for takedown in [goods("g1"), shop_item("c1")] {
            let id = takedown.id.to_string();
            bench.play([fault.clone()]);
            replica.enqueue([takedown]).await;
            let outcome = replica.outcome(&id).await;
            assert_eq!(told(&outcome), (id.as_str(), Status::Success, Reason::TakenDownEarlier, 2), "{fault:?}");
        }
    }
}

#[tokio::test]
async fn a_success_nobody_signed_is_not_believed_and_is_told() {
    let bench = Bench::new().await;
    bench.play([Fault::UnsignedSuccess, Fault::BadSignature]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([shop_item("c1")]).await;
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Success, Reason::TakenDownEarlier, 3));
    let events = replica.events();
    let verdicts = events.iter().filter_map(|event| match event {
        WorkerEvent::Suspicious { id, verdict, .. } => Some((id.as_str(), *verdict)),
        _ => None,
    });
    assert_eq!(verdicts.collect::<Vec<_>>(), [("c1", "unsigned"), ("c1", "invalid")]);
}

#[tokio::test]
async fn an_unlisted_code_is_given_up_as_unknown() {
    let bench = Bench::new().await;
    bench.play([Fault::UnlistedCode, Fault::UnlistedCode, Fault::UnlistedCode]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([shop_item("c1")]).await;
    let outcome = replica.outcome("c1").await;
    assert_eq!(told(&outcome), ("c1", Status::Dead, Reason::UnknownCode, 3));
    let counted = replica.events().iter().filter(|e| matches!(e, WorkerEvent::UnlistedCode { .. })).count();
    assert_eq!((counted, replica.queue.counts().await.unwrap().dead), (3, 1));
}

#[tokio::test]
async fn a_message_that_cannot_be_read_is_dead_lettered_as_it_came() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    queue.put_raw(&account("shops"), Some("m-7"), b"{\xff".to_vec()).await.unwrap();
    let replica = bench.start_on(queue, Tuning::default());
    replica.enqueue([shop_item("c1")]).await;
    let outcome = replica.outcome("m-7").await;
    assert_eq!(told(&outcome), ("m-7", Status::Dead, Reason::InvalidMessage, 0));
    assert_eq!(outcome.routing_key(), "dead.unknown.shops");
    let letters = replica.queue.list(&LetterFilter::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!((&letters[0].body[..], &letters[0].outcome), (&b"{\xff"[..], &outcome));
    assert_eq!(replica.outcome("c1").await.reason, Reason::TakenDown, "the worker goes on");
}

#[tokio::test]
async fn a_message_for_an_account_nobody_configured_is_dead_lettered() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    let body = Takedown { account: account("elsewhere"), ..shop_item("c1") }.encode();
    queue.put_raw(&account("shops"), Some("c1"), body).await.unwrap();
    let replica = bench.start_on(queue, Tuning::default());
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Dead, Reason::UnknownAccount, 0));
    assert!(bench.sandbox.seen().is_empty());
}

#[tokio::test]
async fn a_late_item_expires_without_a_call() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    let yesterday = SystemTime::now() - Duration::from_hours(24);
    replica.enqueue([Takedown { deadline: Some(yesterday), ..goods("g1") }]).await;
    assert_eq!(told(&replica.outcome("g1").await), ("g1", Status::Expired, Reason::DeadlinePassed, 0));
    assert!(bench.sandbox.seen().is_empty());
}

#[tokio::test]
async fn a_retry_that_would_outlive_the_deadline_expires_at_once() {
    let bench = Bench::new().await;
    bench.play([Fault::SystemError(Effect::NotTaken)]);
    let mut tuning = Tuning::default();
    tuning.policy.delays = vec![Duration::from_hours(2)];
    let replica = bench.start(tuning);
    let soon = SystemTime::now() + Duration::from_mins(30);
    replica.enqueue([Takedown { deadline: Some(soon), ..goods("g1") }]).await;
    assert_eq!(told(&replica.outcome("g1").await), ("g1", Status::Expired, Reason::DeadlinePassed, 1));
}

#[tokio::test]
async fn a_throttled_call_is_put_off_and_costs_no_attempt() {
    let bench = Bench::new().await;
    bench.play([Fault::Throttled, Fault::Throttled]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([shop_item("c1"), goods("g1")]).await;
    for id in ["c1", "g1"] {
        let outcome = replica.outcome(id).await;
        assert_eq!(told(&outcome), (id, Status::Success, Reason::TakenDown, 1));
        assert!(outcome.deferrals >= 1);
    }
}

#[tokio::test]
async fn an_account_at_fault_is_held_until_a_probe_passes() {
    let bench = Bench::new().await;
    // Two items make it certain, the first probe fails, the second passes.
    bench.play([Fault::IllegalSign, Fault::IllegalSign, Fault::IllegalSign]);
    let mut tuning = Tuning::default();
    tuning.limits.in_flight = 1;
    tuning.policy.delays = vec![Duration::from_secs(1)];
    let replica = bench.start(tuning);
    replica.enqueue((1..=6).map(|n| shop_item(&format!("c{n}")))).await;
    let is_hold = |event: &&WorkerEvent| matches!(event, WorkerEvent::Held { .. });
    replica.wait_for("failed probe", |events| events.iter().filter(is_hold).nth(1).cloned()).await;
    replica.enqueue([goods("g1")]).await;
    assert_eq!(replica.outcome("g1").await.reason, Reason::TakenDown, "the other account goes on");
    let mut attempts = Vec::new();
    for n in 1..=6 {
        let outcome = replica.outcome(&format!("c{n}")).await;
        assert_eq!(outcome.reason, Reason::TakenDown);
        attempts.push(outcome.attempts);
    }
    assert_eq!(attempts, [2, 1, 1, 1, 1, 1], "only the first, doubtful fault used an attempt");
    let events = replica.events();
    let holds = events.iter().filter_map(|event| match event {
        WorkerEvent::Held { account, party: None, cause, probe_in } => Some(format!("{account} {cause} {probe_in:?}")),
        WorkerEvent::Resumed { account, party: None } => Some(format!("{account} resumed")),
        _ => None,
    });
    let expected = ["shops isv.invalid-signature 200ms", "shops isv.invalid-signature 400ms", "shops resumed"];
    assert_eq!(holds.collect::<Vec<_>>(), expected);
    assert_eq!(bench.sandbox.seen().iter().filter(|seen| seen.fault.is_some()).count(), 3, "one probe at a time");
}

#[tokio::test]
async fn a_gateway_whose_answers_cannot_be_believed_does_not_spend_the_backlog() {
    let bench = Bench::new().await;
    // What a wrong gateway key in the configuration looks like: every answer's signature is bad.
    bench.sandbox.set_faults(Faults { rates: vec![(Fault::BadSignature, 1.0)], ..Faults::default() });
    let mut tuning = Tuning::default();
    tuning.limits.in_flight = 1;
    let replica = bench.start(tuning);
    replica.enqueue((1..=20).map(|n| shop_item(&format!("c{n}")))).await;
    let is_hold =
        |event: &&WorkerEvent| matches!(event, WorkerEvent::Held { cause, .. } if cause == "answers_not_believed");
    replica.wait_for("failed probe", |events| events.iter().filter(is_hold).nth(1).cloned()).await;
    bench.sandbox.set_faults(Faults::default());
    for n in 1..=20 {
        assert_eq!(replica.outcome(&format!("c{n}")).await.status(), Status::Success);
    }
    assert_eq!(replica.queue.counts().await.unwrap().dead, 0, "the backlog kept its attempts");
}

#[tokio::test]
async fn refusals_nobody_signs_do_not_hide_a_gateway_whose_answers_cannot_be_believed() {
    let bench = Bench::new().await;
    // Refusals of mapi are unsigned, and so believed with a wrong gateway key as with the right one.
    let missing = |n: i32| n % 2 == 0;
    let (refused, taken): (Vec<_>, Vec<_>) = (1..=40).partition(|n| missing(*n));
    refused.iter().for_each(|n| bench.sandbox.set_item(&format!("g{n}"), ItemState::Missing));
    let unbelievable = |n| Scripted { item: Some(format!("g{n}")), fault: Some(Fault::BadSignature) };
    bench.sandbox.set_faults(Faults { script: taken.into_iter().map(unbelievable).collect(), rates: Vec::new() });
    let mut tuning = Tuning::default();
    tuning.limits.in_flight = 1;
    // No retry comes between.
    tuning.policy.delays = vec![Duration::from_secs(2)];
    let replica = bench.start(tuning);
    replica.enqueue((1..=40).map(|n| goods(&format!("g{n}")))).await;
    let is_hold =
        |event: &WorkerEvent| matches!(event, WorkerEvent::Held { cause, .. } if cause == "answers_not_believed");
    let held = replica.wait_for("hold", |events| events.iter().position(is_hold)).await;
    let called = replica.events()[..held].iter().filter(|event| matches!(event, WorkerEvent::Called { .. })).count();
    assert!(called <= 20, "{called} calls until the hold, of which every other was refused");
    bench.sandbox.set_faults(Faults::default());
    for n in 1..=40 {
        let wanted = if missing(n) { Status::Terminal } else { Status::Success };
        assert_eq!(replica.outcome(&format!("g{n}")).await.status(), wanted);
    }
}

#[tokio::test]
async fn a_merchant_without_a_good_token_is_held_alone() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    replica.enqueue([merchant_item("c1", LAPSED), merchant_item("c2", "nobody")]).await;
    for (party, code) in [(LAPSED, "aop.invalid-app-auth-token"), ("nobody", "merchant_token_missing")] {
        let found = replica.wait_for("hold", |events| {
            events.iter().find_map(|event| match event {
                WorkerEvent::Held { party: Some(held), cause, .. } if held == party => Some(cause.clone()),
                _ => None,
            })
        });
        assert_eq!(found.await, code);
    }
    replica.enqueue([merchant_item("c3", "m1"), shop_item("c4")]).await;
    assert_eq!(replica.outcome("c3").await.reason, Reason::TakenDown);
    assert_eq!(replica.outcome("c4").await.reason, Reason::TakenDown);
    assert!(!replica.context.accounts[&account("shops")].limits.is_held());
    assert_eq!(replica.queue.counts().await.unwrap().dead, 0, "what is held is not spent");
}

#[tokio::test]
async fn a_panic_is_settled_as_an_attempt_that_may_have_taken_effect() {
    let bench = Bench::new().await;
    let has_panicked = AtomicBool::new(false);
    let spy = move |event: &WorkerEvent| {
        if matches!(event, WorkerEvent::Called { .. }) && !has_panicked.swap(true, Ordering::Relaxed) {
            panic!("the observer's own, as a test asked for");
        }
    };
    let replica = bench.start(Tuning { spy: Box::new(spy), ..Tuning::default() });
    replica.enqueue([shop_item("c1")]).await;
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Success, Reason::TakenDownEarlier, 2));
    assert!(replica.events().iter().any(|event| matches!(event, WorkerEvent::Panicked { id } if id == "c1")));
    assert_eq!(replica.drain().await, Summary { settled: 2, abandoned: 0 });
}

#[tokio::test]
async fn a_message_that_always_panics_ends_as_a_crash_loop() {
    let bench = Bench::new().await;
    let spy = |event: &WorkerEvent| {
        assert!(!matches!(event, WorkerEvent::Called { .. }), "the observer's own, as a test asked for");
    };
    let mut tuning = Tuning { spy: Box::new(spy), ..Tuning::default() };
    tuning.policy.max_attempts = 2;
    let replica = bench.start(tuning);
    replica.enqueue([goods("g1")]).await;
    assert_eq!(told(&replica.outcome("g1").await), ("g1", Status::Dead, Reason::CrashLoop, 2));
}

#[tokio::test]
async fn a_time_out_is_ambiguous() {
    let bench = Bench::new().await;
    bench.play([Fault::Timeout(Effect::Taken)]);
    let http = HttpSettings { total_timeout: Duration::from_millis(300), ..HttpSettings::default() };
    let replica = bench.start(Tuning { http, ..Tuning::default() });
    replica.enqueue([goods("g1")]).await;
    assert_eq!(told(&replica.outcome("g1").await), ("g1", Status::Success, Reason::TakenDownEarlier, 2));
}

#[tokio::test]
async fn a_message_in_hand_at_three_crashes_is_called_for_alone() {
    const LATENCY: Duration = Duration::from_millis(150);
    let bench = Bench::new().await;
    let queue = bench.queue();
    let suspect = shop_item("suspect");
    queue.put_raw(&suspect.account, Some("suspect"), suspect.encode()).await.unwrap();
    for _ in 0..3 {
        drop(queue.next(&suspect.account).await.unwrap());
    }
    bench.play(vec![Fault::Latency(LATENCY); 40]);
    let replica = bench.start_on(queue, Tuning::default());
    replica.enqueue((1..=20).map(|n| goods(&format!("g{n}")))).await;
    assert_eq!(replica.outcome("suspect").await.status(), Status::Success);
    for n in 1..=20 {
        replica.outcome(&format!("g{n}")).await;
    }
    let seen = bench.sandbox.seen();
    let at = seen.iter().find(|seen| seen.item == "suspect@s1").unwrap().at_ms;
    let apart = seen.iter().filter(|seen| seen.item != "suspect@s1").map(|seen| seen.at_ms.abs_diff(at)).min().unwrap();
    assert!(u128::from(apart) >= LATENCY.as_millis() - 10, "another call arrived {apart} ms apart");
}

#[tokio::test]
async fn a_message_in_hand_at_twenty_crashes_is_not_worked_any_more() {
    let bench = Bench::new().await;
    let queue = bench.queue();
    let takedown = shop_item("c1");
    queue.put_raw(&takedown.account, Some("c1"), takedown.encode()).await.unwrap();
    for _ in 0..20 {
        drop(queue.next(&takedown.account).await.unwrap());
    }
    let replica = bench.start_on(queue, Tuning::default());
    assert_eq!(told(&replica.outcome("c1").await), ("c1", Status::Dead, Reason::CrashLoop, 0));
    assert!(bench.sandbox.seen().is_empty());
}

#[tokio::test]
async fn an_item_put_off_for_too_long_is_dead_lettered() {
    let bench = Bench::new().await;
    bench.play(vec![Fault::Throttled; 1000]);
    let mut tuning = Tuning::default();
    tuning.policy.max_age = Duration::from_secs(1);
    let replica = bench.start(tuning);
    replica.enqueue([shop_item("c1")]).await;
    let outcome = replica.outcome("c1").await;
    assert_eq!(told(&outcome), ("c1", Status::Dead, Reason::HeldTooLong, 0));
    assert!(outcome.deferrals >= 1);
}
