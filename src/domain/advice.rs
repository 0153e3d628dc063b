//! What to do about a dead letter, in plain sentences.

use crate::domain::outcome::Reason;

/// Says what a reason means and what to do next; of an end that needs nobody, what it means.
#[must_use]
pub fn advice(reason: Reason) -> &'static str {
    match reason {
        Reason::AttemptsExhausted => {
            "Every attempt failed, and none can have taken effect. Once the gateway is well again, replay them."
        }
        Reason::OutcomeUnknown => {
            "An attempt may have taken effect, and no answer said so. Replaying is safe: an item that is off sale by now \
             ends as taken_down_earlier."
        }
        Reason::UnknownCode => {
            "The gateway answers a code that no table lists. Ask the gateway what the code means; if it was a passing \
             fault, replay."
        }
        Reason::InvalidMessage => {
            "The message is not a takedown. `show` names the fault: mend the message with `edit`, then replay, and have \
             the producer mended that wrote it."
        }
        Reason::UnknownAccount => {
            "The message names an account that the workers do not have. Add it to the configuration, or mend the message \
             with `edit`, then replay."
        }
        Reason::CrashLoop => {
            "The worker died again and again with the message in hand. Report it with what `show` prints, and replay one \
             alone before the others."
        }
        Reason::HeldTooLong => "The account was held for longer than an item may wait. Mend what held it, then replay.",
        Reason::TakenDown
        | Reason::AlreadyOff
        | Reason::TakenDownEarlier
        | Reason::ItemNotFound
        | Reason::NoPermission
        | Reason::ItemRejected
        | Reason::ParameterRejected
        | Reason::SuspectedAttack
        | Reason::NotOnSale
        | Reason::NotEncodable
        | Reason::DeadlinePassed
        | Reason::BatchCancelled => reason.explain(),
    }
}
