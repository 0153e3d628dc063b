use std::time::SystemTime;

use super::*;
use crate::domain::outcome::Status;
use crate::domain::reply::{BrokenCall, CertificateFault};
use crate::domain::retry::RetryPolicy;
use crate::domain::settlement::{Decision, Hold, Progress, decide};

const CLEAN: History = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };

fn failure(refusals: Refusals, signature: Signature, code: &str, sub_code: Option<&str>) -> Reply {
    Reply::Answered(Answer {
        http_status: 200,
        signature,
        refusals,
        claim: Claim::Failure { code: Some(code.into()), sub_code: sub_code.map(Into::into), message: None },
        retry_after: None,
        unknown_certificate: None,
    })
}

fn success(signature: Signature, item: ItemMatch) -> Reply {
    Reply::Answered(Answer {
        http_status: 200,
        signature,
        refusals: Refusals::Unsigned,
        claim: Claim::Success { goods_id: None, item },
        retry_after: None,
        unknown_certificate: None,
    })
}

fn status(http_status: u16) -> Reply {
    Reply::Answered(Answer {
        http_status,
        signature: Signature::Malformed,
        refusals: Refusals::Unsigned,
        claim: Claim::Unreadable { problem: "not JSON".into(), named_code: None },
        retry_after: Some(Duration::from_secs(9)),
        unknown_certificate: None,
    })
}

#[test]
fn only_a_signed_success_about_this_item_is_a_success() {
    let judge = |signature, item| classify(Gateway::Mapi, &success(signature, item), CLEAN);
    assert_eq!(judge(Signature::Valid, ItemMatch::Same), Outcome::Success(Reason::TakenDown));
    assert_eq!(judge(Signature::Valid, ItemMatch::Other), UNTRUSTED);
    for signature in [
        Signature::Invalid,
        Signature::Unsigned,
        Signature::Structure,
        Signature::Unverifiable,
        Signature::Contradictory,
    ] {
        assert_eq!(judge(signature, ItemMatch::Same), UNTRUSTED, "{signature:?}");
    }
}

#[test]
fn a_goal_state_answer_is_read_by_its_history() {
    let cases = [
        (CLEAN, Outcome::Terminal(Reason::NotOnSale)),
        (History { effect: Effect::Possible, ..CLEAN }, Outcome::Success(Reason::TakenDownEarlier)),
        (History { redelivery: Redelivery::Again, ..CLEAN }, Outcome::Success(Reason::TakenDownEarlier)),
        (History { replays: 1, ..CLEAN }, Outcome::Success(Reason::AlreadyOff)),
    ];
    for (history, expected) in cases {
        let mapi = failure(Refusals::Unsigned, Signature::Unsigned, "ILLEGAL_GOODS_STATUS", None);
        assert_eq!(classify(Gateway::Mapi, &mapi, history), expected, "{history:?}");
        let shop = failure(Refusals::Signed, Signature::Valid, "40004", Some("SHOP_STATUS_NOT_SUPPORT"));
        assert_eq!(classify(Gateway::OpenPlatform, &shop, history), expected, "{history:?}");
    }
}

#[test]
fn an_unsigned_terminal_refusal_of_the_open_platform_is_not_believed() {
    let unsigned = failure(Refusals::Signed, Signature::Unsigned, "40004", Some("COMMODITY_SHOP_NOT_EXIST"));
    assert_eq!(classify(Gateway::OpenPlatform, &unsigned, CLEAN), UNTRUSTED);
    let signed = failure(Refusals::Signed, Signature::Valid, "40004", Some("COMMODITY_SHOP_NOT_EXIST"));
    assert_eq!(classify(Gateway::OpenPlatform, &signed, CLEAN), Outcome::Terminal(Reason::ItemNotFound));
}

#[test]
fn a_broken_call_is_ambiguous_only_when_it_may_have_been_sent() {
    assert_eq!(
        classify(Gateway::Mapi, &Reply::NotSent(BrokenCall::Reset), CLEAN),
        Outcome::Retryable(Cause::Broken, Effect::None)
    );
    for broken in [BrokenCall::Connect, BrokenCall::ConnectTimeout, BrokenCall::Tls] {
        let outcome = classify(Gateway::Mapi, &Reply::NotSent(broken), CLEAN);
        assert_eq!(outcome, Outcome::Retryable(Cause::Unreachable, Effect::None), "{broken}");
    }
    assert_eq!(
        classify(Gateway::Mapi, &Reply::MaybeSent(BrokenCall::Timeout), CLEAN),
        Outcome::Retryable(Cause::Broken, Effect::Possible)
    );
}

