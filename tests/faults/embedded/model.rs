//! The embedded queue against a model of it: any order of enqueuing, taking, settling, dropping and opening anew.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::domain::takedown::{Priority, Takedown};
use takedown::queue::embedded::{Counts, EmbeddedQueue};
use takedown::queue::{DeadLetters, Delivery, Intake, Queue};
use tempfile::TempDir;

use crate::support::queue::{account, id_of, outcome, purge_all, replay_all, take, takedown};
use crate::{Length, length};

/// When a message put off comes back: at once, or not within a test.
#[derive(Debug, Clone, Copy)]
enum Wait {
    None,
    Long,
}

impl Wait {
    fn delay(self) -> Duration {
        match self {
            Self::None => Duration::ZERO,
            Self::Long => Duration::from_hours(1),
        }
    }
}

/// How a delivery in hand ends; which one is drawn.
#[derive(Debug, Clone, Copy)]
enum End {
    Complete,
    Retry(Wait, Effect),
    Defer(Wait, Effect),
    DeadLetter,
    GiveBack,
    Dropped,
}

#[derive(Debug, Clone)]
enum Step {
    /// Ids of a small pool, so that some come again; every fifth is urgent.
    Enqueue(Vec<u8>),
    Take,
    End(usize, End),
    Replay,
    Purge,
    /// As after the end of the process: what is in hand is lost to it.
    Crash,
    Close,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let effect = || prop_oneof![Just(Effect::None), Just(Effect::Possible)];
    let wait = || prop_oneof![4 => Just(Wait::None), 1 => Just(Wait::Long)];
    let end = prop_oneof![
        2 => Just(End::Complete),
        2 => (wait(), effect()).prop_map(|(wait, effect)| End::Retry(wait, effect)),
        2 => (wait(), effect()).prop_map(|(wait, effect)| End::Defer(wait, effect)),
        1 => Just(End::DeadLetter),
        1 => Just(End::GiveBack),
        1 => Just(End::Dropped),
    ];
    let step = prop_oneof![
        3 => prop::collection::vec(0u8..60, 1..20).prop_map(Step::Enqueue),
        8 => Just(Step::Take),
        8 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::End(which.index(64), end)),
        1 => Just(Step::Replay),
        1 => Just(Step::Purge),
        1 => Just(Step::Crash),
        1 => Just(Step::Close),
    ];
    prop::collection::vec(step, 1..60)
}

/// What the model knows of a message that has not ended.
#[derive(Debug, Clone, Copy)]
struct Message {
    attempt: u32,
    deferrals: u32,
    effect: Effect,
    replays: u32,
    /// Least and greatest number of claims before this one: a crash charges what was claimed and not handed out.
    claims: (u32, u32),
    is_due: bool,
}

const FRESH: Message =
    Message { attempt: 1, deferrals: 0, effect: Effect::None, replays: 0, claims: (0, 0), is_due: true };

/// The queue and what must be true of it.
struct Pair {
    dir: TempDir,
    queue: EmbeddedQueue,
    known: BTreeSet<String>,
    waiting: BTreeMap<String, Message>,
    in_hand: Vec<(Delivery, Message)>,
    dead: BTreeMap<String, Message>,
    outcomes: Vec<String>,
}

impl Pair {
    fn new() -> Self {
        let dir = TempDir::new().unwrap();
        let queue = EmbeddedQueue::open(&dir.path().join("q")).unwrap();
        let (known, waiting, dead) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
        Self { dir, queue, known, waiting, in_hand: Vec::new(), dead, outcomes: Vec::new() }
    }

    async fn step(&mut self, step: Step) {
        match step {
            Step::Enqueue(ids) => self.enqueue(&ids).await,
            Step::Take => self.take().await,
            Step::End(which, end) => {
                if !self.in_hand.is_empty() {
                    let (delivery, message) = self.in_hand.swap_remove(which % self.in_hand.len());
                    self.end(delivery, message, end).await;
                }
            }
            Step::Replay => {
                let replayed = replay_all(&self.queue, &LetterFilter::default()).await;
                assert_eq!(replayed, self.dead.len() as u64);
                for (id, message) in std::mem::take(&mut self.dead) {
                    let again = Message { effect: message.effect, replays: message.replays + 1, ..FRESH };
                    self.waiting.insert(id, again);
                }
            }
            Step::Purge => {
                let purged = purge_all(&self.queue, &LetterFilter::default()).await;
                assert_eq!(purged, self.dead.len() as u64);
                self.dead.clear();
            }
            Step::Crash => {
                for message in self.waiting.values_mut().filter(|message| message.is_due) {
                    message.claims.1 += 1;
                }
                self.reopen();
            }
            Step::Close => {
                self.queue.close().await.unwrap();
                self.reopen();
            }
        }
        let counts = self.queue.counts().await.unwrap();
        let expected = Counts {
            waiting: self.waiting.len() as u64,
            in_hand: self.in_hand.len() as u64,
            outcomes: self.outcomes.len() as u64,
            dead: self.dead.len() as u64,
        };
        assert_eq!(counts, expected);
    }

