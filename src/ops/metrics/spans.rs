//! Counters of the spans handed to a collector.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SpanLabels {
    result: &'static str,
}

/// How many spans the collector took, and how many it did not. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct SpanCounters(Family<SpanLabels, Counter>);

impl SpanCounters {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let counters = Self::default();
        registry.register("spans", "Spans handed to the collector, or lost on the way to it", counters.0.clone());
        for result in ["exported", "lost"] {
            drop(counters.0.get_or_create(&SpanLabels { result }));
        }
        counters
    }

    /// The collector took so many.
    pub fn exported(&self, count: usize) {
        self.0.get_or_create(&SpanLabels { result: "exported" }).inc_by(count as u64);
    }

    /// So many are lost.
    pub fn lost(&self, count: usize) {
        self.0.get_or_create(&SpanLabels { result: "lost" }).inc_by(count as u64);
    }
}
