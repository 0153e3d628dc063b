//! The message out: the one final outcome of an item (`schemas/outcome.v1.json`), its statuses and reasons.
//!
//! Promise: the outcome id is the same however often the same end of the same item is published, so that a consumer
//! can drop repeats by it alone.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::domain::takedown::Gateway;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident => $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the word used in messages, routing keys and labels.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;
            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    other => Err(format!(
                        "{other:?} is not one of {}",
                        Self::ALL.iter().map(|v| v.as_str()).collect::<Vec<_>>().join(", ")
                    )),
                }
            }
        }
    };
}

words!(
    /// How an item ended.
    Status {
        /// The item is off sale.
        Success => "success",
        /// The gateway refused it for good.
        Terminal => "terminal",
        /// Its deadline passed first.
        Expired => "expired",
        /// Its batch was cancelled.
        Cancelled => "cancelled",
        /// It could not be resolved; a dead letter waits for an operator.
        Dead => "dead",
    }
);

words!(
    /// Why an item ended as it did; a closed set, safe as a label.
    Reason {
        /// The gateway took it down on this worker's call.
        TakenDown => "taken_down",
        /// Found off sale on the replay of a dead letter: the goal holds, whoever brought it about.
        AlreadyOff => "already_off",
        /// Found off sale after an attempt that may have taken effect, on a redelivery, or after it was put back to wait.
        TakenDownEarlier => "taken_down_earlier",
        /// No such goods, or no such plug-in on that shop.
        ItemNotFound => "item_not_found",
        /// The account has no right to take this item down.
        NoPermission => "no_permission",
        /// The gateway finds the item's data wrong.
        ItemRejected => "item_rejected",
        /// A parameter has a wrong format or range.
        ParameterRejected => "parameter_rejected",
        /// The gateway takes the item's text for an attack.
        SuspectedAttack => "suspected_attack",
        /// The item was not on sale at the first, clean attempt.
        NotOnSale => "not_on_sale",
        /// The item's text has characters the configured charset cannot hold.
        NotEncodable => "not_encodable",
        /// The deadline in the message passed.
        DeadlinePassed => "deadline_passed",
        /// The batch was cancelled.
        BatchCancelled => "batch_cancelled",
        /// Every attempt failed, none of them can have taken effect.
        AttemptsExhausted => "attempts_exhausted",
        /// Every attempt failed and at least one may have taken effect.
        OutcomeUnknown => "outcome_unknown",
        /// The gateway keeps answering a code no table lists.
        UnknownCode => "unknown_code",
        /// The message is not a takedown.
        InvalidMessage => "invalid_message",
        /// The message names an account this worker does not know.
        UnknownAccount => "unknown_account",
        /// The message was in hand at too many crashes.
        CrashLoop => "crash_loop",
        /// The item was put off for longer than the policy allows.
        HeldTooLong => "held_too_long",
    }
);

impl Reason {
    /// Returns the status this reason belongs to.
    #[must_use]
    pub fn status(self) -> Status {
        match self {
            Self::TakenDown | Self::AlreadyOff | Self::TakenDownEarlier => Status::Success,
            Self::ItemNotFound
            | Self::NoPermission
            | Self::ItemRejected
            | Self::ParameterRejected
            | Self::SuspectedAttack
            | Self::NotOnSale
            | Self::NotEncodable => Status::Terminal,
            Self::DeadlinePassed => Status::Expired,
            Self::BatchCancelled => Status::Cancelled,
            Self::AttemptsExhausted
            | Self::OutcomeUnknown
            | Self::UnknownCode
            | Self::InvalidMessage
            | Self::UnknownAccount
            | Self::CrashLoop
            | Self::HeldTooLong => Status::Dead,
        }
    }

