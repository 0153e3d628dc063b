//! What an answer means: its row in the code table, and what the worker would do about it.

use crate::domain::classify::{Cause, Effect, History, Outcome, Redelivery, classify};
use crate::domain::codes::{self, Certainty, Class, Row, Scope};
use crate::domain::reply::{Answer, Claim, Reply};
use crate::domain::retry::RetryPolicy;
use crate::domain::takedown::Gateway;

/// Finds the row of the code an answer names.
pub(super) fn row(gateway: Gateway, answer: &Answer) -> Option<&'static Row> {
    match &answer.claim {
        Claim::Failure { code, sub_code, .. } => codes::find(gateway, code.as_deref(), sub_code.as_deref()),
        Claim::Unreadable { named_code, .. } => codes::find(gateway, named_code.as_deref(), named_code.as_deref()),
        Claim::Success { .. } => None,
    }
}

/// Says what an answer claims.
pub(super) fn claim(answer: &Answer) -> String {
    match &answer.claim {
        Claim::Success { goods_id, .. } => {
            let goods = goods_id.as_ref().map(|id| format!(" (goods {id})")).unwrap_or_default();
            format!("the item was taken down{goods}")
        }
        Claim::Failure { code, sub_code, message } => {
            let parts = [code, sub_code, message];
            let parts: Vec<&str> = parts.into_iter().filter_map(|part| part.as_deref()).collect();
            format!("refused: {}", parts.join(" "))
        }
        Claim::Unreadable { problem, named_code } => {
            let code = named_code.as_ref().map(|code| format!("; the page names {code}")).unwrap_or_default();
            format!("unreadable: {problem}{code}")
        }
    }
}

/// Says what kind of code it is.
pub(super) fn class(class: Class) -> &'static str {
    match class {
        Class::Success => "success, if signed",
        Class::Retryable => "retryable: surely not done",
        Class::Ambiguous => "ambiguous: may have been done",
        Class::Throttled => "throttled: too many calls",
        Class::Terminal(_) => "terminal: this item will never succeed",
        Class::GoalState => "goal state: the item is not on sale",
        Class::AccountFault(..) => "account fault: not the item's, the account's",
        Class::Unlisted => "unlisted: refused, and no list says why",
    }
}

/// Says what the worker would do with this answer to a first attempt.
pub(super) fn next(gateway: Gateway, answer: &Answer, retry: &RetryPolicy) -> String {
    let history = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };
    match classify(gateway, &Reply::Answered(answer.clone()), history) {
        Outcome::Success(reason) | Outcome::Terminal(reason) => {
            format!("the item ends as {}/{reason}: {}", reason.status(), reason.explain())
        }
        Outcome::Retryable(cause, effect) => {
            let attempts = match cause {
                Cause::UnlistedCode => retry.max_unknown_code_attempts.min(retry.max_attempts),
                Cause::Code
                | Cause::Throttled(_)
                | Cause::Unreachable
                | Cause::Broken
                | Cause::Untrusted
                | Cause::Unreadable
                | Cause::ServerError => retry.max_attempts,
            };
            let how = match cause {
                Cause::Throttled(_) => {
                    return "the item waits without using up an attempt, and the account is slowed down".to_owned();
                }
                Cause::Untrusted => "the answer is not believed and an alarm is raised; the item is tried again",
                Cause::UnlistedCode => "the code is in no table, so nothing is guessed; the item is tried again",
                Cause::Unreadable => "the answer cannot be read; the item is tried again",
                Cause::ServerError | Cause::Unreachable | Cause::Broken | Cause::Code => "the item is tried again",
            };
            let may = match effect {
                Effect::Possible => ", and the attempt counts as one that may have taken effect",
                Effect::None => "",
            };
            format!("{how}, up to {attempts} attempts{may}")
        }
        Outcome::AccountFault(scope, certainty) => {
            let whose = match scope {
                Scope::App => "the app's calls are held",
                Scope::Method => "the app's calls of this interface are held",
                Scope::Token => "the merchant's items are held",
                Scope::Partner => "the partner's calls are held",
                Scope::SnsUser => "the administrator's items are held",
            };
            let when = match certainty {
                Certainty::Certain => "at once",
                Certainty::Doubtful => "once a second item meets the same",
            };
            format!("{whose} {when}, without using up attempts, until a probe passes or an operator mends it")
        }
    }
}
