//! The gateway in a process of its own: the strict sandbox, without latency.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result};
use takedown::sandbox::Sandbox;

use crate::accounts::Credentials;
use crate::process::Process;
use crate::stage::Stage;

/// A gateway that answers.
pub(crate) struct Gateway {
    pub(crate) process: Process,
    /// `http://127.0.0.1:port`.
    pub(crate) url: String,
}

impl Gateway {
    /// Starts one that knows the stage's accounts, and has seen nothing yet.
    pub(crate) fn start(stage: &Stage) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("gateway").arg(stage.keys());
        let mut process = Process::start("the gateway", command)?;
        let url = process.line("http://", Duration::from_secs(30))?;
        Ok(Self { process, url })
    }
}

/// Is the gateway, until whoever started it closes the pipe.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let keys = arguments.first().context("a directory of keys is wanted")?;
    let settings = Credentials::at(Path::new(keys)).sandbox()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let sandbox = runtime.block_on(Sandbox::start(settings))?;
    println!("http://{}", sandbox.address());
    std::io::copy(&mut std::io::stdin(), &mut std::io::sink())?;
    Ok(())
}
