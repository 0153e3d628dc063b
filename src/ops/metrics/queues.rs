//! Gauges of the broker's queues, as this replica last saw them.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::ops::metrics::labels::{AccountLabels, QueueLabels};
use crate::queue::amqp::depths::Depth;

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

    /// What is no longer seen is no longer told.
    pub(super) fn set(&self, depths: &[Depth]) {
        self.messages.clear();
        self.consumers.clear();
        for Depth { place, account, messages, consumers } in depths {
            let account = account.as_ref().map(ToString::to_string).unwrap_or_default();
            let labels = QueueLabels { queue: place.as_str(), account: account.clone() };
            self.messages.get_or_create(&labels).inc_by(i64::from(*messages));
            if place.is_work() {
                self.consumers.get_or_create(&AccountLabels { account }).set(i64::from(*consumers));
            }
        }
    }
}
