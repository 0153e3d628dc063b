//! `takedown man`: the manual pages, written from the same texts as `--help`.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man as Page;

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::rehearsal::unwritable;
use crate::ops::cli::{Cli, Surroundings};

/// Write the manual pages: one of the program, one of each command.
///
/// Without a directory, the program's own page goes to stdout.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  takedown man ~/.local/share/man/man1     # then: man takedown-status
  takedown man | man -l -")]
pub(super) struct Man {
    /// Where to write `takedown.1` and its fellows; made if missing. Pages of that name are written anew.
    #[arg(value_name = "DIR")]
    directory: Option<PathBuf>,
}

impl Man {
    pub(super) fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        let mut program = Cli::command();
        program.build();
        let Some(directory) = &self.directory else {
            surroundings.terminal.result(&page(&program))?;
            return Ok(Exit::Done);
        };
        fs::create_dir_all(directory).map_err(|error| unwritable(directory, &error))?;
        let mut written = 0;
        write(&program, directory, &mut written)?;
        surroundings.terminal.result(&format!("{written} pages in {}", directory.display()))?;
        Ok(Exit::Done)
    }
}

/// Writes the page of a command and those of its own commands; `help` has none.
fn write(command: &Command, directory: &Path, written: &mut u32) -> Result<(), Failure> {
    let file = directory.join(format!("{}.1", name(command)));
    fs::write(&file, page(command)).map_err(|error| unwritable(&file, &error))?;
    *written += 1;
    let mut own = command.get_subcommands().filter(|own| own.get_name() != "help" && !own.is_hide_set());
    own.try_for_each(|own| write(own, directory, written))
}

fn page(command: &Command) -> String {
    let name = name(command);
    let page = Page::new(command.clone()).title(name).manual("Takedown").source(env!("CARGO_PKG_VERSION"));
    let mut text = Vec::new();
    page.render(&mut text).expect("invariant: writing to memory never fails");
    // The texts after the options are examples, and more in the same vein.
    in_ascii(&String::from_utf8_lossy(&text)).replacen("\n.SH EXTRA\n", "\n.SH EXAMPLES\n", 1)
}

/// Writes other characters as escapes: a formatter takes a page for Latin-1 (`groff_char(7)`, "Unicode code points").
fn in_ascii(text: &str) -> String {
    let escaped = |c: char| match c {
        c if c.is_ascii() => c.to_string(),
        // A terminal without that letter would show nothing.
        '…' => "...".to_owned(),
        c => format!("\\[u{:04X}]", u32::from(c)),
    };
    text.chars().map(escaped).collect()
}

/// `takedown-batch-watch`, once the command was built.
fn name(command: &Command) -> String {
    command.get_display_name().unwrap_or_else(|| command.get_name()).to_owned()
}
