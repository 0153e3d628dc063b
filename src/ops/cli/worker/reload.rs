//! Reads the configuration anew while a worker runs: on SIGHUP, and when a file of it changes.
//!
//! Credentials are taken at once, and what is held is probed with them; whatever else changed is told, and waits for a
//! restart. Promise: a configuration with a fault changes nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::Signal;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::sleep;

use crate::ops::cli::worker::fixed::Fixed;
use crate::ops::cli::worker::tell_findings;
use crate::ops::config::{Config, ConfigError, Seen};
use crate::ops::metrics::{Metrics, Reading};
use crate::worker::context::Context;

/// From one look at the files to the next. They are read once two looks in a row found the same: a key and its
/// certificate, copied one after the other, are then both there.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What is needed to read the configuration again, and to take it.
pub(super) struct Reload {
    pub(super) path: Option<PathBuf>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) fixed: Fixed,
    pub(super) context: Arc<Context>,
    pub(super) metrics: Arc<Metrics>,
}

impl Reload {
    /// Watches until dropped; `seen` is how the files looked when they were read last.
    pub(super) async fn watch(self, mut seen: Seen, mut hangups: Signal) -> Result<(), JoinError> {
        let mut looked = seen.clone();
        loop {
            tokio::select! {
                Some(()) = hangups.recv() => {}
                () = sleep(LOOK_EVERY) => {
                    let files = seen.clone();
                    let now = spawn_blocking(move || files.look_again()).await?;
                    let is_settled = now == looked;
                    looked = now;
                    if looked == seen || !is_settled {
                        continue;
                    }
                }
            }
            let (path, environment) = (self.path.clone(), self.environment.clone());
            let (config, files) = spawn_blocking(move || Config::read(path.as_deref(), &environment)).await?;
            self.metrics.count_reading(&self.take(config));
            looked = files.clone();
            seen = files;
        }
    }

    /// Takes what can be taken.
    fn take(&self, config: Result<Config, ConfigError>) -> Reading {
        let config = match config {
            Ok(config) => config,
            Err(ConfigError { faults, .. }) => {
                for fault in &faults {
                    tracing::error!(key = fault.key, problem = fault.problem, "{}", fault.remedy);
                }
                tracing::error!(faults = faults.len(), "the changed configuration was not taken: the old one holds");
                return Reading::Refused { faults: faults.len() };
            }
        };
        tell_findings(&config);
        let fixed = Fixed::of(&config);
        let waiting = self.fixed.differences(&fixed);
        for (id, account) in config.accounts {
            if self.fixed.is_same_gateway(&fixed, &id)
                && let Some(running) = self.context.accounts.get(&id)
            {
                running.renew(account.gateway);
            }
        }
        tracing::info!("configuration read anew: its credentials are in use");
        if !waiting.is_empty() {
            let settings = waiting.join(", ");
            tracing::warn!(settings, "changed, but a running worker does not take them: restart it");
        }
        Reading::Taken { waiting: waiting.len() }
    }
}