#[test]
fn a_gateway_that_cannot_prove_who_it_is_is_the_accounts_trouble_and_took_nothing_down() {
    let doubtful = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
    let expired = Reply::NotSent(BrokenCall::Certificate(CertificateFault::Expired));
    assert_eq!(classify(Gateway::Mapi, &expired, CLEAN), doubtful);
}

#[test]
fn http_statuses_without_a_readable_answer_have_their_classes() {
    assert_eq!(
        classify(Gateway::Mapi, &status(429), CLEAN),
        Outcome::Retryable(Cause::Throttled(Some(Duration::from_secs(9))), Effect::None)
    );
    assert_eq!(classify(Gateway::Mapi, &status(502), CLEAN), Outcome::Retryable(Cause::ServerError, Effect::Possible));
    assert_eq!(classify(Gateway::Mapi, &status(403), CLEAN), Outcome::AccountFault(Scope::App, Certainty::Doubtful));
    assert_eq!(classify(Gateway::Mapi, &status(302), CLEAN), Outcome::AccountFault(Scope::App, Certainty::Doubtful));
    assert_eq!(classify(Gateway::Mapi, &status(200), CLEAN), Outcome::Retryable(Cause::Unreadable, Effect::Possible));
}

#[test]
fn a_signed_answer_says_what_it_says_under_any_http_status() {
    for http_status in [200, 302, 404, 429, 503] {
        let Reply::Answered(answer) = success(Signature::Valid, ItemMatch::Same) else { unreachable!() };
        let reply = Reply::Answered(Answer { http_status, ..answer });
        let outcome = classify(Gateway::OpenPlatform, &reply, CLEAN);
        assert_eq!(outcome, Outcome::Success(Reason::TakenDown), "{http_status}");
    }
}

#[test]
fn a_business_failure_without_a_listed_sub_code_ends_as_unknown_code_after_bounded_retries() {
    let policy = RetryPolicy::default();
    for sub_code in [None, Some("SOMETHING_NEW")] {
        let outcome =
            classify(Gateway::OpenPlatform, &failure(Refusals::Signed, Signature::Valid, "40004", sub_code), CLEAN);
        let decided = |attempt| {
            let progress = Progress {
                attempt,
                effect: Effect::None,
                age: Duration::ZERO,
                deadline: None,
                now: SystemTime::UNIX_EPOCH,
                jitter: 0.5,
                hold: Hold::NotHeld,
                cool_down: Duration::ZERO,
            };
            decide(&outcome, &progress, &policy)
        };
        assert!(matches!(decided(policy.max_unknown_code_attempts - 1), Decision::Retry(_)), "{sub_code:?}");
        assert_eq!(decided(policy.max_unknown_code_attempts), Decision::End(Reason::UnknownCode), "{sub_code:?}");
        assert_eq!(Reason::UnknownCode.status(), Status::Dead);
    }
}

#[test]
fn an_unlisted_code_is_never_guessed() {
    let expected = Outcome::Retryable(Cause::UnlistedCode, Effect::Possible);
    assert_eq!(
        classify(Gateway::Mapi, &failure(Refusals::Unsigned, Signature::Unsigned, "SOMETHING_NEW", None), CLEAN),
        expected
    );
    assert_eq!(
        classify(Gateway::OpenPlatform, &failure(Refusals::Signed, Signature::Valid, "40004", Some("NEW")), CLEAN),
        expected
    );
}

/// An unsigned refusal with one code, as v3 has them.
fn rest(http_status: u16, code: &str) -> Outcome {
    let Reply::Answered(answer) = failure(Refusals::Unsigned, Signature::Unsigned, code, None) else { unreachable!() };
    classify(Gateway::OpenPlatform, &Reply::Answered(Answer { http_status, ..answer }), CLEAN)
}

#[test]
fn a_listed_code_decides_before_the_http_status() {
    for http_status in [400, 401, 403, 404, 429, 500] {
        let missing = rest(http_status, "COMMODITY_SHOP_NOT_EXIST");
        assert_eq!(missing, Outcome::Terminal(Reason::ItemNotFound), "{http_status}");
        let throttled = Outcome::Retryable(Cause::Throttled(None), Effect::None);
        assert_eq!(rest(http_status, "app-call-limited"), throttled, "{http_status}");
    }
}

