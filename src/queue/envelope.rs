//! What travels beside a takedown: attempts, deferrals, times. Headers in RabbitMQ, columns in the embedded queue.
//!
//! How it changes when a delivery ends is told here once, for both adapters. Promise: what is known of an item's past
//! (an attempt that may have taken effect) is never forgotten, whatever way the message takes.

use std::time::{Duration, SystemTime};

use crate::domain::classify::{Effect, Redelivery};
use crate::domain::history::{Entry, Record, What};
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::outcome::{FinalOutcome, Reason};
use crate::domain::trace::TraceContext;

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
    /// The trace it belongs to (`traceparent`, `tracestate`), where it belongs to one.
    pub trace: Option<TraceContext>,
    /// From when on it could be taken (`x-td-due`, ms since 1970), where that is known.
    pub due: Option<SystemTime>,
    /// The plan by which it was replayed last (`x-td-plan`).
    pub plan: Option<PlanId>,
    /// What happened to it so far (`x-td-history`).
    pub history: Record,
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
            trace: None,
            due: None,
            plan: None,
            history: Record::default(),
            redelivery: Redelivery::First,
            delivery_count: 0,
        }
    }

    /// Returns how long it waited to be taken, by the clocks of whoever put it there and of this machine.
    ///
    /// Not known of a message that was handed out before (its first wait was told then), that tells no time, or whose
    /// time has not come by this machine's clock.
    #[must_use]
    pub fn waited(&self, taken: SystemTime) -> Option<Duration> {
        match self.redelivery {
            Redelivery::First => taken.duration_since(self.due?).ok(),
            Redelivery::Again => None,
        }
    }

    /// Returns the successor of a message whose attempt failed; `received` stands in for a first sight not yet noted.
    #[must_use]
    pub fn retried(&self, effect: Effect, last_code: Option<String>, received: SystemTime) -> Self {
        let mut next = self.successor(received);
        next.attempt = self.attempt.saturating_add(1);
        next.last_code = last_code.or(next.last_code);
        if effect == Effect::Possible {
            next.effect = Effect::Possible;
        }
        next
    }

    /// Returns the successor of a message that was put off without an attempt; a throttled call may have been one all the
    /// same, if its answer said nothing else.
    #[must_use]
    pub fn deferred(&self, effect: Effect, received: SystemTime) -> Self {
        let mut next = self.successor(received);
        next.deferrals = self.deferrals.saturating_add(1);
        if effect == Effect::Possible {
            next.effect = Effect::Possible;
        }
        next
    }

    /// Returns what is kept with a dead letter.
    ///
    /// Some ends say by their reason that the last call may have taken effect; a replay has to know.
    #[must_use]
    pub fn dead(&self, outcome: &FinalOutcome, received: SystemTime) -> Self {
        let FinalOutcome { reason, attempts, worker, finished_at, .. } = outcome;
        let mut dead = self.successor(received);
        dead.history.push(Entry::new(What::End, *attempts, reason.as_str(), worker, *finished_at));
        if matches!(reason, Reason::OutcomeUnknown | Reason::UnknownCode | Reason::CrashLoop) {
            dead.effect = Effect::Possible;
        }
        dead
    }

    /// Returns the envelope of a dead letter put back to work: attempts, deferrals and age begin anew, the history goes on
    /// with this entry.
    #[must_use]
    pub fn replayed(&self, entry: Entry) -> Self {
        let mut history = self.history.clone();
        history.push(entry);
        Self {
            history,
            message_id: self.message_id.clone(),
            effect: self.effect,
            last_code: self.last_code.clone(),
            replays: self.replays.saturating_add(1),
            trace: self.trace.clone(),
            ..Self::fresh(self.account.clone())
        }
    }

    /// A successor is a new message: the mark that this one was handed out before would be lost with it, and with the
    /// mark the call a crash may have hidden. So it becomes a possible effect.
    fn successor(&self, received: SystemTime) -> Self {
        let effect = match self.redelivery {
            Redelivery::Again => Effect::Possible,
            Redelivery::First => self.effect,
        };
        Self {
            first_seen: Some(self.first_seen.unwrap_or(received)),
            not_before: None,
            due: None,
            effect,
            redelivery: Redelivery::First,
            delivery_count: 0,
            ..self.clone()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outcome::sample::sample;

    fn fresh() -> Envelope {
        Envelope::fresh(AccountId::new("shops").unwrap())
    }

    const NOW: SystemTime = SystemTime::UNIX_EPOCH;

    fn outcome(reason: Reason) -> FinalOutcome {
        FinalOutcome { attempts: 6, worker: "worker-1".into(), ..sample(reason) }
    }

    fn replay() -> Entry {
        Entry::new(What::Replay, 6, "k7mq2x", "ada", NOW)
    }

    #[test]
    fn a_retry_counts_an_attempt_and_a_deferral_does_not() {
        let retried = fresh().retried(Effect::None, Some("40004".into()), NOW);
        assert_eq!((retried.attempt, retried.deferrals, retried.effect), (2, 0, Effect::None));
        let deferred = retried.deferred(Effect::None, NOW + Duration::from_secs(9));
        assert_eq!((deferred.attempt, deferred.deferrals), (2, 1));
        assert_eq!(deferred.first_seen, Some(NOW), "the first sight stays");
        assert_eq!(deferred.last_code.as_deref(), Some("40004"), "and so does the last code");
    }

    #[test]
    fn an_ambiguous_past_is_never_forgotten() {
        let ambiguous = fresh().retried(Effect::Possible, None, NOW);
        assert_eq!(
            ambiguous.retried(Effect::None, None, NOW).deferred(Effect::None, NOW).replayed(replay()).effect,
            Effect::Possible
        );
        assert_eq!(fresh().dead(&outcome(Reason::OutcomeUnknown), NOW).replayed(replay()).effect, Effect::Possible);
        assert_eq!(fresh().dead(&outcome(Reason::AttemptsExhausted), NOW).replayed(replay()).effect, Effect::None);
    }

    #[test]
    fn a_redelivery_is_remembered_as_a_possible_effect() {
        let again = Envelope { redelivery: Redelivery::Again, delivery_count: 3, ..fresh() };
        let deferred = again.deferred(Effect::None, NOW);
        assert_eq!(
            (deferred.effect, deferred.redelivery, deferred.delivery_count),
            (Effect::Possible, Redelivery::First, 0)
        );
    }

    #[test]
    fn a_replay_starts_anew_under_the_same_id() {
        let dead = Envelope { message_id: Some("t-1".into()), attempt: 6, deferrals: 4, ..fresh() }
            .dead(&outcome(Reason::AttemptsExhausted), NOW);
        let replayed = dead.replayed(replay());
        assert_eq!((replayed.attempt, replayed.deferrals, replayed.replays), (1, 0, 1));
        assert_eq!((replayed.message_id.as_deref(), replayed.first_seen), (Some("t-1"), None));
        let told: Vec<_> = replayed.history.entries().iter().map(|entry| (entry.what, entry.how.as_str())).collect();
        assert_eq!(told, [(What::End, "attempts_exhausted"), (What::Replay, "k7mq2x")], "the history goes on");
    }

    #[test]
    fn a_wait_is_told_once_and_only_where_its_beginning_is_known() {
        let wait = Duration::from_secs(9);
        let due = Envelope { due: Some(NOW), ..fresh() };
        assert_eq!(due.waited(NOW + wait), Some(wait));
        assert_eq!(fresh().waited(NOW + wait), None);
        assert_eq!(Envelope { due: Some(NOW + wait), ..fresh() }.waited(NOW), None, "its time has not come");
        assert_eq!(Envelope { redelivery: Redelivery::Again, ..due.clone() }.waited(NOW + wait), None);
        assert_eq!(due.retried(Effect::None, None, NOW).due, None, "a successor waits anew");
    }

    #[test]
    fn a_trace_goes_with_the_message_whatever_becomes_of_it() {
        let trace = TraceContext::read("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Some("a=1"));
        let traced = Envelope { trace: trace.clone(), ..fresh() };
        let later = traced.retried(Effect::None, None, NOW).deferred(Effect::None, NOW);
        let dead = later.dead(&outcome(Reason::UnknownCode), NOW);
        assert_eq!((&dead.trace, &dead.replayed(replay()).trace), (&trace, &trace));
    }
}
