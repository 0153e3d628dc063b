use proptest::prelude::*;

use super::*;
use crate::domain::classify::{Cause, Effect};
use crate::domain::codes::Certainty;
use crate::domain::outcome::Reason;
use crate::domain::reply::{Answer, Claim as Said, Refusals, Signature};

const FIRST: Duration = Duration::from_secs(30);
const MAX: Duration = Duration::from_secs(100);
const CERTAIN: Outcome = Outcome::AccountFault(Scope::App, Certainty::Certain);
const DOUBTFUL: Outcome = Outcome::AccountFault(Scope::Partner, Certainty::Doubtful);
const TOKEN: Outcome = Outcome::AccountFault(Scope::Token, Certainty::Certain);
const PASSED: Outcome = Outcome::Success(Reason::TakenDown);
const UNTRUSTED: Outcome = Outcome::Retryable(Cause::Untrusted, Effect::Possible);
const BROKEN: Outcome = Outcome::Retryable(Cause::Broken, Effect::Possible);

/// The holds with a clock and without jitter.
struct Bench {
    holds: Holds,
    now: Instant,
}

impl Bench {
    fn new() -> Self {
        let now = Instant::now();
        Self { holds: Holds::new(HoldSettings { first_probe: FIRST, max_probe: MAX }, now), now }
    }

    fn later(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn claim(&mut self, party: Option<&str>) -> Result<Claim, Duration> {
        self.holds.claim(party, self.now, 0.0)
    }

    fn record(&mut self, claim: Claim, id: &str, outcome: &Outcome) -> Recorded {
        self.record_said(claim, id, &reply(Signature::Valid), outcome)
    }

    fn record_said(&mut self, claim: Claim, id: &str, reply: &Reply, outcome: &Outcome) -> Recorded {
        self.holds.record(claim, &RequestId::new(id).unwrap(), reply, outcome, self.now, 0.0)
    }

    /// One whole call that nobody signed the answer of.
    fn call_unsigned(&mut self, id: &str, outcome: &Outcome) -> Recorded {
        let claim = self.claim(None).unwrap();
        self.record_said(claim, id, &reply(Signature::Unsigned), outcome)
    }

    /// One whole call.
    fn call(&mut self, party: Option<&str>, id: &str, outcome: &Outcome) -> Recorded {
        let claim = self.claim(party).unwrap();
        self.record(claim, id, outcome)
    }
}

pub(super) fn reply(signature: Signature) -> Reply {
    Reply::Answered(Answer {
        http_status: 200,
        signature,
        refusals: Refusals::Unsigned,
        claim: Said::failure(Some("CODE"), None, None),
        retry_after: None,
        unknown_certificate: None,
    })
}

fn held(party: Option<&str>, probe_in: Duration) -> Vec<HoldChange> {
    vec![HoldChange::Held { party: party.map(ToOwned::to_owned), cause: "CODE".into(), probe_in }]
}

fn resumed(party: Option<&str>) -> Vec<HoldChange> {
    vec![HoldChange::Resumed { party: party.map(ToOwned::to_owned) }]
}

#[test]
fn a_certain_fault_holds_the_account_until_its_probe() {
    let mut bench = Bench::new();
    let recorded = bench.call(None, "a", &CERTAIN);
    assert_eq!(recorded, Recorded { hold: Hold::Held(FIRST), changes: held(None, FIRST) });
    bench.later(29);
    assert_eq!(bench.claim(Some("anyone")).unwrap_err(), Duration::from_secs(1));
    bench.later(1);
    assert!(bench.claim(None).is_ok());
}

#[test]
fn one_probe_goes_at_a_time() {
    let mut bench = Bench::new();
    bench.call(None, "a", &CERTAIN);
    bench.later(30);
    let probe = bench.claim(None).unwrap();
    assert_eq!(bench.claim(None).unwrap_err(), PROBE_AGAIN, "the probe is out");
    assert_eq!(bench.record(probe, "b", &PASSED).changes, resumed(None));
    assert!(bench.claim(None).is_ok());
}

#[test]
fn a_failed_probe_doubles_the_wait_up_to_the_longest() {
    let mut bench = Bench::new();
    bench.call(None, "a", &CERTAIN);
    for wait in [60, 100, 100] {
        bench.later(100);
        let wait = Duration::from_secs(wait);
        assert_eq!(bench.call(None, "b", &CERTAIN), Recorded { hold: Hold::Held(wait), changes: held(None, wait) });
    }
}

#[test]
fn a_probe_that_says_nothing_keeps_the_hold_and_is_due_again_soon() {
    for outcome in [
        BROKEN,
        Outcome::Retryable(Cause::Throttled(None), Effect::None),
        Outcome::Retryable(Cause::ServerError, Effect::Possible),
        Outcome::Retryable(Cause::Unreadable, Effect::Possible),
        Outcome::Terminal(Reason::NotEncodable),
    ] {
        let mut bench = Bench::new();
        bench.call(None, "a", &CERTAIN);
        bench.later(30);
        assert_eq!(bench.call(None, "b", &outcome).changes, vec![], "{outcome:?}");
        assert_eq!(bench.claim(None).unwrap_err(), PROBE_AGAIN, "{outcome:?}");
        bench.later(5);
        assert_eq!(bench.call(None, "c", &CERTAIN).changes, held(None, FIRST * 2), "the wait was not doubled twice");
    }
}

fn disbelieved(probe_in: Duration) -> Vec<HoldChange> {
    vec![HoldChange::Held { party: None, cause: DISBELIEVED.into(), probe_in }]
}

#[test]
fn a_run_of_answers_nobody_can_believe_holds_the_account() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c", "d", "d", "a"] {
        assert_eq!(bench.call(Some("m1"), id, &UNTRUSTED).changes, vec![], "{id}: four items, however often");
    }
    assert_eq!(bench.call(Some("m2"), "e", &UNTRUSTED).changes, disbelieved(FIRST));
    assert_eq!(bench.claim(None).unwrap_err(), FIRST);
    bench.later(30);
    assert_eq!(bench.call(None, "f", &UNTRUSTED).changes, disbelieved(FIRST * 2), "a probe that fails");
    bench.later(60);
    assert_eq!(bench.call(None, "g", &PASSED).changes, resumed(None));
}

