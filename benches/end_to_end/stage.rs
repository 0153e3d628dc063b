//! What every scenario stands on: a directory, a broker that starts when it is first asked for, and a runtime.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use tokio::runtime::Runtime;

use crate::accounts::Credentials;
use crate::broker::Broker;
use crate::ground::Ground;
use crate::usage;

/// How much time a run may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effort {
    /// Enough to see that all works.
    Quick,
    /// What results are written from.
    Full,
}

impl Effort {
    /// Chooses by it.
    pub(crate) fn pick<T>(self, quick: T, full: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Full => full,
        }
    }
}

/// The node's settings: a backlog of a million must not hold publishers back, whatever the tests' own limit is.
const BROKER: &str = "[{rabbit, [{vm_memory_high_watermark, {absolute, 6000000000}}]}].";

/// One run's ground. Dropped, nothing of it is left.
pub(crate) struct Stage {
    pub(crate) effort: Effort,
    pub(crate) binary: PathBuf,
    pub(crate) credentials: Credentials,
    runtime: Runtime,
    broker: OnceLock<Broker>,
    ground: Ground,
}

impl Stage {
    pub(crate) fn new(effort: Effort, binary: PathBuf) -> Result<Self> {
        let ground = Ground::new()?;
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let credentials = Credentials::create(&ground.directory()?).context("keys")?;
        Ok(Self { effort, binary, credentials, runtime, broker: OnceLock::new(), ground })
    }

    /// Returns a new, empty directory.
    pub(crate) fn directory(&self) -> Result<PathBuf> {
        self.ground.directory()
    }

    /// Removes what scenarios wrote.
    pub(crate) fn clear(&self) -> Result<()> {
        self.ground.clear_but(self.keys())
    }

    /// Returns the node's address; the first who asks has it started.
    pub(crate) fn url(&self) -> String {
        self.broker().url()
    }

    /// Returns the node's process.
    pub(crate) fn broker_process(&self) -> Result<u32> {
        // Its command line names its directory, which is called as the node is.
        let name = self.broker().name();
        let directory = name.split('@').next().unwrap_or_default();
        usage::find("beam.smp", directory).context("the broker's process is not to be found")
    }

    /// Returns the version of the node, if one was started.
    pub(crate) fn broker_version(&self) -> Option<String> {
        let version = self.broker.get()?.control(&["version"]);
        Some(version.trim().to_owned())
    }

    fn broker(&self) -> &Broker {
        self.broker.get_or_init(|| Broker::start_with(BROKER))
    }

    /// Returns where the callers' keys lie.
    pub(crate) fn keys(&self) -> &Path {
        self.credentials.directory()
    }

    /// Runs something to its end.
    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}
