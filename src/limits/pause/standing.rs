//! How the account, or one party, stands: its doubts, its hold, and the version that lets the newest word win.

use std::time::Duration;

use tokio::time::Instant;

use crate::domain::codes::{Certainty, Scope};
use crate::domain::fleet::hold::{ProbeState, Proof};
use crate::domain::ids::RequestId;
use crate::limits::pause::seat::Seat;
use crate::limits::pause::word::Word;
use crate::limits::pause::{DISBELIEVED_RUN, HoldSettings, PAUSED_LOOK, PROBE_AGAIN, QUOTA_SPENT};

/// Where and when something happens to a standing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) settings: &'a HoldSettings,
    pub(super) seat: &'a Seat,
    pub(super) now: Instant,
}

/// How the account, or one party, stands.
#[derive(Debug)]
pub(super) struct Standing {
    /// The last doubtful fault, as long as no call has passed since.
    suspect: Option<(Scope, RequestId)>,
    /// Items whose answers could not be believed since one was last verified, each once.
    disbelieved: Vec<RequestId>,
    /// Counts the words on the hold; 0: there never was one.
    pub(super) version: u64,
    /// Whose word the latest is.
    pub(super) by: u64,
    pub(super) said_at: Instant,
    /// When the account or party was held, or paused; how often that was said anew since does not matter.
    pub(super) since: Instant,
    pub(super) state: State,
}

/// What the latest word says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Held(Held),
    Paused(Option<String>),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) cause: String,
    pub(super) wait: Duration,
    pub(super) probe_at: Instant,
    pub(super) probe: ProbeState,
    /// When the prober announced itself, and when it was last heard from.
    pub(super) announced: Instant,
    pub(super) confirmed: Instant,
    /// What the answer to a probe must have to end it.
    pub(super) ends_with: Proof,
}

/// Whether a call tests a hold, and since which version of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Ordinary,
    Probe(u64),
}

/// Whether a probe may leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Ripe {
    Now,
    /// Its announcement has to stand this much longer.
    In(Duration),
    /// Someone else makes it, or nobody any more.
    Lost,
}

/// A change of one standing, not yet named.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    Held(String, Duration),
    Paused(Option<String>),
    Resumed,
}

impl Standing {
    pub(super) fn new(now: Instant) -> Self {
        let (suspect, disbelieved, state) = (None, Vec::new(), State::Open);
        Self { suspect, disbelieved, version: 0, by: 0, said_at: now, since: now, state }
    }

    /// Returns the wait of a call; `None` if it may go, as an ordinary call or as the probe that is due.
    pub(super) fn wait(&self, scene: Scene<'_>, jitter: f64) -> Option<Duration> {
        match &self.state {
            State::Open => None,
            State::Held(held) if self.left(held, scene).is_zero() => None,
            State::Held(_) | State::Paused(_) => self.delay(scene, jitter),
        }
    }

    /// Returns the wait of a message put off: until the probe, and up to half a wait more so that not all come back at
    /// once; `None` if nothing is held.
    pub(super) fn delay(&self, scene: Scene<'_>, jitter: f64) -> Option<Duration> {
        let (left, wait) = match &self.state {
            State::Open => return None,
            State::Held(held) => (self.left(held, scene), held.wait),
            State::Paused(_) => (PAUSED_LOOK, PAUSED_LOOK),
        };
        Some(left + (wait / 2).mul_f64(jitter.clamp(0.0, 1.0)))
    }

    /// Returns how long until this replica may take on the probe.
    fn left(&self, held: &Held, Scene { settings, seat, now }: Scene<'_>) -> Duration {
        let due = held.probe_at.saturating_duration_since(now);
        let again = PROBE_AGAIN.min(settings.first_probe);
        let is_others = self.by != seat.me;
        let is_gone = is_others && now.saturating_duration_since(held.confirmed) > seat.lease;
        let is_taken = match held.probe {
            ProbeState::Free => false,
            ProbeState::Announced if is_others && seat.is_first(now) => false,
            ProbeState::Announced | ProbeState::Out => !is_gone,
        };
        if is_taken || !seat.is_entitled(now) { due.max(again) } else { due }
    }

