//! One message as a case: what it says, whether it may be worked, and how it is settled. No I/O, no clock, no die.
//!
//! The rules themselves are `domain::settlement`; this joins them with what the queue knows about the message and puts
//! the message out together. Promise: every message, readable or not, gets an outcome with a stable id.

use std::time::Duration;

use sha2::{Digest, Sha256};

use crate::clock::Moment;
use crate::domain::classify::{Cause, Effect, History, Outcome, Redelivery};
use crate::domain::hex::hex;
use crate::domain::ids::{AccountId, RequestId, WorkerId};
use crate::domain::outcome::{FinalOutcome, Reason};
use crate::domain::reply::Reply;
use crate::domain::retry::RetryPolicy;
use crate::domain::settlement::{self, Decision, Deferral, Hold, Progress, Settlement};
use crate::domain::takedown::{Gateway, Item, Priority, Takedown};
use crate::limits::lanes::{Class, Round, Urgency};
use crate::queue::cancel;
use crate::queue::envelope::Envelope;

/// Unsettled deliveries from which a message is worked alone, so that an innocent neighbour is not charged with it.
pub(super) const ALONE_FROM: u32 = 3;

/// Unsettled deliveries from which a message is not worked any more. Wide, since every message in hand is charged for a
/// crash.
pub(super) const CRASH_LOOP_FROM: u32 = 20;

/// A message as the worker found it, readable or not.
#[derive(Debug, Clone, Copy)]
pub(super) struct Message<'a> {
    pub(super) body: &'a [u8],
    pub(super) envelope: &'a Envelope,
    pub(super) worker: &'a WorkerId,
    pub(super) policy: &'a RetryPolicy,
}

/// A message that is a takedown this replica can work.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) takedown: Takedown,
    message: Message<'a>,
}

/// What an end rests on.
#[derive(Debug, Clone, Copy)]
enum Ground<'a> {
    /// The gateway's reply.
    Reply(&'a Reply),
    /// A fault of the message itself.
    Problem(&'a str),
    /// Time, or the worker's own trouble.
    Nothing,
}

/// Whether the last call used up an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Attempt {
    Counted,
    NotCounted,
}

/// Writes into the envelope what this delivery adds to the message's past, so that it outlives every way of settling:
/// when it was first seen, and that a redelivery may hide a whole attempt. A sight in the future was written by a clock
/// that has been set since, or is wrong; the message would never grow old.
pub(super) fn remember(envelope: &mut Envelope, now: Moment) {
    envelope.first_seen = Some(envelope.first_seen.map_or(now.later(), |seen| seen.min(now.later())));
    if envelope.redelivery == Redelivery::Again {
        envelope.effect = Effect::Possible;
    }
}

/// Says whether a message was in hand at so many crashes that it is worked alone.
pub(super) fn is_suspect(envelope: &Envelope) -> bool {
    envelope.delivery_count >= ALONE_FROM
}

