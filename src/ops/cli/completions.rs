//! `takedown completions`: what a shell needs to complete commands and options.

use clap::{Args, CommandFactory};
use clap_complete::{Shell, generate};

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::{Cli, Surroundings};

/// Print a script that teaches a shell to complete this command.
///
/// It is for the name `takedown`; put it where the shell looks for such scripts, and open a new shell.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  takedown completions bash > ~/.local/share/bash-completion/completions/takedown
  takedown completions zsh > \"${fpath[1]}/_takedown\"
  takedown completions fish > ~/.config/fish/completions/takedown.fish
  source <(takedown completions bash)      # for this shell only")]
pub(super) struct Completions {
    /// The shell.
    #[arg(value_enum)]
    shell: Shell,
}

impl Completions {
    pub(super) fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let mut script = Vec::new();
        generate(self.shell, &mut Cli::command(), "takedown", &mut script);
        surroundings.terminal.result(&String::from_utf8_lossy(&script))?;
        Ok(Exit::Done)
    }
}
