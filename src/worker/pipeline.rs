//! One delivery from receipt to settlement: decode, check, admit, call, classify, record, decide, settle.
//!
//! Promise: every delivery reaches `settle`, whatever is in it and whatever goes wrong on the way, a panic included;
//! and one event tells each fact.

use std::future::pending;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::Either;
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, watch};
use tokio::time::{Instant, sleep, timeout};
use tracing::Instrument as _;

use crate::domain::cause::chain;
use crate::domain::classify::{self, Cause, Outcome};
use crate::domain::ids::AccountId;
use crate::domain::notice::ledger::Ledger;
use crate::domain::reply::{Answer, Reply, Signature};
use crate::domain::settlement::{Deferral, Hold, Settlement};
use crate::limits::in_flight::Load;
use crate::limits::pause::HoldChange;
use crate::limits::{Admission, Recorded, Ticket};
use crate::queue::envelope::Envelope;
use crate::queue::{Delivery, Queue, Settled};
use crate::worker::case::{self, Case, Message};
use crate::worker::context::{Account, Context};
use crate::worker::event::WorkerEvent;
use crate::worker::journey::{self, Journey};
use crate::worker::learnt::Learnt;
use crate::worker::shutdown::Shutdown;
use crate::worker::twins::Twins;

/// Longest a suspect message lets the others in hand go first.
const COURTESY: Duration = Duration::from_secs(60);

/// Suspect messages are worked in an order drawn within this time.
const SPREAD: Duration = Duration::from_millis(500);

/// What every task of one run shares.
pub(super) struct Replica<Q> {
    pub(super) queue: Arc<Q>,
    pub(super) context: Arc<Context>,
    pub(super) shutdown: Shutdown,
    /// Read by calls in company, written by the one of a suspect message, which is worked alone.
    company: RwLock<()>,
    twins: Twins,
    /// How many messages in work are not suspect.
    innocent: watch::Sender<usize>,
    /// Which batches are cancelled.
    pub(super) ledger: watch::Receiver<Arc<Ledger>>,
    pub(super) settled: AtomicU64,
    pub(super) abandoned: AtomicUsize,
}

/// Held while a message that is not suspect is in work, until it is settled.
struct Innocent<'a>(&'a watch::Sender<usize>);

