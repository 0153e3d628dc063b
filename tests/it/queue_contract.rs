//! What every queue adapter must do: one case each, written once, run over all of them.

mod dead_letters;
mod desk_log;
mod embedded;
mod model;
mod rabbitmq;

use std::time::{Duration, SystemTime};

use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::ids::AccountId;
use takedown::domain::outcome::{FinalOutcome, Reason};
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::queue::envelope::Envelope;
use takedown::queue::{DeadLetters, DeskLog, Enqueued, Intake, Queue, Settled};

use self::dead_letters::*;
use self::desk_log::*;
use crate::support::queue::{account, id_of, outcome, take, takedown, within};

/// Messages one account may have in hand, where an adapter bounds them.
const PREFETCH: u16 = 4;

/// One adapter, with the accounts `desk` and `shops`.
trait Harness: Sized {
    type Queue: Queue;

    /// Opens a queue nobody else uses.
    async fn start() -> Self;
    fn queue(&self) -> &Self::Queue;
    fn intake(&self) -> &impl Intake;
    fn dead_letters(&self) -> &impl DeadLetters;
    fn desk_log(&self) -> &impl DeskLog;
    /// Puts a message as any producer may.
    async fn put_raw(&self, account: &AccountId, message_id: &str, body: &[u8]);
    /// Waits for the next outcome and its message id.
    async fn next_outcome(&mut self) -> (String, FinalOutcome);
    /// Ends as a crash does, whatever is in hand, and opens again.
    async fn reopen(self) -> Self;
    /// Removes every trace.
    async fn finish(self);
}

macro_rules! case {
    ([$($attribute:meta)?] $harness:ty, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$attribute])?
        async fn $case() {
            super::$case::<$harness>().await;
        }
    };
}

macro_rules! cases {
    ($attribute:tt $harness:ty: $($case:ident,)*) => { $(case! { $attribute $harness, $case })* };
}

/// Runs every case over one adapter, as a module of its own.
macro_rules! contract {
    ($module:ident, $harness:ty $(, $attribute:meta)?) => {
        mod $module {
            cases! {
                [$($attribute)?] $harness:
                what_is_enqueued_is_handed_out_fresh,
                complete_publishes_one_outcome_and_removes_the_message,
                a_retry_counts_an_attempt_and_keeps_what_is_known,
                a_deferral_counts_no_attempt,
                a_successor_waits_out_its_delay,
                a_delay_beyond_the_last_rung_is_told_by_its_time,
                what_nobody_ended_is_not_told_of,
                an_id_enqueued_twice_has_one_outcome,
                a_dead_letter_keeps_the_raw_bytes_and_publishes_its_outcome,
                what_is_given_back_comes_again_as_it_was,
                a_dropped_delivery_comes_again_marked_as_redelivered,
                what_was_in_hand_at_a_crash_comes_again_marked_as_redelivered,
                a_redelivery_is_remembered_across_a_deferral,
                accounts_do_not_block_one_another,
                an_unknown_account_is_handed_nothing,
                looking_at_dead_letters_neither_removes_nor_reorders,
                filters_choose_dead_letters,
                a_replay_resets_the_attempts_and_keeps_the_id,
                a_replay_knows_that_the_last_attempt_was_ambiguous,
                a_purge_deletes_what_it_names_and_nothing_else,
                letters_are_found_by_batch_merchant_age_and_text,
                pages_go_on_where_the_last_one_ended,
                the_history_goes_with_the_message,
                a_letter_that_dies_again_is_not_of_the_plan_that_replayed_it,
                a_cut_off_leaves_out_what_died_after_it,
                an_edited_letter_takes_the_place_of_the_old_one,
                a_replay_told_to_stop_leaves_the_others,
                stop_ends_waiting_and_later_calls,
                what_is_in_hand_settles_after_a_stop,
                the_untouched_are_there_for_the_next_worker,
                the_operators_log_keeps_every_notice_in_order,
                a_cancel_is_known_before_a_message_is_handed_out,
            }
        }
    };
}

