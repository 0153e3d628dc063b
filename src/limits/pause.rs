//! Holds: an account (or one of its parties) at fault is put off and probed, not spent.

use std::time::Duration;

/// When a held account is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSettings {
    /// Wait before the first probe. Default 30 s.
    pub first_probe: Duration,
    /// The wait doubles with every failed probe up to this. Default 10 min.
    pub max_probe: Duration,
}

/// A change of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldChange {
    /// A hold began, or its probe failed.
    Held {
        /// The party, or `None` for the whole account.
        party: Option<String>,
        /// The gateway's code.
        cause: String,
        /// Until the next probe.
        probe_in: Duration,
    },
    /// A probe passed.
    Resumed {
        /// The party, or `None` for the whole account.
        party: Option<String>,
    },
}
