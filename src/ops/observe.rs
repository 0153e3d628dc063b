//! The observer of a worker: each event becomes one log line and its metrics, here and nowhere else.
//!
//! Levels: `error` when someone must act, `warn` when degraded but carrying on, `info` for the life cycle, `debug` for
//! single deliveries. No event holds a secret, so no line does.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::domain::ids::AccountId;
use crate::domain::outcome::{FinalOutcome, Status};
use crate::limits::pause::HoldChange;
use crate::ops::metrics::Metrics;
use crate::worker::event::{Observer, WorkerEvent};

/// Unknown certificates told by number in one process: whoever answers chooses the number.
const MAX_CERTIFICATES: usize = 32;

/// Composes logging and counting. An unknown certificate is told once, not with each of its thousand answers.
#[must_use]
pub fn observer(metrics: Arc<Metrics>) -> Observer {
    let told = Mutex::new(HashSet::new());
    Arc::new(move |event| {
        metrics.count(event);
        if let WorkerEvent::UnknownCertificate { account, number } = event {
            let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
            if told.len() >= MAX_CERTIFICATES || !told.insert((account.clone(), number.clone())) {
                return;
            }
        }
        log(event);
    })
}

fn log(event: &WorkerEvent) {
    match event {
        WorkerEvent::Started { accounts } => tracing::info!(accounts, "worker started"),
        // Of each delivery, and told by the lines of what it comes to.
        WorkerEvent::Taken { account, waited } => tracing::trace!(
            account.id = %account,
            waited_ms = waited.map(milliseconds),
            "item taken"
        ),
        WorkerEvent::Settled { account, took } => {
            tracing::trace!(account.id = %account, took_ms = milliseconds(*took), "delivery settled");
        }
        WorkerEvent::Called { account, outcome, verdict, took } => tracing::debug!(
            account.id = %account,
            outcome,
            verdict,
            took_ms = milliseconds(*took),
            "gateway called"
        ),
        WorkerEvent::Finished { outcome } => finished(outcome),
        WorkerEvent::Retried { id, account, attempt, code, delay } => tracing::debug!(
            request.id = id,
            account.id = %account,
            attempt,
            code = code.as_deref().unwrap_or("none"),
            delay = ?delay,
            "item will be tried again"
        ),
        WorkerEvent::Deferred { id, account, reason, delay } => tracing::debug!(
            request.id = id,
            account.id = %account,
            reason = reason.as_str(),
            delay = ?delay,
            "item put off"
        ),
        WorkerEvent::GivenBack { id, account } => tracing::debug!(
            request.id = id,
            account.id = %account,
            "item given back untouched"
        ),
        WorkerEvent::Suspicious { id, account, verdict } => tracing::warn!(
            request.id = id,
            account.id = %account,
            verdict,
            "an answer was not believed; compare the gateway's key and look at what stands between"
        ),
        WorkerEvent::UnknownCertificate { account, number } => tracing::error!(
            account.id = %account,
            certificate = number,
            "the gateway signs with a certificate that is not held, so its answers cannot be verified: download the \
             platform's new certificate, add it to gateway_cert_files; a running worker takes it by itself (told once for each number)"
        ),
        WorkerEvent::UnlistedCode { account, code } => tracing::warn!(
            account.id = %account,
            code,
            "the gateway answered a code no table lists; have it classified"
        ),
        WorkerEvent::Held { account, party, cause, probe_in } => tracing::error!(
            account.id = %account,
            party = party.as_deref().unwrap_or("whole account"),
            cause,
            probe_in = ?probe_in,
            "held: mend its credentials, its rights, or what the cause names; nothing is lost meanwhile"
        ),
        WorkerEvent::Resumed { account, party } => tracing::info!(
            account.id = %account,
            party = party.as_deref().unwrap_or("whole account"),
            "a probe passed, the hold is lifted"
        ),
        WorkerEvent::Unreachable { account, cause, probe_in } => tracing::warn!(
            account.id = %account,
            cause,
            probe_in = ?probe_in,
            "the gateway cannot be reached; nothing is lost and no attempt used, its items wait until it can. If this \
             lasts, look at the network, the firewall, the name and the account's endpoint: `takedown check`"
        ),
        WorkerEvent::Reached { account } => tracing::info!(account.id = %account, "the gateway is reached again"),
        WorkerEvent::HoldHeard { account, change } => hold_heard(account, change),
        WorkerEvent::FleetChanged { members } => tracing::info!(members, "the fleet changed"),
        WorkerEvent::EndedBefore { id, account } => tracing::info!(
            request.id = id,
            account.id = %account,
            "the item had ended before; its outcome is told again, and no other"
        ),
        WorkerEvent::NotKnown { id, error } => {
            tracing::warn!(request.id = id, error, "nobody can tell whether the item has ended; the message goes back")
        }
        WorkerEvent::SettleFailed { id, error } => {
            tracing::warn!(request.id = id, error, "the settlement was not confirmed; the message comes back")
        }
        WorkerEvent::Panicked { id } => tracing::error!(
            request.id = id,
            "the pipeline panicked on this message; it was settled as a retry, report it"
        ),
        WorkerEvent::Draining { in_flight } => tracing::info!(in_flight, "draining"),
        WorkerEvent::Stopped { abandoned: 0 } => tracing::info!("worker stopped, nothing left in hand"),
        WorkerEvent::Stopped { abandoned } => {
            tracing::warn!(abandoned, "worker stopped; deliveries left in hand come back to the queue");
        }
    }
}

fn milliseconds(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// The replica that found a hold logs it as an error; the others need not alarm anyone again.
fn hold_heard(account: &AccountId, change: &HoldChange) {
    let named = |party: &Option<String>| party.clone().unwrap_or_else(|| "whole account".to_owned());
    match change {
        HoldChange::Held { party, cause, probe_in } => tracing::warn!(
            account.id = %account,
            party = named(party),
            cause,
            probe_in = ?probe_in,
            "held, as the fleet tells"
        ),
        HoldChange::Paused { party, reason } => tracing::warn!(
            account.id = %account,
            party = named(party),
            reason = reason.as_deref().unwrap_or("none given"),
            "paused by hand; `takedown resume` lifts it"
        ),
        HoldChange::Resumed { party } => tracing::info!(
            account.id = %account,
            party = named(party),
            "the hold is lifted, as the fleet tells"
        ),
        // Told to nobody: each replica finds it by itself.
        HoldChange::Unreachable { .. } | HoldChange::Reached => {}
    }
}

fn finished(outcome: &FinalOutcome) {
    macro_rules! line {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                request.id = outcome.id,
                account.id = outcome.account,
                gateway = outcome.gateway.map_or("unknown", |gateway| gateway.as_str()),
                outcome = outcome.status().as_str(),
                reason = outcome.reason.as_str(),
                code = outcome.gateway_code.as_deref().unwrap_or("none"),
                attempt = outcome.attempts,
                $text
            )
        };
    }
    match outcome.status() {
        Status::Dead => line!(warn, "item is a dead letter"),
        Status::Success | Status::Terminal | Status::Expired | Status::Cancelled => line!(debug, "item ended"),
    }
}
