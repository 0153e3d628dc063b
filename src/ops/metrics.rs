//! Counters, gauges and histograms of a worker, in the `OpenMetrics` text format, or that of Prometheus before it.
//!
//! Labels are closed sets: accounts of the configuration, words of our own enums. The one text a gateway chooses, an
//! unlisted code, is cut and capped in number. Promise: no label holds an id, a URL or a secret; and what an alert rule
//! counts is there, at 0, before it first happens, since Prometheus sees no increase in a series that begins at 1.
//!
#![doc = include_str!("metrics/table.md")]

pub mod files;

pub use spans::SpanCounters;

mod accounts;
mod classic;
mod labels;
mod latency;
mod process;
mod queues;
mod spans;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use crate::domain::ids::AccountId;
use crate::domain::outcome::{Reason, Status};
use crate::domain::takedown::Gateway;
use crate::limits::pause::HoldChange;
use crate::limits::rate::Rate;
use crate::limits::standing::Standing;
use crate::ops::metrics::accounts::AccountGauges;
use crate::ops::metrics::labels::{
    AccountLabels, CallLabels, CodeLabels, DeferralLabels, OutcomeLabels, ReadingLabels, VerdictLabels,
};
use crate::ops::metrics::latency::Latencies;
use crate::ops::metrics::process::ProcessGauges;
use crate::ops::metrics::queues::QueueGauges;
use crate::queue::depth::Depths;
use crate::worker::event::WorkerEvent;

/// Distinct unlisted codes counted by name in one process; further ones count as `other`.
const MAX_UNLISTED_CODES: usize = 32;
/// Characters of an unlisted code shown.
const MAX_CODE_CHARS: usize = 64;
/// Verdicts an answer that is not believed may have, as labels.
const SUSPICIOUS: [&str; 6] = ["valid", "invalid", "unsigned", "structure", "unverifiable", "contradictory"];

