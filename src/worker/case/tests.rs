use std::time::SystemTime;

use super::*;
use crate::domain::codes::{Certainty, Scope};
use crate::domain::outcome::Status;
use crate::domain::reply::{Answer, BrokenCall, Claim, Refusals, Signature};

const SHOPS: &str = r#"{"version":1,"id":"t-1","account":"shops","batch":"night","takedown":
    {"gateway":"open_platform","commodity_id":"c1","shop_id":"s1","merchant":"m1"}}"#;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 365)
}

/// One message and all it takes to open it.
struct Fixture {
    body: Vec<u8>,
    envelope: Envelope,
    worker: WorkerId,
    policy: RetryPolicy,
}

impl Fixture {
    fn new(body: &str) -> Self {
        Self {
            body: body.as_bytes().to_vec(),
            envelope: Envelope::fresh(AccountId::new("shops").unwrap()),
            worker: WorkerId::new("w1").unwrap(),
            policy: RetryPolicy::default(),
        }
    }

    fn with(mut self, change: impl FnOnce(&mut Envelope)) -> Self {
        change(&mut self.envelope);
        remember(&mut self.envelope, now().into());
        self
    }

    fn message(&self) -> Message<'_> {
        Message { body: &self.body, envelope: &self.envelope, worker: &self.worker, policy: &self.policy }
    }

    fn open(&self) -> Result<Case<'_>, Settlement> {
        self.message().open(
            |account| match account.as_str() {
                "shops" => Some(Gateway::OpenPlatform),
                "desk" => Some(Gateway::Mapi),
                _ => None,
            },
            now().into(),
        )
    }

    fn refused(&self) -> FinalOutcome {
        dead(self.open().unwrap_err())
    }

    fn conclude(&self, reply: &Reply, outcome: &Outcome, hold: Hold) -> Settlement {
        self.open().unwrap().conclude(reply, outcome, hold, Duration::from_secs(5), 0.5, now().into())
    }
}

#[track_caller]
fn dead(settlement: Settlement) -> FinalOutcome {
    match settlement {
        Settlement::DeadLetter(outcome) => *outcome,
        other => panic!("not dead-lettered: {other:?}"),
    }
}

#[track_caller]
fn complete(settlement: Settlement) -> FinalOutcome {
    match settlement {
        Settlement::Complete(outcome) => *outcome,
        other => panic!("not complete: {other:?}"),
    }
}

fn answered(claim: Claim) -> Reply {
    Reply::Answered(Answer {
        http_status: 200,
        signature: Signature::Valid,
        refusals: Refusals::Signed,
        claim,
        retry_after: None,
        unknown_certificate: None,
    })
}

fn failure(sub_code: &str) -> Reply {
    answered(Claim::Failure { code: Some("40004".into()), sub_code: Some(sub_code.into()), message: Some("no".into()) })
}

const BROKEN: Reply = Reply::NotSent(BrokenCall::Connect);
const RETRYABLE: Outcome = Outcome::Retryable(Cause::Broken, Effect::None);

#[test]
fn an_unreadable_message_is_named_by_its_message_id_or_a_digest() {
    let digest = Fixture::new("{").with(|_| {}).refused();
    assert_eq!(digest.id, "sha256:021fb596db81e6d02bf3d2586ee3981fe519f275c0ac9ca76bbcf2ebb4097d96");
    assert_eq!((digest.reason, digest.gateway, digest.attempts), (Reason::InvalidMessage, None, 0));
    assert!(digest.gateway_message.unwrap().starts_with("message is not JSON"));
    assert_eq!(Fixture::new("{").with(|e| e.message_id = Some("t-9".into())).refused().id, "t-9");
    let no_id = Fixture::new("{").with(|e| e.message_id = Some("not an id".into())).refused();
    assert_eq!(no_id.id, digest.id);
}