contract!(over_rabbitmq, crate::queue_contract::rabbitmq::RabbitMq, ignore = "needs RabbitMQ");
contract!(over_embedded, crate::queue_contract::embedded::Embedded);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn rabbitmq_follows_the_model() {
    model::any_order_of_steps_leads_where_the_model_says::<rabbitmq::RabbitMq>(12).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_embedded_queue_follows_the_model() {
    model::any_order_of_steps_leads_where_the_model_says::<embedded::Embedded>(48).await;
}

async fn enqueue<H: Harness>(harness: &H, ids: &[&str], account_name: &str) {
    let takedowns = ids.iter().map(|id| takedown(id, account_name)).collect();
    let enqueued = within("confirms", harness.intake().enqueue(takedowns)).await.unwrap();
    assert_eq!(enqueued, Enqueued { accepted: ids.len().try_into().unwrap(), repeated: 0 });
}

async fn what_is_enqueued_is_handed_out_fresh<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    assert_eq!(delivery.body, takedown("t-1", "desk").encode());
    let fresh = Envelope { message_id: Some("t-1".into()), ..Envelope::fresh(account("desk")) };
    let Envelope { due, .. } = *delivery.envelope;
    assert_eq!(*delivery.envelope, Envelope { due, ..fresh });
    harness.finish().await;
}

async fn complete_publishes_one_outcome_and_removes_the_message<H: Harness>() {
    let mut harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    let expected = outcome(&delivery, Reason::TakenDown);
    harness.queue().settle(delivery, Settlement::Complete(expected.clone())).await.unwrap();
    assert_eq!(harness.next_outcome().await, ("t-1:success:0".to_owned(), *expected));

    // The next outcome and the next delivery are those of the next message: nothing came twice.
    let mut harness = harness.reopen().await;
    enqueue(&harness, &["t-2"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    assert_eq!(id_of(&delivery), "t-2");
    let second = outcome(&delivery, Reason::NotOnSale);
    harness.queue().settle(delivery, Settlement::Complete(second)).await.unwrap();
    assert_eq!(harness.next_outcome().await.0, "t-2:terminal:0");
    harness.finish().await;
}

fn retry(delay: Duration, effect: Effect) -> Settlement {
    Settlement::Retry { delay, effect, last_code: Some("isp.unknown-error".into()) }
}

fn defer(delay: Duration) -> Settlement {
    Settlement::Defer { delay, effect: Effect::None, reason: Deferral::Throttled }
}

const SHORT: Duration = Duration::from_millis(150);

async fn a_retry_counts_an_attempt_and_keeps_what_is_known<H: Harness>() {
    let harness = H::start().await;
    let desk = account("desk");
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &desk).await;
    harness.queue().settle(delivery, retry(SHORT, Effect::Possible)).await.unwrap();
    let second = take(harness.queue(), &desk).await;
    assert_eq!(second.body, takedown("t-1", "desk").encode());
    assert!(second.envelope.first_seen.is_some());
    let expected = Envelope {
        message_id: Some("t-1".into()),
        attempt: 2,
        effect: Effect::Possible,
        last_code: Some("isp.unknown-error".into()),
        first_seen: second.envelope.first_seen,
        due: second.envelope.due,
        ..Envelope::fresh(desk.clone())
    };
    assert_eq!(*second.envelope, expected);
    // A later, harmless attempt does not wash the ambiguity off.
    harness.queue().settle(second, retry(SHORT, Effect::None)).await.unwrap();
    let third = take(harness.queue(), &desk).await;
    assert_eq!(*third.envelope, Envelope { attempt: 3, due: third.envelope.due, ..expected });
    harness.finish().await;
}

async fn a_deferral_counts_no_attempt<H: Harness>() {
    let harness = H::start().await;
    let desk = account("desk");
    enqueue(&harness, &["t-1"], "desk").await;
    for deferrals in 0..3 {
        let delivery = take(harness.queue(), &desk).await;
        assert_eq!((delivery.envelope.attempt, delivery.envelope.deferrals), (1, deferrals));
        assert_eq!(delivery.envelope.effect, Effect::None);
        harness.queue().settle(delivery, defer(SHORT)).await.unwrap();
    }
    // A throttled call may have taken effect all the same; the next deferral does not wash that off.
    for effect in [Effect::Possible, Effect::None] {
        let delivery = take(harness.queue(), &desk).await;
        let throttled = Settlement::Defer { delay: SHORT, effect, reason: Deferral::Throttled };
        harness.queue().settle(delivery, throttled).await.unwrap();
    }
    let last = take(harness.queue(), &desk).await;
    assert_eq!((last.envelope.attempt, last.envelope.deferrals, last.envelope.effect), (1, 5, Effect::Possible));
    harness.finish().await;
}

async fn a_successor_waits_out_its_delay<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    let before = tokio::time::Instant::now();
    harness.queue().settle(delivery, retry(Duration::from_millis(600), Effect::None)).await.unwrap();
    let later = take(harness.queue(), &account("desk")).await;
    assert_eq!(later.envelope.attempt, 2);
    assert!(before.elapsed() >= Duration::from_millis(600), "{:?}", before.elapsed());
    harness.finish().await;
}

