//! From a gateway's reply to an outcome: believes what is signed, doubts the rest, guesses nothing.
//!
//! The rules (protocol page: What an answer counts for): a success counts only with a valid signature in the right
//! envelope and about the right item; a terminal refusal counts only signed where the protocol signs its refusals, and
//! elsewhere only under a status it sends refusals under ([`Refusals`]). Within that a listed code decides before the
//! HTTP status. Promise: no unsigned reply ends an item as `taken_down`. The one that can end it as another `success`, by the item's history,
//! is the refusal of an item in a wrong status where refusals come unsigned; its outcome says `verified: false`.

use std::time::Duration;

use crate::domain::codes::{self, Certainty, Class, Scope};
use crate::domain::outcome::Reason;
use crate::domain::reply::{Answer, BrokenCall, Claim, ItemMatch, Refusals, Reply, Signature};
use crate::domain::takedown::Gateway;

/// What happened to an item at one attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The goal holds.
    Success(Reason),
    /// Not resolved; another attempt may.
    Retryable(Cause, Effect),
    /// The gateway refuses this item for good.
    Terminal(Reason),
    /// The account's credentials or rights are at fault; no item of it can pass.
    AccountFault(Scope, Certainty),
}

/// Why an item is to be tried again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cause {
    /// The gateway asked to: a listed retryable or ambiguous code.
    Code,
    /// The gateway's code is in no table.
    UnlistedCode,
    /// Too many calls; waits at least this long if the gateway said so.
    Throttled(Option<Duration>),
    /// No connection to the gateway was made, so nothing was sent: no fault of the item, and it waits.
    Unreachable,
    /// The call broke.
    Broken,
    /// The answer could not be believed; someone should look (bad signature, unsigned success, another item).
    Untrusted,
    /// The body could not be read.
    Unreadable,
    /// HTTP 5xx.
    ServerError,
}

/// Whether an attempt may have taken the item down although it did not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Surely not.
    None,
    /// Perhaps: an *ambiguous* attempt.
    Possible,
}

/// What is known of an item's past when its reply is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct History {
    /// Whether an earlier attempt may have taken effect.
    pub effect: Effect,
    /// Whether this message, or a twin of it, may have been in hand before (a crash may hide a whole attempt).
    pub redelivery: Redelivery,
    /// How often an operator replayed it.
    pub replays: u32,
}

/// Whether a delivery is known to be the first of its message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Redelivery {
    /// Never handed out before.
    First,
    /// Handed out before and not settled, or put back to wait, which can leave a twin.
    Again,
}

/// Judges one reply.
#[must_use]
pub fn classify(gateway: Gateway, reply: &Reply, history: History) -> Outcome {
    match reply {
        Reply::NotSent(broken) => not_sent(*broken),
        Reply::MaybeSent(_) => Outcome::Retryable(Cause::Broken, Effect::Possible),
        Reply::NotEncodable { .. } => Outcome::Terminal(Reason::NotEncodable),
        Reply::NoToken { .. } => Outcome::AccountFault(Scope::Token, Certainty::Certain),
        Reply::Answered(answer) => answered(gateway, answer, history),
    }
}

fn answered(gateway: Gateway, answer: &Answer, history: History) -> Outcome {
    match answer.signature {
        Signature::Invalid | Signature::Structure | Signature::Unverifiable | Signature::Contradictory => UNTRUSTED,
        Signature::Valid | Signature::Unsigned | Signature::Malformed => slowed(answer, said(gateway, answer, history)),
    }
}

/// A gateway that cannot be reached, or cannot prove who it is, can be called for no item, and no item should spend its
/// attempts on it. One certificate may be that of one server of many, and is doubtful until two items agree. A handshake
/// that breaks is mostly a balancer with nobody behind it.
fn not_sent(broken: BrokenCall) -> Outcome {
    match broken {
        BrokenCall::Certificate(_) => Outcome::AccountFault(Scope::App, Certainty::Doubtful),
        BrokenCall::Connect | BrokenCall::ConnectTimeout | BrokenCall::Tls => {
            Outcome::Retryable(Cause::Unreachable, Effect::None)
        }
        BrokenCall::Timeout | BrokenCall::Reset | BrokenCall::BodyTooLarge | BrokenCall::Protocol => {
            Outcome::Retryable(Cause::Broken, Effect::None)
        }
    }
}