#[test]
fn one_believed_answer_ends_the_run() {
    let mut bench = Bench::new();
    for id in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        if id == "e" {
            bench.call(None, "x", &PASSED);
        }
        assert_eq!(bench.call(None, id, &UNTRUSTED).changes, vec![], "{id}");
        assert_eq!(bench.call(None, "y", &BROKEN).changes, vec![], "a broken call says nothing");
    }
}

#[test]
fn an_unsigned_refusal_neither_ends_the_run_nor_a_hold_that_came_of_it() {
    const MISSING: Outcome = Outcome::Terminal(Reason::ItemNotFound);
    let mut bench = Bench::new();
    for id in ["a", "b", "c", "d"] {
        assert_eq!(bench.call(None, id, &UNTRUSTED).changes, vec![], "{id}");
        assert_eq!(bench.call_unsigned("x", &MISSING).changes, vec![], "{id}");
    }
    assert_eq!(bench.call(None, "e", &UNTRUSTED).changes, disbelieved(FIRST));
    bench.later(30);
    assert_eq!(bench.call_unsigned("y", &MISSING).changes, vec![]);
    assert_eq!(bench.claim(None).unwrap_err(), PROBE_AGAIN);
    bench.later(5);
    assert_eq!(bench.call(None, "f", &UNTRUSTED).changes, disbelieved(FIRST * 2));
    bench.later(60);
    assert_eq!(bench.call(None, "g", &MISSING).changes, resumed(None), "verified");
}

#[test]
fn an_unsigned_answer_clears_a_doubt_and_ends_the_hold_of_a_fault() {
    let mut bench = Bench::new();
    bench.call(None, "a", &DOUBTFUL);
    bench.call_unsigned("b", &Outcome::Terminal(Reason::ItemNotFound));
    assert_eq!(bench.call(None, "c", &DOUBTFUL).hold, Hold::NotHeld);
    bench.call(None, "d", &CERTAIN);
    bench.later(30);
    assert_eq!(bench.call_unsigned("e", &Outcome::Terminal(Reason::ItemNotFound)).changes, resumed(None));
}

