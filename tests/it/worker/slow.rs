//! A gateway that is slow gets fewer calls at once.

use std::time::Duration;

use takedown::domain::outcome::Status;
use takedown::domain::retry::RetryPolicy;
use takedown::gateway::http::HttpSettings;
use takedown::sandbox::faults::{Effect, Fault, Faults};

use crate::support::queue::eventually;
use crate::support::replica::{Bench, Tuning, account, shop_item};

const ITEMS: usize = 60;

#[tokio::test]
async fn calls_that_run_out_of_time_lower_the_ceiling_and_answers_raise_it_again() {
    let bench = Bench::new().await;
    bench.sandbox.set_faults(Faults { script: Vec::new(), rates: vec![(Fault::Timeout(Effect::NotTaken), 1.0)] });
    let timeout = Duration::from_millis(500);
    let replica = bench.start(Tuning {
        http: HttpSettings { connect_timeout: timeout, total_timeout: timeout, ..HttpSettings::default() },
        policy: RetryPolicy { max_attempts: 1000, ..Tuning::default().policy },
        ..Tuning::default()
    });
    let limits = &replica.context.accounts[&account("shops")].limits;
    assert_eq!(limits.ceiling(), 8);
    replica.enqueue((0..ITEMS).map(|number| shop_item(&format!("c{number}")))).await;
    replica.calls_in_flight(8).await;
    eventually("one call at a time", async || limits.ceiling() == 1 && limits.in_flight() == 1).await;
    assert_eq!(replica.context.accounts[&account("desk")].limits.ceiling(), 8, "the other account is not concerned");

    bench.sandbox.set_faults(Faults::default());
    for number in 0..ITEMS {
        assert_eq!(replica.outcome(&format!("c{number}")).await.status(), Status::Success);
    }
    assert_eq!(limits.ceiling(), 8);
    assert_eq!(replica.drain().await.abandoned, 0);
}
