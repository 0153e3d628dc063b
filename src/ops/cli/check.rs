//! `takedown check`: configuration, keys, certificates, clock, broker, topology and gateways; every fault with its
//! remedy.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::clock;
use crate::domain::ids::AccountId;
use crate::domain::takedown::Gateway;
use crate::gateway::GatewayAccount;
use crate::gateway::certificates::CertificateSet;
use crate::gateway::http::{GatewayError, HttpClient, HttpSettings, Skew};
use crate::gateway::keys::{self, Severity};
use crate::ops::cli::Surroundings;
use crate::ops::cli::assemble;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::tables::{Output, counted};
use crate::ops::config::units::duration_text;
use crate::ops::config::{AccountConfig, Config, Fault};
use crate::queue::amqp::reach;
use crate::queue::amqp::topology::Topology;

/// Examine configuration, keys, certificates, clock, broker, topology and gateways, and name every fault with its remedy.
///
/// Keys are tried by signing a probe, certificates by their dates and their chain to a root; gateways are connected to
/// (TLS included) and not called, and the time they tell is compared with this machine's. Exit code 9 if anything is
/// wrong, 3 if the configuration itself is; a warning, as of a certificate that ends within 30 days, changes neither.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown check\n  takedown check --no-broker     # for `takedown run`")]
pub(super) struct Check {
    /// Leave the broker out.
    #[arg(long)]
    no_broker: bool,
    #[command(flatten)]
    output: Output,
}

/// From here on a clock is worth a warning: one that is kept at all is kept to the second.
const SKEW_WORTH_A_WARNING: Duration = Duration::from_mins(1);
/// From here on calls are taken to fail. How far a timestamp may be off is published nowhere (protocol page: Open
/// points); this is what the sandbox takes, a third of what an older interface of the vendor allowed its own.
const SKEW_TOO_FAR: Duration = Duration::from_mins(10);

/// What was found out about one subject.
struct Finding {
    subject: String,
    verdict: Verdict,
}

enum Verdict {
    /// As it should be.
    Good { note: String },
    /// It works, and should be mended.
    Warning { problem: String, remedy: String },
    /// It does not work.
    Fault { problem: String, remedy: String },
}

impl Finding {
    fn good(subject: impl Into<String>, note: impl Into<String>) -> Self {
        Self { subject: subject.into(), verdict: Verdict::Good { note: note.into() } }
    }

    fn warning(subject: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (problem, remedy) = (problem.into(), remedy.into());
        Self { subject: subject.into(), verdict: Verdict::Warning { problem, remedy } }
    }

    fn bad(subject: impl Into<String>, problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        let (problem, remedy) = (problem.into(), remedy.into());
        Self { subject: subject.into(), verdict: Verdict::Fault { problem, remedy } }
    }
}

impl Check {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let config = surroundings.load_config()?;
        let mut findings = vec![Finding::good("configuration", accounts_line(&config))];
        let warning = |Fault { key, problem, remedy, .. }: &Fault| Finding::warning(&**key, &**problem, &**remedy);
        findings.extend(config.warnings.iter().map(warning));
        let waiting = surroundings.terminal.waiting("examining");
        for (at, (id, account)) in config.accounts.iter().enumerate() {
            waiting.on(&format!("examining account {id}, {} of {}", at + 1, config.accounts.len()));
            findings.extend(credentials(id, account));
            findings.extend(gateway(id, &account.gateway, &config.http).await);
        }
        if !self.no_broker {
            waiting.on("examining the broker");
            findings.extend(broker(&config).await);
        }
        drop(waiting);
        surroundings.terminal.result(&if self.output.json { as_json(&findings) } else { as_text(&findings) })?;
        let has_fault = findings.iter().any(|finding| matches!(finding.verdict, Verdict::Fault { .. }));
        Ok(if has_fault { Exit::Findings } else { Exit::Done })
    }
}

fn accounts_line(config: &Config) -> String {
    let names = config.accounts.iter().map(|(id, account)| format!("{id} ({})", account.gateway.gateway()));
    format!(
        "{}: {}",
        counted(config.accounts.len() as u64, "account", "accounts"),
        names.collect::<Vec<_>>().join(", ")
    )
}

fn credentials(id: &AccountId, account: &AccountConfig) -> Vec<Finding> {
    let all_well = "signed a probe; the gateway's key is not your own";
    let mut findings = told(&format!("keys of {id}"), account.gateway.key_findings(), all_well);
    if let Some(set) = &account.certificates {
        findings.extend(certificates(id, set));
    }
    findings
}

fn certificates(id: &AccountId, set: &CertificateSet) -> Vec<Finding> {
    let all_well = format!("{}; the gateway's lead to a root", set.summary());
    told(&format!("certificates of {id}"), set.findings(clock::now()), &all_well)
}

fn told(subject: &str, found: Vec<keys::Finding>, all_well: &str) -> Vec<Finding> {
    if found.is_empty() {
        return vec![Finding::good(subject, all_well)];
    }
    let told = |keys::Finding { severity, problem, remedy }| match severity {
        Severity::Warning => Finding::warning(subject, problem, remedy),
        Severity::Fault => Finding::bad(subject, problem, remedy),
    };
    found.into_iter().map(told).collect()
}

