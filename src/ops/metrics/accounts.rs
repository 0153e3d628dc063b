//! Gauges of how each account stands, brought up to date at each scrape.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::limits::rate::Rate;
use crate::limits::standing::{Bound, Standing};
use crate::ops::metrics::gauge;
use crate::ops::metrics::labels::AccountLabels;

type Number = Gauge<f64, AtomicU64>;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BoundLabels {
    account: String,
    bound: &'static str,
}

/// What is told of every account.
pub(super) struct AccountGauges {
    rate: Family<AccountLabels, Number>,
    share: Family<AccountLabels, Number>,
    factor: Family<AccountLabels, Number>,
    held: Family<AccountLabels, Gauge>,
    bound: Family<BoundLabels, Gauge>,
    in_flight: Family<AccountLabels, Gauge>,
}

impl AccountGauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self {
            rate: Family::default(),
            share: Family::default(),
            factor: Family::default(),
            held: Family::default(),
            bound: Family::default(),
            in_flight: Family::default(),
        };
        registry.register("account_rate", "Calls a second of the whole account, as configured", gauges.rate.clone());
        registry.register("account_share", "Part of the rate this replica may use", gauges.share.clone());
        let help = "Part of the rate left after throttled calls";
        registry.register("account_rate_factor", help, gauges.factor.clone());
        registry.register("account_held", "1 while the whole account is held", gauges.held.clone());
        registry.register("account_bound", "1 for what keeps it from making more calls", gauges.bound.clone());
        registry.register("in_flight", "Gateway calls in flight now", gauges.in_flight.clone());
        gauges
    }

    pub(super) fn set(&self, account: &str, rate: Rate, standing: Standing, in_flight: usize) {
        let labels = AccountLabels { account: account.to_owned() };
        self.rate.get_or_create(&labels).set(rate.per_second());
        self.share.get_or_create(&labels).set(standing.share);
        self.factor.get_or_create(&labels).set(standing.factor);
        self.held.get_or_create(&labels).set(i64::from(standing.is_held));
        self.in_flight.get_or_create(&labels).set(gauge(in_flight));
        for bound in Bound::ALL {
            let labels = BoundLabels { account: account.to_owned(), bound: bound.as_str() };
            self.bound.get_or_create(&labels).set(i64::from(bound == standing.bound));
        }
    }
}
