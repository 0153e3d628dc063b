//! `takedown topology`: the broker's exchanges and queues, from one table.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::ops::cli::Surroundings;
use crate::ops::cli::assemble;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::tables::{Output, table};
use crate::queue::amqp::topology::{Finding, Topology};

/// Examine or declare the broker's exchanges and queues.
///
/// One table lists every object: the work queue and dead-letter queue of each account, the retry rungs, the result
/// exchange. A worker applies it at start and refuses to work on a broker that has an object otherwise. Needs no keys.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown topology print     # the table, no broker needed\n  \
    takedown topology check     # what is missing or differs; changes nothing\n  \
    takedown topology apply     # declares what is missing; never deletes")]
pub(super) struct TopologyCommand {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Compare the broker with the table; exit code 5 if anything differs.
    Check(Output),
    /// Declare what is missing.
    Apply,
    /// Print the table.
    Print(Output),
}

impl TopologyCommand {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let config = surroundings.load_outline()?;
        let topology = Topology::new(&config.amqp, assemble::work_queues(&config.sharing));
        let terminal = &surroundings.terminal;
        match &self.action {
            Action::Print(output) => {
                terminal.result(&if output.json { rows_json(&topology) } else { rows_table(&topology) })?;
                Ok(Exit::Done)
            }
            Action::Apply => {
                let waiting = terminal.waiting("declaring what is missing");
                topology.apply(&config.amqp).await?;
                drop(waiting);
                terminal.result(&format!("applied: {} objects are as the table has them", topology.rows.len()))?;
                Ok(Exit::Done)
            }
            Action::Check(output) => {
                let waiting = terminal.waiting("comparing the broker with the table");
                let findings = topology.check(&config.amqp).await?;
                drop(waiting);
                terminal.result(&if output.json { findings_json(&findings) } else { findings_text(&findings) })?;
                Ok(if findings.is_empty() { Exit::Done } else { Exit::Topology })
            }
        }
    }
}

fn rows_table(topology: &Topology) -> String {
    let row = |row: &crate::queue::amqp::topology::Row| [row.name.clone(), row.kind.clone(), row.arguments.clone()];
    table(["object", "kind", "arguments"], topology.rows.iter().map(row))
}

fn rows_json(topology: &Topology) -> String {
    let row = |row: &crate::queue::amqp::topology::Row| json!({ "object": row.name, "kind": row.kind, "arguments": row.arguments });
    topology.rows.iter().map(row).collect::<Value>().to_string()
}

fn findings_text(findings: &[Finding]) -> String {
    if findings.is_empty() {
        return "the broker has every object as the table has it".to_owned();
    }
    let line =
        |finding: &Finding| format!("{}: {}\n  what to do: {}\n", finding.object, finding.problem, finding.remedy);
    findings.iter().map(line).collect()
}

fn findings_json(findings: &[Finding]) -> String {
    let row =
        |finding: &Finding| json!({ "object": finding.object, "problem": finding.problem, "remedy": finding.remedy });
    findings.iter().map(row).collect::<Value>().to_string()
}