/// What came of reading the configuration anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Its credentials are in use.
    Taken {
        /// Other settings that changed and wait for a restart, by section and account.
        waiting: usize,
    },
    /// The old one holds.
    Refused {
        /// Its faults.
        faults: usize,
    },
}

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    outcomes: Family<OutcomeLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    latencies: Latencies,
    retries: Family<AccountLabels, Counter>,
    deferrals: Family<DeferralLabels, Counter>,
    repeats: Family<AccountLabels, Counter>,
    unlisted_codes: Family<CodeLabels, Counter>,
    suspicious: Family<VerdictLabels, Counter>,
    settle_failures: Counter,
    journal_failures: Counter,
    panics: Counter,
    holds: Family<AccountLabels, Gauge>,
    unreachable: Family<AccountLabels, Gauge>,
    accounts: AccountGauges,
    process: ProcessGauges,
    queues: QueueGauges,
    spans: SpanCounters,
    fleet_members: Gauge,
    config_reloads: Family<ReadingLabels, Counter>,
    config_faults: Gauge,
    config_waiting: Gauge,
    draining: Gauge,
    ready: Gauge,
    held: Mutex<HashSet<(String, Option<String>)>>,
    codes: Mutex<HashSet<String>>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// Registers everything.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("takedown");
        macro_rules! metric {
            ($name:literal, $help:literal, $metric:expr) => {{
                let metric = $metric;
                registry.register($name, $help, metric.clone());
                metric
            }};
        }
        Self {
            outcomes: metric!("outcomes", "Items that ended", Family::default()),
            calls: metric!("calls", "Gateway calls", Family::default()),
            latencies: Latencies::register(&mut registry),
            retries: metric!("retries", "Attempts that will be followed by another", Family::default()),
            deferrals: metric!("deferrals", "Deliveries put off without using an attempt", Family::default()),
            repeats: metric!("repeats", "Outcomes told again, of items that had ended before", Family::default()),
            unlisted_codes: metric!("unlisted_codes", "Gateway codes no table lists", Family::default()),
            suspicious: metric!("suspicious_answers", "Answers that should not exist", Family::default()),
            settle_failures: metric!("settle_failures", "Settlements that failed", Counter::default()),
            journal_failures: metric!(
                "journal_failures",
                "Deliveries handed back because nobody could tell whether their item has ended",
                Counter::default()
            ),
            panics: metric!("panics", "Pipelines that panicked", Counter::default()),
            holds: metric!(
                "holds",
                "Accounts and parties held now, as this replica knows; over a fleet take the maximum, not the sum",
                Family::default()
            ),
            unreachable: metric!(
                "gateway_unreachable",
                "1 while this replica finds no connection to the account's gateway",
                Family::default()
            ),
            accounts: AccountGauges::register(&mut registry),
            process: ProcessGauges::register(&mut registry),
            queues: QueueGauges::register(&mut registry),
            spans: SpanCounters::register(&mut registry),
            fleet_members: metric!(
                "fleet_members",
                "Replicas heard, this one too; 0 outside a fleet",
                Gauge::default()
            ),
            config_reloads: metric!("config_reloads", "Times the configuration was read anew", Family::default()),
            config_faults: metric!("config_faults", "Faults of the configuration last read", Gauge::default()),
            config_waiting: metric!("config_waiting", "Changed settings that wait for a restart", Gauge::default()),
            draining: metric!("draining", "1 while the replica drains", Gauge::default()),
            ready: metric!("ready", "1 while the replica takes messages, as /readyz says", Gauge::default()),
            held: Mutex::default(),
            codes: Mutex::default(),
            registry,
        }
    }

    /// Takes note of one event.
    pub fn count(&self, event: &WorkerEvent) {
        match event {
            WorkerEvent::Started { .. } => {
                self.draining.set(0);
            }
            WorkerEvent::Taken { account, waited } => self.latencies.taken(account, *waited),
            WorkerEvent::Settled { account, took } => self.latencies.settled(account, *took),
            WorkerEvent::Called { account, outcome, verdict, took } => {
                self.latencies.called(account, *took);
                let account = account.to_string();
                self.calls.get_or_create(&CallLabels { account, outcome, verdict }).inc();
            }
            WorkerEvent::Finished { outcome } => {
                let labels = OutcomeLabels {
                    account: outcome.account.clone(),
                    gateway: outcome.gateway.map_or("unknown", |gateway| gateway.as_str()),
                    status: outcome.status().as_str(),
                    reason: outcome.reason.as_str(),
                };
                self.outcomes.get_or_create(&labels).inc();
            }
            WorkerEvent::Retried { account, .. } => {
                self.retries.get_or_create(&AccountLabels { account: account.to_string() }).inc();
            }
            WorkerEvent::Deferred { account, reason, .. } => {
                let labels = DeferralLabels { account: account.to_string(), reason: reason.as_str() };
                self.deferrals.get_or_create(&labels).inc();
            }
            WorkerEvent::Suspicious { account, verdict, .. } => {
                self.suspicious.get_or_create(&VerdictLabels { account: account.to_string(), verdict }).inc();
            }
            WorkerEvent::UnlistedCode { account, code } => {
                let labels = CodeLabels { account: account.to_string(), code: self.code_label(code) };
                self.unlisted_codes.get_or_create(&labels).inc();
            }
            WorkerEvent::Held { account, party, .. }
            | WorkerEvent::HoldHeard {
                account,
                change: HoldChange::Held { party, .. } | HoldChange::Paused { party, .. },
            } => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.insert((account.to_string(), party.clone()));
                self.set_holds(&held, account.as_str());
            }
            WorkerEvent::Resumed { account, party }
            | WorkerEvent::HoldHeard { account, change: HoldChange::Resumed { party } } => {
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.remove(&(account.to_string(), party.clone()));
                self.set_holds(&held, account.as_str());
            }
            WorkerEvent::Unreachable { account, .. } => self.set_unreachable(account, true),
            WorkerEvent::Reached { account } => self.set_unreachable(account, false),
            // Each replica finds that by itself.
            WorkerEvent::HoldHeard { change: HoldChange::Unreachable { .. } | HoldChange::Reached, .. } => {}
            WorkerEvent::FleetChanged { members } => {
                self.fleet_members.set(gauge(*members));
            }
            WorkerEvent::SettleFailed { .. } => {
                self.settle_failures.inc();
            }
            WorkerEvent::Panicked { .. } => {
                self.panics.inc();
            }
            WorkerEvent::Draining { .. } => {
                self.draining.set(1);
            }
            // Its answer is counted already: the verdict of the call, and mostly of a suspicious answer, is `unverifiable`.
            WorkerEvent::UnknownCertificate { .. } => {}
            WorkerEvent::EndedBefore { account, .. } => {
                self.repeats.get_or_create(&AccountLabels { account: account.to_string() }).inc();
            }
            WorkerEvent::NotKnown { .. } => {
                self.journal_failures.inc();
            }
            WorkerEvent::GivenBack { .. } | WorkerEvent::Stopped { .. } => {}
        }
    }

    /// Begins at 0 what may happen to an account and somebody should hear of.
    pub fn begin_account(&self, account: &AccountId, gateway: Gateway) {
        let labels = AccountLabels { account: account.to_string() };
        drop(self.holds.get_or_create(&labels));
        drop(self.unreachable.get_or_create(&labels));
        drop(self.retries.get_or_create(&labels));
        drop(self.repeats.get_or_create(&labels));
        self.latencies.begin(account);
        for verdict in SUSPICIOUS {
            drop(self.suspicious.get_or_create(&VerdictLabels { account: account.to_string(), verdict }));
        }
        for reason in Reason::ALL.iter().filter(|reason| reason.status() == Status::Dead) {
            // What cannot be read names no gateway.
            let gateway = if *reason == Reason::InvalidMessage { "unknown" } else { gateway.as_str() };
            let (status, reason) = (Status::Dead.as_str(), reason.as_str());
            drop(self.outcomes.get_or_create(&OutcomeLabels { account: account.to_string(), gateway, status, reason }));
        }
    }

    /// Tells how the queues of the broker stand; nothing, where that could not be seen.
    pub fn set_depths(&self, depths: Option<&Depths>) {
        self.queues.set(depths);
    }

    /// Tells whether the replica takes messages; asked at each scrape.
    pub fn set_ready(&self, is_ready: bool) {
        self.ready.set(i64::from(is_ready));
    }

    /// Returns the counters of spans.
    #[must_use]
    pub fn spans(&self) -> SpanCounters {
        self.spans.clone()
    }

    /// Tells how one account stands; asked for at each scrape.
    pub fn set_account(&self, account: &str, rate: Rate, standing: Standing, in_flight: usize) {
        self.accounts.set(account, rate, standing, in_flight);
    }

    /// Tells how the process stands; asked for at each scrape.
    pub fn look_at_process(&self) {
        self.process.look();
    }

    /// Takes note of what came of reading the configuration anew.
    pub fn count_reading(&self, reading: &Reading) {
        let result = match reading {
            Reading::Taken { waiting } => {
                self.config_faults.set(0);
                self.config_waiting.set(gauge(*waiting));
                "taken"
            }
            Reading::Refused { faults } => {
                self.config_faults.set(gauge(*faults));
                "refused"
            }
        };
        self.config_reloads.get_or_create(&ReadingLabels { result }).inc();
    }

    /// Writes everything as `OpenMetrics` text.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .expect("invariant: writing to a String never fails");
        text
    }

    /// Writes everything as Prometheus read it before `OpenMetrics`, for those who do not ask for that.
    #[must_use]
    pub fn classic_text(&self) -> String {
        classic::of(&self.text())
    }

    fn set_holds(&self, held: &HashSet<(String, Option<String>)>, account: &str) {
        let count = held.iter().filter(|(held, _)| held == account).count();
        let labels = AccountLabels { account: account.to_owned() };
        self.holds.get_or_create(&labels).set(gauge(count));
    }

    fn set_unreachable(&self, account: &AccountId, is_unreachable: bool) {
        self.unreachable.get_or_create(&AccountLabels { account: account.to_string() }).set(i64::from(is_unreachable));
    }

    /// A gateway chooses this text, so its variety is capped.
    fn code_label(&self, code: &str) -> String {
        let code: String = code.chars().filter(|c| c.is_ascii_graphic()).take(MAX_CODE_CHARS).collect();
        let mut codes = self.codes.lock().unwrap_or_else(PoisonError::into_inner);
        if codes.len() < MAX_UNLISTED_CODES || codes.contains(&code) {
            codes.insert(code.clone());
            return code;
        }
        "other".to_owned()
    }
}

fn gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
