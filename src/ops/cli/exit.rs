//! Exit codes: one table, shown by `takedown --help` and held to by every command.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Done,
    /// Something nobody planned for.
    Unexpected,
    /// The command line is wrong (clap uses this number too).
    Usage,
    /// The configuration has faults.
    Configuration,
    /// The broker cannot be reached, or went away.
    Broker,
    /// The broker's objects differ from the topology.
    Topology,
    /// The items file is unreadable, or has rows that were rejected.
    Rows,
    /// The queue file cannot be used.
    QueueFile,
    /// A port cannot be listened on.
    Port,
    /// Finished, and someone must look: dead items, or faults found by `check` or `explain`.
    Findings,
    /// Stopped before the end; nothing is lost, and the same command goes on.
    Interrupted,
    /// No replica is there, or none took an order.
    Nobody,
}

impl Exit {
    /// Every code, in the order of their numbers.
    pub const ALL: [Self; 12] = [
        Self::Done,
        Self::Unexpected,
        Self::Usage,
        Self::Configuration,
        Self::Broker,
        Self::Topology,
        Self::Rows,
        Self::QueueFile,
        Self::Port,
        Self::Findings,
        Self::Interrupted,
        Self::Nobody,
    ];

    /// Returns the number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Unexpected => 1,
            Self::Usage => 2,
            Self::Configuration => 3,
            Self::Broker => 4,
            Self::Topology => 5,
            Self::Rows => 6,
            Self::QueueFile => 7,
            Self::Port => 8,
            Self::Findings => 9,
            Self::Interrupted => 10,
            Self::Nobody => 11,
        }
    }

    /// Says what it means.
    #[must_use]
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done; a worker: drained cleanly",
            Self::Unexpected => "an error nobody planned for",
            Self::Usage => "the command line is wrong",
            Self::Configuration => "the configuration has faults; all of them are listed",
            Self::Broker => "the broker cannot be reached, or went away",
            Self::Topology => "the broker's exchanges or queues differ from the topology",
            Self::Rows => "the items file cannot be read, or has rejected rows",
            Self::QueueFile => "the queue file cannot be used, or another process has it",
            Self::Port => "a port cannot be listened on",
            Self::Findings => "finished, but someone must look: dead items, faults found by check or explain",
            Self::Interrupted => "stopped before the end; nothing is lost, the same command goes on",
            Self::Nobody => "no worker is there, or none took the order",
        }
    }

    /// Writes the table for `--help`.
    #[must_use]
    pub fn help() -> String {
        let line = |exit: &Self| format!("  {:>2}  {}\n", exit.number(), exit.meaning());
        Self::ALL.iter().map(line).collect::<String>()
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_counts_up_from_zero() {
        let numbers: Vec<u8> = Exit::ALL.iter().map(|exit| exit.number()).collect();
        assert_eq!(numbers, (0..=11).collect::<Vec<u8>>());
    }
}
