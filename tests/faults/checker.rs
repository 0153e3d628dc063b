//! States whether anything was lost, told twice over, or told wrongly: pure, from the evidence of a run that has ended.
//!
//! # How often an item may be called for
//! A message that is called for tells so in the end: its outcome's `attempts` counts every call but those that were
//! throttled or met a held account, which use up no attempt. A call goes uncounted when what came of it was lost: its
//! delivery was interrupted (the worker killed, its connection gone) before its successor was confirmed, and the message
//! comes again as it was. So one interruption costs a message at most one more call. An interruption between confirm
//! and ack leaves two messages in the place of one, each with its own attempts; every message tells an outcome in the
//! end, but the later ones tell the first one's, and what they were called for before is told nowhere. Hence, for each
//! item: calls <= attempts told + interruptions, and for each further outcome told the attempts allowed + interruptions.
//! And over all items: an interruption hits no more calls than can be in flight at once, so that the calls beyond the
//! attempts told are at most interruptions x calls in flight.

use std::collections::{BTreeMap, BTreeSet};

use takedown::domain::outcome::{Reason, Status};
use takedown::domain::takedown::Takedown;
use takedown::sandbox::mix::{Mix, Verdict};
use takedown::sandbox::{ItemState, Seen};

use crate::reader::{Book, Told};

/// Faults of the sandbox whose calls use up no attempt.
const UNCOUNTED: [&str; 2] = ["throttled", "illegal_sign"];

/// Everything a run left.
#[derive(Debug, Clone)]
pub(crate) struct Evidence {
    /// The takedowns that were accepted, and the states of their items beforehand.
    pub(crate) mix: Mix,
    /// Other messages that were accepted, by id, and the end each must come to.
    pub(crate) odd: BTreeMap<String, Reason>,
    /// What the result exchange told.
    pub(crate) book: Book,
    /// Ids of the dead letters, one for each letter.
    pub(crate) letters: Vec<String>,
    /// Messages left in queues that must be empty.
    pub(crate) left: BTreeMap<String, u64>,
    /// In which queues the messages of an id are; filled when the run was not over in time.
    pub(crate) places: BTreeMap<String, Vec<String>>,
    /// The sandbox's items at the end.
    pub(crate) items: BTreeMap<String, ItemState>,
    /// The sandbox's log.
    pub(crate) seen: Vec<Seen>,
    /// Workers that ended as no fault explains.
    pub(crate) odd_ends: Vec<String>,
    /// What bounds the calls.
    pub(crate) allowed: Allowed,
}

/// What bounds the calls; the module says how.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Allowed {
    /// Attempts of one message.
    pub(crate) attempts: u32,
    /// Times deliveries were taken out of a worker's hands.
    pub(crate) interruptions: u32,
    /// Calls in flight at once, of all workers and accounts.
    pub(crate) in_flight: u32,
}

/// One broken promise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Breach {
    #[error("{id} was accepted and has no outcome; its messages are in {places:?}")]
    Lost { id: String, places: Vec<String> },
    #[error("{id} has an outcome and was never accepted")]
    Stranger { id: String },
    #[error("an outcome cannot be read: {message}")]
    Unreadable { message: String },
    #[error("{id} ended in two ways: {ends}")]
    TwoEnds { id: String, ends: String },
    #[error("an outcome of {id} goes by {message_id:?}; it is {outcome_id}")]
    Misnamed { id: String, message_id: String, outcome_id: String },
    #[error("{id} was told as {reason}, and its item is {state:?}")]
    NotOffSale { id: String, reason: Reason, state: ItemState },
    #[error("{id} was told as {reason}, and its item was {state:?} beforehand")]
    WrongEnd { id: String, reason: Reason, state: ItemState },
    #[error("{id} was told as {reason}; it must end as {expected}")]
    OddEnd { id: String, reason: Reason, expected: Reason },
    #[error("{id} was told as surely not taken down, and a call took its item off sale")]
    Touched { id: String },
    #[error("{count} messages are left in {queue}")]
    Left { queue: String, count: u64 },
    #[error("{id} was told as dead and has no dead letter")]
    NoLetter { id: String },
    #[error("{id} has a dead letter and was not told as dead")]
    StrayLetter { id: String },
    #[error("{id} was called for {calls} times; {allowed} are allowed")]
    TooManyCalls { id: String, calls: u32, allowed: u32 },
    #[error("{id} has had {attempts} attempts; {allowed} are allowed")]
    TooManyAttempts { id: String, attempts: u32, allowed: u32 },
    #[error("{calls} calls were repeated in all; {allowed} are allowed")]
    TooManyRepeats { calls: u32, allowed: u32 },
    #[error("a worker ended as no fault explains: {end}")]
    OddWorker { end: String },
}

