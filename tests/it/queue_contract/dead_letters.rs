//! The part of the contract about dead letters.

use std::time::{Duration, SystemTime};

use takedown::domain::classify::Effect;
use takedown::domain::history::{Entry, Record, What};
use takedown::domain::ids::{BatchId, MerchantId, PlanId, RequestId};
use takedown::domain::notice::{LetterFilter, Plan};
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::domain::takedown::{Item, OpenPlatformItem, Priority, Takedown};
use takedown::queue::envelope::Envelope;
use takedown::queue::letters::{Edited, Left, Purged, Replay, ReplaySession, Selection, Step};
use takedown::queue::{DeadLetters, Intake, Queue};
use tokio_util::sync::CancellationToken;

use super::{Harness, SHORT, enqueue, retry};
use crate::support::queue::{account, outcome, purge_all, replay_all, take, takedown, within};

pub(crate) async fn a_dead_letter_keeps_the_raw_bytes_and_publishes_its_outcome<H: Harness>() {
    let mut harness = H::start().await;
    let raw = b"\xff\x00 {\"not\": \"a takedown\"";
    harness.put_raw(&account("shops"), "odd-1", raw).await;
    let delivery = take(harness.queue(), &account("shops")).await;
    assert_eq!((delivery.body.as_slice(), delivery.envelope.message_id.as_deref()), (raw.as_slice(), Some("odd-1")));
    let expected = outcome(&delivery, Reason::InvalidMessage);
    harness.queue().settle(delivery, Settlement::DeadLetter(expected.clone())).await.unwrap();
    assert_eq!(harness.next_outcome().await, ("unreadable:dead:0".to_owned(), (*expected).clone()));
    let letters = harness.dead_letters().list(&LetterFilter::default()).await.unwrap();
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

async fn list<H: Harness>(harness: &H, filter: &LetterFilter) -> Vec<String> {
    let letters = within("dead letters", harness.dead_letters().list(filter)).await.unwrap();
    letters.into_iter().map(|letter| letter.id).collect()
}

const EVERYTHING: fn() -> LetterFilter = LetterFilter::default;

pub(crate) async fn looking_at_dead_letters_neither_removes_nor_reorders<H: Harness>() {
    let mut harness = H::start().await;
    let ids = ["t-1", "t-2", "t-3", "t-4", "t-5"];
    bury(&mut harness, "desk", &ids.map(|id| (id, Reason::OutcomeUnknown))).await;
    for limit in [None, Some(3), Some(1), None, Some(4), Some(2)] {
        let page = harness.dead_letters().page(&Selection::default(), None, limit.unwrap_or(usize::MAX)).await.unwrap();
        let seen: Vec<_> = page.letters.into_iter().map(|letter| letter.id).collect();
        assert_eq!(seen, ids[..limit.unwrap_or(ids.len())], "limit {limit:?}");
    }
    harness.finish().await;
}

pub(crate) async fn filters_choose_dead_letters<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::UnknownCode), ("t-2", Reason::HeldTooLong)]).await;
    bury(&mut harness, "shops", &[("t-3", Reason::UnknownCode)]).await;
    let by_reason = LetterFilter { reason: Some(Reason::UnknownCode), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_reason).await, ["t-1", "t-3"]);
    assert_eq!(list(&harness, &LetterFilter { accounts: vec![account("shops")], ..EVERYTHING() }).await, ["t-3"]);
    let by_id = LetterFilter { id: Some(RequestId::new("t-2").unwrap()), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_id).await, ["t-2"]);
    let by_code = LetterFilter { code: Some("isv.some-code".into()), ..EVERYTHING() };
    assert_eq!(list(&harness, &by_code).await, ["t-1", "t-2", "t-3"]);
    assert!(list(&harness, &LetterFilter { code: Some("other".into()), ..EVERYTHING() }).await.is_empty());
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
    let exhausted = LetterFilter { reason: Some(Reason::AttemptsExhausted), ..EVERYTHING() };
    assert_eq!(replay_all(harness.dead_letters(), &exhausted).await, 1);
    let replayed = take(harness.queue(), &desk).await;
    let expected = Envelope {
        history: replayed.envelope.history.clone(),
        message_id: Some("t-0".into()),
        last_code: Some("isp.unknown-error".into()),
        replays: 1,
        ..Envelope::fresh(desk)
    };
    assert_eq!(*replayed.envelope, expected);
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
    assert_eq!(replay_all(harness.dead_letters(), &EVERYTHING()).await, 1);
    assert_eq!(take(harness.queue(), &account("desk")).await.envelope.effect, Effect::Possible);
    harness.finish().await;
}

