//! What happened so far, for commands that show it while they work.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::ops::chart::spread::Spread;
use crate::ops::cli::tables::{Tally, counted};
use crate::worker::event::{Observer, WorkerEvent};

/// Counts of one command's work; several workers may share it.
#[derive(Debug, Default)]
pub(super) struct Watch {
    tally: Mutex<Tally>,
    latencies: Mutex<Spread>,
    calls: AtomicU64,
    retries: AtomicU64,
    deferrals: AtomicU64,
    holds: AtomicU64,
    suspicious: AtomicU64,
}

impl Watch {
    /// Counts each event, then passes it on.
    pub(super) fn observer(self: &Arc<Self>, next: Observer) -> Observer {
        let watch = self.clone();
        Arc::new(move |event| {
            watch.count(event);
            next(event);
        })
    }

    fn count(&self, event: &WorkerEvent) {
        let counter = match event {
            WorkerEvent::Finished { outcome } => {
                self.tally.lock().unwrap_or_else(PoisonError::into_inner).add(outcome.reason);
                return;
            }
            WorkerEvent::Called { took, .. } => {
                let took = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                self.latencies.lock().unwrap_or_else(PoisonError::into_inner).add(took);
                &self.calls
            }
            WorkerEvent::Retried { .. } => &self.retries,
            WorkerEvent::Deferred { .. } => &self.deferrals,
            WorkerEvent::Held { .. } | WorkerEvent::Unreachable { .. } => &self.holds,
            WorkerEvent::Suspicious { .. } => &self.suspicious,
            WorkerEvent::Started { .. }
            | WorkerEvent::Taken { .. }
            | WorkerEvent::Settled { .. }
            | WorkerEvent::GivenBack { .. }
            | WorkerEvent::UnknownCertificate { .. }
            | WorkerEvent::UnlistedCode { .. }
            | WorkerEvent::Resumed { .. }
            | WorkerEvent::Reached { .. }
            | WorkerEvent::FleetChanged { .. }
            | WorkerEvent::HoldHeard { .. }
            | WorkerEvent::EndedBefore { .. }
            | WorkerEvent::NotKnown { .. }
            | WorkerEvent::SettleFailed { .. }
            | WorkerEvent::Panicked { .. }
            | WorkerEvent::Draining { .. }
            | WorkerEvent::Stopped { .. } => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the items ended so far, by reason.
    pub(super) fn tally(&self) -> Tally {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how long each call took, in milliseconds.
    pub(super) fn latencies(&self) -> Spread {
        self.latencies.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Writes what happened on the way, in two lines.
    pub(super) fn lines(&self) -> String {
        let read = |counter: &AtomicU64, one, many| counted(counter.load(Ordering::Relaxed), one, many);
        format!(
            "{}, {}, {} (no attempt used up),\n{}, {} not believed",
            read(&self.calls, "gateway call", "gateway calls"),
            read(&self.retries, "retry", "retries"),
            read(&self.deferrals, "deferral", "deferrals"),
            read(&self.holds, "account hold", "account holds"),
            read(&self.suspicious, "answer", "answers"),
        )
    }
}
