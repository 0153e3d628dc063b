//! One account's backlog never delays another's.

use std::time::Duration;

use takedown::domain::outcome::Reason;
use takedown::sandbox::faults::{Fault, Faults, Scripted};
use takedown::worker::event::WorkerEvent;

use crate::support::replica::{Bench, Tuning, goods, shop_item};

const BACKLOG: usize = 200;
const ITEMS: usize = 40;

/// Has every call for the goods meet a fault, and no other call.
fn goods_meet(bench: &Bench, fault: &Fault) {
    let meets = |number| Scripted { item: Some(format!("g{number}")), fault: Some(fault.clone()) };
    bench.sandbox.set_faults(Faults { script: (0..BACKLOG).map(meets).collect(), rates: Vec::new() });
}

#[tokio::test]
async fn an_account_whose_gateway_hangs_does_not_delay_the_others() {
    let bench = Bench::new().await;
    // As slow as a call may be without running out of time.
    goods_meet(&bench, &Fault::Latency(Duration::from_secs(9)));
    let replica = bench.start(Tuning { drain_timeout: Duration::ZERO, ..Tuning::default() });
    replica.enqueue((0..BACKLOG).map(|number| goods(&format!("g{number}")))).await;
    replica.calls_in_flight(8).await;
    replica.enqueue((0..ITEMS).map(|number| shop_item(&format!("c{number}")))).await;
    for number in 0..ITEMS {
        assert_eq!(replica.outcome(&format!("c{number}")).await.reason, Reason::TakenDown);
    }
    // Every one of them ended before the first of the goods.
    let ends = |event: &WorkerEvent| match event {
        WorkerEvent::Finished { outcome } => Some(outcome.id.clone()),
        _ => None,
    };
    let ended: Vec<_> = replica.events().iter().filter_map(ends).collect();
    assert!(ended.iter().take(ITEMS).all(|id| id.starts_with('c')), "{ended:?}");
    replica.drain().await;
}

#[tokio::test]
async fn a_held_account_does_not_delay_the_others() {
    let bench = Bench::new().await;
    goods_meet(&bench, &Fault::IllegalSign);
    let replica = bench.start(Tuning::default());
    replica.enqueue((0..BACKLOG).map(|number| goods(&format!("g{number}")))).await;
    let is_held =
        |events: &[WorkerEvent]| events.iter().find(|event| matches!(event, WorkerEvent::Held { .. })).cloned();
    replica.wait_for("hold", is_held).await;
    replica.enqueue((0..ITEMS).map(|number| shop_item(&format!("c{number}")))).await;
    for number in 0..ITEMS {
        let outcome = replica.outcome(&format!("c{number}")).await;
        assert_eq!((outcome.reason, outcome.deferrals), (Reason::TakenDown, 0));
    }
    // The goods still wait: none of them was called for but to probe.
    assert!(replica.context.accounts[&crate::support::queue::account("desk")].limits.is_held());
    replica.drain().await;
}