    /// Says in a plain sentence what happened and, where someone must act, what to do.
    #[must_use]
    pub fn explain(self) -> &'static str {
        match self {
            Self::TakenDown => "taken down by this worker's call",
            Self::AlreadyOff => "found off sale on a replay; nothing left to do",
            Self::TakenDownEarlier => "found off sale after an attempt that may have taken effect",
            Self::ItemNotFound => "the gateway knows no such item; check the id",
            Self::NoPermission => "the account may not take this item down; check the authorisation",
            Self::ItemRejected => "the gateway finds the item's data wrong; check the message",
            Self::ParameterRejected => "a parameter has a wrong format or range; check the message",
            Self::SuspectedAttack => "the gateway takes the text for an attack; reword it",
            Self::NotOnSale => "the item was not on sale to begin with",
            Self::NotEncodable => "the text does not fit the account's charset; use utf-8",
            Self::DeadlinePassed => "its deadline passed before it was known to be off sale",
            Self::BatchCancelled => "its batch was cancelled",
            Self::AttemptsExhausted => "every attempt failed; replay when the gateway is well",
            Self::OutcomeUnknown => "an attempt may have taken effect; look at the item, or replay",
            Self::UnknownCode => "the gateway answers a code no table lists; have it classified",
            Self::InvalidMessage => "the message is not a takedown; mend the producer",
            Self::UnknownAccount => "no such account in the configuration; add it and replay",
            Self::CrashLoop => "the worker kept crashing with this message in hand; report it",
            Self::HeldTooLong => "the account was held for too long; mend it and replay",
        }
    }
}

/// One item's end, as published to the result exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinalOutcome {
    /// The takedown's id, or a digest of the body where it has none that can be read.
    pub id: String,
    /// The batch, if any.
    pub batch: Option<String>,
    /// The account whose queue it came from.
    pub account: String,
    /// The gateway, unless the message could not be read.
    pub gateway: Option<Gateway>,
    /// Why it ended; the status follows from it.
    pub reason: Reason,
    /// The gateway's deciding code.
    pub gateway_code: Option<String>,
    /// The gateway's wording, or the fault of an invalid message.
    pub gateway_message: Option<String>,
    /// Gateway calls that counted as attempts.
    pub attempts: u32,
    /// Times put off without using an attempt.
    pub deferrals: u32,
    /// When a worker first saw the message.
    pub first_seen: SystemTime,
    /// When this outcome was decided.
    pub finished_at: SystemTime,
    /// Whether the deciding answer's signature was valid.
    pub verified: bool,
    /// The item: goods, or commodity and shop.
    pub item: ItemIds,
    /// The worker that decided.
    pub worker: String,
    /// How often an operator replayed it.
    pub replays: u32,
}

/// The item's ids as an outcome tells them.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ItemIds {
    /// Goods of mapi.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goods_id: Option<String>,
    /// Plug-in of the Open Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commodity_id: Option<String>,
    /// Shop of the Open Platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shop_id: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<T = String, I = ItemIds> {
    version: u32,
    id: T,
    batch: Option<T>,
    account: T,
    gateway: Option<Gateway>,
    status: Status,
    reason: Reason,
    gateway_code: Option<T>,
    gateway_message: Option<T>,
    attempts: u32,
    deferrals: u32,
    replays: u32,
    first_seen: jiff::Timestamp,
    finished_at: jiff::Timestamp,
    took_ms: u64,
    verified: bool,
    item: I,
    worker: T,
}

/// Room for a message of the usual length.
const ROOM: usize = 512;

/// What of a message says whose outcome it is.
#[derive(Deserialize)]
struct Whose<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    replays: u32,
}

fn moment(stamp: jiff::Timestamp) -> Result<SystemTime, serde_json::Error> {
    SystemTime::try_from(stamp).map_err(serde::de::Error::custom)
}

impl FinalOutcome {
    /// Returns the status.
    #[must_use]
    pub fn status(&self) -> Status {
        self.reason.status()
    }

    /// Returns the stable outcome id `<id>:<status>:<replays>`, the AMQP `message_id`.
    #[must_use]
    pub fn outcome_id(&self) -> String {
        format!("{}:{}:{}", self.id, self.status(), self.replays)
    }

    /// Returns the routing key `<status>.<gateway>.<account>`; an unreadable message has gateway `unknown`.
    #[must_use]
    pub fn routing_key(&self) -> String {
        let gateway = self.gateway.map_or("unknown", Gateway::as_str);
        format!("{}.{gateway}.{}", self.status(), self.account)
    }

    /// Returns the time from first sight to the end; zero if the clock went backwards.
    #[must_use]
    pub fn took(&self) -> Duration {
        self.finished_at.duration_since(self.first_seen).unwrap_or_default()
    }