impl<'a> Innocent<'a> {
    fn enter(count: &'a watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Innocent<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// Held while a call is made.
type Company<'a> = Either<RwLockReadGuard<'a, ()>, RwLockWriteGuard<'a, ()>>;

impl<Q: Queue> Replica<Q> {
    pub(super) fn new(queue: Arc<Q>, context: Arc<Context>, shutdown: Shutdown) -> Self {
        Self {
            ledger: queue.ledger(),
            queue,
            context,
            shutdown,
            company: RwLock::new(()),
            twins: Twins::default(),
            innocent: watch::Sender::new(0),
            settled: AtomicU64::new(0),
            abandoned: AtomicUsize::new(0),
        }
    }

    /// Works one delivery and settles it.
    pub(super) async fn process(&self, mut delivery: Delivery) {
        fault_point!(Received);
        let _innocent = (!case::is_suspect(&delivery.envelope)).then(|| Innocent::enter(&self.innocent));
        let now = self.context.now();
        case::remember(&mut delivery.envelope, now);
        let Envelope { account, .. } = &*delivery.envelope;
        let waited = delivery.envelope.waited(now.wall);
        self.context.tell(&WorkerEvent::Taken { account: account.clone(), waited });
        let journey = Journey::begin(&self.context, &mut delivery);
        let lines = journey.lines(&delivery.envelope);
        // In a place of its own: what it comes to, with a call in it, is some kilobytes, and every layer of a task that
        // is spawned moves all of it.
        Box::pin(self.work(delivery, journey)).instrument(lines).await;
    }

    async fn work(&self, mut delivery: Delivery, mut journey: Journey) {
        let message = self.message(&delivery);
        let mut learnt = Learnt::of(message.label());
        let _alone = self.twins.alone(&learnt.id, delivery.envelope.replays).await;
        // The delivery stays outside, so that a panic leaves something to settle.
        let judged = AssertUnwindSafe(self.judge(&delivery, message, &journey, &mut learnt)).catch_unwind().await;
        let settlement = judged.unwrap_or_else(|_panic| {
            learnt.note_panic();
            self.context.tell(&WorkerEvent::Panicked { id: learnt.id.clone() });
            message.crashed(rand::random::<f64>(), self.context.now())
        });
        let now = self.context.now().wall;
        learnt.write_down(&mut delivery.envelope, &settlement, &self.context.worker, now);
        let id = learnt.id;
        let fact = fact(&id, &delivery, &settlement);
        let account = delivery.envelope.account.clone();
        let mut span = journey.settle(&id, &delivery, &settlement);
        delivery.told_in = span.context();
        let start = Instant::now();
        let settled = AssertUnwindSafe(self.queue.settle(delivery, settlement)).catch_unwind().await;
        let error = match settled {
            Ok(Ok(settled)) => {
                self.settled.fetch_add(1, Ordering::Relaxed);
                self.context.tell(&WorkerEvent::Settled { account: account.clone(), took: start.elapsed() });
                let Settled::AsBefore(outcome) = settled else { return self.context.tell(&fact) };
                self.context.tell(&WorkerEvent::EndedBefore { id, account });
                return self.context.tell(&WorkerEvent::Finished { outcome });
            }
            Ok(Err(error)) => chain(&error),
            Err(_panic) => "the queue panicked".to_owned(),
        };
        span.fail("not settled");
        self.context.tell(&WorkerEvent::SettleFailed { id, error });
    }

    fn message<'a>(&'a self, delivery: &'a Delivery) -> Message<'a> {
        let Context { worker, policy, .. } = &*self.context;
        Message { body: &delivery.body, envelope: &delivery.envelope, worker, policy }
    }

    /// Finds how a message is settled.
    async fn judge(
        &self,
        delivery: &Delivery,
        message: Message<'_>,
        journey: &Journey,
        learnt: &mut Learnt,
    ) -> Settlement {
        let accounts = &self.context.accounts;
        let gateway_of = |account: &AccountId| accounts.get(account).map(|account| account.gateway().gateway());
        let case = match message.open(gateway_of, self.context.now()) {
            Ok(case) => case,
            Err(refusal) => return refusal,
        };
        case.takedown.id.as_str().clone_into(&mut learnt.id);
        if let Some(settlement) = self.ended(delivery, &learnt.id).await {
            return settlement;
        }
        let account = &accounts[&case.takedown.account];
        if self.is_cancelled(&case) {
            return case.cancel(self.context.now());
        }
        if let Some(settlement) = case.turn_away(self.context.now()) {
            return settlement;
        }
        let turn = journey.part("wait for turn");
        let entered = tokio::select! {
            biased;
            () = self.shutdown.draining() => return Settlement::GiveBack,
            () = self.cancelled(&case) => return case.cancel(self.context.now()),
            entered = self.enter(&case, account) => entered,
        };
        drop(turn);
        let (ticket, _company) = match entered {
            Ok(entered) => entered,
            Err((wait, why)) => return case.put_off(wait, why, self.context.now()),
        };
        // The wait for its turn may have outlived it.
        if let Some(settlement) = case.expire(self.context.now()) {
            return settlement;
        }
        // Or taken it away: it is back in the queue, and one call is enough.
        if !delivery.is_held() {
            return Settlement::GiveBack;
        }
        // Or another replica may have worked another copy; a turn within a slow rate takes minutes.
        if let Some(settlement) = self.ended(delivery, &learnt.id).await {
            return settlement;
        }
        let settlement = self.call(&case, account, ticket, journey, learnt).await;
        if self.is_cancelled(&case) { case.cancel_successor(settlement, self.context.now()) } else { settlement }
    }

    /// Settles an item that has its outcome already.
    async fn ended(&self, delivery: &Delivery, id: &str) -> Option<Settlement> {
        match self.queue.told(delivery, id).await {
            Ok(outcome) => outcome.map(Settlement::of),
            // Nothing is guessed: a call now might be one too many.
            Err(error) => {
                self.context.tell(&WorkerEvent::NotKnown { id: id.to_owned(), error: chain(&error) });
                Some(Settlement::GiveBack)
            }
        }
    }

    fn is_cancelled(&self, case: &Case<'_>) -> bool {
        case.takedown.batch.as_ref().is_some_and(|batch| self.ledger.borrow().is_cancelled(batch))
    }

    /// Waits until the takedown's batch is cancelled.
    async fn cancelled(&self, case: &Case<'_>) {
        let Some(batch) = &case.takedown.batch else { return pending().await };
        // A queue that is closed hears of no more cancels.
        if self.ledger.clone().wait_for(|ledger| ledger.is_cancelled(batch)).await.is_err() {
            pending::<()>().await;
        }
    }

    /// Waits for the account's leave and, for a suspect message, until no other call is being made.
    ///
    /// The leave comes first: waiting for a turn within a slow rate must not keep other accounts from calling. And a
    /// turn that had to wait here is taken anew, since turns saved up would be used all at once.
    async fn enter(&self, case: &Case<'_>, account: &Account) -> Result<(Ticket, Company<'_>), (Duration, Deferral)> {
        let party = case.party();
        if case.is_suspect() {
            self.let_others_pass().await;
        }
        loop {
            let mut ticket = match account.limits.admit_as(case.class(), party.as_deref()).await {
                Admission::Go(ticket) => ticket,
                Admission::Later(wait, why) => return Err((wait, why)),
            };
            if case.is_suspect() {
                let company = self.company.write().await;
                account.limits.renew(&mut ticket).await;
                return Ok((ticket, Either::Right(company)));
            }
            if let Ok(company) = self.company.try_read() {
                return Ok((ticket, Either::Left(company)));
            }
            drop(ticket);
            drop(self.company.read().await);
        }
    }

    /// Lets every message go first that is not suspect, then any of those that are, by chance.
    ///
    /// The broker hands the messages out in the same order after every crash. Were they worked in that order, the one
    /// that kills would keep those behind it from ever ending, until they count as crash loops with it.
    async fn let_others_pass(&self) {
        let mut innocent = self.innocent.subscribe();
        if timeout(COURTESY, innocent.wait_for(|count| *count == 0)).await.is_err() {
            tracing::debug!("a suspect message is worked although others are in hand");
        }
        sleep(SPREAD.mul_f64(rand::random::<f64>())).await;
    }

    async fn call(
        &self,
        case: &Case<'_>,
        account: &Account,
        ticket: Ticket,
        journey: &Journey,
        learnt: &mut Learnt,
    ) -> Settlement {
        #[cfg(feature = "fault-points")]
        if case.takedown.id.as_str().starts_with(crate::fault_points::POISON) {
            fault_point!(Poison);
        }
        let start = Instant::now();
        let gateway = account.gateway();
        let mut span = journey.call(&gateway);
        let http = self.context.http.part_of(journey.told_to_gateway(&span));
        let reply = gateway.call(&http, &case.takedown.item, self.context.now().wall).await;
        fault_point!(Answered);
        let took = start.elapsed();
        let outcome = classify::classify(gateway.gateway(), &reply, case.history());
        journey::note_reply(&mut span, &reply, outcome_word(&outcome), verdict_word(&reply));
        drop(span);
        learnt.note_call(&reply, &outcome);
        account.limits.note_load(start, Load::of(&reply, &outcome));
        let recorded = if hangs_on_credentials(&outcome) && !Arc::ptr_eq(&gateway, &account.gateway()) {
            // The credentials were replaced meanwhile; a fault of the old ones says nothing about the new.
            drop(ticket);
            Recorded { hold: Hold::Held(Duration::ZERO), changes: Vec::new() }
        } else {
            account.limits.record(ticket, &case.takedown.id, &reply, &outcome)
        };
        self.context.tell(&WorkerEvent::Called {
            account: case.takedown.account.clone(),
            outcome: outcome_word(&outcome),
            verdict: verdict_word(&reply),
            took,
        });
        self.tell_oddities(case, &reply, &outcome);
        let is_made = match &reply {
            Reply::Answered(_) | Reply::MaybeSent(_) => true,
            Reply::NotSent(_) | Reply::NotEncodable { .. } | Reply::NoToken { .. } => false,
        };
        let spent = is_made.then(|| account.limits.count(&outcome, self.context.now())).flatten();
        for change in recorded.changes.into_iter().chain(spent) {
            self.context.tell(&hold_event(&case.takedown.account, change));
        }
        let cool_down = account.limits.settings().cool_down;
        case.conclude(&reply, &outcome, recorded.hold, cool_down, rand::random::<f64>(), self.context.now())
    }

    fn tell_oddities(&self, case: &Case<'_>, reply: &Reply, outcome: &Outcome) {
        let account = &case.takedown.account;
        if let Reply::Answered(Answer { signature: Signature::Unverifiable, unknown_certificate, .. }) = reply {
            let number = unknown_certificate.clone().unwrap_or_else(|| "none".to_owned());
            self.context.tell(&WorkerEvent::UnknownCertificate { account: account.clone(), number });
        }
        match outcome {
            Outcome::Retryable(Cause::Untrusted, _) => self.context.tell(&WorkerEvent::Suspicious {
                id: case.takedown.id.to_string(),
                account: account.clone(),
                verdict: verdict_word(reply),
            }),
            Outcome::Retryable(Cause::UnlistedCode, _) => {
                let code = reply.code().unwrap_or("none").to_owned();
                self.context.tell(&WorkerEvent::UnlistedCode { account: account.clone(), code });
            }
            Outcome::Success(_) | Outcome::Terminal(_) | Outcome::Retryable(..) | Outcome::AccountFault(..) => {}
        }
    }
}

/// Says whether an outcome may come of the credentials alone.
fn hangs_on_credentials(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::AccountFault(..) | Outcome::Retryable(Cause::Untrusted, _))
}

/// What a settlement is told as, once it holds.
fn fact(id: &str, delivery: &Delivery, settlement: &Settlement) -> WorkerEvent {
    let named = || (id.to_owned(), delivery.envelope.account.clone());
    match settlement {
        Settlement::Complete(outcome) | Settlement::DeadLetter(outcome) => {
            WorkerEvent::Finished { outcome: outcome.clone() }
        }
        Settlement::Retry { delay, effect: _, last_code } => {
            let (id, account) = named();
            let (attempt, code) = (delivery.envelope.attempt, last_code.clone());
            WorkerEvent::Retried { id, account, attempt, code, delay: *delay }
        }
        Settlement::Defer { delay, effect: _, reason } => {
            let (id, account) = named();
            WorkerEvent::Deferred { id, account, reason: *reason, delay: *delay }
        }
        Settlement::GiveBack => {
            let (id, account) = named();
            WorkerEvent::GivenBack { id, account }
        }
    }
}

fn hold_event(account: &AccountId, change: HoldChange) -> WorkerEvent {
    let account = account.clone();
    match change {
        HoldChange::Held { party, cause, probe_in } => WorkerEvent::Held { account, party, cause, probe_in },
        HoldChange::Resumed { party } => WorkerEvent::Resumed { account, party },
        HoldChange::Unreachable { cause, probe_in } => WorkerEvent::Unreachable { account, cause, probe_in },
        HoldChange::Reached => WorkerEvent::Reached { account },
        // No outcome pauses an account.
        change @ HoldChange::Paused { .. } => WorkerEvent::HoldHeard { account, change },
    }
}

fn outcome_word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Success(_) => "success",
        Outcome::Retryable(..) => "retryable",
        Outcome::Terminal(_) => "terminal",
        Outcome::AccountFault(..) => "account_fault",
    }
}

fn verdict_word(reply: &Reply) -> &'static str {
    match reply {
        Reply::Answered(answer) => answer.signature.as_str(),
        Reply::NotSent(broken) | Reply::MaybeSent(broken) => broken.as_str(),
        Reply::NotEncodable { .. } => "not_encodable",
        Reply::NoToken { .. } => "no_token",
    }
}