#[test]
fn any_answer_about_the_item_resumes() {
    for outcome in [
        PASSED,
        Outcome::Terminal(Reason::ItemNotFound),
        Outcome::Retryable(Cause::Code, Effect::Possible),
        Outcome::Retryable(Cause::UnlistedCode, Effect::Possible),
    ] {
        let mut bench = Bench::new();
        bench.call(None, "a", &CERTAIN);
        bench.later(30);
        assert_eq!(bench.call(None, "b", &outcome).changes, resumed(None), "{outcome:?}");
    }
}

#[test]
fn a_lost_probe_frees_its_slot_at_once() {
    let mut bench = Bench::new();
    bench.call(None, "a", &CERTAIN);
    bench.later(30);
    let probe = bench.claim(None).unwrap();
    bench.holds.release(&probe, bench.now);
    assert_eq!(bench.call(None, "b", &PASSED).changes, resumed(None));
}

#[test]
fn calls_in_flight_when_the_hold_began_change_nothing() {
    let mut bench = Bench::new();
    let in_flight: Vec<_> = (0..4).map(|_| bench.claim(None).unwrap()).collect();
    bench.call(None, "a", &CERTAIN);
    bench.later(10);
    for (claim, outcome) in in_flight.into_iter().zip([CERTAIN, PASSED, BROKEN, DOUBTFUL]) {
        let is_fault = matches!(outcome, Outcome::AccountFault(..));
        let recorded = bench.record(claim, "b", &outcome);
        assert_eq!(recorded.changes, vec![], "{outcome:?}");
        let hold = if is_fault { Hold::Held(Duration::from_secs(20)) } else { Hold::NotHeld };
        assert_eq!(recorded.hold, hold, "{outcome:?}");
    }
    assert_eq!(bench.claim(None).unwrap_err(), Duration::from_secs(20));
}

#[test]
fn a_doubtful_fault_needs_a_second_item() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(None, "a", &DOUBTFUL).hold, Hold::NotHeld);
    assert_eq!(bench.call(None, "a", &DOUBTFUL).hold, Hold::NotHeld, "the same item proves nothing new");
    bench.call(None, "b", &BROKEN);
    assert_eq!(bench.call(None, "b", &DOUBTFUL).hold, Hold::Held(FIRST));
}

#[test]
fn a_call_that_passed_clears_a_doubt() {
    let mut bench = Bench::new();
    bench.call(None, "a", &DOUBTFUL);
    bench.call(None, "b", &PASSED);
    assert_eq!(bench.call(None, "c", &DOUBTFUL).hold, Hold::NotHeld);
}

#[test]
fn doubts_of_different_scopes_do_not_add_up() {
    let mut bench = Bench::new();
    bench.call(None, "a", &DOUBTFUL);
    let other = Outcome::AccountFault(Scope::App, Certainty::Doubtful);
    assert_eq!(bench.call(None, "b", &other).hold, Hold::NotHeld);
}

#[test]
fn a_party_at_fault_is_held_alone() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(Some("m1"), "a", &TOKEN).changes, held(Some("m1"), FIRST));
    assert!(bench.claim(Some("m1")).is_err());
    assert!(bench.claim(Some("m2")).is_ok());
    assert!(bench.claim(None).is_ok());
    assert!(!bench.holds.is_held());
    bench.later(30);
    assert_eq!(bench.call(Some("m1"), "b", &PASSED).changes, resumed(Some("m1")));
    assert!(bench.holds.parties.is_empty(), "a clear party is forgotten");
}

#[test]
fn a_token_fault_without_a_party_holds_the_account() {
    let mut bench = Bench::new();
    assert_eq!(bench.call(None, "a", &TOKEN).changes, held(None, FIRST));
    assert!(bench.claim(Some("m2")).is_err());
}

#[test]
fn doubts_about_two_administrators_do_not_add_up() {
    let fault = Outcome::AccountFault(Scope::SnsUser, Certainty::Doubtful);
    let mut bench = Bench::new();
    bench.call(Some("u1"), "a", &fault);
    assert_eq!(bench.call(Some("u2"), "b", &fault).hold, Hold::NotHeld);
    assert_eq!(bench.call(Some("u1"), "c", &fault).hold, Hold::Held(FIRST));
}