#[test]
fn a_message_id_that_differs_is_invalid_and_keeps_the_takedowns_id() {
    let outcome = Fixture::new(SHOPS).with(|e| e.message_id = Some("t-2".into())).refused();
    assert_eq!((outcome.reason, outcome.id.as_str()), (Reason::InvalidMessage, "t-1"));
    assert_eq!(outcome.gateway, Some(Gateway::OpenPlatform));
    let text = r#"field `id` is t-1, but the message_id property is "t-2"; they must be equal"#;
    assert_eq!(outcome.gateway_message.as_deref(), Some(text));
    assert!(Fixture::new(SHOPS).with(|e| e.message_id = Some("t-1".into())).open().is_ok());
}

#[test]
fn an_account_must_be_configured_and_equal_the_routing_key() {
    let unknown = Fixture::new(&SHOPS.replace("shops", "elsewhere")).with(|_| {}).refused();
    assert_eq!((unknown.reason, unknown.account.as_str()), (Reason::UnknownAccount, "shops"));
    let other = Fixture::new(&SHOPS.replace("shops", "desk")).with(|_| {}).refused();
    assert_eq!(other.reason, Reason::InvalidMessage);
}

#[test]
fn an_item_of_the_other_gateway_is_invalid() {
    let outcome = Fixture::new(&SHOPS.replace("shops", "desk")).with(|e| e.account = AccountId::new("desk").unwrap());
    let text = "field `takedown.gateway` is open_platform, but account desk is of mapi";
    assert_eq!(outcome.refused().gateway_message.as_deref(), Some(text));
}

#[test]
fn a_success_tells_the_whole_story() {
    let fixture = Fixture::new(SHOPS).with(|e| {
        e.attempt = 3;
        e.deferrals = 2;
        e.replays = 1;
        e.first_seen = Some(now() - Duration::from_secs(90));
    });
    let reply = answered(Claim::Success { goods_id: None, item: crate::domain::reply::ItemMatch::Same });
    let outcome = complete(fixture.conclude(&reply, &Outcome::Success(Reason::TakenDown), Hold::NotHeld));
    assert_eq!(outcome.outcome_id(), "t-1:success:1");
    assert_eq!((outcome.attempts, outcome.deferrals, outcome.took()), (3, 2, Duration::from_secs(90)));
    assert_eq!((outcome.batch.as_deref(), outcome.worker.as_str()), (Some("night"), "w1"));
    assert_eq!((outcome.item.commodity_id.as_deref(), outcome.item.shop_id.as_deref()), (Some("c1"), Some("s1")));
    assert!(outcome.verified);
}

#[test]
fn a_refusal_carries_the_gateways_code_and_words() {
    let reply = failure("COMMODITY_SHOP_NOT_EXIST");
    let outcome = Outcome::Terminal(Reason::ItemNotFound);
    let outcome = complete(Fixture::new(SHOPS).with(|_| {}).conclude(&reply, &outcome, Hold::NotHeld));
    assert_eq!(outcome.status(), Status::Terminal);
    assert_eq!(outcome.gateway_code.as_deref(), Some("COMMODITY_SHOP_NOT_EXIST"));
    assert_eq!(outcome.gateway_message.as_deref(), Some("no"));
}

#[test]
fn a_retry_remembers_the_code_and_whether_anything_may_have_happened() {
    let retry = |change: fn(&mut Envelope), outcome: &Outcome| match Fixture::new(SHOPS).with(change).conclude(
        &BROKEN,
        outcome,
        Hold::NotHeld,
    ) {
        Settlement::Retry { delay, effect, last_code } => (delay, effect, last_code),
        other => panic!("not retried: {other:?}"),
    };
    let code = Some("connect_failed".to_owned());
    assert_eq!(retry(|_| {}, &RETRYABLE), (Duration::from_secs(5), Effect::None, code.clone()));
    let maybe = Outcome::Retryable(Cause::Broken, Effect::Possible);
    assert_eq!(retry(|_| {}, &maybe).1, Effect::Possible);
    assert_eq!(retry(|e| e.effect = Effect::Possible, &RETRYABLE).1, Effect::Possible, "earlier attempts count");
    assert_eq!(retry(|e| e.redelivery = Redelivery::Again, &RETRYABLE).1, Effect::Possible, "so do hidden ones");
}

