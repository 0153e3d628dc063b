//! `takedown metrics`: what watches a fleet by its metrics, ready to be imported.

use clap::{Args, Subcommand};

use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::metrics::files;

/// Print the Grafana dashboard, or Prometheus' alert rules, for a worker's /metrics.
///
/// Every alert says what to type first. Needs neither a broker nor a configuration.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  takedown metrics dashboard > takedown.json   # Grafana: Dashboards, New, Import\n  \
    takedown metrics alerts > takedown.yml       # Prometheus: rule_files\n  \
    takedown metrics alerts | promtool check rules /dev/stdin"
)]
pub(super) struct MetricsCommand {
    #[command(subcommand)]
    file: File,
}

#[derive(Debug, Subcommand)]
enum File {
    /// The dashboard, as JSON.
    Dashboard,
    /// The alert rules, as YAML.
    Alerts,
    /// The table of all metrics, as Markdown.
    List,
}

impl MetricsCommand {
    pub(super) fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        surroundings.terminal.result(match self.file {
            File::Dashboard => files::DASHBOARD,
            File::Alerts => files::ALERTS,
            File::List => files::TABLE,
        })?;
        Ok(Exit::Done)
    }
}
