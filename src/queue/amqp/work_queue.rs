//! The work queue of an account, and how many of its consumers are served at a time.

use lapin::types::{AMQPValue, FieldTable};

use crate::domain::ids::AccountId;
use crate::queue::amqp::message::short;

/// How many of a work queue's consumers are handed messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Consumers {
    /// All of them.
    #[default]
    Competing,
    /// One at a time; when it goes, the broker chooses another (rabbitmq.com/docs/consumers, "Single Active Consumer").
    ///
    /// Quorum queues know no exclusive consumers (rabbitmq.com/docs/quorum-queues, feature matrix). Messages that the
    /// one before was handed and has not acked go to the next when its channel ends.
    SingleActive,
}

/// An account's work queue, as it is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkQueue {
    /// The account.
    pub account: AccountId,
    /// Who is served.
    pub consumers: Consumers,
}

impl From<&AccountId> for WorkQueue {
    /// Competing consumers.
    fn from(account: &AccountId) -> Self {
        Self { account: account.clone(), consumers: Consumers::default() }
    }
}

impl From<&Self> for WorkQueue {
    fn from(queue: &Self) -> Self {
        queue.clone()
    }
}

/// The argument, in whose absence consumers compete.
const SINGLE_ACTIVE: &str = "x-single-active-consumer";

impl Consumers {
    /// Adds what a declaration needs for it.
    pub(super) fn declared(self) -> Option<(&'static str, AMQPValue)> {
        match self {
            Self::Competing => None,
            Self::SingleActive => Some((SINGLE_ACTIVE, AMQPValue::Boolean(true))),
        }
    }

    /// Returns what to do about a queue that was declared for the other kind.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::Competing => {
                "it was declared for one active consumer: write mode = \"exclusive\" for this account; or stop every \
                 replica, empty and delete the queue (`rabbitmqctl delete_queue`), and run `takedown topology apply`"
            }
            Self::SingleActive => {
                "it was declared for competing consumers: write mode = \"fleet\" or \"static\" for this account; or stop \
                 every replica, empty and delete the queue (`rabbitmqctl delete_queue`), and run `takedown topology apply`"
            }
        }
    }

    /// Returns the arguments of the same queue declared for the other kind.
    pub(super) fn otherwise(arguments: &FieldTable) -> FieldTable {
        let mut other = FieldTable::default();
        for (key, value) in arguments.inner().iter().filter(|(key, _)| key.as_str() != SINGLE_ACTIVE) {
            other.insert(key.clone(), value.clone());
        }
        if !arguments.inner().contains_key(SINGLE_ACTIVE) {
            other.insert(short(SINGLE_ACTIVE), AMQPValue::Boolean(true));
        }
        other
    }
}
