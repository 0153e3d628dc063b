//! Gauges of the broker's queues, as this replica last saw them.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::ops::metrics::labels::{AccountLabels, QueueLabels};
use crate::queue::depth::Depths;

/// What waits where, and who takes it.
pub(super) struct QueueGauges {
    messages: Family<QueueLabels, Gauge>,
    consumers: Family<AccountLabels, Gauge>,
}

impl QueueGauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self { messages: Family::default(), consumers: Family::default() };
        let help = "Messages that wait in a queue of the broker, not in anyone's hand; every replica tells the same, so take \
                    the maximum";
        registry.register("queue_messages", help, gauges.messages.clone());
        let help = "Consumers of an account's work queue, those of all replicas";
        registry.register("queue_consumers", help, gauges.consumers.clone());
        gauges
    }

    /// What is not seen any more is not told.
    pub(super) fn set(&self, depths: Option<&Depths>) {
        self.messages.clear();
        self.consumers.clear();
        let Some(depths) = depths else { return };
        for (account, depth) in &depths.accounts {
            self.put("work", account.as_str(), depth.work);
            self.put("dead", account.as_str(), depth.dead);
            let labels = AccountLabels { account: account.to_string() };
            self.consumers.get_or_create(&labels).set(i64::from(depth.consumers));
        }
        for (queue, messages) in
            [("retry", depths.retries()), ("unrouted", depths.unrouted), ("results", depths.results)]
        {
            self.put(queue, "", messages);
        }
    }

    fn put(&self, queue: &'static str, account: &str, messages: u64) {
        let labels = QueueLabels { queue, account: account.to_owned() };
        self.messages.get_or_create(&labels).set(i64::try_from(messages).unwrap_or(i64::MAX));
    }
}
