//! An account's state in words: what a person reads in a table, in a line of progress, in a log.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::desk::fleet::FleetReport;
use crate::desk::fleet::account::{AccountState, AccountView, HoldView};
use crate::domain::fleet::standing::Bound;
use crate::domain::ids::AccountId;
use crate::domain::takedown::rfc3339;
use crate::ops::chart::Tone;
use crate::ops::chart::text::visible;
use crate::ops::cli::times;

/// Returns what a state stands for.
pub(in crate::ops) fn tone(state: AccountState) -> Tone {
    match state {
        AccountState::Working => Tone::Good,
        AccountState::Idle => Tone::Plain,
        AccountState::Slowed | AccountState::Listening | AccountState::Paused => Tone::Waiting,
        AccountState::Unreachable | AccountState::Held | AccountState::Unserved => Tone::Bad,
    }
}

/// Writes `held since 14:02 (12 min) because ILLEGAL_SIGN, probed next in 30 s`.
pub(in crate::ops) fn hold(hold: &HoldView, now: SystemTime) -> String {
    let mut text = match hold.state {
        AccountState::Unreachable => "gateway not reached".to_owned(),
        state => state.as_str().to_owned(),
    };
    if let Some(since) = hold.since {
        let age = times::span(now.duration_since(since).unwrap_or_default());
        text.push_str(&format!(" since {} ({age})", times::wall(since, now)));
    }
    if let Some(cause) = &hold.cause {
        text.push_str(&format!(" because {}", visible(cause)));
    }
    if let Some(probe_at) = hold.probe_at {
        match probe_at.duration_since(now) {
            Ok(left) if left.as_secs() > 0 => text.push_str(&format!(", probed next in {}", times::span(left))),
            Ok(_) | Err(_) => text.push_str(", probed with its next message"),
        }
    }
    text
}

/// Writes what to do about a hold.
pub(super) fn remedy(account: &AccountId, hold: &HoldView) -> String {
    let party = hold.party.as_ref().map(|party| format!(" --party {}", visible(party))).unwrap_or_default();
    match hold.state {
        AccountState::Held if hold.cause.as_deref() == Some("quota_spent") => {
            "nothing: it goes on when the day's quota is reset".to_owned()
        }
        AccountState::Held => format!("mend the cause, then: takedown resume {account}{party}"),
        AccountState::Paused => format!("a person paused it; when it may go on: takedown resume {account}{party}"),
        AccountState::Unreachable => "look at the way to the gateway; it is tried by itself every minute".to_owned(),
        AccountState::Idle
        | AccountState::Working
        | AccountState::Slowed
        | AccountState::Listening
        | AccountState::Unserved => String::new(),
    }
}

/// Says what keeps an account from being faster.
pub(super) fn bound(account: &AccountView) -> &'static str {
    match (account.state, account.bound) {
        (AccountState::Working | AccountState::Slowed, Some(Bound::Rate)) => "full rate",
        (AccountState::Working | AccountState::Slowed, Some(Bound::Latency)) => "slow answers",
        _ => "",
    }
}

/// Writes the lines that differ from those told before, each with its time; `told` keeps them.
pub(super) fn changed_lines(report: &FleetReport, told: &mut BTreeMap<String, String>) -> Vec<String> {
    let at = rfc3339(report.at);
    let mut now = BTreeMap::from([("replicas".to_owned(), replicas(report))]);
    now.extend(report.accounts.iter().map(|account| (account.id.to_string(), line(account, report.at))));
    let is_new = |(name, text): &(&String, &String)| told.get(*name) != Some(*text);
    let lines = now.iter().filter(is_new).map(|(name, text)| format!("{at} {name}: {text}")).collect();
    *told = now;
    lines
}

fn replicas(report: &FleetReport) -> String {
    let names: Vec<&str> = report.replicas.iter().map(|replica| replica.worker.as_str()).collect();
    match names.len() {
        0 => "no worker is alive".to_owned(),
        count => format!("{count} alive: {}", names.join(", ")),
    }
}

fn line(account: &AccountView, now: SystemTime) -> String {
    let mut text = match &account.hold {
        // The times in it change by themselves.
        Some(held) => hold(&HoldView { probe_at: None, since: held.since, ..held.clone() }, now)
            .split(" (")
            .next()
            .map_or_else(String::new, |start| {
                let cause = held.cause.as_deref().map(|cause| format!(" because {}", visible(cause)));
                format!("{start}{}", cause.unwrap_or_default())
            }),
        None => account.state.as_str().to_owned(),
    };
    if let Some(backlog) = account.backlog() {
        text.push_str(&format!(", backlog {backlog}"));
    }
    text.push_str(&format!(", in flight {}", account.in_flight));
    if let Some(depth) = account.depth {
        text.push_str(&format!(", dead {}", depth.dead));
    }
    if let Some(left) = account.eta().filter(|left| left.as_secs() > 0) {
        text.push_str(&format!(", {} left", times::span(left)));
    }
    text
}
