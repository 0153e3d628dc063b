//! What every queue adapter must do: one case each, written once, run over all of them.

use std::time::{Duration, SystemTime};

use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::ids::{AccountId, RequestId};
use takedown::domain::outcome::{FinalOutcome, Reason};
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::publisher::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::envelope::Envelope;
use takedown::queue::{DeadLetterFilter, DeadLetters, Enqueued, Intake, Queue};

use tempfile::TempDir;

use crate::support::broker;
use crate::support::queue::{account, id_of, outcome, take, takedown, within};

/// One adapter, with the accounts `desk` and `shops`.
trait Harness: Sized {
    type Queue: Queue;

    /// Opens a queue nobody else uses.
    async fn start() -> Self;
    fn queue(&self) -> &Self::Queue;
    fn intake(&self) -> &impl Intake;
    fn dead_letters(&self) -> &impl DeadLetters;
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
                stop_ends_waiting_and_later_calls,
                what_is_in_hand_settles_after_a_stop,
                the_untouched_are_there_for_the_next_worker,
            }
        }
    };
}

contract!(rabbitmq, super::RabbitMq, ignore = "needs RabbitMQ");
contract!(embedded, super::Embedded);

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
    assert_eq!(delivery.envelope, fresh);
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
    Settlement::Defer { delay, reason: Deferral::Throttled }
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
        ..Envelope::fresh(desk.clone())
    };
    assert_eq!(second.envelope, expected);
    // A later, harmless attempt does not wash the ambiguity off.
    harness.queue().settle(second, retry(SHORT, Effect::None)).await.unwrap();
    let third = take(harness.queue(), &desk).await;
    assert_eq!(third.envelope, Envelope { attempt: 3, ..expected });
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

async fn a_dead_letter_keeps_the_raw_bytes_and_publishes_its_outcome<H: Harness>() {
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

async fn looking_at_dead_letters_neither_removes_nor_reorders<H: Harness>() {
    let mut harness = H::start().await;
    let ids = ["t-1", "t-2", "t-3", "t-4", "t-5"];
    bury(&mut harness, "desk", &ids.map(|id| (id, Reason::OutcomeUnknown))).await;
    for limit in [None, Some(3), Some(1), None, Some(4), Some(2)] {
        let seen = list(&harness, &DeadLetterFilter { limit, ..EVERYTHING() }).await;
        assert_eq!(seen, ids[..limit.unwrap_or(ids.len())], "limit {limit:?}");
    }
    harness.finish().await;
}

async fn filters_choose_dead_letters<H: Harness>() {
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

async fn a_replay_resets_the_attempts_and_keeps_the_id<H: Harness>() {
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

async fn a_replay_knows_that_the_last_attempt_was_ambiguous<H: Harness>() {
    let mut harness = H::start().await;
    bury(&mut harness, "desk", &[("t-1", Reason::OutcomeUnknown)]).await;
    assert_eq!(harness.dead_letters().replay(&EVERYTHING()).await.unwrap(), 1);
    assert_eq!(take(harness.queue(), &account("desk")).await.envelope.effect, Effect::Possible);
    harness.finish().await;
}

async fn a_purge_deletes_what_it_names_and_nothing_else<H: Harness>() {
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

/// Messages one account may have in hand.
const PREFETCH: u16 = 4;

/// The RabbitMQ adapter, under a prefix of its own on the shared node.
struct RabbitMq {
    settings: AmqpSettings,
    queue: AmqpQueue,
    intake: AmqpIntake,
    dead_letters: AmqpDeadLetters,
    results: Results,
}

impl RabbitMq {
    fn accounts() -> Vec<AccountId> {
        vec![account("desk"), account("shops")]
    }

    async fn open(settings: AmqpSettings) -> Self {
        let consumers = Self::accounts().into_iter().map(|account| ConsumerSettings { account, prefetch: PREFETCH });
        let queue = AmqpQueue::start(settings.clone(), consumers.collect()).await.unwrap();
        let intake = AmqpIntake::connect(&settings).await.unwrap();
        let dead_letters = AmqpDeadLetters::connect(&settings, Self::accounts()).await.unwrap();
        let results = Results::connect(&settings).await.unwrap();
        Self { settings, queue, intake, dead_letters, results }
    }
}

impl Harness for RabbitMq {
    type Queue = AmqpQueue;

    async fn start() -> Self {
        let url = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
        Self::open(broker::settings(url)).await
    }

    fn queue(&self) -> &AmqpQueue {
        &self.queue
    }

    fn intake(&self) -> &impl Intake {
        &self.intake
    }

    fn dead_letters(&self) -> &impl DeadLetters {
        &self.dead_letters
    }

    async fn put_raw(&self, account: &AccountId, message_id: &str, body: &[u8]) {
        let properties = lapin::BasicProperties::default().with_message_id(message_id.into());
        broker::publish(&self.settings, &self.settings.prefix, account.as_str(), body, properties).await;
    }

    async fn next_outcome(&mut self) -> (String, FinalOutcome) {
        within("an outcome", self.results.next()).await.unwrap()
    }

    async fn reopen(self) -> Self {
        let settings = self.settings.clone();
        // Closing without settling: the broker sees a connection end, as it does at a crash.
        self.queue.close().await.unwrap();
        drop(self);
        Self::open(settings).await
    }

    async fn finish(self) {
        let settings = self.settings.clone();
        self.queue.close().await.unwrap();
        Topology::new(&settings, &Self::accounts()).delete(&settings).await.unwrap();
    }
}

/// The embedded adapter, in a file of its own.
struct Embedded {
    directory: TempDir,
    queue: EmbeddedQueue,
    read: i64,
}

impl Embedded {
    fn open(directory: TempDir, read: i64) -> Self {
        let queue = EmbeddedQueue::open(&directory.path().join("queue")).unwrap();
        Self { directory, queue, read }
    }
}

impl Harness for Embedded {
    type Queue = EmbeddedQueue;

    async fn start() -> Self {
        Self::open(tempfile::tempdir().unwrap(), 0)
    }

    fn queue(&self) -> &EmbeddedQueue {
        &self.queue
    }

    fn intake(&self) -> &impl Intake {
        &self.queue
    }

    fn dead_letters(&self) -> &impl DeadLetters {
        &self.queue
    }

    async fn put_raw(&self, account: &AccountId, message_id: &str, body: &[u8]) {
        self.queue.put_raw(account, Some(message_id), body.to_vec()).await.unwrap();
    }

    async fn next_outcome(&mut self) -> (String, FinalOutcome) {
        let (read, outcome) = self.queue.outcomes(self.read, 1).await.unwrap().remove(0);
        self.read = read;
        (outcome.outcome_id(), outcome)
    }

    async fn reopen(self) -> Self {
        // Dropped without stopping: what is in hand stays claimed in the file, as it does at a crash.
        let Self { directory, queue, read } = self;
        drop(queue);
        Self::open(directory, read)
    }

    async fn finish(self) {
        self.queue.close().await.unwrap();
    }
}