    /// Writes the message.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let stamp = |t: SystemTime| jiff::Timestamp::try_from(t).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        let wire = Wire {
            version: 1,
            id: self.id.as_str(),
            batch: self.batch.as_deref(),
            account: self.account.as_str(),
            gateway: self.gateway,
            status: self.status(),
            reason: self.reason,
            gateway_code: self.gateway_code.as_deref(),
            gateway_message: self.gateway_message.as_deref(),
            attempts: self.attempts,
            deferrals: self.deferrals,
            replays: self.replays,
            first_seen: stamp(self.first_seen),
            finished_at: stamp(self.finished_at),
            took_ms: u64::try_from(self.took().as_millis()).unwrap_or(u64::MAX),
            verified: self.verified,
            item: &self.item,
            worker: self.worker.as_str(),
        };
        let mut message = Vec::with_capacity(ROOM);
        serde_json::to_writer(&mut message, &wire).expect("invariant: plain strings and numbers always serialise");
        message
    }

    /// Reads only whose outcome a message is, its id and how often it was replayed; the rest may be no outcome.
    ///
    /// # Errors
    /// The JSON parser's error for anything that names neither.
    pub fn whose(body: &[u8]) -> Result<(Cow<'_, str>, u32), serde_json::Error> {
        serde_json::from_slice(body).map(|Whose { id, replays }| (id, replays))
    }

    /// Reads a message written by [`FinalOutcome::encode`].
    ///
    /// # Errors
    /// The JSON parser's error for anything else, and one naming `status` where it does not belong to `reason`.
    pub fn decode(body: &[u8]) -> Result<Self, serde_json::Error> {
        let wire: Wire = serde_json::from_slice(body)?;
        if wire.status != wire.reason.status() {
            let text = format!("status {} does not belong to reason {}", wire.status, wire.reason);
            return Err(serde::de::Error::custom(text));
        }
        Ok(Self {
            id: wire.id,
            batch: wire.batch,
            account: wire.account,
            gateway: wire.gateway,
            reason: wire.reason,
            gateway_code: wire.gateway_code,
            gateway_message: wire.gateway_message,
            attempts: wire.attempts,
            deferrals: wire.deferrals,
            first_seen: moment(wire.first_seen)?,
            finished_at: moment(wire.finished_at)?,
            verified: wire.verified,
            item: wire.item,
            worker: wire.worker,
            replays: wire.replays,
        })
    }
}

#[cfg(test)]
pub(crate) mod sample;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::sample::sample;

    fn outcome(reason: Reason) -> FinalOutcome {
        FinalOutcome {
            gateway: Some(Gateway::Mapi),
            finished_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1500),
            replays: 2,
            ..sample(reason)
        }
    }

    #[test]
    fn every_reason_survives_the_wire() {
        for reason in Reason::ALL {
            let before = outcome(*reason);
            assert_eq!(FinalOutcome::decode(&before.encode()).unwrap(), before);
            assert_eq!(reason.as_str().parse::<Reason>().unwrap(), *reason);
        }
    }

    #[test]
    fn whose_it_is_can_be_read_by_itself() {
        for id in ["t-1", "a \"quoted\" \u{1} 名"] {
            let before = FinalOutcome { id: id.into(), ..outcome(Reason::TakenDown) };
            assert_eq!(FinalOutcome::whose(&before.encode()).unwrap(), (id.into(), 2));
        }
        assert!(FinalOutcome::whose(b"{\"id\":\"t-1\"}").is_err());
    }

    #[test]
    fn the_outcome_id_counts_replays_and_the_key_names_the_account() {
        let outcome = outcome(Reason::TakenDown);
        assert_eq!(outcome.outcome_id(), "t-1:success:2");
        assert_eq!(outcome.routing_key(), "success.mapi.desk");
    }

    #[test]
    fn a_status_of_another_reason_is_refused() {
        let text = String::from_utf8(outcome(Reason::TakenDown).encode()).unwrap();
        let error = FinalOutcome::decode(text.replace("\"success\"", "\"dead\"").as_bytes()).unwrap_err();
        assert!(error.to_string().contains("does not belong"), "{error}");
    }
}
