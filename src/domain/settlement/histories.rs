//! Whole histories of an item, outcome after outcome, driven to their end.

use proptest::prelude::*;

use super::*;
use crate::domain::codes::{Certainty, Scope};

/// What happens at one delivery.
#[derive(Debug, Clone)]
struct Step {
    outcome: Outcome,
    hold: Hold,
    jitter: f64,
    /// How long the message takes to come back beyond its delay.
    late: Duration,
}

fn seconds(range: std::ops::Range<u64>) -> impl Strategy<Value = Duration> {
    range.prop_map(Duration::from_secs)
}

fn effects() -> impl Strategy<Value = Effect> {
    prop_oneof![Just(Effect::None), Just(Effect::Possible)]
}

fn causes() -> impl Strategy<Value = Cause> {
    prop_oneof![
        Just(Cause::Code),
        Just(Cause::UnlistedCode),
        proptest::option::of(seconds(0..4000)).prop_map(Cause::Throttled),
        Just(Cause::Unreachable),
        Just(Cause::Broken),
        Just(Cause::Untrusted),
        Just(Cause::Unreadable),
        Just(Cause::ServerError),
    ]
}

/// Outcomes that do not end an item by themselves, and now and then one that does.
fn outcomes() -> impl Strategy<Value = Outcome> {
    let scopes = prop_oneof![Just(Scope::App), Just(Scope::Method), Just(Scope::Token), Just(Scope::SnsUser)];
    let certainties = prop_oneof![Just(Certainty::Certain), Just(Certainty::Doubtful)];
    prop_oneof![
        8 => (causes(), effects()).prop_map(|(cause, effect)| Outcome::Retryable(cause, effect)),
        4 => (scopes, certainties).prop_map(|(scope, certainty)| Outcome::AccountFault(scope, certainty)),
        1 => Just(Outcome::Success(Reason::TakenDown)),
        1 => Just(Outcome::Terminal(Reason::ItemNotFound)),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let holds = prop_oneof![Just(Hold::NotHeld), seconds(0..7200).prop_map(Hold::Held)];
    let step = (outcomes(), holds, 0.0f64..1.0, seconds(0..600)).prop_map(|(outcome, hold, jitter, late)| Step {
        outcome,
        hold,
        jitter,
        late,
    });
    prop::collection::vec(step, 1..40)
}

fn policies() -> impl Strategy<Value = RetryPolicy> {
    (prop::collection::vec(seconds(1..3600), 1..6), 1u32..9, 1u32..9, seconds(1..50_000)).prop_map(
        |(delays, max_attempts, max_unknown_code_attempts, max_age)| RetryPolicy {
            delays,
            max_attempts,
            max_unknown_code_attempts,
            max_age,
        },
    )
}

/// Whether the account, and not the item, is at fault: no attempt may be used up.
fn spares_the_attempt(step: &Step) -> bool {
    match (&step.outcome, step.hold) {
        (Outcome::Retryable(Cause::Throttled(_) | Cause::Unreachable, _), _)
        | (Outcome::AccountFault(..), Hold::Held(_)) => true,
        (Outcome::Retryable(..) | Outcome::AccountFault(..) | Outcome::Success(_) | Outcome::Terminal(_), _) => false,
    }
}

fn effect_of(outcome: &Outcome) -> Effect {
    match outcome {
        Outcome::Retryable(_, effect) => *effect,
        Outcome::Success(_) | Outcome::Terminal(_) | Outcome::AccountFault(..) => Effect::None,
    }
}

const START: SystemTime = SystemTime::UNIX_EPOCH;
/// Least cool-down, so that deferrals take time.
const COOL_DOWN: Duration = Duration::from_secs(1);

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_history_ends_within_its_attempts_and_its_age(
        steps in steps(),
        policy in policies(),
        deadline in proptest::option::of(seconds(0..50_000)),
    ) {
        let mut progress = Progress {
            attempt: 1,
            effect: Effect::None,
            age: Duration::ZERO,
            deadline: deadline.map(|after| START + after),
            now: START,
            jitter: 0.5,
            hold: Hold::NotHeld,
            cool_down: COOL_DOWN,
        };
        // The same steps over and over: whatever repeats for ever must come to an end.
        for step in steps.iter().cycle() {
            let age = progress.now.duration_since(START).unwrap();
            progress = Progress { jitter: step.jitter, hold: step.hold, age, ..progress };
            let decision = decide(&step.outcome, &progress, &policy);
            let may_be_down = progress.effect == Effect::Possible || effect_of(&step.outcome) == Effect::Possible;
            prop_assert!(progress.attempt <= policy.max_attempts);
            let delay = match decision {
                Decision::End(reason) => {
                    check_end(reason, step, &progress, &policy, may_be_down)?;
                    return Ok(());
                }
                Decision::Retry(delay) => {
                    prop_assert!(!spares_the_attempt(step));
                    let last = policy.delays.len() - 1;
                    let rung = policy.delays[(progress.attempt as usize - 1).min(last)];
                    prop_assert!(delay >= rung / 2 && delay <= rung.mul_f64(1.5), "{delay:?} after {rung:?}");
                    progress.attempt += 1;
                    delay
                }
                Decision::Defer(delay, why) => {
                    prop_assert!(spares_the_attempt(step));
                    prop_assert!(age < policy.max_age);
                    match (&step.outcome, why, step.hold) {
                        (Outcome::Retryable(Cause::Throttled(wait), _), Deferral::Throttled, _) => {
                            prop_assert_eq!(delay, wait.unwrap_or_default().max(COOL_DOWN));
                        }
                        (Outcome::Retryable(Cause::Unreachable, _), Deferral::Unreachable, hold) => match hold {
                            Hold::Held(wait) => prop_assert_eq!(delay, wait),
                            Hold::NotHeld => {
                                let last = policy.delays.len() - 1;
                                let rung = policy.delays[(progress.attempt as usize - 1).min(last)];
                                prop_assert!(delay >= rung / 2 && delay <= rung.mul_f64(1.5), "{delay:?}");
                            }
                        },
                        (Outcome::AccountFault(..), Deferral::Held, Hold::Held(wait)) => prop_assert_eq!(delay, wait),
                        other => prop_assert!(false, "{other:?}"),
                    }
                    delay
                }
            };
            prop_assert!(progress.deadline.is_none_or(|deadline| progress.now + delay < deadline));
            if may_be_down {
                progress.effect = Effect::Possible;
            }
            // A message that is due at once takes a moment all the same.
            progress.now += (delay + step.late).max(Duration::from_secs(5));
        }
    }
}

