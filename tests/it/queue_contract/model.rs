//! Both adapters against a small model: any order of taking, settling, dropping, crashing and replaying.
//!
//! The model knows of each id where it is and what its envelope says; of a mark that only the broker decides (whether an
//! untouched message counts as redelivered) it says that it does not know. Nothing fails between a publish and its ack
//! here, so that every outcome comes exactly once.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use takedown::domain::classify::{Effect, Redelivery};
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::{Deferral, Settlement};
use takedown::queue::{DeadLetters, Delivery, Queue, QueueError};

use super::{Harness, PREFETCH, SHORT, enqueue};
use crate::support::queue::{account, id_of, outcome, replay_all, take, within};

const ACCOUNTS: [&str; 2] = ["desk", "shops"];

#[derive(Debug, Clone)]
enum Step {
    Enqueue(usize),
    Take(usize),
    Settle(Index, End),
    Drop(Index),
    /// The process dies with all it has in hand.
    Crash,
    /// The dead letters of an account go back to work.
    Replay(usize),
}

#[derive(Debug, Clone, Copy)]
enum End {
    Complete(Reason),
    Retry(Effect),
    Defer(Effect),
    DeadLetter(Reason),
    GiveBack,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Waiting,
    InHand,
    Dead,
    Ended,
}

/// What is known of one id; `None` is what only the adapter decides.
#[derive(Debug, Clone)]
struct Known {
    account: usize,
    place: Place,
    attempt: u32,
    deferrals: u32,
    replays: u32,
    effect: Option<Effect>,
    redelivery: Option<Redelivery>,
}

impl Known {
    fn new(account: usize) -> Self {
        let (effect, redelivery) = (Some(Effect::None), Some(Redelivery::First));
        Self { account, place: Place::Waiting, attempt: 1, deferrals: 0, replays: 0, effect, redelivery }
    }

    /// A successor remembers by its effect that this one may have been worked before.
    fn succeed(&mut self, effect: Effect) {
        self.effect = match (effect, self.redelivery, self.effect) {
            (Effect::Possible, _, _) | (_, Some(Redelivery::Again), _) | (_, _, Some(Effect::Possible)) => {
                Some(Effect::Possible)
            }
            (Effect::None, Some(Redelivery::First), known) => known,
            (Effect::None, None, _) => None,
        };
        self.redelivery = Some(Redelivery::First);
        self.place = Place::Waiting;
    }

    fn replay(&mut self) {
        let Self { account, replays, effect, .. } = *self;
        *self = Self { replays: replays + 1, effect, ..Self::new(account) };
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let end = prop_oneof![
        4 => prop_oneof![Just(Reason::TakenDown), Just(Reason::NotOnSale)].prop_map(End::Complete),
        3 => prop_oneof![Just(Effect::None), Just(Effect::Possible)].prop_map(End::Retry),
        2 => prop_oneof![Just(Effect::None), Just(Effect::Possible)].prop_map(End::Defer),
        2 => prop_oneof![Just(Reason::OutcomeUnknown), Just(Reason::AttemptsExhausted)].prop_map(End::DeadLetter),
        1 => Just(End::GiveBack),
    ];
    let step = prop_oneof![
        4 => (0..2usize).prop_map(Step::Enqueue),
        8 => (0..2usize).prop_map(Step::Take),
        8 => (any::<Index>(), end).prop_map(|(which, end)| Step::Settle(which, end)),
        1 => any::<Index>().prop_map(Step::Drop),
        1 => Just(Step::Crash),
        1 => (0..2usize).prop_map(Step::Replay),
    ];
    proptest::collection::vec(step, 20..60)
}

/// An adapter and what ought to be in it.
struct Run<H: Harness> {
    harness: H,
    ids: BTreeMap<String, Known>,
    in_hand: Vec<(String, Delivery)>,
    /// Outcomes that were published, in any order.
    told: BTreeSet<String>,
}

impl<H: Harness> Run<H> {
    async fn step(mut self, step: Step) -> Self {
        match step {
            Step::Enqueue(account) => {
                let id = format!("t-{}", self.ids.len());
                enqueue(&self.harness, &[&id], ACCOUNTS[account]).await;
                self.ids.insert(id, Known::new(account));
            }
            Step::Take(account) => self.take(account).await,
            Step::Settle(which, end) if !self.in_hand.is_empty() => {
                let (id, delivery) = self.in_hand.swap_remove(which.index(self.in_hand.len()));
                self.settle(&id, delivery, end).await;
            }
            Step::Drop(which) if !self.in_hand.is_empty() => {
                let (id, delivery) = self.in_hand.swap_remove(which.index(self.in_hand.len()));
                drop(delivery);
                let known = self.known(&id);
                (known.place, known.redelivery) = (Place::Waiting, Some(Redelivery::Again));
            }
            Step::Settle(..) | Step::Drop(_) => {}
            Step::Crash => return self.crash().await,
            Step::Replay(account) => self.replay(account).await,
        }
        self
    }