    /// Says something new.
    pub(super) fn say(&mut self, state: State, by: u64, now: Instant) {
        (self.version, self.by, self.said_at) = (self.version.saturating_add(1), by, now);
        if std::mem::discriminant(&state) != std::mem::discriminant(&self.state) {
            self.since = now;
        }
        if state == State::Open {
            self.suspect = None;
            self.disbelieved.clear();
        }
        self.state = state;
    }

    /// Takes part of a call that may go: as the probe, where something is held.
    pub(super) fn claim(&mut self, Scene { seat, now, .. }: Scene<'_>) -> Role {
        let State::Held(held) = &self.state else { return Role::Ordinary };
        let probe = if seat.is_first(now) { ProbeState::Out } else { ProbeState::Announced };
        let held = Held { probe, announced: now, confirmed: now, ..held.clone() };
        self.say(State::Held(held), seat.me, now);
        Role::Probe(self.version)
    }

    /// Returns the hold a probe tests, as long as it is this replica's to make.
    fn probed(&self, role: Role, seat: &Seat) -> Option<&Held> {
        match (&self.state, role) {
            (State::Held(held), Role::Probe(version)) if version == self.version && self.by == seat.me => Some(held),
            (State::Open | State::Held(_) | State::Paused(_), Role::Ordinary | Role::Probe(_)) => None,
        }
    }

    /// Says whether a probe may leave.
    pub(super) fn ripe(&self, role: Role, Scene { seat, now, .. }: Scene<'_>) -> Ripe {
        match (role, self.probed(role, seat)) {
            (Role::Ordinary, _) if self.state == State::Open => Ripe::Now,
            (Role::Ordinary, _) | (Role::Probe(_), None) => Ripe::Lost,
            (Role::Probe(_), Some(Held { probe: ProbeState::Out, .. })) => Ripe::Now,
            (Role::Probe(_), Some(held)) if seat.is_entitled_since(held.announced, now) => {
                let left = (held.announced + seat.notice()).saturating_duration_since(now);
                if left.is_zero() || seat.is_first(now) { Ripe::Now } else { Ripe::In(left) }
            }
            (Role::Probe(_), Some(_)) => Ripe::Lost,
        }
    }

    /// Lets a ripe probe leave.
    pub(super) fn leave(&mut self, role: &mut Role, Scene { seat, now, .. }: Scene<'_>) {
        if let Some(held) = self.probed(*role, seat)
            && held.probe == ProbeState::Announced
        {
            let out = Held { probe: ProbeState::Out, confirmed: now, ..held.clone() };
            self.say(State::Held(out), seat.me, now);
            *role = Role::Probe(self.version);
        }
    }

    /// Gives up a probe no call was made for: it is due again at once.
    pub(super) fn release(&mut self, role: Role, Scene { seat, now, .. }: Scene<'_>) {
        if let Some(held) = self.probed(role, seat) {
            let free = Held { probe: ProbeState::Free, ..held.clone() };
            self.say(State::Held(free), seat.me, now);
        }
    }

    /// Makes the probe due at once, with the patience of a new hold, unless it is out, or no key could mend the cause.
    pub(super) fn probe_now(&mut self, Scene { settings, seat, now }: Scene<'_>) {
        if let State::Held(held) = &self.state
            && held.probe != ProbeState::Out
            && held.cause != QUOTA_SPENT
        {
            let wait = settings.first_probe.min(settings.max_probe);
            let due = Held { wait, probe_at: now, probe: ProbeState::Free, ..held.clone() };
            self.say(State::Held(due), seat.me, now);
        }
    }