pub(crate) async fn a_purge_deletes_what_it_names_and_nothing_else<H: Harness>() {
    let mut harness = H::start().await;
    let letters = ["t-1", "t-2", "t-3", "t-4"].map(|id| (id, Reason::UnknownCode));
    bury(&mut harness, "desk", &letters).await;
    let second = LetterFilter { id: Some(RequestId::new("t-2").unwrap()), ..EVERYTHING() };
    assert_eq!(purge_all(harness.dead_letters(), &second).await, 1);
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-1", "t-3", "t-4"]);
    for planned in [0, 2, 4] {
        let refused = harness.dead_letters().purge(&Selection::default(), planned).await.unwrap();
        assert_eq!(refused, Purged::Otherwise(3), "planned {planned}");
    }
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-1", "t-3", "t-4"]);
    assert_eq!(purge_all(harness.dead_letters(), &EVERYTHING()).await, 3);
    assert_eq!(purge_all(harness.dead_letters(), &EVERYTHING()).await, 0);
    harness.finish().await;
}

/// Buries a message of its own making, of a batch and for a merchant, at a time of its own.
async fn bury_odd<H: Harness>(harness: &mut H, id: &str, batch: &str, merchant: &str, died_at: SystemTime) {
    let Item::OpenPlatform(item) = takedown(id, "desk").item else { unreachable!() };
    let item = OpenPlatformItem { merchant: Some(MerchantId::new(merchant).unwrap()), ..item };
    let batch = Some(BatchId::new(batch).unwrap());
    let odd = Takedown { batch: batch.clone(), item: Item::OpenPlatform(item), ..takedown(id, "desk") };
    within("a confirm", harness.intake().enqueue(vec![odd])).await.unwrap();
    let delivery = take(harness.queue(), &account("desk")).await;
    let mut outcome = outcome(&delivery, Reason::UnknownCode);
    outcome.batch = batch.as_ref().map(ToString::to_string);
    outcome.finished_at = died_at;
    outcome.gateway_message = Some(format!("Wording of {merchant}"));
    harness.queue().settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    harness.next_outcome().await;
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000 + seconds)
}

pub(crate) async fn letters_are_found_by_batch_merchant_age_and_text<H: Harness>() {
    let mut harness = H::start().await;
    // Not in the order in which they died.
    for (id, batch, merchant, second) in [("t-3", "b-2", "m1", 30), ("t-1", "b-1", "m1", 10), ("t-2", "b-1", "m2", 20)]
    {
        bury_odd(&mut harness, id, batch, merchant, at(second)).await;
    }
    let batch = LetterFilter { batch: Some(BatchId::new("b-1").unwrap()), ..EVERYTHING() };
    assert_eq!(list(&harness, &batch).await, ["t-1", "t-2"]);
    let merchant = LetterFilter { merchant: Some(MerchantId::new("m1").unwrap()), ..EVERYTHING() };
    assert_eq!(list(&harness, &merchant).await, ["t-1", "t-3"]);
    let since = LetterFilter { died_since: Some(at(20)), ..EVERYTHING() };
    assert_eq!(list(&harness, &since).await, ["t-2", "t-3"]);
    let until = LetterFilter { died_until: Some(at(20)), ..EVERYTHING() };
    assert_eq!(list(&harness, &until).await, ["t-1", "t-2"]);
    let text = |text: &str| LetterFilter { text: Some(text.into()), ..EVERYTHING() };
    assert_eq!(list(&harness, &text("wording OF m2")).await, ["t-2"]);
    assert_eq!(list(&harness, &text("20160010200000000033400")).await, ["t-1", "t-2", "t-3"]);
    assert!(list(&harness, &text("nowhere")).await.is_empty());
    harness.finish().await;
}