/// What a run came to, in numbers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    /// Ids accepted.
    pub(crate) accepted: usize,
    /// Ids by the reason they were told for last.
    pub(crate) ends: BTreeMap<Reason, usize>,
    /// Outcomes that repeat one told before.
    pub(crate) repeated_outcomes: usize,
    /// Dead letters beyond the first of their id.
    pub(crate) repeated_letters: usize,
    /// Calls at the gateways.
    pub(crate) calls: usize,
    /// Most calls for one item.
    pub(crate) most_calls: u32,
    /// Calls beyond the attempts told.
    pub(crate) repeated_calls: u32,
    /// Ids without an outcome.
    pub(crate) lost: usize,
    /// Ids that were told to have ended in two ways.
    pub(crate) two_ends: usize,
}

impl Figures {
    /// Takes in those of another run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.accepted += other.accepted;
        for (end, count) in &other.ends {
            *self.ends.entry(*end).or_default() += count;
        }
        self.repeated_outcomes += other.repeated_outcomes;
        self.repeated_letters += other.repeated_letters;
        self.calls += other.calls;
        self.most_calls = self.most_calls.max(other.most_calls);
        self.repeated_calls += other.repeated_calls;
        self.lost += other.lost;
        self.two_ends += other.two_ends;
    }
}

/// The checker's word.
#[derive(Debug)]
pub(crate) struct Report {
    /// Every broken promise.
    pub(crate) breaches: Vec<Breach>,
    /// The numbers.
    pub(crate) figures: Figures,
}

/// Checks a run.
pub(crate) fn check(evidence: &Evidence) -> Report {
    let mut check = Check { evidence, breaches: Vec::new(), figures: Figures::default() };
    let accepted: BTreeSet<&str> =
        evidence.mix.takedowns.iter().map(|t| t.id.as_str()).chain(evidence.odd.keys().map(String::as_str)).collect();
    check.figures.accepted = accepted.len();
    for id in &accepted {
        check.outcomes(id);
    }
    for id in evidence.book.told.keys().filter(|id| !accepted.contains(id.as_str())) {
        check.breaches.push(Breach::Stranger { id: id.clone() });
    }
    for takedown in &evidence.mix.takedowns {
        check.truth(takedown);
    }
    for (id, expected) in &evidence.odd {
        for told in check.told(id).iter().filter(|told| told.outcome.reason != *expected) {
            check.breaches.push(Breach::OddEnd { id: id.clone(), reason: told.outcome.reason, expected: *expected });
        }
    }
    check.letters();
    check.calls();
    check.remains();
    Report { breaches: check.breaches, figures: check.figures }
}

struct Check<'a> {
    evidence: &'a Evidence,
    breaches: Vec<Breach>,
    figures: Figures,
}