const UNTRUSTED: Outcome = Outcome::Retryable(Cause::Untrusted, Effect::Possible);
/// It may have run: nobody says it did not.
const UNLISTED: Outcome = Outcome::Retryable(Cause::UnlistedCode, Effect::Possible);

/// A status that asks for fewer calls is heeded whatever else makes the item be tried again.
fn slowed(answer: &Answer, outcome: Outcome) -> Outcome {
    match outcome {
        Outcome::Retryable(_, effect) if answer.http_status == 429 => {
            Outcome::Retryable(Cause::Throttled(answer.retry_after), effect)
        }
        Outcome::Success(_) | Outcome::Retryable(..) | Outcome::Terminal(_) | Outcome::AccountFault(..) => outcome,
    }
}

/// Judges by what the answer says: a signed success is one under any HTTP status, an unsigned one under none, and a
/// listed code says more than the status it came under.
fn said(gateway: Gateway, answer: &Answer, history: History) -> Outcome {
    match &answer.claim {
        Claim::Success { item: ItemMatch::Same, .. } if answer.signature == Signature::Valid => {
            Outcome::Success(Reason::TakenDown)
        }
        Claim::Success { .. } => UNTRUSTED,
        Claim::Failure { code, sub_code, .. } => match codes::find(gateway, code.as_deref(), sub_code.as_deref()) {
            Some(row) => refused(answer, row.class, history),
            // Never guessed: bounded attempts, then the dead letter `unknown_code`.
            None => by_status(answer).unwrap_or(UNLISTED),
        },
        Claim::Unreadable { .. } => {
            by_status(answer).unwrap_or(Outcome::Retryable(Cause::Unreadable, Effect::Possible))
        }
    }
}

/// Judges by the HTTP status. Version 3 documents 401, 403, 404, 429, 500 and 502 (docs open-v3/054fcv, 054oog); the two
/// older protocols answer with 200 whatever they say, so there another status is that of something in between.
///
/// A 404 is documented as "no such resource". A wrong address has it too, so it ends no item.
fn by_status(answer: &Answer) -> Option<Outcome> {
    match answer.http_status {
        429 => Some(Outcome::Retryable(Cause::Throttled(answer.retry_after), Effect::None)),
        500..=599 => Some(Outcome::Retryable(Cause::ServerError, Effect::Possible)),
        // "Decide by the code": says nothing where a code was named.
        400 if matches!(answer.claim, Claim::Failure { .. }) => None,
        // Doubtful until two items agree.
        300..=499 => Some(Outcome::AccountFault(Scope::App, Certainty::Doubtful)),
        _ => None,
    }
}

fn refused(answer: &Answer, class: Class, history: History) -> Outcome {
    let is_signed = answer.signature == Signature::Valid;
    let is_believed = is_signed || answer.refusals == Refusals::Unsigned;
    match class {
        // A code row of success inside a refusal, or a signed object without a code.
        Class::Success => UNTRUSTED,
        Class::Retryable => Outcome::Retryable(Cause::Code, Effect::None),
        Class::Ambiguous => Outcome::Retryable(Cause::Code, Effect::Possible),
        Class::Throttled => Outcome::Retryable(Cause::Throttled(answer.retry_after), Effect::None),
        Class::AccountFault(scope, _) if !is_signed && answer.refusals == Refusals::Foreign => {
            Outcome::AccountFault(scope, Certainty::Doubtful)
        }
        Class::AccountFault(scope, certainty) => Outcome::AccountFault(scope, certainty),
        Class::Unlisted => UNLISTED,
        Class::Terminal(_) | Class::GoalState if !is_believed => UNTRUSTED,
        Class::Terminal(reason) => Outcome::Terminal(reason),
        Class::GoalState => goal_state(history),
    }
}

/// The item is not on sale. The gateways' wording is wider than "already off", so on a clean first attempt that is a
/// refusal; once an earlier attempt may have done it, the goal is reached (protocol page: Repeating a takedown).
fn goal_state(history: History) -> Outcome {
    if history.effect == Effect::Possible || history.redelivery == Redelivery::Again {
        Outcome::Success(Reason::TakenDownEarlier)
    } else if history.replays > 0 {
        Outcome::Success(Reason::AlreadyOff)
    } else {
        Outcome::Terminal(Reason::NotOnSale)
    }
}

#[cfg(test)]
mod tests;