pub(crate) async fn pages_go_on_where_the_last_one_ended<H: Harness>() {
    let mut harness = H::start().await;
    for n in [4, 1, 3, 0, 2] {
        bury_odd(&mut harness, &format!("t-{n}"), "b-1", "m1", at(n)).await;
    }
    let (mut seen, mut after, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = harness.dead_letters().page(&Selection::default(), after.as_ref(), 2).await.unwrap();
        assert_eq!(page.total, 5);
        seen.extend(page.letters.into_iter().map(|letter| letter.id));
        pages += 1;
        // What is replayed between two pages moves none of the others.
        if pages == 1 {
            let first = LetterFilter { id: Some(RequestId::new("t-0").unwrap()), ..EVERYTHING() };
            assert_eq!(replay_all(harness.dead_letters(), &first).await, 1);
            let delivery = take(harness.queue(), &account("desk")).await;
            let ended = outcome(&delivery, Reason::AlreadyOff);
            harness.queue().settle(delivery, Settlement::Complete(ended)).await.unwrap();
            harness.next_outcome().await;
            bury_odd(&mut harness, "t-5", "b-1", "m1", at(5)).await;
        }
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => break,
        }
    }
    assert_eq!(seen, ["t-0", "t-1", "t-2", "t-3", "t-4", "t-5"]);
    assert_eq!(pages, 3);
    harness.finish().await;
}

pub(crate) async fn the_history_goes_with_the_message<H: Harness>() {
    let mut harness = H::start().await;
    let desk = account("desk");
    enqueue(&harness, &["t-1"], "desk").await;
    let mut delivery = take(harness.queue(), &desk).await;
    delivery.envelope.history.push(Entry::new(What::Attempt, 1, "timeout", "w-1", at(1)));
    harness.queue().settle(delivery, retry(SHORT, Effect::Possible)).await.unwrap();
    let mut delivery = take(harness.queue(), &desk).await;
    delivery.envelope.history.push(Entry::new(What::Deferral, 2, "held", "w-1", at(2)));
    let put_off = Settlement::Defer { delay: SHORT, effect: Effect::None, reason: Deferral::Held };
    harness.queue().settle(delivery, put_off).await.unwrap();
    let delivery = take(harness.queue(), &desk).await;
    let outcome = outcome(&delivery, Reason::OutcomeUnknown);
    harness.queue().settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    harness.next_outcome().await;
    let told = |record: &Record| record.entries().iter().map(|e| (e.what, e.how.clone())).collect::<Vec<_>>();
    let mut expected = vec![
        (What::Attempt, "timeout".to_owned()),
        (What::Deferral, "held".to_owned()),
        (What::End, "outcome_unknown".to_owned()),
    ];
    let letters = harness.dead_letters().list(&EVERYTHING()).await.unwrap();
    assert_eq!(told(&letters[0].envelope.history), expected);
    let plan = Some(PlanId::new("k7mq2x").unwrap());
    let replay = Replay { plan: plan.clone(), by: "ada".into(), at: at(9) };
    assert_eq!(harness.dead_letters().replay(&Selection::default(), &replay).await.unwrap(), 1);
    let again = take(harness.queue(), &desk).await;
    expected.push((What::Replay, "k7mq2x".to_owned()));
    assert_eq!((told(&again.envelope.history), again.envelope.plan), (expected, plan));
    harness.finish().await;
}

pub(crate) async fn a_letter_that_dies_again_is_not_of_the_plan_that_replayed_it<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::UnknownCode), ("t-2", Reason::UnknownCode)]).await;
    let plan = Plan {
        id: PlanId::new("k7mq2x").unwrap(),
        filter: EVERYTHING(),
        // Later than any death: it is not the clock that keeps the letter out.
        cut_off: at(1_000_000),
        count: 2,
    };
    let (selection, replay) =
        (Selection::from(&plan), Replay { plan: Some(plan.id.clone()), by: "ada".into(), at: at(0) });
    let (desk, never) = (account("desk"), CancellationToken::new());
    let session = harness.dead_letters().session(&desk, &selection, &replay, &never);
    let mut session = session.await.unwrap();
    assert_eq!(session.step(1).await.unwrap().replayed, 1);
    let delivery = take(harness.queue(), &account("desk")).await;
    assert_eq!(delivery.envelope.replays, 1);
    let outcome = outcome(&delivery, Reason::UnknownCode);
    harness.queue().settle(delivery, Settlement::DeadLetter(outcome)).await.unwrap();
    session.close().await.unwrap();
    // The other one, and not the one that died again.
    assert_eq!(harness.dead_letters().replay(&selection, &replay).await.unwrap(), 1);
    assert_eq!(harness.dead_letters().replay(&selection, &replay).await.unwrap(), 0);
    let left = harness.dead_letters().list(&EVERYTHING()).await.unwrap();
    assert_eq!(left.iter().map(|letter| letter.envelope.replays).collect::<Vec<_>>(), [1]);
    // A plan made now means it.
    let next = Plan { id: PlanId::new("zzzzzz").unwrap(), ..plan.clone() };
    assert_eq!(harness.dead_letters().replay(&Selection::from(&next), &replay).await.unwrap(), 1);
    harness.finish().await;
}