impl<'a> Check<'a> {
    fn told(&self, id: &str) -> &'a [Told] {
        self.evidence.book.told.get(id).map_or(&[], Vec::as_slice)
    }

    /// Every id has outcomes, and they agree.
    fn outcomes(&mut self, id: &str) {
        let told = self.told(id);
        let Some(last) = told.last() else {
            let places = self.evidence.places.get(id).cloned().unwrap_or_default();
            self.figures.lost += 1;
            self.breaches.push(Breach::Lost { id: id.to_owned(), places });
            return;
        };
        *self.figures.ends.entry(last.outcome.reason).or_default() += 1;
        let distinct: BTreeSet<_> = told.iter().map(|told| told.outcome.outcome_id()).collect();
        self.figures.repeated_outcomes += told.len() - distinct.len();
        for told in told.iter().filter(|told| told.message_id != told.outcome.outcome_id()) {
            let (message_id, outcome_id) = (told.message_id.clone(), told.outcome.outcome_id());
            self.breaches.push(Breach::Misnamed { id: id.to_owned(), message_id, outcome_id });
        }
        if told.iter().any(|told| told.outcome != last.outcome) {
            self.figures.two_ends += 1;
            let ends: Vec<_> = told
                .iter()
                .map(|Told { outcome, .. }| format!("{}/{} by {}", outcome.status(), outcome.reason, outcome.worker))
                .collect();
            self.breaches.push(Breach::TwoEnds { id: id.to_owned(), ends: ends.join(", then ") });
        }
    }

    /// What was told is what the sandbox knows.
    fn truth(&mut self, takedown: &Takedown) {
        let (id, label) = (takedown.id.to_string(), takedown.item.label());
        let before = self.evidence.mix.state(takedown);
        let state = self.evidence.items.get(&label).copied().unwrap_or(ItemState::OnSale);
        let is_touched = self.evidence.seen.iter().any(|seen| seen.item == label && seen.took_effect);
        for reason in self.told(&id).iter().map(|told| told.outcome.reason) {
            let id = id.clone();
            if self.evidence.mix.judge(takedown, reason) == Verdict::Wrong {
                self.breaches.push(Breach::WrongEnd { id, reason, state: before });
            } else if reason.status() == Status::Success && state != ItemState::OffSale {
                self.breaches.push(Breach::NotOffSale { id, reason, state });
            } else if reason == Reason::AttemptsExhausted && is_touched {
                self.breaches.push(Breach::Touched { id });
            }
        }
    }

    /// Dead letters are those that were told as dead.
    fn letters(&mut self) {
        let letters: BTreeSet<_> = self.evidence.letters.iter().collect();
        self.figures.repeated_letters = self.evidence.letters.len() - letters.len();
        let is_dead = |told: &Told| told.outcome.status() == Status::Dead;
        let dead: BTreeSet<_> =
            self.evidence.book.told.iter().filter(|(_, told)| told.iter().any(is_dead)).map(|(id, _)| id).collect();
        let missing = dead.difference(&letters).map(|id| Breach::NoLetter { id: (*id).clone() });
        let stray = letters.difference(&dead).map(|id| Breach::StrayLetter { id: (*id).clone() });
        self.breaches.extend(missing.chain(stray));
    }

    /// Nobody was called for more often than the module's reasoning allows.
    fn calls(&mut self) {
        let Allowed { attempts, interruptions, in_flight } = self.evidence.allowed;
        let mut calls: BTreeMap<&str, (u32, u32)> = BTreeMap::new();
        for seen in &self.evidence.seen {
            let (all, counted) = calls.entry(&seen.item).or_default();
            *all += 1;
            *counted += u32::from(!seen.fault.as_deref().is_some_and(|fault| UNCOUNTED.contains(&fault)));
        }
        self.figures.calls = self.evidence.seen.len();
        for takedown in &self.evidence.mix.takedowns {
            let id = takedown.id.to_string();
            let (all, counted) = calls.get(takedown.item.label().as_str()).copied().unwrap_or_default();
            let told = self.told(&id);
            let most = told.iter().map(|told| told.outcome.attempts).max().unwrap_or(0);
            if most > attempts {
                self.breaches.push(Breach::TooManyAttempts { id: id.clone(), attempts: most, allowed: attempts });
            }
            let copies = u32::try_from(told.len().saturating_sub(1)).unwrap();
            let allowed = most + interruptions + copies * (attempts + interruptions);
            if counted > allowed && !told.is_empty() {
                self.breaches.push(Breach::TooManyCalls { id, calls: counted, allowed });
            }
            self.figures.most_calls = self.figures.most_calls.max(all);
            self.figures.repeated_calls += counted.saturating_sub(most);
        }
        let (calls, allowed) = (self.figures.repeated_calls, interruptions * in_flight);
        if calls > allowed && self.figures.lost == 0 {
            self.breaches.push(Breach::TooManyRepeats { calls, allowed });
        }
    }

    /// Nothing is left, and everybody ended well.
    fn remains(&mut self) {
        let Evidence { left, odd_ends, book, .. } = self.evidence;
        let left = left.iter().map(|(queue, count)| Breach::Left { queue: queue.clone(), count: *count });
        let odd_ends = odd_ends.iter().map(|end| Breach::OddWorker { end: end.clone() });
        let unreadable = book.unreadable.iter().map(|message| Breach::Unreadable { message: message.clone() });
        self.breaches.extend(left.chain(odd_ends).chain(unreadable));
    }
}

mod tests;
