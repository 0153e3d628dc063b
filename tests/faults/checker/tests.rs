//! The checker is fed one wrong thing at a time, and names it.

use std::time::SystemTime;

use takedown::domain::outcome::{FinalOutcome, ItemIds};

use super::*;
use crate::support::queue::takedown;

fn told(id: &str, reason: Reason) -> Told {
    let outcome = FinalOutcome {
        id: id.into(),
        batch: None,
        account: "shops".into(),
        gateway: None,
        reason,
        gateway_code: None,
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH,
        verified: true,
        item: ItemIds::default(),
        worker: "w".into(),
        replays: 0,
    };
    Told { message_id: outcome.outcome_id(), outcome }
}

fn label(id: &str) -> String {
    takedown(id, "shops").item.label()
}

fn seen(id: &str, took_effect: bool) -> Seen {
    Seen { at_ms: 0, item: label(id), fault: None, answered: "10000".into(), took_effect, traceparent: None }
}

/// Four takedowns and a message that is none, as they should end after two interruptions.
fn right() -> Evidence {
    let ids = ["on-sale", "off-sale", "missing", "doomed"];
    let states = [("off-sale", ItemState::OffSale), ("missing", ItemState::Missing)];
    let states: BTreeMap<_, _> = states.map(|(id, state)| (label(id), state)).into();
    let mut items = states.clone();
    items.insert(label("on-sale"), ItemState::OffSale);
    let ends = [
        ("on-sale", Reason::TakenDown),
        ("off-sale", Reason::NotOnSale),
        ("missing", Reason::ItemNotFound),
        ("doomed", Reason::UnknownCode),
        ("odd", Reason::InvalidMessage),
    ];
    Evidence {
        mix: Mix { takedowns: ids.map(|id| takedown(id, "shops")).into(), states },
        odd: [("odd".to_owned(), Reason::InvalidMessage)].into(),
        book: Book {
            told: ends.map(|(id, reason)| (id.to_owned(), vec![told(id, reason)])).into(),
            unreadable: Vec::new(),
        },
        letters: vec!["doomed".into(), "odd".into()],
        left: BTreeMap::new(),
        places: BTreeMap::new(),
        items,
        seen: vec![seen("on-sale", true), seen("off-sale", false), seen("missing", false), seen("doomed", false)],
        odd_ends: Vec::new(),
        allowed: Allowed { attempts: 3, interruptions: 2, in_flight: 2 },
    }
}

/// Breaks the right evidence, and returns the checker's words for it.
fn breaches(wrong: impl FnOnce(&mut Evidence)) -> Vec<Breach> {
    let mut evidence = right();
    wrong(&mut evidence);
    check(&evidence).breaches
}

fn tell(evidence: &mut Evidence, id: &str, reason: Reason) {
    evidence.book.told.entry(id.into()).or_default().push(told(id, reason));
}

#[test]
fn what_ends_as_it_should_is_no_breach() {
    let Report { breaches, figures } = check(&right());
    assert_eq!(breaches, []);
    assert_eq!((figures.accepted, figures.calls, figures.most_calls, figures.ends.len()), (5, 4, 1, 5));
}

#[test]
fn a_lost_item_is_named_with_the_places_of_its_messages() {
    let found = breaches(|evidence| {
        evidence.book.told.remove("on-sale");
        evidence.places.insert("on-sale".into(), vec!["retry".into()]);
    });
    assert_eq!(found, [Breach::Lost { id: "on-sale".into(), places: vec!["retry".into()] }]);
    let found = breaches(|evidence| {
        evidence.book.told.remove("odd");
        evidence.letters.pop();
    });
    assert_eq!(found, [Breach::Lost { id: "odd".into(), places: Vec::new() }]);
}

#[test]
fn an_outcome_of_nobody_and_one_that_cannot_be_read_are_named() {
    let found = breaches(|evidence| {
        tell(evidence, "nobody", Reason::TakenDown);
        evidence.book.unreadable.push("x".into());
    });
    assert_eq!(found, [Breach::Stranger { id: "nobody".into() }, Breach::Unreadable { message: "x".into() }]);
}

#[test]
fn an_item_that_ends_in_two_ways_is_named() {
    let mut evidence = right();
    evidence.book.told.get_mut("doomed").unwrap().extend_from_within(..);
    evidence.letters.push("odd".into());
    let Report { breaches, figures } = check(&evidence);
    let repeated = (figures.repeated_outcomes, figures.repeated_letters);
    assert_eq!((breaches, repeated), (vec![], (1, 1)), "the same outcome and letter once more");
    for (other, status) in [(Reason::TakenDownEarlier, "success"), (Reason::OutcomeUnknown, "dead")] {
        let mut evidence = right();
        tell(&mut evidence, "doomed", other);
        evidence.items.insert(label("doomed"), ItemState::OffSale);
        let ends = format!("dead/unknown_code by w, then {status}/{other} by w");
        assert_eq!(check(&evidence).breaches, [Breach::TwoEnds { id: "doomed".into(), ends }]);
        assert_eq!(check(&evidence).figures.two_ends, 1);
    }
}

