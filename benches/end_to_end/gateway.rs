//! The gateway in a process of its own, without latency: the strict sandbox, or a lean one.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use takedown::sandbox::Sandbox;

use crate::accounts::Credentials;
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
}

impl Kind {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Strict => "strict",
            Self::Lean => "lean",
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
}

/// Is the gateway, until whoever started it closes the pipe.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let keys = arguments.first().context("a directory of keys is wanted")?;
    let credentials = Credentials::at(Path::new(keys));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    if arguments.get(1).is_some_and(|kind| kind == Kind::Lean.word()) {
        runtime.spawn(Lean::new(&credentials)?.serve());
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
        return Ok(());
    }
    let sandbox = runtime.block_on(Sandbox::start(credentials.sandbox()?))?;
    println!("http://{}", sandbox.address());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