/// Each end has its reason, in both senses.
fn check_end(
    reason: Reason,
    step: &Step,
    progress: &Progress,
    policy: &RetryPolicy,
    may_be_down: bool,
) -> Result<(), TestCaseError> {
    let age = progress.now.duration_since(START).unwrap();
    match &step.outcome {
        Outcome::Success(own) | Outcome::Terminal(own) => prop_assert_eq!(reason, *own),
        Outcome::Retryable(..) | Outcome::AccountFault(..) if reason == Reason::DeadlinePassed => {
            let longest = Duration::from_secs(2 * 7200);
            prop_assert!(progress.deadline.is_some_and(|deadline| progress.now + longest >= deadline));
        }
        Outcome::Retryable(..) | Outcome::AccountFault(..) if spares_the_attempt(step) => {
            prop_assert_eq!(reason, Reason::HeldTooLong);
            prop_assert!(age >= policy.max_age, "held too long after {age:?} of {:?}", policy.max_age);
        }
        Outcome::Retryable(Cause::UnlistedCode, _) => {
            prop_assert_eq!(reason, Reason::UnknownCode);
            prop_assert!(progress.attempt >= policy.max_unknown_code_attempts.min(policy.max_attempts));
        }
        Outcome::Retryable(..) | Outcome::AccountFault(..) => {
            let expected = if may_be_down { Reason::OutcomeUnknown } else { Reason::AttemptsExhausted };
            prop_assert_eq!(reason, expected);
            prop_assert_eq!(progress.attempt, policy.max_attempts);
        }
    }
    prop_assert_eq!(is_dead_lettered(reason), reason.status() == Status::Dead);
    Ok(())
}
