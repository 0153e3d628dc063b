//! Why a command failed: one clear line, what to do about it, and an exit code.

use std::error::Error;
use std::fmt;

use crate::desk::DeskError;
use crate::ops::cli::exit::Exit;
use crate::ops::config::ConfigError;
use crate::ops::status::StatusError;
use crate::queue::QueueError;
use crate::sandbox::SandboxError;

/// The end of a command that could not do its work.
#[derive(Debug)]
pub(super) struct Failure {
    /// The exit code.
    pub(super) exit: Exit,
    /// What happened, with its causes.
    pub(super) problem: String,
    /// What to do.
    pub(super) remedy: Option<String>,
}

impl Failure {
    /// Builds one without a remedy.
    pub(super) fn new(exit: Exit, problem: impl Into<String>) -> Self {
        Self { exit, problem: problem.into(), remedy: None }
    }

    /// Adds what to do.
    #[must_use]
    pub(super) fn remedy(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.problem)?;
        self.remedy.iter().try_for_each(|remedy| write!(f, "\n  what to do: {remedy}"))
    }
}

/// Joins an error and its causes in one line, each said once.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Configuration, error.to_string())
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        let text = chain(&error);
        match error {
            QueueError::Connect { .. } => Self::new(Exit::Broker, text).remedy(
                "mend `amqp.url` (TAKEDOWN_AMQP__URL) or the broker; without a broker there is takedown run FILE",
            ),
            QueueError::Topology { object, problem, remedy } => {
                Self::new(Exit::Topology, format!("{object} differs from the topology: {problem}"))
                    .remedy(format!("{remedy}; `takedown topology check` lists every difference"))
            }
            QueueError::Publish { .. } | QueueError::Broker { .. } | QueueError::Stale => Self::new(Exit::Broker, text)
                .remedy("look at the broker's log; nothing unconfirmed was acked, so try again"),
            QueueError::File { .. } => Self::new(Exit::QueueFile, text),
            QueueError::Database { .. } => Self::new(Exit::QueueFile, text)
                .remedy("check the disk's space and the file's permissions; what was committed is safe"),
            QueueError::Closed => Self::new(Exit::Unexpected, text),
        }
    }
}

impl From<DeskError> for Failure {
    fn from(error: DeskError) -> Self {
        let text = chain(&error);
        match error {
            DeskError::Queue(error) => error.into(),
            DeskError::File { .. } => Self::new(Exit::QueueFile, text),
            DeskError::Database { .. } => Self::new(Exit::QueueFile, text)
                .remedy("check the disk's space and the file's permissions; deleted, it is read again from the broker"),
        }
    }
}

impl From<StatusError> for Failure {
    fn from(error: StatusError) -> Self {
        Self::new(Exit::Port, chain(&error)).remedy(
            "give another `worker.listen` (TAKEDOWN_WORKER__LISTEN=127.0.0.1:9101), or end the program that has it",
        )
    }
}

impl From<SandboxError> for Failure {
    fn from(error: SandboxError) -> Self {
        let text = chain(&error);
        match error {
            SandboxError::NotLoopback(_) => Self::new(Exit::Usage, text),
            SandboxError::Listen { .. } => Self::new(Exit::Port, text),
        }
    }
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Unexpected, chain(error.as_ref()))
    }
}