#[test]
fn a_status_no_refusal_comes_under_lends_an_unsigned_one_no_weight() {
    let judge =
        |signature, code| classify(Gateway::OpenPlatform, &failure(Refusals::Foreign, signature, code, None), CLEAN);
    for code in ["COMMODITY_SHOP_NOT_EXIST", "SHOP_STATUS_NOT_SUPPORT"] {
        assert_eq!(judge(Signature::Unsigned, code), UNTRUSTED, "{code}");
    }
    assert_eq!(judge(Signature::Valid, "COMMODITY_SHOP_NOT_EXIST"), Outcome::Terminal(Reason::ItemNotFound));
    // One answer of a proxy does not stop a night's backlog.
    let fault = |certainty| Outcome::AccountFault(Scope::App, certainty);
    assert_eq!(judge(Signature::Unsigned, "invalid-app-id"), fault(Certainty::Doubtful));
    assert_eq!(judge(Signature::Valid, "invalid-app-id"), fault(Certainty::Certain));
}

#[test]
fn too_many_requests_is_throttled_unless_the_code_ends_the_item_or_stops_the_account() {
    let asked = Some(Duration::from_secs(9));
    let judge = |signature, code, sub_code| {
        let Reply::Answered(answer) = failure(Refusals::Signed, signature, code, sub_code) else { unreachable!() };
        let answer = Answer { http_status: 429, retry_after: asked, ..answer };
        classify(Gateway::OpenPlatform, &Reply::Answered(answer), CLEAN)
    };
    let throttled = |effect| Outcome::Retryable(Cause::Throttled(asked), effect);
    assert_eq!(judge(Signature::Unsigned, "20000", Some("isp.unknow-error")), throttled(Effect::Possible));
    assert_eq!(judge(Signature::Unsigned, "40002", Some("isv.invalid-encrypt")), throttled(Effect::None));
    assert_eq!(judge(Signature::Unsigned, "40004", Some("SOMETHING_NEW")), throttled(Effect::Possible));
    assert_eq!(judge(Signature::Unsigned, "40004", Some("PARAMS_ERROR")), throttled(Effect::Possible));
    assert_eq!(judge(Signature::Valid, "40004", Some("PARAMS_ERROR")), Outcome::Terminal(Reason::ItemRejected));
    assert!(matches!(judge(Signature::Unsigned, "40002", Some("isv.invalid-app-id")), Outcome::AccountFault(..)));
    assert_eq!(judge(Signature::Invalid, "40005", None), UNTRUSTED);
}

#[test]
fn an_unsigned_success_is_not_believed_under_any_http_status() {
    for http_status in [200, 302, 404, 500] {
        let Reply::Answered(answer) = success(Signature::Unsigned, ItemMatch::Same) else { unreachable!() };
        let reply = Reply::Answered(Answer { http_status, ..answer });
        assert_eq!(classify(Gateway::OpenPlatform, &reply, CLEAN), UNTRUSTED, "{http_status}");
    }
}

#[test]
fn an_unlisted_code_is_judged_by_a_status_that_says_something() {
    let doubtful = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
    for (http_status, expected) in [
        (400, UNLISTED),
        (403, doubtful.clone()),
        (404, doubtful),
        (429, Outcome::Retryable(Cause::Throttled(None), Effect::None)),
        (503, Outcome::Retryable(Cause::ServerError, Effect::Possible)),
    ] {
        assert_eq!(rest(http_status, "never-heard-of"), expected, "{http_status}");
    }
}

#[test]
fn a_refusal_with_a_wrong_signature_is_not_believed_whatever_its_code_and_status() {
    for signature in [Signature::Invalid, Signature::Structure, Signature::Unverifiable, Signature::Contradictory] {
        for code in ["COMMODITY_SHOP_NOT_EXIST", "invalid-app-id", "never-heard-of"] {
            for http_status in [200, 404, 429, 500] {
                let Reply::Answered(answer) = failure(Refusals::Unsigned, signature, code, None) else {
                    unreachable!()
                };
                let reply = Reply::Answered(Answer { http_status, ..answer });
                assert_eq!(classify(Gateway::OpenPlatform, &reply, CLEAN), UNTRUSTED, "{signature:?} {code}");
            }
        }
    }
}