#[test]
fn an_outcome_by_another_name_is_named() {
    let found = breaches(|evidence| evidence.book.told.get_mut("missing").unwrap()[0].message_id = "x".into());
    let outcome_id = "missing:terminal:0".into();
    assert_eq!(found, [Breach::Misnamed { id: "missing".into(), message_id: "x".into(), outcome_id }]);
}

#[test]
fn a_success_that_is_still_on_sale_is_named() {
    let found = breaches(|evidence| {
        evidence.items.remove(&label("on-sale"));
    });
    let (id, reason) = ("on-sale".into(), Reason::TakenDown);
    assert_eq!(found, [Breach::NotOffSale { id, reason, state: ItemState::OnSale }]);
}

#[test]
fn an_end_against_the_sandboxs_truth_is_named() {
    for (id, reason, state) in [
        ("on-sale", Reason::NotOnSale, ItemState::OnSale),
        ("on-sale", Reason::ItemNotFound, ItemState::OnSale),
        ("missing", Reason::TakenDown, ItemState::Missing),
        ("off-sale", Reason::NoPermission, ItemState::OffSale),
    ] {
        let found = breaches(|evidence| drop(evidence.book.told.insert(id.into(), vec![told(id, reason)])));
        assert_eq!(found, [Breach::WrongEnd { id: id.into(), reason, state }]);
    }
    let found = breaches(|evidence| {
        evidence.book.told.insert("odd".into(), vec![told("odd", Reason::UnknownAccount)]);
    });
    let (reason, expected) = (Reason::UnknownAccount, Reason::InvalidMessage);
    assert_eq!(found, [Breach::OddEnd { id: "odd".into(), reason, expected }]);
}

#[test]
fn an_item_told_as_untouched_that_a_call_took_down_is_named() {
    let exhausted = |evidence: &mut Evidence| {
        evidence.book.told.insert("doomed".into(), vec![told("doomed", Reason::AttemptsExhausted)]);
    };
    assert_eq!(breaches(exhausted), []);
    let found = breaches(|evidence| {
        exhausted(evidence);
        evidence.seen[3].took_effect = true;
    });
    assert_eq!(found, [Breach::Touched { id: "doomed".into() }]);
}

#[test]
fn letters_are_exactly_those_told_as_dead() {
    let found = breaches(|evidence| evidence.letters = vec!["odd".into(), "missing".into()]);
    let (doomed, missing) = ("doomed".to_owned(), "missing".to_owned());
    assert_eq!(found, [Breach::NoLetter { id: doomed }, Breach::StrayLetter { id: missing }]);
}

#[test]
fn calls_beyond_what_interruptions_explain_are_named() {
    // One in its attempts, two for interruptions.
    let more = |count: usize, fault: Option<&str>| {
        breaches(|evidence| {
            let again = Seen { fault: fault.map(ToOwned::to_owned), ..seen("on-sale", false) };
            evidence.seen.extend(std::iter::repeat_n(again, count));
        })
    };
    assert_eq!(more(2, None), []);
    assert_eq!(more(3, None), [Breach::TooManyCalls { id: "on-sale".into(), calls: 4, allowed: 3 }]);
    assert_eq!(more(9, Some("throttled")), [], "no attempt");
    // Two for each of two interruptions.
    let found = breaches(|evidence| {
        let again = ["on-sale", "off-sale", "missing"].map(|id| seen(id, false));
        evidence.seen.extend(again.iter().chain(&again[..2]).cloned());
    });
    assert_eq!(found, [Breach::TooManyRepeats { calls: 5, allowed: 4 }]);
}

#[test]
fn attempts_beyond_the_policy_are_named() {
    let found = breaches(|evidence| evidence.book.told.get_mut("missing").unwrap()[0].outcome.attempts = 4);
    assert_eq!(found, [Breach::TooManyAttempts { id: "missing".into(), attempts: 4, allowed: 3 }]);
}

#[test]
fn what_is_left_and_a_worker_that_ended_by_itself_are_named() {
    let found = breaches(|evidence| {
        evidence.left.insert("work".into(), 2);
        evidence.odd_ends.push("101".into());
    });
    assert_eq!(found, [Breach::Left { queue: "work".into(), count: 2 }, Breach::OddWorker { end: "101".into() }]);
}
