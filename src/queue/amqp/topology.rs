//! Every exchange, queue and binding, in one table: applied, checked and printed from here.

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;

/// The table for one prefix, one ladder of rungs and a set of accounts.
#[derive(Debug, Clone, PartialEq)]
pub struct Topology {
    /// One row an object, in the order of declaration.
    pub rows: Vec<Row>,
}

/// One exchange, queue or binding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Name, or `exchange -> queue` for a binding.
    pub name: String,
    /// `direct exchange`, `quorum queue`, `binding` …
    pub kind: String,
    /// Arguments, as people read them.
    pub arguments: String,
}

/// What `topology check` found about one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The object's name.
    pub object: String,
    /// What is wrong.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Topology {
    /// Lays out the table.
    #[must_use]
    pub fn new(settings: &AmqpSettings, accounts: &[AccountId]) -> Self {
        todo!("{} {accounts:?}", settings.prefix)
    }

    /// Declares what is missing.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] when an object exists otherwise than in the table.
    pub async fn apply(&self, settings: &AmqpSettings) -> Result<(), QueueError> {
        todo!("{}", settings.prefix)
    }

    /// Compares the broker with the table and changes nothing; an empty list means equal.
    ///
    /// # Errors
    /// [`QueueError::Connect`].
    pub async fn check(&self, settings: &AmqpSettings) -> Result<Vec<Finding>, QueueError> {
        todo!("{}", settings.prefix)
    }

    /// Deletes every object with everything in it: for rehearsals and tests, under a prefix of their own.
    ///
    /// # Errors
    /// [`QueueError::Connect`] and [`QueueError::Broker`].
    pub async fn delete(&self, settings: &AmqpSettings) -> Result<(), QueueError> {
        todo!("{}", settings.prefix)
    }
}
