//! The report for programs.

use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::desk::fleet::account::{AccountView, HoldView};
use crate::desk::fleet::{FleetReport, ReplicaView};
use crate::domain::fleet::standing::Bound;
use crate::domain::takedown::rfc3339;

/// Writes it as one object.
pub(super) fn of(report: &FleetReport) -> Value {
    let rung = |(delay, count): &(Duration, u64)| json!({ "delay_ms": millis(*delay), "messages": count });
    json!({
        "at": rfc3339(report.at),
        "replicas": report.replicas.iter().map(replica).collect::<Vec<_>>(),
        "accounts": report.accounts.iter().map(|account| of_account(account, report.at)).collect::<Vec<_>>(),
        "retries": report.retries.as_ref().map(|rungs| rungs.iter().map(rung).collect::<Vec<_>>()),
        "dead_letters": report.dead(),
        "unrouted": report.unrouted,
    })
}

fn replica(replica: &ReplicaView) -> Value {
    json!({
        "worker": replica.worker.as_str(),
        "accounts": replica.accounts,
        "in_flight": replica.in_flight,
        "heard_ms_ago": millis(replica.heard_ago),
    })
}

fn of_account(account: &AccountView, now: SystemTime) -> Value {
    let shares = account.shares.iter().map(|(worker, share)| json!({ "worker": worker.as_str(), "share": share }));
    json!({
        "account": account.id.as_str(),
        "state": account.state.as_str(),
        "bound": account.bound.map(Bound::as_str),
        "rate_per_second": account.rate,
        "allowed_per_second": account.allowed,
        "calls_per_second": account.calls,
        "ended_per_second": account.ended,
        "shares": shares.collect::<Vec<_>>(),
        "backlog": account.backlog(),
        "in_hand": account.in_hand,
        "in_flight": account.in_flight,
        "left_ms": account.eta().map(millis),
        "dead_letters": account.depth.map(|depth| depth.dead),
        "hold": account.hold.as_ref().map(|hold| of_hold(hold, now)),
        "parties": account.parties.iter().map(|hold| of_hold(hold, now)).collect::<Vec<_>>(),
    })
}

fn of_hold(hold: &HoldView, now: SystemTime) -> Value {
    let left = hold.probe_at.map(|at| millis(at.duration_since(now).unwrap_or_default()));
    json!({
        "party": hold.party,
        "state": hold.state.as_str(),
        "cause": hold.cause,
        "since": hold.since.map(rfc3339),
        "probe_in_ms": left,
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
