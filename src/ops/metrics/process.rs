//! Gauges of the process itself, for the question whether anything leaks.

use std::fs;

use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::runtime::Handle;

use crate::ops::metrics::gauge;

/// Tasks of the runtime, and what the system counts, where it has a `/proc` (Linux: proc(5)).
#[derive(Debug)]
pub(super) struct ProcessGauges {
    tasks: Gauge,
    resident: Gauge,
    descriptors: Gauge,
}

impl ProcessGauges {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let gauges = Self { tasks: Gauge::default(), resident: Gauge::default(), descriptors: Gauge::default() };
        registry.register("tasks", "Tasks of the runtime that live", gauges.tasks.clone());
        let help = "Memory of the process that is in use; 0 where the system does not tell";
        registry.register_with_unit("resident_memory", help, Unit::Bytes, gauges.resident.clone());
        let help = "Open files and sockets; 0 where the system does not tell";
        registry.register("open_descriptors", help, gauges.descriptors.clone());
        gauges
    }

    /// Looks; outside a runtime there are no tasks to count.
    pub(super) fn look(&self) {
        if let Ok(runtime) = Handle::try_current() {
            self.tasks.set(gauge(runtime.metrics().num_alive_tasks()));
        }
        if let Some(bytes) = resident_bytes() {
            self.resident.set(bytes);
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // The directory being read is one of them.
            self.descriptors.set(gauge(open.count().saturating_sub(1)));
        }
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}