pub(crate) async fn a_cut_off_leaves_out_what_died_after_it<H: Harness>() {
    let mut harness = H::start().await;
    for n in 1..=3 {
        bury_odd(&mut harness, &format!("t-{n}"), "b-1", "m1", at(n * 10)).await;
    }
    let plan = Plan { id: PlanId::new("k7mq2x").unwrap(), filter: EVERYTHING(), cut_off: at(20), count: 2 };
    let replay = Replay { plan: Some(plan.id.clone()), by: "ada".into(), at: at(0) };
    assert_eq!(harness.dead_letters().replay(&Selection::from(&plan), &replay).await.unwrap(), 2);
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-3"]);
    harness.finish().await;
}

pub(crate) async fn an_edited_letter_takes_the_place_of_the_old_one<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::InvalidMessage), ("t-2", Reason::InvalidMessage)]).await;
    let letters = harness.dead_letters().list(&EVERYTHING()).await.unwrap();
    let mended = Takedown { priority: Priority::High, ..takedown("t-1", "shops") };
    let edited = Edited {
        account: account("shops"),
        body: mended.encode(),
        priority: Priority::High,
        entry: Entry::new(What::Edit, 1, "account", "ada", at(5)),
    };
    assert_eq!(harness.dead_letters().replace(&letters[0], &edited).await.unwrap(), 1);
    assert_eq!(harness.dead_letters().replace(&letters[0], &edited).await.unwrap(), 0, "it is not there any more");
    let shops = LetterFilter { accounts: vec![account("shops")], ..EVERYTHING() };
    let now = harness.dead_letters().list(&shops).await.unwrap();
    assert_eq!((now.len(), &now[0].body, now[0].died_at), (1, &mended.encode(), letters[0].died_at));
    assert_eq!((now[0].id.as_str(), now[0].reason, &now[0].outcome), ("t-1", letters[0].reason, &letters[0].outcome));
    assert_eq!(now[0].envelope.history.entries().last().map(|entry| entry.what), Some(What::Edit));
    assert_eq!(list(&harness, &LetterFilter { accounts: vec![account("desk")], ..EVERYTHING() }).await, ["t-2"]);
    assert_eq!(replay_all(harness.dead_letters(), &shops).await, 1);
    let delivery = take(harness.queue(), &account("shops")).await;
    assert_eq!((delivery.body, delivery.envelope.replays), (mended.encode(), 1));
    harness.finish().await;
}

pub(crate) async fn a_replay_told_to_stop_leaves_the_others<H: Harness>() {
    let mut harness = H::start().await;
    let letters = ["t-1", "t-2", "t-3"].map(|id| (id, Reason::UnknownCode));
    bury(&mut harness, "desk", &letters).await;
    let (stop, replay) = (CancellationToken::new(), Replay { plan: None, by: "ada".into(), at: at(0) });
    let (desk, everything) = (account("desk"), Selection::default());
    let session = harness.dead_letters().session(&desk, &everything, &replay, &stop);
    let mut session = session.await.unwrap();
    assert_eq!(session.step(1).await.unwrap(), Step { replayed: 1, left: Left::Some });
    stop.cancel();
    assert_eq!(session.step(9).await.unwrap(), Step { replayed: 0, left: Left::Other });
    session.close().await.unwrap();
    assert_eq!(list(&harness, &EVERYTHING()).await, ["t-2", "t-3"]);
    harness.finish().await;
}
