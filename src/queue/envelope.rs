//! What travels beside a takedown: attempts, deferrals, times. Headers in RabbitMQ, columns in the embedded queue.

use std::time::SystemTime;

use crate::domain::classify::{Effect, Redelivery};
use crate::domain::ids::AccountId;

/// Metadata of one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The account whose queue it came from.
    pub account: AccountId,
    /// AMQP `message_id`, if set.
    pub message_id: Option<String>,
    /// Which attempt comes next, from 1 (`x-td-attempt`).
    pub attempt: u32,
    /// Times put off so far (`x-td-deferrals`).
    pub deferrals: u32,
    /// When a worker first saw it (`x-td-first-seen`, ms since 1970); `None` on the first delivery.
    pub first_seen: Option<SystemTime>,
    /// Not before this moment (`x-td-not-before`, ms since 1970).
    pub not_before: Option<SystemTime>,
    /// Whether an earlier attempt may have taken effect (`x-td-ambiguous`).
    pub effect: Effect,
    /// The gateway's last code (`x-td-last-code`).
    pub last_code: Option<String>,
    /// Times an operator replayed it (`x-td-replays`).
    pub replays: u32,
    /// Whether this very message was handed out before.
    pub redelivery: Redelivery,
    /// How often it was handed out and not settled; quorum queues count this (`x-delivery-count`).
    pub delivery_count: u32,
}

impl Envelope {
    /// Returns the envelope of a message nobody has touched.
    #[must_use]
    pub fn fresh(account: AccountId) -> Self {
        Self {
            account,
            message_id: None,
            attempt: 1,
            deferrals: 0,
            first_seen: None,
            not_before: None,
            effect: Effect::None,
            last_code: None,
            replays: 0,
            redelivery: Redelivery::First,
            delivery_count: 0,
        }
    }
}
