//! The command line: `takedown demo|run|worker|desk|enqueue|batch|status|pause|resume|dead-letters|sandbox|topology|check|explain|config|metrics|completions|man`.
//!
//! Results go to stdout, everything else to stderr. Promise: a command that cannot do its work says so in one clear line
//! with what to do about it, and ends with the exit code of the one table in [`exit`].

pub mod exit;

mod assemble;
mod batch;
mod canvas;
mod check;
mod completions;
mod config;
mod dead_letters;
mod demo;
mod desk;
mod enqueue;
mod explain;
mod failure;
mod intake;
mod man;
mod metrics;
mod pause;
mod progress;
mod rehearsal;
mod report;
mod run;
mod sandbox;
mod signals;
mod status;
mod tables;
mod terminal;
mod times;
mod to_the_end;
mod topology;
mod watch;
mod whole_file;
mod worker;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Parser, Subcommand};

use crate::ops::cli::canvas::Color;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::terminal::{LogFormat, Terminal};
use crate::ops::config::{Config, Outline, find_file};

const LONG_ABOUT: &str = "\
Takes goods and shop plug-ins off sale in bulk, overnight, without losing one.

Moderation systems enqueue one message an item; workers keep within the gateway's rate, sign each call, verify each \
answer, and publish one final outcome an item. What cannot be resolved waits as a dead letter until an operator looks \
at it and replays it.

New here? `takedown demo` shows all of it in ten seconds and needs nothing.";

const EXAMPLES: &str = "\
Examples:
  takedown demo                     both gateways, every kind of trouble
  takedown sandbox --dir rehearsal  the two gateways to try things on
  takedown run items.csv            a file of items to the end, without a broker
  takedown worker                   a replica: RabbitMQ to the gateways
  takedown batch watch ID           how far a batch is; batch cancel ends the rest
  takedown status --watch           accounts, rates, backlogs, holds
  takedown pause shops              no calls of an account until it is resumed
  takedown dead-letters list        what could not be resolved, and why
  takedown desk                     the same in a browser, with accounts and batches
  takedown explain --request FILE   why a signature is refused

Exit codes:
";

/// The whole command line.
#[derive(Debug, Parser)]
#[command(name = "takedown", version, about = "Bulk takedowns: RabbitMQ to two signed gateways, one outcome an item")]
#[command(long_about = LONG_ABOUT, after_help = format!("{EXAMPLES}{}", Exit::help()), max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options every command takes.
#[derive(Debug, clap::Args)]
struct Global {
    /// Configuration file; without one, ./takedown.toml if it exists, and the environment (TAKEDOWN_…).
    #[arg(long, global = true, env = "TAKEDOWN_CONFIG", value_name = "FILE", value_parser = path())]
    config: Option<PathBuf>,
    /// Log filter, such as info, debug or takedown=trace; a worker logs info, other commands warn. Trace lines of
    /// libraries, which show passwords and requests, are never written.
    #[arg(long, global = true, env = "TAKEDOWN_LOG", value_name = "FILTER")]
    log: Option<String>,
    /// How log lines are written (to stderr).
    #[arg(long, global = true, env = "TAKEDOWN_LOG_FORMAT", value_enum, default_value = "text")]
    log_format: LogFormat,
    /// When to use colours. They say nothing that words do not say too; `auto` respects `NO_COLOR`, `CLICOLOR_FORCE` and
    /// TERM=dumb, and a pipe gets none.
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value = "auto", hide_possible_values = true)]
    color: Color,
}

/// An empty path is read, and counts as absent later, as docker-compose's `${NAME:-}` leaves one.
fn path() -> impl TypedValueParser<Value = PathBuf> {
    OsStringValueParser::new().map(PathBuf::from)
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(demo::Demo),
    Run(run::Run),
    Worker(worker::Worker),
    Desk(desk::Desk),
    Enqueue(enqueue::Enqueue),
    Batch(batch::BatchCommand),
    Status(status::StatusCommand),
    Pause(pause::Pause),
    Resume(pause::Resume),
    DeadLetters(dead_letters::DeadLettersCommand),
    Sandbox(sandbox::SandboxCommand),
    Topology(topology::TopologyCommand),
    Check(check::Check),
    Explain(explain::Explain),
    Config(config::ConfigCommand),
    Metrics(metrics::MetricsCommand),
    Completions(completions::Completions),
    Man(man::Man),
}

