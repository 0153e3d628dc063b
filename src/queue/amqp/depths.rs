//! How much waits in the broker's queues, and how many take it, as a worker sees it.
//!
//! Asked by passive declarations, which change nothing and need no right to configure. Promise: a queue that is missing is
//! left out, and keeps nobody from hearing of the others.

use std::time::Duration;

use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use tokio::time::timeout;

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::short;
use crate::queue::amqp::names::Names;

/// Longest wait for all answers together.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// An account's messages that may be worked now.
    Work,
    /// An account's dead letters.
    Dead,
    /// Messages of all accounts that wait to be worked again; of every rung.
    Retry,
    /// Messages nobody was bound for.
    Unrouted,
    /// Outcomes that nobody has read from the queue that takes them all.
    Results,
}

/// One queue, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Depth {
    /// What it is for.
    pub place: Place,
    /// Whose it is, if one account's.
    pub account: Option<AccountId>,
    /// Messages in nobody's hand.
    pub messages: u32,
    /// Consumers of all replicas.
    pub consumers: u32,
}

impl Place {
    /// Returns the word used as a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Work => "work",
            Self::Dead => "dead",
            Self::Retry => "retry",
            Self::Unrouted => "unrouted",
            Self::Results => "results",
        }
    }

    /// Says whether workers consume it.
    #[must_use]
    pub fn is_work(self) -> bool {
        self == Self::Work
    }
}

/// Looks at every queue of these accounts and of their prefix.
///
/// # Errors
/// [`QueueError::Broker`] when the broker does not answer; a retry may help.
pub(super) async fn look(
    link: &Link,
    names: &Names,
    rungs: &[Duration],
    accounts: impl Iterator<Item = &AccountId>,
) -> Result<Vec<Depth>, QueueError> {
    let mut queues = vec![(Place::Unrouted, None, names.unrouted()), (Place::Results, None, names.results_all())];
    queues.extend(rungs.iter().map(|rung| (Place::Retry, None, names.retry(*rung))));
    for account in accounts {
        queues.push((Place::Work, Some(account.clone()), names.work(account)));
        queues.push((Place::Dead, Some(account.clone()), names.dead(account)));
    }
    let looked = timeout(PATIENCE, async {
        let (mut depths, mut channel) = (Vec::new(), link.channel().await?);
        for (place, account, name) in queues {
            match declare(&channel, &name).await {
                Ok((messages, consumers)) => depths.push(Depth { place, account, messages, consumers }),
                // Whatever the broker refuses ends the channel; a connection that is gone fails here.
                Err(error) if !channel.status().connected() => {
                    tracing::debug!(queue = name, %error, "a queue could not be looked at");
                    channel = link.channel().await?;
                }
                Err(error) => return Err(broker_error(format!("look at {name}"), error)),
            }
        }
        // Its end is not waited for: dropped, it closes.
        Ok(depths)
    });
    looked.await.unwrap_or_else(|elapsed| {
        Err(QueueError::Broker { action: "tell how many messages wait".to_owned(), source: elapsed.into() })
    })
}

async fn declare(channel: &Channel, name: &str) -> lapin::Result<(u32, u32)> {
    let options = QueueDeclareOptions::durable().passive();
    let queue = channel.queue_declare(short(name), options, FieldTable::default()).await?;
    Ok((queue.message_count(), queue.consumer_count()))
}
