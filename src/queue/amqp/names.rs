//! What every exchange and queue is called; no other place puts a name together.

use std::time::Duration;

use crate::domain::ids::AccountId;
use crate::queue::amqp::AmqpSettings;

/// The names of all objects under one prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(settings: &AmqpSettings) -> Self {
        Self { prefix: settings.prefix.clone() }
    }

    /// The exchange producers publish to, keyed by account.
    pub(super) fn work_exchange(&self) -> String {
        self.prefix.clone()
    }

    pub(super) fn work(&self, account: &AccountId) -> String {
        format!("{}.work.{account}", self.prefix)
    }

    /// Exchange and queue of one rung; the rung is its delay as people write it.
    pub(super) fn retry(&self, rung: Duration) -> String {
        format!("{}.retry.{}", self.prefix, rung_name(rung))
    }

    pub(super) fn results_exchange(&self) -> String {
        format!("{}.results", self.prefix)
    }

    pub(super) fn results_all(&self) -> String {
        format!("{}.results.all", self.prefix)
    }

    /// The stream of outcomes that desks read, each from where it was, and the exchange for their marks.
    pub(super) fn results_log(&self) -> String {
        format!("{}.results.log", self.prefix)
    }

    /// The operators' log: a stream, and the exchange it is written to by.
    pub(super) fn desk(&self) -> String {
        format!("{}.desk", self.prefix)
    }

    /// The stream that says which outcome of an item came first, and the exchange workers write to it by.
    pub(super) fn journal(&self) -> String {
        format!("{}.journal", self.prefix)
    }

    pub(super) fn dead_exchange(&self) -> String {
        format!("{}.dead", self.prefix)
    }

    pub(super) fn dead(&self, account: &AccountId) -> String {
        format!("{}.dead.{account}", self.prefix)
    }

    /// The exchange on which replicas hear each other.
    pub(super) fn fleet(&self) -> String {
        format!("{}.fleet", self.prefix)
    }

    /// Exchange and queue where everything lands that no queue wants.
    pub(super) fn unrouted(&self) -> String {
        format!("{}.unrouted", self.prefix)
    }
}

fn rung_name(rung: Duration) -> String {
    let seconds = rung.as_secs();
    match (seconds, rung.subsec_millis()) {
        (0, ms) => format!("{ms}ms"),
        (_, ms) if ms > 0 => format!("{}ms", rung.as_millis()),
        (s, _) if s % 3600 == 0 => format!("{}h", s / 3600),
        (s, _) if s % 60 == 0 => format!("{}m", s / 60),
        (s, _) => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rung_is_called_as_people_write_its_delay() {
        let name = |ms| rung_name(Duration::from_millis(ms));
        let ladder = [5_000, 30_000, 120_000, 600_000, 3_600_000, 21_600_000].map(name);
        assert_eq!(ladder, ["5s", "30s", "2m", "10m", "1h", "6h"]);
        assert_eq!([500, 1_500, 90_000].map(name), ["500ms", "1500ms", "90s"]);
    }
}