    /// Judges by what a call said.
    pub(super) fn judge(
        &mut self,
        word: Word,
        role: Role,
        id: &RequestId,
        cause: &str,
        scene: Scene<'_>,
    ) -> Option<Change> {
        if let Some(held) = self.probed(role, scene.seat) {
            let held = held.clone();
            return self.conclude(held, word, cause, scene);
        }
        match (&self.state, role, word) {
            (State::Open, Role::Ordinary, Word::Fault(scope, certainty)) => {
                self.accuse(scope, certainty, id, cause, scene)
            }
            (State::Open, Role::Ordinary, Word::Disbelieved) => self.disbelieve(id, cause, scene),
            (State::Open, Role::Ordinary, Word::Passed(proof)) => {
                self.suspect = None;
                if proof == Proof::Signed {
                    self.disbelieved.clear();
                }
                None
            }
            (State::Open, Role::Ordinary, Word::Throttled | Word::Nothing) => None,
            // In flight when the hold began: it knew no better, and proves nothing either way. Or a probe of a hold
            // that meanwhile became another.
            (State::Held(_) | State::Paused(_), Role::Ordinary, _) | (_, Role::Probe(_), _) => None,
        }
    }

    /// Ends a probe.
    fn conclude(&mut self, held: Held, word: Word, cause: &str, scene: Scene<'_>) -> Option<Change> {
        let Scene { settings, seat, now } = scene;
        let is_spent = held.cause == QUOTA_SPENT;
        let cause = match word {
            Word::Fault(..) | Word::Disbelieved => cause.to_owned(),
            Word::Throttled if is_spent => held.cause,
            Word::Passed(proof) if proof >= held.ends_with => {
                self.say(State::Open, seat.me, now);
                return Some(Change::Resumed);
            }
            Word::Passed(_) | Word::Throttled | Word::Nothing => {
                let probe_at = now + PROBE_AGAIN.min(settings.first_probe);
                self.say(State::Held(Held { probe: ProbeState::Free, probe_at, ..held }), seat.me, now);
                return None;
            }
        };
        let wait = held.wait.saturating_mul(2).min(settings.max_probe);
        Some(self.hold(cause, wait, held.ends_with, scene))
    }

    fn accuse(
        &mut self,
        scope: Scope,
        certainty: Certainty,
        id: &RequestId,
        cause: &str,
        scene: Scene<'_>,
    ) -> Option<Change> {
        let is_proven = match (certainty, &self.suspect) {
            (Certainty::Certain, _) => true,
            (Certainty::Doubtful, Some((earlier, other))) => *earlier == scope && other != id,
            (Certainty::Doubtful, None) => false,
        };
        if !is_proven {
            self.suspect = Some((scope, id.clone()));
            return None;
        }
        Some(self.begin(cause, Proof::Unsigned, scene))
    }

    fn disbelieve(&mut self, id: &RequestId, cause: &str, scene: Scene<'_>) -> Option<Change> {
        if !self.disbelieved.contains(id) {
            self.disbelieved.push(id.clone());
        }
        (self.disbelieved.len() >= DISBELIEVED_RUN).then(|| self.begin(cause, Proof::Signed, scene))
    }

    fn begin(&mut self, cause: &str, ends_with: Proof, scene: Scene<'_>) -> Change {
        let settings = scene.settings;
        self.hold(cause.to_owned(), settings.first_probe.min(settings.max_probe), ends_with, scene)
    }

    /// Holds, with the first or next probe due after the wait.
    fn hold(&mut self, cause: String, wait: Duration, ends_with: Proof, scene: Scene<'_>) -> Change {
        let Scene { seat, now, .. } = scene;
        let held = Held { ends_with, ..Held::new(cause.clone(), wait, now + wait, now) };
        self.say(State::Held(held), seat.me, now);
        Change::Held(cause, wait)
    }

    /// Says whether nothing is known of it that is worth remembering, or telling.
    pub(super) fn is_clear(&self, scene: Scene<'_>) -> bool {
        let is_told = self.version > 0 && !scene.seat.is_alone();
        let is_fresh = is_told && scene.now.saturating_duration_since(self.said_at) < super::REMEMBERED;
        self.suspect.is_none() && self.disbelieved.is_empty() && self.state == State::Open && !is_fresh
    }
}

impl Held {
    pub(super) fn new(cause: String, wait: Duration, probe_at: Instant, now: Instant) -> Self {
        let (probe, ends_with) = (ProbeState::Free, Proof::Unsigned);
        Self { cause, wait, probe_at, probe, announced: now, confirmed: now, ends_with }
    }
}
