//! The driver's own command line.

use std::path::PathBuf;

use anyhow::{Result, bail};

use crate::scenarios::{self, Scenario};
use crate::stage::Effort;

/// What the driver is called for.
pub(crate) enum Task {
    /// To be the gateway of another driver.
    Gateway(Vec<String>),
    /// To be a bare client of the broker, for comparison.
    Bare(Vec<String>),
    /// To name the scenarios.
    List,
    /// To measure.
    Measure(Arguments),
}

/// What to measure.
pub(crate) struct Arguments {
    pub(crate) scenarios: Vec<&'static Scenario>,
    pub(crate) effort: Effort,
    pub(crate) is_written: bool,
    /// The command to measure; by default the one built with the driver.
    pub(crate) binary: PathBuf,
}

/// Reads them. `cargo bench` adds `--bench`; without it and without a name nothing is run, for `cargo test` calls it so.
pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Task> {
    let mut arguments = arguments.peekable();
    match arguments.peek().map(String::as_str) {
        Some("gateway") => return Ok(Task::Gateway(arguments.skip(1).collect())),
        Some("bare") => return Ok(Task::Bare(arguments.skip(1).collect())),
        _ => {}
    }
    let (mut names, mut effort, mut is_bench, mut is_written) = (Vec::new(), Effort::Full, false, false);
    let mut binary = PathBuf::from(env!("CARGO_BIN_EXE_takedown"));
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--bench" => is_bench = true,
            "--list" => return Ok(Task::List),
            "--quick" => effort = Effort::Quick,
            "--write" => is_written = true,
            "--binary" => match arguments.next() {
                Some(path) => binary = path.into(),
                None => bail!("--binary wants a path"),
            },
            name => match scenarios::ALL.iter().find(|scenario| scenario.name == name) {
                Some(scenario) => names.push(scenario),
                None => {
                    bail!("there is no scenario {name}; usage: [NAME...] [--quick] [--write] [--binary PATH] [--list]")
                }
            },
        }
    }
    if names.is_empty() && !is_bench && effort == Effort::Full {
        return Ok(Task::List);
    }
    let is_all = names.is_empty();
    Ok(Task::Measure(Arguments {
        scenarios: if is_all { scenarios::ALL.iter().collect() } else { names },
        effort,
        is_written: is_written || (is_all && effort == Effort::Full),
        binary,
    }))
}