    /// Opens the file anew; what was in hand waits again, and says so.
    fn reopen(&mut self) {
        // The file is free once nothing of the old queue is left but deliveries.
        let path = self.dir.path().join("q");
        let nowhere = TempDir::new().unwrap();
        self.queue = EmbeddedQueue::open(&nowhere.path().join("q")).unwrap();
        self.queue = EmbeddedQueue::open(&path).unwrap();
        for (delivery, message) in std::mem::take(&mut self.in_hand) {
            let claims = (message.claims.0 + 1, message.claims.1 + 1);
            self.waiting.insert(id_of(&delivery), Message { claims, is_due: true, ..message });
        }
    }

    async fn enqueue(&mut self, ids: &[u8]) {
        let takedowns: Vec<Takedown> = ids
            .iter()
            .map(|id| Takedown {
                priority: if id % 5 == 0 { Priority::High } else { Priority::Normal },
                ..takedown(&format!("t-{id}"), "shops")
            })
            .collect();
        let enqueued = self.queue.enqueue(takedowns).await.unwrap();
        let before = self.known.len();
        for id in ids {
            if self.known.insert(format!("t-{id}")) {
                self.waiting.insert(format!("t-{id}"), FRESH);
            }
        }
        let new = (self.known.len() - before) as u64;
        assert_eq!((enqueued.accepted, enqueued.repeated), (new, ids.len() as u64 - new));
    }

    async fn take(&mut self) {
        if !self.waiting.values().any(|message| message.is_due) {
            return;
        }
        let delivery = take(&self.queue, &account("shops")).await;
        let mut message = self.waiting.remove(&id_of(&delivery)).expect("only what waits is handed out");
        let envelope = &delivery.envelope;
        assert!(message.is_due, "before its time: {envelope:?}");
        let claims = envelope.delivery_count;
        assert!((message.claims.0..=message.claims.1).contains(&claims), "{message:?}: {envelope:?}");
        message.claims = (claims, claims);
        let redelivery = if claims == 0 { Redelivery::First } else { Redelivery::Again };
        assert_eq!(
            (envelope.attempt, envelope.deferrals, envelope.effect, envelope.replays, envelope.redelivery),
            (message.attempt, message.deferrals, message.effect, message.replays, redelivery)
        );
        assert_eq!(envelope.message_id.as_deref(), Some(id_of(&delivery).as_str()));
        self.in_hand.push((delivery, message));
    }

    async fn end(&mut self, delivery: Delivery, message: Message, end: End) {
        let id = id_of(&delivery);
        // What a crash may have hidden stays known.
        let effect = |own| {
            if own == Effect::Possible || message.effect == Effect::Possible || message.claims.0 > 0 {
                Effect::Possible
            } else {
                Effect::None
            }
        };
        let next = |effect, wait| Message { effect, claims: (0, 0), is_due: matches!(wait, Wait::None), ..message };
        let settlement = match end {
            End::Complete => {
                self.outcomes.push(id.clone());
                Settlement::Complete(outcome(&delivery, Reason::TakenDown))
            }
            End::DeadLetter => {
                self.outcomes.push(id.clone());
                self.dead.insert(id.clone(), next(effect(Effect::None), Wait::None));
                Settlement::DeadLetter(outcome(&delivery, Reason::AttemptsExhausted))
            }
            End::Retry(wait, own) => {
                let next = Message { attempt: message.attempt + 1, ..next(effect(own), wait) };
                self.waiting.insert(id.clone(), next);
                Settlement::Retry { delay: wait.delay(), effect: own, last_code: None }
            }
            End::Defer(wait, own) => {
                let next = Message { deferrals: message.deferrals + 1, ..next(effect(own), wait) };
                self.waiting.insert(id.clone(), next);
                Settlement::Defer { delay: wait.delay(), effect: own, reason: Deferral::Throttled }
            }
            End::GiveBack => {
                self.waiting.insert(id.clone(), message);
                Settlement::GiveBack
            }
            End::Dropped => {
                let claims = (message.claims.0 + 1, message.claims.1 + 1);
                self.waiting.insert(id, Message { claims, ..message });
                return drop(delivery);
            }
        };
        self.queue.settle(delivery, settlement).await.unwrap();
    }

    /// Everything is somewhere, once.
    async fn check_the_end(self) {
        let told: Vec<String> =
            self.queue.outcomes(0, usize::MAX).await.unwrap().into_iter().map(|(_, outcome)| outcome.id).collect();
        assert_eq!(told, self.outcomes, "outcomes, in the order they were settled");
        let letters = self.queue.list(&LetterFilter::default()).await.unwrap();
        let letters: BTreeSet<String> = letters.into_iter().map(|letter| letter.id).collect();
        assert_eq!(letters, self.dead.into_keys().collect());
    }
}

#[test]
fn the_queue_does_what_its_model_does() {
    let cases = if length() == Length::Long { 400 } else { 40 };
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let play = |steps: Vec<Step>| {
        runtime.block_on(async {
            let mut pair = Pair::new();
            for step in steps {
                pair.step(step).await;
            }
            pair.check_the_end().await;
        });
        Ok(())
    };
    TestRunner::new(config).run(&steps(), play).unwrap();
}
