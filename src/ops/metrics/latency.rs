//! Three histograms: how long a message waited, its gateway took, its settlement took.

use std::time::Duration;

use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::ids::AccountId;
use crate::ops::metrics::labels::AccountLabels;

/// From a loopback answer to the longest time-outs in use.
const CALL: &[f64] = &[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From a queue that is empty to a night's work; producers tell their time in whole seconds.
const WAIT: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 43_200.0];
/// From a broker on the same machine to one that is held up by an alarm.
const SETTLE: &[f64] = &[0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 30.0];

type Latency = Family<AccountLabels, Histogram, Bounds>;

/// Makes the histograms of a family, by their upper bounds in seconds.
#[derive(Debug, Clone, Copy)]
struct Bounds(&'static [f64]);

impl MetricConstructor<Histogram> for Bounds {
    fn new_metric(&self) -> Histogram {
        Histogram::new(self.0.iter().copied())
    }
}

/// What takes time.
pub(super) struct Latencies {
    call: Latency,
    wait: Latency,
    settle: Latency,
}

impl Latencies {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let mut latency = |name: &str, help: &str, bounds| {
            let family = Latency::new_with_constructor(Bounds(bounds));
            registry.register_with_unit(name, help, Unit::Seconds, family.clone());
            family
        };
        Self {
            call: latency("call", "Time from permit to reply", CALL),
            wait: latency(
                "queue_wait",
                "Time from when a message could be taken to when it was, by the clocks of whoever put it there and of this \
                 machine; only of messages that tell",
                WAIT,
            ),
            settle: latency("settle", "Time from the decision to the ack: claim, publish and confirm", SETTLE),
        }
    }

    /// Begins all three without an observation.
    pub(super) fn begin(&self, account: &AccountId) {
        for family in [&self.call, &self.wait, &self.settle] {
            drop(family.get_or_create(&labels(account)));
        }
    }

    pub(super) fn called(&self, account: &AccountId, took: Duration) {
        self.call.get_or_create(&labels(account)).observe(took.as_secs_f64());
    }

    pub(super) fn taken(&self, account: &AccountId, waited: Option<Duration>) {
        if let Some(waited) = waited {
            self.wait.get_or_create(&labels(account)).observe(waited.as_secs_f64());
        }
    }

    pub(super) fn settled(&self, account: &AccountId, took: Duration) {
        self.settle.get_or_create(&labels(account)).observe(took.as_secs_f64());
    }
}

fn labels(account: &AccountId) -> AccountLabels {
    AccountLabels { account: account.to_string() }
}