#[test]
fn a_redelivery_that_is_put_off_stays_one_that_may_have_taken_effect() {
    let fixture = Fixture::new(SHOPS).with(|e| e.redelivery = Redelivery::Again);
    assert_eq!((fixture.envelope.effect, fixture.envelope.first_seen), (Effect::Possible, Some(now())));
}

#[test]
fn deferred_calls_are_not_counted_as_attempts() {
    let fixture = Fixture::new(SHOPS).with(|e| {
        e.attempt = 2;
        e.first_seen = Some(now() - Duration::from_hours(73));
    });
    let throttled = Outcome::Retryable(Cause::Throttled(None), Effect::None);
    let fault = Outcome::AccountFault(Scope::App, Certainty::Certain);
    for (outcome, hold) in [(throttled, Hold::NotHeld), (fault, Hold::Held(Duration::from_secs(30)))] {
        let outcome = dead(fixture.conclude(&failure("isv.app-call-limited"), &outcome, hold));
        assert_eq!((outcome.reason, outcome.attempts), (Reason::HeldTooLong, 1));
    }
}

#[test]
fn a_throttled_call_that_may_have_taken_effect_is_not_forgotten_by_its_deferral() {
    let throttled = Outcome::Retryable(Cause::Throttled(None), Effect::Possible);
    let settlement = Fixture::new(SHOPS).conclude(&failure("SYSTEM_ERROR"), &throttled, Hold::NotHeld);
    assert!(matches!(settlement, Settlement::Defer { effect: Effect::Possible, .. }), "{settlement:?}");
}

#[test]
fn an_early_message_waits_for_its_time() {
    let fixture = Fixture::new(SHOPS).with(|e| e.not_before = Some(now() + Duration::from_secs(7)));
    let expected = Settlement::Defer { delay: Duration::from_secs(7), effect: Effect::None, reason: Deferral::Early };
    assert_eq!(fixture.open().unwrap().turn_away(now().into()), Some(expected));
    let due = Fixture::new(SHOPS).with(|e| e.not_before = Some(now()));
    assert_eq!(due.open().unwrap().turn_away(now().into()), None);
}

