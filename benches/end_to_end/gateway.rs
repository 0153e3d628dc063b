//! The gateway in a process of its own, without latency: the strict sandbox, or a lean one.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use takedown::sandbox::Sandbox;

use crate::accounts::Credentials;
use crate::arrivals::{Arrival, Arrivals};
use crate::lean::Lean;
use crate::process::Process;
use crate::stage::Stage;

/// A gateway that answers.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
}

/// How much it does before it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Checks every signature and keeps every item: the product's own sandbox.
    Strict,
    /// Answers.
    Lean,
    /// The same, and notes when each call came.
    Noting,
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lean => "lean",
            Self::Noting => "noting",
        }
    }
}

impl Gateway {
    /// Starts one that knows the stage's accounts, and has seen nothing yet.
    pub(crate) fn start(stage: &Stage, kind: Kind) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("gateway").arg(stage.keys()).arg(kind.word());
        let mut process = Process::start("the gateway", command)?;
        let url = process.line("http://", Duration::from_secs(30))?;
        Ok(Self { process, url })
    }

    /// Returns the calls that came so far, in the order of their coming, of one that notes them.
    pub(crate) fn arrivals(&mut self, stage: &Stage) -> Result<Vec<Arrival>> {
        let path = stage.directory()?.join("arrivals");
        self.process.ask(&path.display().to_string())?;
        Arrival::read(&path)
    }
}

/// Is the gateway, until whoever started it closes the pipe.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let keys = arguments.first().context("a directory of keys is wanted")?;
    let credentials = Credentials::at(Path::new(keys));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let is = |kind: Kind| arguments.get(1).is_some_and(|word| word == kind.word());
    if is(Kind::Lean) || is(Kind::Noting) {
        let arrivals = is(Kind::Noting).then(Arc::<Arrivals>::default);
        runtime.spawn(Lean::new(&credentials, arrivals.clone())?.serve());
        for line in std::io::stdin().lines() {
            if let Some(arrivals) = &arrivals {
                arrivals.write(Path::new(line?.trim()))?;
                println!("written");
            }
        }
        return Ok(());
    }
    let sandbox = runtime.block_on(Sandbox::start(credentials.sandbox()?))?;
    println!("http://{}", sandbox.address());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
