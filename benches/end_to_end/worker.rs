//! A replica: the real command with a configuration of its own.

use std::fs;
use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::command::http;
use crate::process::Process;
use crate::stage::Stage;

/// Longest wait for a replica to be at work, with a long backlog and journal.
const PATIENCE: Duration = Duration::from_secs(60);

/// Settings beside accounts and broker: pages on a free port, a name told in every outcome.
const GENERAL: &str = "[worker]\nlisten = \"127.0.0.1:0\"\n";

/// Builds a command of the binary that is measured, in a directory, without any setting of the caller's environment.
pub(crate) fn takedown(stage: &Stage, directory: &std::path::Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(&stage.binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TAKEDOWN_")) {
        command.env_remove(name);
    }
    command.env("XDG_STATE_HOME", directory.join("state")).current_dir(directory).args(arguments);
    command
}

/// One that runs.
pub(crate) struct Worker {
    pub(crate) process: Process,
    /// When it was started.
    pub(crate) started: Instant,
    address: SocketAddr,
}

impl Worker {
    /// Starts one; it answers for its metrics, and may not be at work yet.
    pub(crate) fn start(stage: &Stage, configuration: &str) -> Result<Self> {
        let directory = stage.directory()?;
        fs::write(directory.join("takedown.toml"), format!("{GENERAL}{configuration}"))?;
        let started = Instant::now();
        let mut process = Process::start("the worker", takedown(stage, &directory, &["worker"]))?;
        let line = process.line("status server listens", PATIENCE)?;
        let address = line.split_whitespace().find_map(|word| word.strip_prefix("listen=")).context(line.clone())?;
        let address = address.parse()?;
        Ok(Self { process, started, address })
    }

    /// Waits until it is ready; returns the time since its start.
    pub(crate) fn ready(&self) -> Result<Duration> {
        self.wait("ready", || Ok(http(self.address, "GET", "/readyz", "").0 == 200))
    }

    /// Waits until it has told so many outcomes; returns the time since its start.
    pub(crate) fn settled_to(&self, count: u64) -> Result<Duration> {
        self.wait("settled", || Ok(self.settled()? >= count))
    }

    fn wait(&self, what: &str, is_so: impl Fn() -> Result<bool>) -> Result<Duration> {
        while !is_so()? {
            if self.started.elapsed() > PATIENCE {
                bail!("the worker is not {what} within {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(self.started.elapsed())
    }

    /// Returns the outcomes it has told, which must all be successes.
    pub(crate) fn settled(&self) -> Result<u64> {
        let metrics = self.metrics()?;
        let outcomes = || {
            let samples = metrics.lines().filter(|line| line.starts_with("takedown_outcomes_total{"));
            samples.filter(|line| !line.ends_with(" 0"))
        };
        if let Some(other) = outcomes().find(|line| !line.contains("status=\"success\"")) {
            bail!("an item did not end well: {other}");
        }
        sum(outcomes())
    }

    /// Returns its metrics as they are.
    pub(crate) fn metrics(&self) -> Result<String> {
        let (status, text) = http(self.address, "GET", "/metrics", "");
        if status != 200 {
            bail!("/metrics answers {status}: {text}");
        }
        Ok(text)
    }
}

/// Adds up the values of samples.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a counter is a whole number")]
fn sum<'a>(samples: impl Iterator<Item = &'a str>) -> Result<u64> {
    let values = samples.map(|line| line.rsplit(' ').next().unwrap_or_default().parse::<f64>());
    Ok(values.sum::<Result<f64, _>>()? as u64)
}