    fn known(&mut self, id: &str) -> &mut Known {
        self.ids.get_mut(id).expect("only what was enqueued is handed out")
    }

    fn count(&self, account: usize, place: Place) -> usize {
        self.ids.values().filter(|known| known.account == account && known.place == place).count()
    }

    async fn take(&mut self, of: usize) {
        let may_have_more = self.count(of, Place::InHand) < usize::from(PREFETCH);
        if self.count(of, Place::Waiting) == 0 || !may_have_more {
            return;
        }
        let delivery = take(self.harness.queue(), &account(ACCOUNTS[of])).await;
        let id = id_of(&delivery);
        let known = self.known(&id);
        assert_eq!((known.account, known.place), (of, Place::Waiting), "{id} was handed out");
        let envelope = &delivery.envelope;
        let counts = (envelope.attempt, envelope.deferrals, envelope.replays);
        assert_eq!(counts, (known.attempt, known.deferrals, known.replays), "{id}: {envelope:?}");
        assert!(known.redelivery.is_none_or(|known| known == envelope.redelivery), "{id}: {known:?} {envelope:?}");
        assert!(known.effect.is_none_or(|known| known == envelope.effect), "{id}: {known:?} {envelope:?}");
        assert_eq!(envelope.delivery_count == 0, envelope.redelivery == Redelivery::First, "{id}: {envelope:?}");
        (known.effect, known.redelivery) = (Some(envelope.effect), Some(envelope.redelivery));
        known.place = Place::InHand;
        self.in_hand.push((id, delivery));
    }

    async fn settle(&mut self, id: &str, delivery: Delivery, end: End) {
        let known = self.known(id);
        let published = |reason: Reason| outcome(&delivery, reason);
        let settlement = match end {
            End::Complete(reason) => {
                known.place = Place::Ended;
                Settlement::Complete(published(reason))
            }
            End::Retry(effect) => {
                known.attempt += 1;
                known.succeed(effect);
                Settlement::Retry { delay: SHORT, effect, last_code: None }
            }
            End::Defer(effect) => {
                known.deferrals += 1;
                known.succeed(effect);
                Settlement::Defer { delay: SHORT, effect, reason: Deferral::Throttled }
            }
            End::DeadLetter(reason) => {
                let is_known = if reason == Reason::OutcomeUnknown { Effect::Possible } else { Effect::None };
                known.succeed(is_known);
                known.place = Place::Dead;
                Settlement::DeadLetter(published(reason))
            }
            End::GiveBack => {
                (known.place, known.redelivery) = (Place::Waiting, None);
                Settlement::GiveBack
            }
        };
        match &settlement {
            Settlement::Complete(outcome) | Settlement::DeadLetter(outcome) => {
                assert!(self.told.insert(outcome.outcome_id()), "{id} ended twice");
            }
            Settlement::Retry { .. } | Settlement::Defer { .. } | Settlement::GiveBack => {}
        }
        self.harness.queue().settle(delivery, settlement).await.unwrap();
    }

