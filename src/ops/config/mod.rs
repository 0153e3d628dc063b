//! Configuration: a TOML file and the environment, checked whole before anything starts.
//!
//! Promise: every fault is reported at once, each with its key and a remedy, and no secret is ever printed.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::retry::RetryPolicy;
use crate::gateway::GatewayAccount;
use crate::gateway::http::HttpSettings;
use crate::limits::LimitSettings;
use crate::queue::amqp::AmqpSettings;

/// A whole, valid configuration; keys are loaded.
pub struct Config {
    /// This replica's name.
    pub worker: WorkerId,
    /// Where `/healthz`, `/readyz` and `/metrics` listen.
    pub listen: SocketAddr,
    /// How long a drain waits.
    pub drain_timeout: Duration,
    /// The broker.
    pub amqp: AmqpSettings,
    /// The HTTP client.
    pub http: HttpSettings,
    /// When to try again.
    pub retry: RetryPolicy,
    /// Every account.
    pub accounts: BTreeMap<AccountId, AccountConfig>,
}

/// One account.
pub struct AccountConfig {
    /// Credentials.
    pub gateway: GatewayAccount,
    /// Limits.
    pub limits: LimitSettings,
    /// Messages handed out ahead.
    pub prefetch: u16,
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `accounts.shops.rate`.
    pub key: String,
    /// Line in the file, where it has one.
    pub line: Option<usize>,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

/// Every fault found.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} fault(s)", .faults.len())]
pub struct ConfigError {
    /// The faults, in the order of the file.
    pub faults: Vec<Fault>,
}

impl Config {
    /// Reads a file (or none) and the environment through `lookup`, and checks everything.
    ///
    /// # Errors
    /// [`ConfigError`] with every fault.
    pub fn load(path: Option<&Path>, environment: &BTreeMap<String, String>) -> Result<Self, ConfigError> {
        todo!("{path:?} {environment:?}")
    }
}
