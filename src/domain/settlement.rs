//! From an outcome to the one way its delivery ends: pure, total, and the only place where giving up is decided.
//!
//! Promise: every outcome has exactly one decision; an item throttled, held or never sent for
//! want of a connection uses no attempt; an item that may have
//! been taken down is never dead-lettered as merely `attempts_exhausted`.

use std::fmt;
use std::time::{Duration, SystemTime};

use crate::domain::classify::{Cause, Effect, Outcome};
use crate::domain::outcome::{FinalOutcome, Reason, Status};
use crate::domain::retry::RetryPolicy;

/// The one way a delivery ends; handed to the queue, which publishes, confirms and acks in that order.
#[derive(Debug, Clone, PartialEq)]
pub enum Settlement {
    /// Publish the outcome.
    Complete(Box<FinalOutcome>),
    /// Try again after a delay; uses up an attempt.
    Retry {
        /// Least wait.
        delay: Duration,
        /// Whether this or an earlier attempt may have taken effect.
        effect: Effect,
        /// The gateway's code, for the operator.
        last_code: Option<String>,
    },
    /// Put off without using an attempt.
    Defer {
        /// Least wait.
        delay: Duration,
        /// Whether this call or an earlier attempt may have taken effect.
        effect: Effect,
        /// Why.
        reason: Deferral,
    },
    /// Publish the outcome, and keep the message as it came for an operator.
    DeadLetter(Box<FinalOutcome>),
    /// Hand it back untouched, at once: draining, or nothing was done with it.
    GiveBack,
}

impl Settlement {
    /// Returns how an item with this outcome is settled.
    #[must_use]
    pub fn of(outcome: Box<FinalOutcome>) -> Self {
        if is_dead_lettered(outcome.reason) { Self::DeadLetter(outcome) } else { Self::Complete(outcome) }
    }
}

/// Why a delivery is put off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deferral {
    /// The gateway asked for fewer calls.
    Throttled,
    /// The account or its merchant is held.
    Held,
    /// No connection to the gateway was made.
    Unreachable,
    /// Its turn within the rate is too far away to wait for it in hand.
    RateLimited,
    /// It came back before its time.
    Early,
}

impl Deferral {
    /// Returns the word used in logs and labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Throttled => "throttled",
            Self::Held => "held",
            Self::Unreachable => "unreachable",
            Self::RateLimited => "rate_limited",
            Self::Early => "early",
        }
    }
}

impl fmt::Display for Deferral {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is decided about a delivery, before the message out is put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// The item ended for this reason; the reason's status says whether it is dead-lettered too.
    End(Reason),
    /// Another attempt after this delay.
    Retry(Duration),
    /// Put off for this long.
    Defer(Duration, Deferral),
}

/// Whether an account fault, or a gateway that cannot be reached, stopped the account, or so far only this item.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hold {
    /// The account (or merchant) is held; look again after this long.
    Held(Duration),
    /// Not held: the fault is doubtful and not confirmed yet.
    NotHeld,
}

/// What the decision rests on besides the outcome.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// Whether an earlier attempt may have taken effect.
    pub effect: Effect,
    /// How long ago a worker first saw the message.
    pub age: Duration,
    /// The item's own deadline.
    pub deadline: Option<SystemTime>,
    /// Now.
    pub now: SystemTime,
    /// 0..1, spreads retries.
    pub jitter: f64,
    /// How the account stands after this outcome.
    pub hold: Hold,
    /// Least wait after a throttled call.
    pub cool_down: Duration,
}

/// Decides what becomes of a delivery.
#[must_use]
pub fn decide(outcome: &Outcome, progress: &Progress, policy: &RetryPolicy) -> Decision {
    match outcome {
        Outcome::Success(reason) | Outcome::Terminal(reason) => Decision::End(*reason),
        Outcome::Retryable(Cause::Throttled(wait), _) => {
            let delay = wait.unwrap_or_default().max(progress.cool_down);
            put_off(delay, Deferral::Throttled, progress, policy)
        }
        Outcome::Retryable(Cause::Unreachable, _) => {
            let delay = match progress.hold {
                Hold::Held(delay) => delay,
                Hold::NotHeld => policy.delay_after(progress.attempt, progress.jitter),
            };
            put_off(delay, Deferral::Unreachable, progress, policy)
        }
        Outcome::Retryable(cause, effect) => {
            let last = match cause {
                Cause::UnlistedCode => policy.max_unknown_code_attempts.min(policy.max_attempts),
                Cause::Code
                | Cause::Throttled(_)
                | Cause::Unreachable
                | Cause::Broken
                | Cause::Untrusted
                | Cause::Unreadable
                | Cause::ServerError => policy.max_attempts,
            };
            let reason = match cause {
                Cause::UnlistedCode => Reason::UnknownCode,
                _ if *effect == Effect::Possible || progress.effect == Effect::Possible => Reason::OutcomeUnknown,
                _ => Reason::AttemptsExhausted,
            };
            try_again(last, reason, progress, policy)
        }
        Outcome::AccountFault(..) => match progress.hold {
            Hold::Held(delay) => put_off(delay, Deferral::Held, progress, policy),
            Hold::NotHeld => {
                let reason = match progress.effect {
                    Effect::Possible => Reason::OutcomeUnknown,
                    Effect::None => Reason::AttemptsExhausted,
                };
                try_again(policy.max_attempts, reason, progress, policy)
            }
        },
    }
}

fn try_again(last: u32, reason: Reason, progress: &Progress, policy: &RetryPolicy) -> Decision {
    if progress.attempt >= last {
        return Decision::End(reason);
    }
    let delay = policy.delay_after(progress.attempt, progress.jitter);
    if passes_deadline(delay, progress) {
        return Decision::End(Reason::DeadlinePassed);
    }
    Decision::Retry(delay)
}

/// Decides a deferral: `held_too_long` once the item is older than the policy allows.
#[must_use]
pub fn put_off(delay: Duration, why: Deferral, progress: &Progress, policy: &RetryPolicy) -> Decision {
    if progress.age >= policy.max_age {
        return Decision::End(Reason::HeldTooLong);
    }
    if passes_deadline(delay, progress) {
        return Decision::End(Reason::DeadlinePassed);
    }
    Decision::Defer(delay, why)
}

fn passes_deadline(delay: Duration, progress: &Progress) -> bool {
    progress.deadline.is_some_and(|deadline| progress.now.checked_add(delay).is_none_or(|then| then >= deadline))
}

/// Says whether an end is kept as a dead letter too.
#[must_use]
pub fn is_dead_lettered(reason: Reason) -> bool {
    reason.status() == Status::Dead
}

#[cfg(test)]
mod histories;
#[cfg(test)]
mod tests;