#[test]
fn a_call_due_to_probe_both_resumes_both() {
    let mut bench = Bench::new();
    let early = bench.claim(Some("m1")).unwrap();
    bench.call(Some("m1"), "a", &TOKEN);
    bench.record(early, "b", &CERTAIN);
    bench.later(30);
    let changes = bench.call(Some("m1"), "c", &PASSED).changes;
    assert_eq!(changes, [resumed(None), resumed(Some("m1"))].concat());
}

#[test]
fn a_fault_of_a_party_does_not_lift_the_hold_of_the_account() {
    let mut bench = Bench::new();
    bench.call(None, "a", &CERTAIN);
    bench.later(30);
    assert_eq!(bench.call(Some("m1"), "b", &TOKEN).changes, held(Some("m1"), FIRST));
    assert!(bench.holds.is_held());
    bench.later(5);
    assert_eq!(bench.call(Some("m2"), "c", &PASSED).changes, resumed(None));
}

#[test]
fn held_messages_come_back_spread_over_half_a_wait() {
    let mut bench = Bench::new();
    bench.call(None, "a", &CERTAIN);
    let wait = |jitter| bench.holds.wait(None, bench.now, jitter).unwrap();
    assert_eq!((wait(0.0), wait(0.5), wait(1.0)), (FIRST, FIRST + FIRST / 4, FIRST + FIRST / 2));
}

#[test]
fn a_flood_of_bad_parties_is_forgotten_in_time() {
    let mut bench = Bench::new();
    for n in 0..3 * MANY_PARTIES {
        bench.call(Some(&n.to_string()), "a", &TOKEN);
        bench.later(1);
    }
    assert!(bench.holds.parties.len() <= MANY_PARTIES, "{}", bench.holds.parties.len());
}

fn is_probe(role: Role) -> bool {
    matches!(role, Role::Probe(_))
}

/// One step of a random schedule.
#[derive(Debug, Clone)]
enum Step {
    Later(u64),
    Claim(Option<u8>),
    Drop(usize),
    Record(usize, u8, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let party = prop::option::of(0u8..2);
    let step = prop_oneof![
        (0u64..50).prop_map(Step::Later),
        party.prop_map(Step::Claim),
        any::<usize>().prop_map(Step::Drop),
        (any::<usize>(), 0u8..3, any::<usize>()).prop_map(|(which, id, outcome)| Step::Record(which, id, outcome)),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #[test]
    fn whatever_happens_one_probe_is_out_at_most_and_the_account_never_wedges(steps in steps()) {
        let outcomes = [CERTAIN, DOUBTFUL, TOKEN, PASSED, BROKEN, Outcome::Terminal(Reason::ItemNotFound)];
        let mut bench = Bench::new();
        let mut out: Vec<Claim> = Vec::new();
        for step in steps {
            match step {
                Step::Later(seconds) => bench.later(seconds),
                Step::Claim(party) => {
                    let was_held = bench.holds.is_held();
                    if let Ok(claim) = bench.claim(party.map(|p| p.to_string()).as_deref()) {
                        prop_assert_eq!(is_probe(claim.for_account), was_held);
                        out.push(claim);
                    }
                }
                Step::Drop(which) if !out.is_empty() => {
                    let claim = out.swap_remove(which % out.len());
                    bench.holds.release(&claim, bench.now);
                }
                Step::Record(which, id, outcome) if !out.is_empty() => {
                    let claim = out.swap_remove(which % out.len());
                    let recorded = bench.record(claim, &format!("i{id}"), &outcomes[outcome % outcomes.len()]);
                    for change in &recorded.changes {
                        if let HoldChange::Held { probe_in, .. } = change {
                            prop_assert!(*probe_in >= FIRST && *probe_in <= MAX);
                        }
                    }
                }
                Step::Drop(_) | Step::Record(..) => {}
            }
            prop_assert!(out.iter().filter(|c| is_probe(c.for_account)).count() <= 1);
            for party in ["0", "1"] {
                let probes = out.iter().filter(|c| c.party.as_deref() == Some(party) && is_probe(c.for_party));
                prop_assert!(probes.count() <= 1);
            }
        }
        for claim in out {
            bench.holds.release(&claim, bench.now);
        }
        bench.later(MAX.as_secs());
        for party in [None, Some("0"), Some("1")] {
            let claim = bench.claim(party);
            prop_assert!(claim.is_ok(), "{party:?} is wedged: {claim:?}");
            bench.holds.release(&claim.unwrap(), bench.now);
        }
    }
}
