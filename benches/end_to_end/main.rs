//! What a takedown costs as a whole: a real broker or queue file, a gateway in another process, the worker's own binary.
//!
//! `cargo bench --bench end_to_end` runs every scenario and writes `benches/RESULTS.md` with its plots; with names it runs
//! those alone, and writes with `--write` only. Every process it starts ends with it. Promise: what the results say was
//! measured in that run, "reached" included.

mod accounts;
mod arguments;
mod arrivals;
mod bare;
mod file_run;
mod gateway;
mod ground;
mod items;
mod lean;
mod machine;
mod meter;
mod openssl;
mod plot;
mod process;
mod queues;
mod results;
mod sample;
mod scenarios;
mod stage;
mod usage;
mod worker;

#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/support/broker.rs"]
mod broker;
#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/support/command.rs"]
mod command;

#[expect(dead_code, clippy::unwrap_used, reason = "shared with the tests, which use all of it")]
#[path = "../../tests/it/observability/collector.rs"]
mod collector;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, Result};
use takedown::ops::scheduling::work_in_bulk;

use crate::arguments::{Arguments, Task};
use crate::machine::Machine;
use crate::results::Results;
use crate::stage::Stage;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("end_to_end: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let arguments = match arguments::read(std::env::args().skip(1))? {
        // What stands beside the command is scheduled as it is, or that would count as the worker's merit.
        Task::Gateway(rest) => {
            work_in_bulk();
            return gateway::serve(&rest);
        }
        Task::Bare(rest) => {
            work_in_bulk();
            return bare::serve(&rest);
        }
        Task::List => {
            for scenario in scenarios::ALL {
                println!("{:10} {}", scenario.name, scenario.about);
            }
            return Ok(());
        }
        Task::Measure(arguments) => arguments,
    };
    let Arguments { scenarios, effort, is_written, binary } = arguments;
    let machine = Machine::look();
    let stage = Stage::new(effort, binary)?;
    let mut results = Results::new(machine, effort, std::env::args().skip(1).collect());
    for scenario in scenarios {
        eprintln!("── {}: {}", scenario.name, scenario.about);
        let begun = Instant::now();
        let chapter = (scenario.run)(&stage).with_context(|| format!("scenario {}", scenario.name))?;
        eprintln!("── {} took {:.0} s", scenario.name, begun.elapsed().as_secs_f64());
        println!("{}", chapter.markdown());
        results.add(chapter);
        stage.clear()?;
    }
    results.note_broker(stage.broker_version());
    println!("{}", results.reach());
    if is_written {
        let written = results.write()?;
        eprintln!("written: {}", written.display());
    }
    Ok(())
}
