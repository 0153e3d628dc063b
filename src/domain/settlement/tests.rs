use proptest::prelude::*;

use super::*;
use crate::domain::codes::{Certainty, Scope};

fn progress() -> Progress {
    Progress {
        attempt: 1,
        effect: Effect::None,
        age: Duration::from_secs(10),
        deadline: None,
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(10),
        jitter: 0.5,
        hold: Hold::NotHeld,
        cool_down: Duration::from_secs(1),
    }
}

fn policy() -> RetryPolicy {
    RetryPolicy::default()
}

#[test]
fn a_retryable_outcome_waits_and_then_gives_up() {
    let outcome = Outcome::Retryable(Cause::Broken, Effect::None);
    assert_eq!(decide(&outcome, &progress(), &policy()), Decision::Retry(Duration::from_secs(5)));
    let last = Progress { attempt: 6, ..progress() };
    assert_eq!(decide(&outcome, &last, &policy()), Decision::End(Reason::AttemptsExhausted));
}

#[test]
fn an_item_that_may_be_down_ends_as_unknown_not_as_failed() {
    let last = Progress { attempt: 6, effect: Effect::Possible, ..progress() };
    let outcome = Outcome::Retryable(Cause::Broken, Effect::None);
    assert_eq!(decide(&outcome, &last, &policy()), Decision::End(Reason::OutcomeUnknown));
}

#[test]
fn an_unlisted_code_is_given_up_sooner() {
    let third = Progress { attempt: 3, ..progress() };
    let outcome = Outcome::Retryable(Cause::UnlistedCode, Effect::Possible);
    assert_eq!(decide(&outcome, &third, &policy()), Decision::End(Reason::UnknownCode));
}

#[test]
fn a_throttled_call_uses_no_attempt_and_waits_as_told() {
    let last = Progress { attempt: 6, ..progress() };
    let outcome = Outcome::Retryable(Cause::Throttled(Some(Duration::from_secs(7))), Effect::None);
    assert_eq!(decide(&outcome, &last, &policy()), Decision::Defer(Duration::from_secs(7), Deferral::Throttled));
}

#[test]
fn a_call_nobody_was_reached_by_uses_no_attempt_and_waits_for_the_way() {
    let last = Progress { attempt: 6, ..progress() };
    let outcome = Outcome::Retryable(Cause::Unreachable, Effect::None);
    let alone = decide(&outcome, &last, &policy());
    assert_eq!(alone, Decision::Defer(policy().delay_after(6, last.jitter), Deferral::Unreachable));
    let shut = Progress { hold: Hold::Held(Duration::from_secs(3)), ..last };
    assert_eq!(decide(&outcome, &shut, &policy()), Decision::Defer(Duration::from_secs(3), Deferral::Unreachable));
}

#[test]
fn a_held_account_defers_and_a_doubtful_single_fault_costs_an_attempt() {
    let fault = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
    let held = Progress { hold: Hold::Held(Duration::from_secs(30)), attempt: 6, ..progress() };
    assert_eq!(decide(&fault, &held, &policy()), Decision::Defer(Duration::from_secs(30), Deferral::Held));
    assert_eq!(decide(&fault, &progress(), &policy()), Decision::Retry(Duration::from_secs(5)));
    let last = Progress { attempt: 6, ..progress() };
    assert_eq!(decide(&fault, &last, &policy()), Decision::End(Reason::AttemptsExhausted));
}

#[test]
fn no_wait_outlives_the_deadline() {
    let near = Progress { deadline: Some(progress().now + Duration::from_secs(2)), ..progress() };
    let outcome = Outcome::Retryable(Cause::Broken, Effect::None);
    assert_eq!(decide(&outcome, &near, &policy()), Decision::End(Reason::DeadlinePassed));
}

#[test]
fn an_item_held_beyond_the_policy_is_dead_lettered() {
    let old = Progress { age: Duration::from_hours(72), ..progress() };
    let decision = put_off(Duration::from_secs(30), Deferral::Held, &old, &policy());
    assert_eq!(decision, Decision::End(Reason::HeldTooLong));
    assert!(is_dead_lettered(Reason::HeldTooLong));
}

proptest! {
    #[test]
    fn attempts_are_bounded_whatever_happens(attempt in 1u32..100, possible: bool, unlisted: bool, jitter in 0.0f64..1.0) {
        let cause = if unlisted { Cause::UnlistedCode } else { Cause::Broken };
        let effect = if possible { Effect::Possible } else { Effect::None };
        let at = Progress { attempt, jitter, ..progress() };
        let decision = decide(&Outcome::Retryable(cause, effect), &at, &policy());
        let gives_up = matches!(decision, Decision::End(_));
        prop_assert_eq!(gives_up, attempt >= if unlisted { 3 } else { 6 });
    }
}