/// Connects as a call would, with a client of its own for each: one machine may do without TLS here and not there.
async fn gateway(id: &AccountId, account: &GatewayAccount, http: &HttpSettings) -> Vec<Finding> {
    let subject = format!("gateway of {id}");
    let endpoint = account.endpoint();
    let timeout = http.connect_timeout;
    let settings = HttpSettings { connect_timeout: timeout, total_timeout: timeout.saturating_mul(2), ..http.clone() };
    let answered = match HttpClient::for_endpoints(&settings, [endpoint]) {
        Ok(client) => client.reach(endpoint).await,
        Err(error) => Err(error),
    };
    let shown = endpoint.root();
    match answered {
        Ok(skew) => {
            let how = if endpoint.is_plain() { "without TLS" } else { "over TLS" };
            vec![Finding::good(subject, format!("{shown} answers {how}")), clock(id, account.gateway(), skew)]
        }
        Err(error) => {
            let remedy = match &error {
                GatewayError::Tls { fault, .. } => fault.advice("http", "its `endpoint`"),
                GatewayError::Client(_) => "install root certificates, or give your own as `http.ca_file`".to_owned(),
                GatewayError::Reach(_) | GatewayError::Url { .. } => {
                    "check the endpoint, name resolution and the firewall".to_owned()
                }
            };
            vec![Finding::bad(subject, format!("{shown}: {}", chain(&error)), remedy)]
        }
    }
}

/// Judges this machine's clock by the time a gateway told; a request of mapi carries no time, so there it is only told.
fn clock(id: &AccountId, gateway: Gateway, skew: Option<Skew>) -> Finding {
    let subject = format!("clock, by the gateway of {id}");
    let Some(skew) = skew else { return Finding::good(subject, "the gateway tells no time") };
    let size = duration_text(Duration::from_secs(skew.size().as_secs()));
    let difference = match skew {
        Skew::None => "the same time".to_owned(),
        Skew::Ahead(_) => format!("this machine is {size} ahead"),
        Skew::Behind(_) => format!("this machine is {size} behind"),
    };
    let remedy = "set the clock, and keep it by NTP (chrony, systemd-timesyncd): every request carries the time, and one \
                  too far off is refused (isv.invalid-timestamp)";
    match gateway {
        Gateway::OpenPlatform if skew.size() > SKEW_TOO_FAR => Finding::bad(subject, difference, remedy),
        Gateway::OpenPlatform if skew.size() >= SKEW_WORTH_A_WARNING => Finding::warning(subject, difference, remedy),
        Gateway::OpenPlatform => Finding::good(subject, difference),
        Gateway::Mapi => Finding::good(subject, format!("{difference}; requests of mapi carry no time")),
    }
}

/// Tries every node, for a worker would be content with one of them, and then the topology over whichever answers.
async fn broker(config: &Config) -> Vec<Finding> {
    if config.amqp.urls.len() == 1 {
        return topology(config, vec![Finding::good("broker", "connected")]).await;
    }
    let reached = reach(&config.amqp).await;
    let is_lost = reached.iter().all(|(_, reached)| reached.is_err());
    let nodes = reached.into_iter().map(|(shown, reached)| match reached {
        Ok(()) => Finding::good(format!("broker {shown}"), "connected"),
        Err(error) if is_lost => {
            let Failure { problem, remedy, .. } = Failure::from(error);
            Finding::bad(format!("broker {shown}"), problem, remedy.unwrap_or_default())
        }
        Err(error) => {
            let remedy = "mend it, or take it out of `amqp.url`; workers use the others meanwhile";
            Finding::warning(format!("broker {shown}"), chain(&error), remedy)
        }
    });
    let nodes: Vec<_> = nodes.collect();
    if is_lost { nodes } else { topology(config, nodes).await }
}

/// Compares the topology; `connected` is told first where the broker can be reached.
async fn topology(config: &Config, connected: Vec<Finding>) -> Vec<Finding> {
    match Topology::new(&config.amqp, &assemble::consumers(&config.accounts)).check(&config.amqp).await {
        Ok(findings) if findings.is_empty() => {
            let equal = Finding::good("topology", "every object is as the table has it");
            connected.into_iter().chain([equal]).collect()
        }
        Ok(findings) => {
            let bad = |found: crate::queue::amqp::topology::Finding| {
                Finding::bad(format!("topology: {}", found.object), found.problem, found.remedy)
            };
            connected.into_iter().chain(findings.into_iter().map(bad)).collect()
        }
        Err(error) => {
            let failure = Failure::from(error);
            vec![Finding::bad("broker", failure.problem, failure.remedy.unwrap_or_default())]
        }
    }
}

fn as_text(findings: &[Finding]) -> String {
    let line = |Finding { subject, verdict }: &Finding| match verdict {
        Verdict::Good { note } => format!("ok     {subject}: {note}\n"),
        Verdict::Warning { problem, remedy } => format!("warn   {subject}: {problem}\n       what to do: {remedy}\n"),
        Verdict::Fault { problem, remedy } => format!("FAULT  {subject}: {problem}\n       what to do: {remedy}\n"),
    };
    findings.iter().map(line).collect()
}

/// A warning is `ok` and has a problem and a remedy nevertheless.
fn as_json(findings: &[Finding]) -> String {
    let row = |Finding { subject, verdict }: &Finding| match verdict {
        Verdict::Good { note } => json!({ "subject": subject, "ok": true, "note": note }),
        Verdict::Warning { problem, remedy } => {
            json!({ "subject": subject, "ok": true, "problem": problem, "remedy": remedy })
        }
        Verdict::Fault { problem, remedy } => {
            json!({ "subject": subject, "ok": false, "problem": problem, "remedy": remedy })
        }
    };
    findings.iter().map(row).collect::<Value>().to_string()
}
