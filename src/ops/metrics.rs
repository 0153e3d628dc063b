//! Counters, gauges and a histogram of a worker, in the `OpenMetrics` text format.
//!
//! Labels are closed sets: accounts of the configuration, words of our own enums. The one text a gateway chooses, an
//! unlisted code, is cut and capped in number. Promise: no label holds an id, a URL or a secret.

mod accounts;
mod process;

use std::collections::HashSet;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

use crate::domain::ids::AccountId;
use crate::limits::pause::HoldChange;
use crate::limits::rate::Rate;
use crate::limits::standing::Standing;
use crate::ops::metrics::accounts::AccountGauges;
use crate::ops::metrics::process::ProcessGauges;
use crate::worker::event::WorkerEvent;

/// Distinct unlisted codes counted by name in one process; further ones count as `other`.
const MAX_UNLISTED_CODES: usize = 32;
/// Characters of an unlisted code shown.
const MAX_CODE_CHARS: usize = 64;
/// Upper bounds of the call histogram, in seconds: from a loopback answer to the longest time-outs in use.
const CALL_BUCKETS: [f64; 12] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabels {
    account: String,
    gateway: &'static str,
    status: &'static str,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    account: String,
    outcome: &'static str,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AccountLabels {
    account: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DeferralLabels {
    account: String,
    reason: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct VerdictLabels {
    account: String,
    verdict: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CodeLabels {
    account: String,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReadingLabels {
    result: &'static str,
}

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

/// Makes the histograms of a family.
#[derive(Debug, Clone, Copy)]
struct CallHistogram;

impl MetricConstructor<Histogram> for CallHistogram {
    fn new_metric(&self) -> Histogram {
        Histogram::new(CALL_BUCKETS)
    }
}

/// The metrics of one process.
pub struct Metrics {
    registry: Registry,
    outcomes: Family<OutcomeLabels, Counter>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<AccountLabels, Histogram, CallHistogram>,
    retries: Family<AccountLabels, Counter>,
    deferrals: Family<DeferralLabels, Counter>,
    repeats: Family<AccountLabels, Counter>,
    unlisted_codes: Family<CodeLabels, Counter>,
    suspicious: Family<VerdictLabels, Counter>,
    settle_failures: Counter,
    panics: Counter,
    holds: Family<AccountLabels, Gauge>,
    unreachable: Family<AccountLabels, Gauge>,
    accounts: AccountGauges,
    process: ProcessGauges,
    fleet_members: Gauge,
    config_reloads: Family<ReadingLabels, Counter>,
    config_faults: Gauge,
    config_waiting: Gauge,
    draining: Gauge,
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
        let call_seconds = Family::new_with_constructor(CallHistogram);
        registry.register_with_unit("call", "Time from permit to reply", Unit::Seconds, call_seconds.clone());
        Self {
            outcomes: metric!("outcomes", "Items that ended", Family::default()),
            calls: metric!("calls", "Gateway calls", Family::default()),
            call_seconds,
            retries: metric!("retries", "Attempts that will be followed by another", Family::default()),
            deferrals: metric!("deferrals", "Deliveries put off without using an attempt", Family::default()),
            repeats: metric!("repeats", "Outcomes told again, of items that had ended before", Family::default()),
            unlisted_codes: metric!("unlisted_codes", "Gateway codes no table lists", Family::default()),
            suspicious: metric!("suspicious_answers", "Answers that should not exist", Family::default()),
            settle_failures: metric!("settle_failures", "Settlements that failed", Counter::default()),
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
            fleet_members: metric!(
                "fleet_members",
                "Replicas heard, this one too; 0 outside a fleet",
                Gauge::default()
            ),
            config_reloads: metric!("config_reloads", "Times the configuration was read anew", Family::default()),
            config_faults: metric!("config_faults", "Faults of the configuration last read", Gauge::default()),
            config_waiting: metric!("config_waiting", "Changed settings that wait for a restart", Gauge::default()),
            draining: metric!("draining", "1 while the replica drains", Gauge::default()),
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
            WorkerEvent::Called { account, outcome, verdict, took } => {
                let account = account.to_string();
                self.call_seconds
                    .get_or_create(&AccountLabels { account: account.clone() })
                    .observe(took.as_secs_f64());
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
            WorkerEvent::NotKnown { .. } | WorkerEvent::GivenBack { .. } | WorkerEvent::Stopped { .. } => {}
        }
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
mod tests {
    use std::time::Duration;

    use super::*;

    fn account() -> AccountId {
        AccountId::new("shops").unwrap()
    }

    fn has_line(metrics: &Metrics, line: &str) -> bool {
        metrics.text().lines().any(|found| found == line)
    }

    #[test]
    fn a_call_is_counted_and_timed() {
        let metrics = Metrics::new();
        metrics.count(&WorkerEvent::Called {
            account: account(),
            outcome: "success",
            verdict: "valid",
            took: Duration::from_millis(7),
        });
        let text = metrics.text();
        let calls = r#"takedown_calls_total{account="shops",outcome="success",verdict="valid"} 1"#;
        assert!(has_line(&metrics, calls), "{text}");
        assert!(has_line(&metrics, r#"takedown_call_seconds_bucket{le="0.01",account="shops"} 1"#), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_hold_told_twice_counts_once_and_ends() {
        let metrics = Metrics::new();
        let held = |party: Option<&str>| WorkerEvent::Held {
            account: account(),
            party: party.map(str::to_owned),
            cause: "isv.invalid-signature".into(),
            probe_in: Duration::from_secs(30),
        };
        metrics.count(&held(None));
        metrics.count(&held(None));
        metrics.count(&held(Some("m1")));
        let change = HoldChange::Held { party: None, cause: "as heard".into(), probe_in: Duration::ZERO };
        metrics.count(&WorkerEvent::HoldHeard { account: account(), change });
        assert!(has_line(&metrics, r#"takedown_holds{account="shops"} 2"#), "{}", metrics.text());
        metrics.count(&WorkerEvent::Resumed { account: account(), party: None });
        assert!(has_line(&metrics, r#"takedown_holds{account="shops"} 1"#), "{}", metrics.text());
    }

    #[test]
    fn a_gateway_cannot_flood_the_labels() {
        let metrics = Metrics::new();
        for n in 0..100 {
            let code = format!("CODE_{n}\"\n{}", "x".repeat(500));
            metrics.count(&WorkerEvent::UnlistedCode { account: account(), code });
        }
        let text = metrics.text();
        let series = text.lines().filter(|line| line.starts_with("takedown_unlisted_codes_total{")).count();
        assert_eq!(series, MAX_UNLISTED_CODES + 1);
        assert!(has_line(&metrics, r#"takedown_unlisted_codes_total{account="shops",code="other"} 68"#), "{text}");
    }
}
