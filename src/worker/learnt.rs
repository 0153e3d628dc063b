//! What is learnt of a delivery on its way, and what of that its history keeps.
//!
//! The history travels with the message that follows, for an operator to read; an item that ends well has none to tell.

use crate::domain::classify::{Effect, Outcome};
use crate::domain::history::{Entry, What};
use crate::domain::ids::WorkerId;
use crate::domain::reply::{Claim, Reply};
use crate::domain::settlement::Settlement;
use crate::queue::envelope::Envelope;

/// What is known by the time a delivery is settled, however it came to that.
#[derive(Debug, Default)]
pub(super) struct Learnt {
    /// The takedown's id as soon as it is known; a label until then.
    pub(super) id: String,
    call: Option<Call>,
}

#[derive(Debug)]
struct Call {
    how: String,
    effect: Effect,
}

impl Learnt {
    /// Begins with a label.
    pub(super) fn of(id: String) -> Self {
        Self { id, call: None }
    }

    /// Keeps what a call came to, but for a success, which ends the item and is told by its outcome.
    pub(super) fn note_call(&mut self, reply: &Reply, outcome: &Outcome) {
        let effect = match outcome {
            Outcome::Success(_) => return,
            Outcome::Retryable(_, effect) => *effect,
            Outcome::Terminal(_) | Outcome::AccountFault(..) => Effect::None,
        };
        self.call = Some(Call { how: how(reply), effect });
    }

    /// Keeps that the worker panicked, perhaps in the midst of a call.
    pub(super) fn note_panic(&mut self) {
        self.call = Some(Call { how: "the worker panicked".to_owned(), effect: Effect::Possible });
    }

    /// Writes into the envelope what the message that follows is to tell.
    pub(super) fn write_down(
        &self,
        envelope: &mut Envelope,
        settlement: &Settlement,
        worker: &WorkerId,
        now: std::time::SystemTime,
    ) {
        let call = self.call.as_ref().map(|call| (call.how.as_str(), call.effect));
        let (what, how, effect) = match (settlement, call) {
            (Settlement::Complete(_) | Settlement::GiveBack, _) | (Settlement::DeadLetter(_), None) => return,
            (Settlement::Defer { reason, .. }, Some((how, effect))) => {
                (What::Deferral, format!("{reason}: {how}"), effect)
            }
            (Settlement::Defer { reason, .. }, None) => (What::Deferral, reason.to_string(), Effect::None),
            (Settlement::Retry { .. } | Settlement::DeadLetter(_), Some((how, effect))) => {
                (What::Attempt, how.to_owned(), effect)
            }
            (Settlement::Retry { effect, .. }, None) => (What::Attempt, "no call was made".to_owned(), *effect),
        };
        let entry = Entry::new(what, envelope.attempt, &how, worker.as_str(), now);
        envelope.history.push(Entry { effect, ..entry });
    }
}

/// Names the code, or else how the call broke or what was wrong with the answer.
fn how(reply: &Reply) -> String {
    if let Some(code) = reply.code() {
        return code.to_owned();
    }
    let Reply::Answered(answer) = reply else { return "no answer".to_owned() };
    let what = match &answer.claim {
        Claim::Success { .. } => "a success that is not believed",
        Claim::Failure { .. } => "a refusal without a code",
        Claim::Unreadable { .. } => "an unreadable answer",
    };
    format!("{what}, HTTP {}, signature {}", answer.http_status, answer.signature.as_str())
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::domain::classify::Cause;
    use crate::domain::ids::AccountId;
    use crate::domain::reply::BrokenCall;
    use crate::domain::settlement::Deferral;

    fn written(learnt: &Learnt, settlement: &Settlement) -> Vec<(What, String, Effect)> {
        let mut envelope = Envelope::fresh(AccountId::new("desk").unwrap());
        learnt.write_down(&mut envelope, settlement, &WorkerId::new("w-1").unwrap(), SystemTime::UNIX_EPOCH);
        envelope.history.entries().iter().map(|entry| (entry.what, entry.how.clone(), entry.effect)).collect()
    }

    fn retry() -> Settlement {
        Settlement::Retry { delay: Duration::ZERO, effect: Effect::Possible, last_code: None }
    }

    #[test]
    fn an_attempt_is_told_with_how_it_broke_and_its_own_effect() {
        let mut learnt = Learnt::of("t-1".into());
        learnt.note_call(&Reply::NotSent(BrokenCall::Reset), &Outcome::Retryable(Cause::Broken, Effect::None));
        // An earlier attempt was ambiguous; this one was not.
        let expected = (What::Attempt, "connection_reset".to_owned(), Effect::None);
        assert_eq!(written(&learnt, &retry()), [expected]);
        let put_off = Settlement::Defer { delay: Duration::ZERO, effect: Effect::None, reason: Deferral::Unreachable };
        let expected = (What::Deferral, "unreachable: connection_reset".to_owned(), Effect::None);
        assert_eq!(written(&learnt, &put_off), [expected]);
        assert_eq!(written(&learnt, &Settlement::GiveBack), []);
    }

    #[test]
    fn what_was_put_off_before_a_call_tells_why() {
        let put_off = Settlement::Defer { delay: Duration::ZERO, effect: Effect::Possible, reason: Deferral::Held };
        let expected = (What::Deferral, "held".to_owned(), Effect::None);
        assert_eq!(written(&Learnt::default(), &put_off), [expected]);
    }
}