async fn a_delay_beyond_the_last_rung_is_told_by_its_time<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    // Twice the last rung of the adapter that has rungs; one without simply waits.
    let not_before = SystemTime::now() + Duration::from_secs(2);
    harness.queue().settle(delivery, defer(Duration::from_secs(2))).await.unwrap();
    let early = take(harness.queue(), &account("desk")).await;
    let told = early.envelope.not_before.unwrap_or(not_before);
    assert!(told >= not_before - Duration::from_millis(1), "{told:?}");
    assert!(early.envelope.not_before.is_some() || SystemTime::now() >= not_before, "early, and nothing says so");
    harness.finish().await;
}

async fn what_is_given_back_comes_again_as_it_was<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    harness.queue().settle(delivery, Settlement::GiveBack).await.unwrap();
    let again = take(harness.queue(), &account("desk")).await;
    // Whether it is marked as redelivered is the adapter's affair: a broker cannot know that nothing was done.
    assert_eq!((again.envelope.attempt, again.envelope.deferrals, again.envelope.effect), (1, 0, Effect::None));
    harness.finish().await;
}

async fn a_dropped_delivery_comes_again_marked_as_redelivered<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    drop(take(harness.queue(), &account("desk")).await);
    let again = take(harness.queue(), &account("desk")).await;
    assert_eq!((id_of(&again).as_str(), again.envelope.redelivery), ("t-1", Redelivery::Again));
    harness.finish().await;
}

async fn what_was_in_hand_at_a_crash_comes_again_marked_as_redelivered<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    let harness = harness.reopen().await;
    let again = take(harness.queue(), &account("desk")).await;
    assert_eq!((id_of(&again).as_str(), again.envelope.redelivery), ("t-1", Redelivery::Again));
    assert!(again.envelope.delivery_count >= 1, "crashes are counted");
    drop(delivery);
    harness.finish().await;
}

async fn a_redelivery_is_remembered_across_a_deferral<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    let harness = harness.reopen().await;
    drop(delivery);
    let again = take(harness.queue(), &account("desk")).await;
    harness.queue().settle(again, defer(SHORT)).await.unwrap();
    let later = take(harness.queue(), &account("desk")).await;
    assert_eq!(later.envelope.effect, Effect::Possible, "the call a crash may have hidden is forgotten");
    assert_eq!(later.envelope.redelivery, Redelivery::First);
    harness.finish().await;
}

async fn what_nobody_ended_is_not_told_of<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    assert_eq!(harness.queue().told(&delivery, "t-1").await.unwrap(), None);
    let harness = harness.reopen().await;
    let again = take(harness.queue(), &account("desk")).await;
    assert_eq!(harness.queue().told(&again, "t-1").await.unwrap(), None);
    let end = Settlement::Complete(outcome(&again, Reason::TakenDownEarlier));
    assert_eq!(harness.queue().settle(again, end).await.unwrap(), Settled::AsAsked);
    drop(delivery);
    harness.finish().await;
}