impl<'a> Message<'a> {
    /// Decodes and checks a message; `gateway_of` knows the configured accounts. The error is its settlement.
    pub(super) fn open(
        self,
        gateway_of: impl Fn(&AccountId) -> Option<Gateway>,
        now: Moment,
    ) -> Result<Case<'a>, Settlement> {
        let takedown = Takedown::decode(self.body)
            .map_err(|error| self.refuse(None, Reason::InvalidMessage, &error.to_string(), now))?;
        match self.check(&takedown, gateway_of) {
            Ok(()) => Ok(Case { takedown, message: self }),
            Err((reason, problem)) => Err(self.refuse(Some(&takedown), reason, &problem, now)),
        }
    }

    fn check(
        &self,
        takedown: &Takedown,
        gateway_of: impl Fn(&AccountId) -> Option<Gateway>,
    ) -> Result<(), (Reason, String)> {
        let Takedown { id, account, item, .. } = takedown;
        let invalid = |problem| Err((Reason::InvalidMessage, problem));
        if let Some(other) = self.envelope.message_id.as_ref().filter(|text| *text != id.as_str()) {
            return invalid(format!(
                "field `id` is {id}, but the message_id property is {other:?}; they must be equal"
            ));
        }
        let Some(gateway) = gateway_of(account) else {
            return Err((Reason::UnknownAccount, format!("field `account` is {account}, which is not configured")));
        };
        let key = &self.envelope.account;
        if account != key {
            return invalid(format!("field `account` is {account}, but the routing key is {key}; they must be equal"));
        }
        if item.gateway() != gateway {
            let asked = item.gateway();
            return invalid(format!("field `takedown.gateway` is {asked}, but account {account} is of {gateway}"));
        }
        Ok(())
    }

    fn refuse(&self, takedown: Option<&Takedown>, reason: Reason, problem: &str, now: Moment) -> Settlement {
        self.end(takedown, reason, Attempt::NotCounted, Ground::Problem(problem), now)
    }

    /// Settles a message the pipeline panicked on: the call may have been made.
    pub(super) fn crashed(&self, jitter: f64, now: Moment) -> Settlement {
        if self.envelope.attempt < self.policy.max_attempts {
            return Settlement::Retry {
                delay: self.policy.delay_after(self.envelope.attempt, jitter),
                effect: Effect::Possible,
                last_code: self.envelope.last_code.clone(),
            };
        }
        // What panicked may be the reading itself.
        let takedown = std::panic::catch_unwind(|| Takedown::decode(self.body).ok()).ok().flatten();
        self.end(takedown.as_ref(), Reason::CrashLoop, Attempt::Counted, Ground::Nothing, now)
    }

    /// Returns the name of a message that may be unreadable: its `message_id` if that is an id, else a digest.
    pub(super) fn label(&self) -> String {
        match self.envelope.message_id.as_ref().filter(|text| RequestId::new(text.as_str()).is_ok()) {
            Some(id) => id.clone(),
            None => format!("sha256:{}", hex(&Sha256::digest(self.body))),
        }
    }

    fn end(
        &self,
        takedown: Option<&Takedown>,
        reason: Reason,
        attempt: Attempt,
        ground: Ground<'_>,
        now: Moment,
    ) -> Settlement {
        let envelope = self.envelope;
        let (code, text, verified) = match ground {
            Ground::Reply(reply) => (reply.code().map(ToOwned::to_owned), reply.message(), reply.is_verified()),
            Ground::Problem(problem) => (None, Some(problem.to_owned()), false),
            Ground::Nothing => (envelope.last_code.clone(), None, false),
        };
        let outcome = Box::new(FinalOutcome {
            id: takedown.map_or_else(|| self.label(), |takedown| takedown.id.to_string()),
            batch: takedown.and_then(|takedown| takedown.batch.as_ref()).map(ToString::to_string),
            account: envelope.account.to_string(),
            gateway: takedown.map(|takedown| takedown.item.gateway()),
            reason,
            gateway_code: code,
            gateway_message: text,
            attempts: match attempt {
                Attempt::Counted => envelope.attempt,
                Attempt::NotCounted => envelope.attempt.saturating_sub(1),
            },
            deferrals: envelope.deferrals,
            first_seen: envelope.first_seen.unwrap_or(now.wall),
            finished_at: now.wall,
            verified,
            item: takedown.map(|takedown| takedown.item.ids()).unwrap_or_default(),
            worker: self.worker.to_string(),
            replays: envelope.replays,
        });
        Settlement::of(outcome)
    }
}