/// What every command is given.
struct Surroundings {
    terminal: Terminal,
    config: Option<PathBuf>,
    environment: BTreeMap<String, String>,
}

impl Surroundings {
    /// Loads the broker's address and the accounts' names; no key need be on this machine.
    fn load_outline(&self) -> Result<Outline, Failure> {
        let path = find_file(self.config.clone());
        Ok(Outline::load(path.as_deref(), &self.environment)?)
    }

    /// Loads the configuration, every fault at once.
    fn load_config(&self) -> Result<Config, Failure> {
        let path = find_file(self.config.clone());
        Ok(Config::load(path.as_deref(), &self.environment)?)
    }
}

/// Returns how this program was called, so that what it tells to type works: a fresh build is on no `PATH`.
fn program() -> String {
    let name = std::env::args_os().next().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "takedown".to_owned())
}

/// Reads the command line, runs the command, prints what failed.
pub async fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    canvas::choose(cli.global.color);
    let terminal = Terminal::default();
    // Whoever reads a worker's log as JSON reads its last line so too.
    let is_logged = matches!((&cli.command, cli.global.log_format), (Command::Worker(_), LogFormat::Json));
    match run(cli, terminal.clone()).await {
        Ok(exit) => exit.into(),
        Err(Failure { exit, problem, remedy }) if is_logged && tracing::enabled!(tracing::Level::ERROR) => {
            tracing::error!(exit_code = exit.number(), remedy = remedy.as_deref().unwrap_or("none"), "{problem}");
            exit.into()
        }
        Err(failure) => {
            terminal.fail(&failure);
            failure.exit.into()
        }
    }
}

async fn run(cli: Cli, terminal: Terminal) -> Result<Exit, Failure> {
    let default_log = match cli.command {
        // lapin logs as an error whatever its caller is about to handle.
        Command::Worker(_) => "info,lapin=off",
        // The demo plays faults on purpose and tells of them in its table.
        Command::Demo(_) => "off",
        Command::Run(_)
        | Command::Desk(_)
        | Command::Enqueue(_)
        | Command::Batch(_)
        | Command::Status(_)
        | Command::Pause(_)
        | Command::Resume(_)
        | Command::DeadLetters(_)
        | Command::Sandbox(_)
        | Command::Topology(_)
        | Command::Check(_)
        | Command::Explain(_)
        | Command::Config(_)
        | Command::Metrics(_)
        | Command::Completions(_)
        | Command::Man(_) => "warn,lapin=off",
    };
    let log = cli.global.log.as_deref().filter(|filter| !filter.is_empty()).unwrap_or(default_log);
    terminal.start_logging(log, cli.global.log_format)?;
    // Variables that are not UTF-8 cannot be ours.
    let environment = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let config = cli.global.config.filter(|path| !path.as_os_str().is_empty());
    let surroundings = Surroundings { terminal, config, environment };
    match cli.command {
        Command::Demo(command) => command.execute(&surroundings).await,
        Command::Run(command) => command.execute(&surroundings).await,
        Command::Worker(command) => command.execute(&surroundings).await,
        Command::Desk(command) => command.execute(&surroundings).await,
        Command::Enqueue(command) => command.execute(&surroundings).await,
        Command::Batch(command) => command.execute(&surroundings).await,
        Command::Status(command) => command.execute(&surroundings).await,
        Command::Pause(command) => command.execute(&surroundings).await,
        Command::Resume(command) => command.execute(&surroundings).await,
        Command::DeadLetters(command) => command.execute(&surroundings).await,
        Command::Sandbox(command) => command.execute(&surroundings).await,
        Command::Topology(command) => command.execute(&surroundings).await,
        Command::Check(command) => command.execute(&surroundings).await,
        Command::Explain(command) => command.execute(&surroundings).await,
        Command::Config(command) => command.execute(&surroundings),
        Command::Metrics(command) => command.execute(&surroundings),
        Command::Completions(command) => command.execute(&surroundings),
        Command::Man(command) => command.execute(&surroundings),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