    async fn crash(mut self) -> Self {
        self.harness = self.harness.reopen().await;
        for known in self.ids.values_mut() {
            match known.place {
                Place::InHand => (known.place, known.redelivery) = (Place::Waiting, Some(Redelivery::Again)),
                // It may have been on its way to the one that died.
                Place::Waiting if known.redelivery == Some(Redelivery::First) => known.redelivery = None,
                Place::Waiting | Place::Dead | Place::Ended => {}
            }
        }
        for (id, delivery) in self.in_hand.drain(..) {
            let late = outcome(&delivery, Reason::TakenDown);
            let settled = self.harness.queue().settle(delivery, Settlement::Complete(late)).await;
            assert!(matches!(settled, Err(QueueError::Stale)), "{id}: {settled:?}");
        }
        self
    }

    async fn replay(&mut self, of: usize) {
        let filter = LetterFilter { accounts: vec![account(ACCOUNTS[of])], ..LetterFilter::default() };
        let replayed = replay_all(self.harness.dead_letters(), &filter).await;
        assert_eq!(replayed, self.count(of, Place::Dead) as u64);
        self.ids.values_mut().filter(|known| known.account == of && known.place == Place::Dead).for_each(Known::replay);
    }

    /// Ends all that is left, and compares what was published with what should have been.
    async fn end(mut self) {
        for (id, delivery) in std::mem::take(&mut self.in_hand) {
            self.settle(&id, delivery, End::Complete(Reason::TakenDown)).await;
        }
        for account in 0..ACCOUNTS.len() {
            while self.count(account, Place::Waiting) > 0 {
                self.take(account).await;
                let (id, delivery) = self.in_hand.pop().expect("one was taken");
                self.settle(&id, delivery, End::Complete(Reason::TakenDown)).await;
            }
        }
        let letters = self.harness.dead_letters().list(&LetterFilter::default()).await.unwrap();
        let letters: BTreeSet<_> = letters.into_iter().map(|letter| letter.id).collect();
        let dead = self.ids.iter().filter(|(_, known)| known.place == Place::Dead).map(|(id, _)| id.clone());
        assert_eq!(letters, dead.collect());
        // One more item marks the end, in each queue and among the outcomes.
        for name in ACCOUNTS {
            let last = format!("last-{name}");
            enqueue(&self.harness, &[&last], name).await;
            let delivery = take(self.harness.queue(), &account(name)).await;
            assert_eq!(id_of(&delivery), last, "nothing was left in the queue");
            let end = Settlement::Complete(outcome(&delivery, Reason::TakenDown));
            self.harness.queue().settle(delivery, end).await.unwrap();
            self.told.insert(format!("{last}:success:0"));
        }
        let mut published = Vec::new();
        while published.len() < self.told.len() {
            published.push(self.harness.next_outcome().await.0);
        }
        published.sort();
        assert_eq!(published, self.told.into_iter().collect::<Vec<_>>());
        self.harness.finish().await;
    }
}

pub(crate) async fn any_order_of_steps_leads_where_the_model_says<H: Harness>(cases: u32) {
    let runtime = tokio::runtime::Handle::current();
    let explored = tokio::task::spawn_blocking(move || {
        let config = Config { cases, failure_persistence: None, max_shrink_iters: 40, ..Config::default() };
        TestRunner::new(config).run(&steps(), |steps| {
            runtime.block_on(async {
                let harness = H::start().await;
                let mut run = Run { harness, ids: BTreeMap::new(), in_hand: Vec::new(), told: BTreeSet::new() };
                for step in steps {
                    run = run.step(step).await;
                }
                within("the end", run.end()).await;
            });
            Ok(())
        })
    });
    explored.await.unwrap().unwrap();
}