impl Case<'_> {
    /// Settles what is not to be called for at all: in hand at too many crashes, too late, too early.
    pub(super) fn turn_away(&self, now: Moment) -> Option<Settlement> {
        if self.message.envelope.delivery_count >= CRASH_LOOP_FROM {
            return Some(self.end(Reason::CrashLoop, Attempt::NotCounted, Ground::Nothing, now));
        }
        if let Some(expired) = self.expire(now) {
            return Some(expired);
        }
        let early =
            self.message.envelope.not_before?.duration_since(now.later()).ok().filter(|early| !early.is_zero())?;
        Some(self.put_off(early, Deferral::Early, now))
    }

    /// Settles a takedown whose batch was cancelled, before anything is done for it.
    pub(super) fn cancel(&self, now: Moment) -> Settlement {
        self.cancel_as(self.message.envelope, now)
    }

    /// Ends as cancelled what would wait for another try; any other end stands, for it is what the call came to.
    pub(super) fn cancel_successor(&self, settlement: Settlement, now: Moment) -> Settlement {
        let envelope = self.message.envelope;
        match settlement {
            Settlement::Retry { delay: _, effect, last_code } => {
                self.cancel_as(&envelope.retried(effect, last_code, now.wall), now)
            }
            Settlement::Defer { delay: _, effect, reason: _ } => {
                let effect = if effect == Effect::Possible { effect } else { envelope.effect };
                self.cancel_as(&Envelope { effect, ..envelope.clone() }, now)
            }
            Settlement::Complete(_) | Settlement::DeadLetter(_) | Settlement::GiveBack => settlement,
        }
    }

    fn cancel_as(&self, envelope: &Envelope, now: Moment) -> Settlement {
        let outcome = cancel::outcome(&self.takedown, envelope, self.message.worker.as_str(), now.wall);
        Settlement::of(Box::new(outcome))
    }

    /// Settles a takedown whose deadline has passed.
    pub(super) fn expire(&self, now: Moment) -> Option<Settlement> {
        let is_late = self.takedown.deadline.is_some_and(|deadline| deadline <= now.wall);
        is_late.then(|| self.end(Reason::DeadlinePassed, Attempt::NotCounted, Ground::Nothing, now))
    }

    /// Settles a takedown that may not be called for now.
    pub(super) fn put_off(&self, wait: Duration, why: Deferral, now: Moment) -> Settlement {
        let progress = self.progress(Hold::NotHeld, Duration::ZERO, 0.0, now);
        let decision = settlement::put_off(wait, why, &progress, self.message.policy);
        self.carry_out(decision, Attempt::NotCounted, Ground::Nothing, Effect::None, now)
    }

    /// Settles a takedown that was called for.
    pub(super) fn conclude(
        &self,
        reply: &Reply,
        outcome: &Outcome,
        hold: Hold,
        cool_down: Duration,
        jitter: f64,
        now: Moment,
    ) -> Settlement {
        let decision = settlement::decide(outcome, &self.progress(hold, cool_down, jitter, now), self.message.policy);
        let (attempt, effect) = match outcome {
            Outcome::Retryable(Cause::Throttled(_) | Cause::Unreachable, effect) => (Attempt::NotCounted, *effect),
            Outcome::AccountFault(..) if matches!(hold, Hold::Held(_)) => (Attempt::NotCounted, Effect::None),
            Outcome::Retryable(_, effect) => (Attempt::Counted, *effect),
            Outcome::Success(_) | Outcome::Terminal(_) | Outcome::AccountFault(..) => (Attempt::Counted, Effect::None),
        };
        self.carry_out(decision, attempt, Ground::Reply(reply), effect, now)
    }

    /// Returns what is known of the takedown's past.
    ///
    /// A message that was put back to wait may have a twin: a worker killed between the confirm of the one that waits
    /// and the ack of the one in hand leaves both, and the other may have done it. So only a message that was never put
    /// back counts as the first. That the two end alike is the queue's affair; this makes the end true, for the one that
    /// finds the work done may well be the first to tell.
    pub(super) fn history(&self) -> History {
        let envelope = self.message.envelope;
        let redelivery = if self.is_successor() { Redelivery::Again } else { envelope.redelivery };
        History { effect: envelope.effect, redelivery, replays: envelope.replays }
    }

    /// Returns what the call is in the line for a turn: urgent or not, fresh or come again.
    pub(super) fn class(&self) -> Class {
        let urgency = match self.takedown.priority {
            Priority::High => Urgency::High,
            Priority::Normal => Urgency::Normal,
        };
        Class { urgency, round: if self.is_successor() { Round::Again } else { Round::First } }
    }

    /// Says whether the message was put back to wait before.
    fn is_successor(&self) -> bool {
        self.message.envelope.attempt > 1 || self.message.envelope.deferrals > 0
    }

    /// As [`is_suspect`].
    pub(super) fn is_suspect(&self) -> bool {
        is_suspect(self.message.envelope)
    }

    /// Returns whom the call is made for below the account: the merchant, or the administrator.
    ///
    /// A token in the message itself has no name; a digest stands for it, so that one bad token does not hold everyone
    /// (`:` keeps it apart from merchants).
    pub(super) fn party(&self) -> Option<String> {
        match &self.takedown.item {
            Item::Mapi(item) => Some(item.sns_user_id.clone()),
            Item::OpenPlatform(item) => match (&item.merchant, &item.app_auth_token) {
                (Some(merchant), _) => Some(merchant.to_string()),
                (None, Some(token)) => Some(format!("token:{}", &hex(&Sha256::digest(token.expose()))[..12])),
                (None, None) => None,
            },
        }
    }

    fn progress(&self, hold: Hold, cool_down: Duration, jitter: f64, now: Moment) -> Progress {
        let envelope = self.message.envelope;
        Progress {
            attempt: envelope.attempt,
            effect: envelope.effect,
            age: envelope.first_seen.and_then(|seen| now.earlier().duration_since(seen).ok()).unwrap_or_default(),
            deadline: self.takedown.deadline,
            now: now.wall,
            jitter,
            hold,
            cool_down,
        }
    }

    fn carry_out(
        &self,
        decision: Decision,
        attempt: Attempt,
        ground: Ground<'_>,
        effect: Effect,
        now: Moment,
    ) -> Settlement {
        let effect = match self.message.envelope.effect {
            Effect::Possible => Effect::Possible,
            Effect::None => effect,
        };
        match decision {
            Decision::End(reason) => self.end(reason, attempt, ground, now),
            Decision::Retry(delay) => Settlement::Retry {
                delay,
                effect,
                last_code: match ground {
                    Ground::Reply(reply) => reply.code().map(ToOwned::to_owned),
                    Ground::Problem(_) | Ground::Nothing => None,
                },
            },
            Decision::Defer(delay, reason) => Settlement::Defer { delay, effect, reason },
        }
    }

    fn end(&self, reason: Reason, attempt: Attempt, ground: Ground<'_>, now: Moment) -> Settlement {
        self.message.end(Some(&self.takedown), reason, attempt, ground, now)
    }
}

#[cfg(test)]
mod tests;