#[test]
fn a_late_takedown_expires_without_a_call() {
    let body = SHOPS.replace(r#""batch""#, r#""deadline":"1970-06-01T00:00:00Z","batch""#);
    let fixture = Fixture::new(&body).with(|e| e.attempt = 2);
    let outcome = complete(fixture.open().unwrap().turn_away(now().into()).unwrap());
    assert_eq!((outcome.reason, outcome.attempts), (Reason::DeadlinePassed, 1));
}

#[test]
fn no_wait_outlives_the_policy() {
    let fixture = Fixture::new(SHOPS).with(|e| {
        e.first_seen = Some(now() - Duration::from_hours(72));
        e.last_code = Some("SYSTEM_ERROR".into());
    });
    let outcome = dead(fixture.open().unwrap().put_off(Duration::from_secs(1), Deferral::Held, now().into()));
    assert_eq!((outcome.reason, outcome.gateway_code.as_deref()), (Reason::HeldTooLong, Some("SYSTEM_ERROR")));
}

#[test]
fn a_message_in_hand_at_many_crashes_is_worked_alone_and_then_not_at_all() {
    let case = |count: u32| Fixture::new(SHOPS).with(|e| e.delivery_count = count);
    assert!(!case(2).open().unwrap().is_suspect());
    assert!(case(3).open().unwrap().is_suspect());
    assert_eq!(case(19).open().unwrap().turn_away(now().into()), None);
    let outcome = dead(case(20).open().unwrap().turn_away(now().into()).unwrap());
    assert_eq!((outcome.reason, outcome.id.as_str()), (Reason::CrashLoop, "t-1"));
}

#[test]
fn a_panic_costs_an_attempt_and_ends_as_a_crash_loop() {
    let settlement = Fixture::new(SHOPS).with(|_| {}).message().crashed(0.5, now().into());
    let expected = Settlement::Retry { delay: Duration::from_secs(5), effect: Effect::Possible, last_code: None };
    assert_eq!(settlement, expected);
    let outcome = dead(Fixture::new(SHOPS).with(|e| e.attempt = 6).message().crashed(0.5, now().into()));
    assert_eq!((outcome.reason, outcome.attempts, outcome.id.as_str()), (Reason::CrashLoop, 6, "t-1"));
}

#[test]
fn a_party_is_the_merchant_the_administrator_or_a_digest_of_the_token() {
    let party = |body: &str| Fixture::new(body).with(|_| {}).open().unwrap().party();
    assert_eq!(party(SHOPS).as_deref(), Some("m1"));
    assert_eq!(party(&SHOPS.replace(r#","merchant":"m1""#, "")), None);
    let inline = party(&SHOPS.replace(r#""merchant":"m1""#, r#""app_auth_token":"t0ken""#)).unwrap();
    assert!(inline.starts_with("token:") && inline.len() == 18 && !inline.contains("t0ken"), "{inline}");
    let mapi =
        r#"{"version":1,"id":"t-1","account":"desk","takedown":{"gateway":"mapi","sns_user_id":"u1","key":"k"}}"#;
    let desk = Fixture::new(mapi).with(|e| e.account = AccountId::new("desk").unwrap());
    assert_eq!(desk.open().unwrap().party().as_deref(), Some("u1"));
}

#[test]
fn what_was_put_off_or_tried_before_may_have_a_twin_that_did_it() {
    let gateway_says_off = Reply::Answered(Answer {
        http_status: 200,
        signature: Signature::Valid,
        refusals: Refusals::Signed,
        claim: Claim::Failure {
            code: Some("40004".into()),
            sub_code: Some("SHOP_STATUS_NOT_SUPPORT".into()),
            message: None,
        },
        retry_after: None,
        unknown_certificate: None,
    });
    for (attempt, deferrals, reason) in
        [(1, 0, Reason::NotOnSale), (1, 1, Reason::TakenDownEarlier), (2, 0, Reason::TakenDownEarlier)]
    {
        let fixture = Fixture::new(SHOPS).with(|envelope| {
            envelope.attempt = attempt;
            envelope.deferrals = deferrals;
        });
        let history = fixture.open().unwrap().history();
        let outcome = crate::domain::classify::classify(Gateway::OpenPlatform, &gateway_says_off, history);
        let ends = matches!(outcome, Outcome::Success(found) | Outcome::Terminal(found) if found == reason);
        assert!(ends, "attempt {attempt}, {deferrals} deferrals: {outcome:?}");
        assert_eq!(fixture.envelope.effect, Effect::None, "a twin is no ambiguous attempt of this message");
    }
}

/// The clock was set so far forward, or back.
fn set(forward: Duration, back: Duration) -> Moment {
    Moment { wall: now() + forward - back, steady: now() }
}

#[test]
fn a_clock_set_forward_makes_no_message_old_and_leaves_no_wait_longer() {
    let moment = set(Duration::from_hours(24 * 30), Duration::ZERO);
    let seen_before = Fixture::new(SHOPS).with(|e| e.first_seen = Some(now() - Duration::from_hours(1)));
    let settlement = seen_before.open().unwrap().put_off(Duration::from_secs(1), Deferral::Held, moment);
    assert_eq!(
        settlement,
        Settlement::Defer { delay: Duration::from_secs(1), effect: Effect::None, reason: Deferral::Held }
    );
    let mut seen_then = Envelope::fresh(AccountId::new("shops").unwrap());
    remember(&mut seen_then, moment);
    remember(&mut seen_then, now().into());
    assert_eq!(seen_then.first_seen, Some(now()), "what the wrong clock wrote is not believed by the right one");
}

#[test]
fn a_clock_set_back_parks_nothing_and_makes_nothing_older() {
    let moment = set(Duration::ZERO, Duration::from_hours(24));
    let due = Fixture::new(SHOPS).with(|e| e.not_before = Some(now()));
    assert_eq!(due.open().unwrap().turn_away(moment), None);
    let mut seen_then = Envelope::fresh(AccountId::new("shops").unwrap());
    remember(&mut seen_then, moment);
    assert_eq!(seen_then.first_seen, Some(now()));
}