async fn an_id_enqueued_twice_has_one_outcome<H: Harness>() {
    let mut harness = H::start().await;
    for id in ["t-1", "t-1", "t-2"] {
        harness.intake().enqueue(vec![takedown(id, "desk")]).await.unwrap();
    }
    let mut copies = 0;
    loop {
        let delivery = take(harness.queue(), &account("desk")).await;
        let id = id_of(&delivery);
        let told = harness.queue().told(&delivery, &id).await.unwrap();
        let reason = if copies == 0 { Reason::TakenDown } else { Reason::NotOnSale };
        let ended = outcome(&delivery, reason);
        let settled = harness.queue().settle(delivery, Settlement::Complete(ended.clone())).await.unwrap();
        let (message_id, published) = harness.next_outcome().await;
        if id == "t-2" {
            break;
        }
        assert_eq!((message_id.as_str(), published.reason), ("t-1:success:0", Reason::TakenDown));
        if copies == 0 {
            assert_eq!((told, settled), (None, Settled::AsAsked));
        } else {
            assert_eq!((told, settled), (Some(Box::new(published.clone())), Settled::AsBefore(Box::new(published))));
        }
        copies += 1;
    }
    harness.finish().await;
}

async fn accounts_do_not_block_one_another<H: Harness>() {
    let harness = H::start().await;
    let many: Vec<_> = (0..20).map(|n| format!("d-{n}")).collect();
    enqueue(&harness, &many.iter().map(String::as_str).collect::<Vec<_>>(), "desk").await;
    enqueue(&harness, &["s-1"], "shops").await;
    // Everything the desk may have in hand stays there.
    let mut held = Vec::new();
    for _ in 0..usize::from(PREFETCH) {
        held.push(take(harness.queue(), &account("desk")).await);
    }
    let other = take(harness.queue(), &account("shops")).await;
    assert_eq!(id_of(&other), "s-1");
    harness.finish().await;
}

async fn an_unknown_account_is_handed_nothing<H: Harness>() {
    let harness = H::start().await;
    let nobody = account("nobody");
    let waited = tokio::time::timeout(Duration::from_millis(300), harness.queue().next(&nobody)).await;
    assert!(waited.is_err() || waited.is_ok_and(|next| next.is_ok_and(|delivery| delivery.is_none())));
    harness.finish().await;
}

async fn stop_ends_waiting_and_later_calls<H: Harness>() {
    let harness = H::start().await;
    let desk = account("desk");
    let waiting = harness.queue().next(&desk);
    let stopping = async {
        tokio::task::yield_now().await;
        harness.queue().stop().await;
    };
    let (next, ()) = within("the stop", async { tokio::join!(waiting, stopping) }).await;
    assert!(next.unwrap().is_none());
    assert!(within("the end", harness.queue().next(&desk)).await.unwrap().is_none());
    assert!(!harness.queue().is_ready());
    within("a second stop", harness.queue().stop()).await;
    harness.finish().await;
}

async fn what_is_in_hand_settles_after_a_stop<H: Harness>() {
    let mut harness = H::start().await;
    enqueue(&harness, &["t-1"], "desk").await;
    let delivery = take(harness.queue(), &account("desk")).await;
    within("the stop", harness.queue().stop()).await;
    let outcome = outcome(&delivery, Reason::TakenDown);
    harness.queue().settle(delivery, Settlement::Complete(outcome)).await.unwrap();
    assert_eq!(harness.next_outcome().await.0, "t-1:success:0");
    harness.queue().close().await.unwrap();

    let harness = harness.reopen().await;
    enqueue(&harness, &["t-2"], "desk").await;
    assert_eq!(id_of(&take(harness.queue(), &account("desk")).await), "t-2", "the first was acked");
    harness.finish().await;
}

async fn the_untouched_are_there_for_the_next_worker<H: Harness>() {
    let harness = H::start().await;
    enqueue(&harness, &["t-1", "t-2", "t-3"], "desk").await;
    let first = take(harness.queue(), &account("desk")).await;
    within("the stop", harness.queue().stop()).await;
    harness.queue().settle(first, Settlement::GiveBack).await.unwrap();
    harness.queue().close().await.unwrap();
    let harness = harness.reopen().await;
    let mut ids = Vec::new();
    let mut held = Vec::new();
    for _ in 0..3 {
        let delivery = take(harness.queue(), &account("desk")).await;
        ids.push(id_of(&delivery));
        held.push(delivery);
    }
    ids.sort();
    assert_eq!(ids, ["t-1", "t-2", "t-3"]);
    harness.finish().await;
}
