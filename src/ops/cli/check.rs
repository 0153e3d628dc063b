//! `takedown check`: configuration, keys, broker, topology and gateways; every fault with its remedy.

use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::domain::ids::AccountId;
use crate::gateway::GatewayAccount;
use crate::gateway::http::{HttpClient, HttpSettings};
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::tables::{Output, counted};
use crate::ops::config::{Config, Fault};
use crate::queue::amqp::topology::Topology;

/// Examine configuration, keys, broker, topology and gateways, and name every fault with its remedy.
///
/// Keys are tried by signing a probe; gateways are connected to (TLS included) and not called. Exit code 9 if anything
/// is wrong, 3 if the configuration itself is; a warning, as of a key file that others may read, changes neither.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown check\n  takedown check --no-broker     # for `takedown run`")]
pub(super) struct Check {
    /// Leave the broker out.
    #[arg(long)]
    no_broker: bool,
    #[command(flatten)]
    output: Output,
}

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

    fn warning(Fault { key, problem, remedy, .. }: &Fault) -> Self {
        let (problem, remedy) = (problem.clone(), remedy.clone());
        Self { subject: key.clone(), verdict: Verdict::Warning { problem, remedy } }
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
        findings.extend(config.warnings.iter().map(Finding::warning));
        for (id, account) in &config.accounts {
            findings.extend(keys(id, &account.gateway));
            findings.push(gateway(id, &account.gateway, config.http.connect_timeout).await);
        }
        if !self.no_broker {
            findings.extend(broker(&config).await);
        }
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

fn keys(id: &AccountId, account: &GatewayAccount) -> Vec<Finding> {
    let subject = format!("keys of {id}");
    let findings = account.key_findings();
    if findings.is_empty() {
        return vec![Finding::good(subject, "signed a probe; the gateway's key is not your own")];
    }
    findings.into_iter().map(|finding| Finding::bad(&*subject, finding.problem, finding.remedy)).collect()
}

/// Connects as a call would, with a client of its own for each: one machine may do without TLS here and not there.
async fn gateway(id: &AccountId, account: &GatewayAccount, timeout: Duration) -> Finding {
    let subject = format!("gateway of {id}");
    let endpoint = account.endpoint();
    let settings =
        HttpSettings { connect_timeout: timeout, total_timeout: timeout.saturating_mul(2), ..HttpSettings::default() };
    let answered = match HttpClient::for_endpoints(&settings, [endpoint]) {
        Ok(client) => client.reach(endpoint).await,
        Err(error) => Err(error),
    };
    let shown = endpoint.root();
    match answered {
        Ok(()) => Finding::good(subject, format!("{shown} answers")),
        Err(error) => {
            let remedy = "check the endpoint, name resolution, the firewall, and the machine's root certificates";
            Finding::bad(subject, format!("{shown}: {}", chain(&error)), remedy)
        }
    }
}

async fn broker(config: &Config) -> Vec<Finding> {
    let accounts: Vec<AccountId> = config.accounts.keys().cloned().collect();
    match Topology::new(&config.amqp, &accounts).check(&config.amqp).await {
        Ok(findings) if findings.is_empty() => {
            vec![Finding::good("broker", "connected"), Finding::good("topology", "every object is as the table has it")]
        }
        Ok(findings) => {
            let bad = |found: crate::queue::amqp::topology::Finding| {
                Finding::bad(format!("topology: {}", found.object), found.problem, found.remedy)
            };
            std::iter::once(Finding::good("broker", "connected")).chain(findings.into_iter().map(bad)).collect()
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
        Verdict::Warning { problem, remedy } => format!("warn   {subject} {problem}\n       what to do: {remedy}\n"),
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
