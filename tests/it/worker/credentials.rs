//! Credentials replaced while calls are in flight.

use std::time::Duration;

use takedown::domain::outcome::Status;
use takedown::gateway::GatewayAccount;
use takedown::sandbox::faults::Fault;
use takedown::worker::event::WorkerEvent;

use crate::support::replica::{Bench, Tuning, account, goods};

/// Longer than it takes to see two calls in flight and replace what they were made with.
const LATENCY: Duration = Duration::from_secs(1);

#[tokio::test]
async fn a_fault_of_the_old_credentials_does_not_hold_the_new_ones() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    let desk = &replica.context.accounts[&account("desk")];
    let (GatewayAccount::Mapi(mut lapsed), GatewayAccount::Mapi(mended)) = (bench.desk(), bench.desk()) else {
        panic!("desk is an account of mapi");
    };
    lapsed.partner = "2088999999999999".to_owned();
    desk.renew(GatewayAccount::Mapi(lapsed));
    bench.play([Fault::Latency(LATENCY), Fault::Latency(LATENCY)]);
    replica.enqueue([goods("case-1"), goods("case-2")]).await;
    replica.calls_in_flight(2).await;
    desk.renew(GatewayAccount::Mapi(mended));
    for id in ["case-1", "case-2"] {
        let outcome = replica.outcome(id).await;
        assert_eq!((outcome.status(), outcome.attempts), (Status::Success, 1));
    }
    let is_fault = |event: &WorkerEvent| matches!(event, WorkerEvent::Called { outcome: "account_fault", .. });
    let events = replica.events();
    assert_eq!(events.iter().filter(|event| is_fault(event)).count(), 2, "{events:#?}");
    assert!(!events.iter().any(|event| matches!(event, WorkerEvent::Held { .. })), "{events:#?}");
    replica.drain().await;
}
