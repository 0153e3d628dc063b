//! Holds as replicas tell each other of them, and as a person orders them.

use std::cmp::Reverse;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::fleet::hold::{HoldNotice, HoldState, MAX_PARTIES, MAX_REASON, OrderKind, ProbeState};
use crate::limits::pause::seat::Seat;
use crate::limits::pause::standing::{Change, Held, Scene, Standing, State};
use crate::limits::pause::{HoldChange, Holds, forget_stale};

/// Longest wait believed; a quota is reset within a day.
const MAX_TOLD: Duration = Duration::from_hours(48);

/// Longest age of a hold believed.
const MAX_AGE: Duration = Duration::from_hours(24 * 366);

/// What a word of another comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    Nothing,
    /// It is newer than one's own; a change worth telling, if it says more than where a probe stands.
    News(Option<HoldChange>),
}

impl Holds {
    /// Takes another place in the fleet.
    pub(crate) fn set_seat(&mut self, seat: Seat) {
        self.seat = seat;
    }

    /// Returns what the others should know: the account's latest word, and those on its parties that still matter, at
    /// most [`MAX_PARTIES`], pauses before holds and the newest first.
    pub(crate) fn tell(&mut self, now: Instant) -> Vec<HoldNotice> {
        let Self { settings, seat, account, parties, .. } = self;
        let scene = Scene { settings, seat, now };
        parties.retain(|_, standing| !standing.is_clear(scene));
        let mut words: Vec<_> = parties.iter().filter(|(_, standing)| standing.version > 0).collect();
        words.sort_unstable_by_key(|(_, standing)| {
            (!matches!(standing.state, State::Paused(_)), Reverse(standing.said_at))
        });
        words.truncate(MAX_PARTIES);
        let of_account = (account.version > 0).then(|| account.tell(None, now));
        of_account.into_iter().chain(words.into_iter().map(|(name, word)| word.tell(Some(name), now))).collect()
    }

    /// Takes note of another's word; `speaker` is its epoch.
    pub(crate) fn hear(&mut self, told: HoldNotice, speaker: u64, now: Instant) -> Heard {
        let party = told.party.clone();
        let standing = self.of_party(party.as_deref(), now);
        match standing.hear(told, speaker, now) {
            Some(change) => Heard::News(change.map(|change| change.tell(party))),
            None => Heard::Nothing,
        }
    }

    /// Carries out what a person ordered.
    pub(crate) fn order(
        &mut self,
        party: Option<String>,
        order: OrderKind,
        number: u64,
        now: Instant,
    ) -> Option<HoldChange> {
        if order == OrderKind::Resume {
            self.way.try_now(now);
        }
        let change = self.of_party(party.as_deref(), now).order(order, number, now)?;
        Some(change.tell(party))
    }

    /// Holds the whole account until a moment, unless it is held already.
    pub(crate) fn hold_until(&mut self, cause: &str, at: Instant, now: Instant) -> Option<HoldChange> {
        if self.account.state != State::Open {
            return None;
        }
        let wait = self.settings.first_probe.min(self.settings.max_probe);
        self.account.say(State::Held(Held::new(cause.to_owned(), wait, at, now)), self.seat.me, now);
        Some(Change::Held(cause.to_owned(), at.saturating_duration_since(now)).tell(None))
    }

    fn of_party(&mut self, party: Option<&str>, now: Instant) -> &mut Standing {
        match party {
            None => &mut self.account,
            Some(name) => {
                forget_stale(&mut self.parties, now, self.settings.max_probe);
                self.parties.entry(name.to_owned()).or_insert_with(|| Standing::new(now))
            }
        }
    }
}

impl Standing {
    fn tell(&self, party: Option<&String>, now: Instant) -> HoldNotice {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let state = match &self.state {
            State::Open => HoldState::Lifted,
            State::Paused(reason) => HoldState::Paused { reason: reason.clone() },
            State::Held(held) => HoldState::Held {
                cause: held.cause.clone(),
                wait_ms: millis(held.wait),
                probe_in_ms: millis(held.probe_at.saturating_duration_since(now)),
                probe: held.probe,
                ends_with: held.ends_with,
            },
        };
        let age = (self.state != State::Open).then(|| now.saturating_duration_since(self.since));
        HoldNotice { party: party.cloned(), version: self.version, by: self.by, age_ms: age.map(millis), state }
    }

    /// Returns a change worth telling, if any, of a word that was new.
    fn hear(&mut self, told: HoldNotice, speaker: u64, now: Instant) -> Option<Option<Change>> {
        let own = self.tell(None, now).rank();
        let is_of_author = told.by == speaker;
        if told.rank() < own {
            return None;
        }
        let is_new = told.rank() > own;
        let (version, by) = (told.version, told.by);
        let since = told.age_ms.map(|age| Duration::from_millis(age).min(MAX_AGE)).and_then(|age| now.checked_sub(age));
        let heard = State::heard(told.state, now);
        if is_new {
            let change = change(&self.state, &heard);
            self.say(heard, by, now);
            self.version = version;
            self.since = since.unwrap_or(self.since);
            return Some(change);
        }
        if let (State::Held(own), State::Held(heard)) = (&mut self.state, heard) {
            // The same word on a quicker way.
            own.probe_at = own.probe_at.min(heard.probe_at);
            if is_of_author {
                own.confirmed = now;
            }
        }
        None
    }

    fn order(&mut self, order: OrderKind, number: u64, now: Instant) -> Option<Change> {
        let next = match (order, &self.state) {
            (OrderKind::Pause { reason }, _) => State::Paused(reason.map(|text| cut(&text))),
            (OrderKind::Resume, State::Paused(_)) => State::Open,
            // One that is out already is the probe asked for.
            (OrderKind::Resume, State::Held(Held { probe: ProbeState::Out, .. }) | State::Open) => return None,
            (OrderKind::Resume, State::Held(held)) => {
                State::Held(Held { probe_at: now, probe: ProbeState::Free, ..held.clone() })
            }
        };
        let change = change(&self.state, &next);
        self.say(next, number, now);
        change
    }
}

impl State {
    fn heard(told: HoldState, now: Instant) -> Self {
        let time = |millis| Duration::from_millis(millis).min(MAX_TOLD);
        match told {
            HoldState::Lifted => Self::Open,
            HoldState::Paused { reason } => Self::Paused(reason.map(|text| cut(&text))),
            HoldState::Held { cause, wait_ms, probe_in_ms, probe, ends_with } => {
                let held = Held::new(cut(&cause), time(wait_ms), now + time(probe_in_ms), now);
                Self::Held(Held { probe, ends_with, ..held })
            }
        }
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_REASON).collect()
}

/// Returns what is worth telling; where a probe stands is not.
fn change(from: &State, to: &State) -> Option<Change> {
    match (from, to) {
        (State::Open, State::Open) => None,
        (State::Held(from), State::Held(to)) if from.cause == to.cause && from.wait == to.wait => None,
        (State::Paused(from), State::Paused(to)) if from == to => None,
        (_, State::Open) => Some(Change::Resumed),
        (_, State::Paused(reason)) => Some(Change::Paused(reason.clone())),
        // Until it is due again, as the new word has it.
        (_, State::Held(held)) => {
            Some(Change::Held(held.cause.clone(), held.probe_at.saturating_duration_since(held.confirmed)))
        }
    }
}
