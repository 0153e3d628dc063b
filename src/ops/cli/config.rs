//! `takedown config`: the annotated default, which is the reference of every setting.

use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::config::DEFAULT;

/// Print the annotated default configuration, the reference of every setting.
///
/// It is valid as it stands, except that it holds no account: switch on one of its two examples.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  takedown config > takedown.toml     # begin here, then: takedown check")]
pub(super) struct ConfigCommand {}

impl ConfigCommand {
    pub(super) fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        surroundings.terminal.result(DEFAULT)?;
        Ok(Exit::Done)
    }
}
