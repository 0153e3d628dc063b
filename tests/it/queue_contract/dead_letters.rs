//! The part of the contract about dead letters.

use takedown::domain::classify::Effect;
use takedown::domain::ids::RequestId;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::envelope::Envelope;
use takedown::queue::{DeadLetterFilter, DeadLetters, Queue};

use super::{Harness, SHORT, enqueue, retry};
use crate::support::queue::{account, outcome, take, takedown, within};

pub(crate) async fn a_dead_letter_keeps_the_raw_bytes_and_publishes_its_outcome<H: Harness>() {
    let mut harness = H::start().await;
    let raw = b"\xff\x00 {\"not\": \"a takedown\"";
    harness.put_raw(&account("shops"), "odd-1", raw).await;
    let delivery = take(harness.queue(), &account("shops")).await;
    assert_eq!((delivery.body.as_slice(), delivery.envelope.message_id.as_deref()), (raw.as_slice(), Some("odd-1")));
    let expected = outcome(&delivery, Reason::InvalidMessage);
    harness.queue().settle(delivery, Settlement::DeadLetter(expected.clone())).await.unwrap();
    assert_eq!(harness.next_outcome().await, ("unreadable:dead:0".to_owned(), (*expected).clone()));
    let letters = harness.dead_letters().list(&DeadLetterFilter::default()).await.unwrap();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].body, raw);
    assert_eq!((letters[0].id.as_str(), letters[0].account.as_str()), ("unreadable", "shops"));
    assert_eq!((letters[0].reason, letters[0].died_at), (Reason::InvalidMessage, expected.finished_at));
    assert_eq!(letters[0].outcome, *expected);
    assert_eq!(letters[0].envelope.message_id.as_deref(), Some("odd-1"));
    harness.finish().await;
}

/// Enqueues and dead-letters ids one after the other, so that their order is known.
async fn bury<H: Harness>(harness: &mut H, account_name: &str, letters: &[(&str, Reason)]) {
    for (id, reason) in letters {
        enqueue(harness, &[id], account_name).await;
        let delivery = take(harness.queue(), &account(account_name)).await;
        let outcome = outcome(&delivery, *reason);
        harness.queue().settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
        harness.next_outcome().await;
    }
}

async fn list<H: Harness>(harness: &H, filter: &DeadLetterFilter) -> Vec<String> {
    let letters = within("dead letters", harness.dead_letters().list(filter)).await.unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

const EVERYTHING: fn() -> DeadLetterFilter = DeadLetterFilter::default;

pub(crate) async fn looking_at_dead_letters_neither_removes_nor_reorders<H: Harness>() {
    let mut harness = H::start().await;
    let ids = ["t-1", "t-2", "t-3", "t-4", "t-5"];
    bury(&mut harness, "desk", &ids.map(|id| (id, Reason::OutcomeUnknown))).await;
    for limit in [None, Some(3), Some(1), None, Some(4), Some(2)] {
        let seen = list(&harness, &DeadLetterFilter { limit, ..EVERYTHING() }).await;
        assert_eq!(seen, ids[..limit.unwrap_or(ids.len())], "limit {limit:?}");
    }
    harness.finish().await;
}

pub(crate) async fn filters_choose_dead_letters<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::UnknownCode), ("t-2", Reason::HeldTooLong)]).await;
    bury(&mut harness, "shops", &[("t-3", Reason::UnknownCode)]).await;
    let by_reason = DeadLetterFilter { reason: Some(Reason::UnknownCode), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_reason).await, ["t-1", "t-3"]);
    assert_eq!(list(&harness, &DeadLetterFilter { accounts: vec![account("shops")], ..EVERYTHING() }).await, ["t-3"]);
    let by_id = DeadLetterFilter { id: Some(RequestId::new("t-2").unwrap()), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_id).await, ["t-2"]);
    let by_code = DeadLetterFilter { code: Some("isv.some-code".into()), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_code).await, ["t-1", "t-2", "t-3"]);
    assert!(list(&harness, &DeadLetterFilter { code: Some("other".into()), ..EVERYTHING() }).await.is_empty());
    assert_eq!(list(&harness, &DeadLetterFilter { limit: Some(2), ..by_code }).await, ["t-1", "t-2"]);
    harness.finish().await;
}

pub(crate) async fn a_replay_resets_the_attempts_and_keeps_the_id<H: Harness>() {
    let mut harness = H::start().await;
    let desk = account("desk");
    enqueue(&harness, &["t-0"], "desk").await;
    let delivery = take(harness.queue(), &desk).await;
    harness.queue().settle(delivery, retry(SHORT, Effect::None)).await.unwrap();
    let delivery = take(harness.queue(), &desk).await;
    assert_eq!(delivery.envelope.attempt, 2);
    let outcome = outcome(&delivery, Reason::AttemptsExhausted);
    harness.queue().settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    harness.next_outcome().await;

    bury(&mut harness, "desk", &[("t-1", Reason::HeldTooLong)]).await;
    let exhausted = DeadLetterFilter { reason: Some(Reason::AttemptsExhausted), ..EVERYTHING() };
    assert_eq!(harness.dead_letters().replay(&exhausted).await.unwrap(), 1);
    let replayed = take(harness.queue(), &desk).await;
    let expected = Envelope {
        message_id: Some("t-0".into()),
        last_code: Some("isp.unknown-error".into()),
        replays: 1,
        ..Envelope::fresh(desk)
    };
    assert_eq!(replayed.envelope, expected);
    assert_eq!(replayed.body, takedown("t-0", "desk").encode());
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-1"], "the other stays");
    let again = self::outcome(&replayed, Reason::TakenDown);
    harness.queue().settle(replayed, Settlement::Complete(again)).await.unwrap();
    assert_eq!(harness.next_outcome().await.0, "t-0:success:1");
    harness.finish().await;
}

pub(crate) async fn a_replay_knows_that_the_last_attempt_was_ambiguous<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::OutcomeUnknown)]).await;
    assert_eq!(harness.dead_letters().replay(&EVERYTHING()).await.unwrap(), 1);
    assert_eq!(take(harness.queue(), &account("desk")).await.envelope.effect, Effect::Possible);
    harness.finish().await;
}

pub(crate) async fn a_purge_deletes_what_it_names_and_nothing_else<H: Harness>() {
    let mut harness = H::start().await;
    let letters = ["t-1", "t-2", "t-3", "t-4"].map(|id| (id, Reason::UnknownCode));
    bury(&mut harness, "desk", &letters).await;
    let second = DeadLetterFilter { id: Some(RequestId::new("t-2").unwrap()), ..EVERYTHING() };
    assert_eq!(harness.dead_letters().purge(&second).await.unwrap(), 1);
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-1", "t-3", "t-4"]);
    assert_eq!(harness.dead_letters().purge(&DeadLetterFilter { limit: Some(2), ..EVERYTHING() }).await.unwrap(), 2);
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-4"]);
    assert_eq!(harness.dead_letters().purge(&EVERYTHING()).await.unwrap(), 1);
    assert_eq!(harness.dead_letters().purge(&EVERYTHING()).await.unwrap(), 0);
    harness.finish().await;
}
