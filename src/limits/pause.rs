//! Holds: an account (or one of its parties) at fault is put off and probed, not spent.
//!
//! A state machine without a clock or a die of its own: both arrive as arguments. A *party* is whom a call is made for,
//! below the account: a merchant of the Open Platform, an administrator of mapi. Promise: while something is held,
//! exactly one call at a time goes out to test it, and a call that says nothing about the credentials neither begins
//! nor ends a hold. Answers that cannot be believed, and none verified between, count as a fault of the account too.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::classify::{Cause, Outcome};
use crate::domain::codes::{Certainty, Scope};
use crate::domain::ids::RequestId;
use crate::domain::outcome::Reason;
use crate::domain::reply::Reply;
use crate::domain::settlement::Hold;

/// When a held account is probed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldSettings {
    /// Wait before the first probe. Default 30 s.
    pub first_probe: Duration,
    /// The wait doubles with every failed probe up to this. Default 10 min.
    pub max_probe: Duration,
}

impl Default for HoldSettings {
    fn default() -> Self {
        Self { first_probe: Duration::from_secs(30), max_probe: Duration::from_mins(10) }
    }
}

/// A change of a hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HoldChange {
    /// A hold began, or its probe failed.
    Held {
        /// The party, or `None` for the whole account.
        party: Option<String>,
        /// The gateway's code.
        cause: String,
        /// Until the next probe.
        probe_in: Duration,
    },
    /// A probe passed.
    Resumed {
        /// The party, or `None` for the whole account.
        party: Option<String>,
    },
}

/// What an outcome changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// How the account stands for the item the outcome belongs to.
    pub hold: Hold,
    /// Holds that began, went on (a probe failed) or ended with this outcome: at most one of the account, one of the
    /// party.
    pub changes: Vec<HoldChange>,
}

/// Wait after a probe that said nothing, where the first probe's wait is not shorter still.
const PROBE_AGAIN: Duration = Duration::from_secs(5);

/// Items whose answers cannot be believed, none verified between, before the account is held: one forged answer is an
/// item's trouble, a run of them is a wrong gateway key, and would spend the attempts of a whole backlog. Refusals that
/// nobody signs say nothing about that key, neither on the way there nor at a probe.
const DISBELIEVED_RUN: usize = 5;

/// The cause such a hold is told with.
const DISBELIEVED: &str = "answers_not_believed";

/// Parties remembered before the forgotten ones among them are looked for.
const MANY_PARTIES: usize = 1024;

/// Whether a call tests a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Ordinary,
    Probe,
}

/// What an admitted call stands for; handed back by [`Holds::record`] or [`Holds::release`].
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) party: Option<String>,
    for_account: Role,
    for_party: Role,
}

/// The holds of one account and its parties.
#[derive(Debug)]
pub(crate) struct Holds {
    settings: HoldSettings,
    account: Standing,
    parties: HashMap<String, Standing>,
}

/// How the account, or one party, stands.
#[derive(Debug, Default)]
struct Standing {
    /// The last doubtful fault, as long as no call has passed since.
    suspect: Option<(Scope, RequestId)>,
    /// Items whose answers could not be believed since one was last verified, each once.
    disbelieved: Vec<RequestId>,
    held: Option<Held>,
}

#[derive(Debug)]
struct Held {
    wait: Duration,
    probe_at: Instant,
    /// Whether a probe is out.
    probe: Role,
    /// What the answer to a probe must have to end it.
    ends_with: Proof,
}

/// Whose word it is that a call passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Proof {
    /// That of whoever answered: our credentials were taken.
    Unsigned,
    /// The gateway's: its key is the one configured, too.
    Signed,
}

/// What an outcome says about the credentials tested.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// They are at fault.
    Fault(Scope, Certainty),
    /// They are good.
    Passed(Proof),
    /// The answer's signature does not hold: someone forged it, or the gateway's key is not the one configured.
    Disbelieved,
    /// Nothing: the call broke, was throttled, or was never sent.
    Nothing,
}

impl Holds {
    pub(crate) fn new(settings: HoldSettings) -> Self {
        Self { settings, account: Standing::default(), parties: HashMap::new() }
    }

    /// Returns the wait of a call for this party; `None` if it may go, as an ordinary call or as the probe that is due.
    pub(crate) fn wait(&self, party: Option<&str>, now: Instant, jitter: f64) -> Option<Duration> {
        let of_party = party.and_then(|name| self.parties.get(name));
        let waits = [Some(&self.account), of_party].into_iter().flatten();
        waits.filter_map(|standing| standing.wait(&self.settings, now, jitter)).max()
    }

    /// Lets one call go, taking on the probes that are due; or says how long to wait.
    pub(crate) fn claim(&mut self, party: Option<&str>, now: Instant, jitter: f64) -> Result<Claim, Duration> {
        match self.wait(party, now, jitter) {
            Some(wait) => Err(wait),
            None => Ok(Claim {
                party: party.map(ToOwned::to_owned),
                for_account: self.account.claim(),
                for_party: party.and_then(|name| self.parties.get_mut(name)).map_or(Role::Ordinary, Standing::claim),
            }),
        }
    }

    /// Takes back a claim no call was made for: a probe that was lost is due again at once.
    pub(crate) fn release(&mut self, claim: &Claim) {
        self.account.release(claim.for_account);
        if let Some(standing) = claim.party.as_ref().and_then(|name| self.parties.get_mut(name)) {
            standing.release(claim.for_party);
        }
    }

    /// Takes note of the outcome of a claimed call.
    pub(crate) fn record(
        &mut self,
        claim: Claim,
        id: &RequestId,
        reply: &Reply,
        outcome: &Outcome,
        now: Instant,
        jitter: f64,
    ) -> Recorded {
        let word = Word::of(reply, outcome);
        // A fault of the one says nothing about the other: which of the two a gateway checks first is not known.
        let (to_account, to_party) = match (word, &claim.party) {
            (Word::Fault(Scope::Token | Scope::SnsUser, _), Some(_)) => (Word::Nothing, word),
            (Word::Fault(..) | Word::Disbelieved, _) => (word, Word::Nothing),
            (Word::Passed(_) | Word::Nothing, _) => (word, word),
        };
        let cause = if word == Word::Disbelieved { DISBELIEVED } else { reply.code().unwrap_or("unknown") };
        let settings = &self.settings;
        let mut changes = Vec::new();
        changes
            .extend(self.account.hear(to_account, claim.for_account, id, settings, now).map(|c| c.tell(None, cause)));
        let mut standing = &self.account;
        if let Some(party) = claim.party {
            forget_stale(&mut self.parties, now, settings.max_probe);
            let of_party = self.parties.entry(party.clone()).or_default();
            let change = of_party.hear(to_party, claim.for_party, id, settings, now);
            changes.extend(change.map(|c| c.tell(Some(party.clone()), cause)));
            if of_party.is_clear() {
                self.parties.remove(&party);
            } else if matches!(to_party, Word::Fault(..)) {
                standing = &self.parties[&party];
            }
        }
        let hold = match (word, &standing.held) {
            (Word::Fault(..), Some(held)) => Hold::Held(held.delay(settings, now, jitter)),
            _ => Hold::NotHeld,
        };
        Recorded { hold, changes }
    }

    /// Returns how long the whole account stays shut: until its probe is due, or while that probe is out.
    pub(crate) fn shut_for(&self, now: Instant) -> Option<Duration> {
        self.account.wait(&self.settings, now, 0.0)
    }

    /// Makes every probe due at once, with the patience of a new hold: what was at fault may be mended.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        let first = self.settings.first_probe.min(self.settings.max_probe);
        let held = std::iter::once(&mut self.account).chain(self.parties.values_mut()).filter_map(|s| s.held.as_mut());
        for held in held.filter(|held| held.probe == Role::Ordinary) {
            held.wait = first;
            held.probe_at = now;
        }
    }

    /// Says whether the whole account is held.
    pub(crate) fn is_held(&self) -> bool {
        self.account.held.is_some()
    }
}

/// Keeps a flood of bad parties from filling the memory: one long due for a probe that never came is let go, and its
/// next call is as good as a probe.
fn forget_stale(parties: &mut HashMap<String, Standing>, now: Instant, after: Duration) {
    if parties.len() >= MANY_PARTIES {
        parties.retain(|_, standing| match &standing.held {
            Some(held) => held.probe == Role::Probe || now.saturating_duration_since(held.probe_at) < after,
            None => false,
        });
    }
}

/// A change of one standing, not yet named.
enum Change {
    Held(Duration),
    Resumed,
}

impl Change {
    fn tell(self, party: Option<String>, cause: &str) -> HoldChange {
        match self {
            Self::Held(probe_in) => HoldChange::Held { party, cause: cause.to_owned(), probe_in },
            Self::Resumed => HoldChange::Resumed { party },
        }
    }
}

impl Standing {
    fn wait(&self, settings: &HoldSettings, now: Instant, jitter: f64) -> Option<Duration> {
        let held = self.held.as_ref()?;
        let is_due = held.probe == Role::Ordinary && held.probe_at <= now;
        (!is_due).then(|| held.delay(settings, now, jitter))
    }

    fn claim(&mut self) -> Role {
        match &mut self.held {
            Some(held) => {
                held.probe = Role::Probe;
                Role::Probe
            }
            None => Role::Ordinary,
        }
    }

    fn release(&mut self, role: Role) {
        if let (Role::Probe, Some(held)) = (role, &mut self.held) {
            held.probe = Role::Ordinary;
        }
    }

    fn hear(
        &mut self,
        word: Word,
        role: Role,
        id: &RequestId,
        settings: &HoldSettings,
        now: Instant,
    ) -> Option<Change> {
        match (word, &mut self.held) {
            (Word::Fault(..) | Word::Disbelieved, Some(held)) if role == Role::Probe => {
                let wait = held.wait.saturating_mul(2).min(settings.max_probe);
                *held = Held::until_probe(wait, now, held.ends_with);
                Some(Change::Held(wait))
            }
            (Word::Passed(proof), Some(held)) if role == Role::Probe && proof >= held.ends_with => {
                *self = Self::default();
                Some(Change::Resumed)
            }
            (Word::Nothing | Word::Passed(_), Some(held)) if role == Role::Probe => {
                held.probe = Role::Ordinary;
                held.probe_at = now + PROBE_AGAIN.min(settings.first_probe);
                None
            }
            // Calls that were in flight when the hold began: they knew no better, and prove nothing either way.
            (Word::Fault(..) | Word::Disbelieved | Word::Nothing | Word::Passed(_), Some(_)) => None,
            (Word::Fault(scope, certainty), None) => self.accuse(scope, certainty, id, settings, now),
            (Word::Disbelieved, None) => self.disbelieve(id, settings, now),
            (Word::Passed(Proof::Signed), None) => {
                *self = Self::default();
                None
            }
            (Word::Passed(Proof::Unsigned), None) => {
                self.suspect = None;
                None
            }
            (Word::Nothing, None) => None,
        }
    }

    fn accuse(
        &mut self,
        scope: Scope,
        certainty: Certainty,
        id: &RequestId,
        settings: &HoldSettings,
        now: Instant,
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
        Some(self.hold(Proof::Unsigned, settings, now))
    }

    fn disbelieve(&mut self, id: &RequestId, settings: &HoldSettings, now: Instant) -> Option<Change> {
        if !self.disbelieved.contains(id) {
            self.disbelieved.push(id.clone());
        }
        (self.disbelieved.len() >= DISBELIEVED_RUN).then(|| self.hold(Proof::Signed, settings, now))
    }

    fn hold(&mut self, ends_with: Proof, settings: &HoldSettings, now: Instant) -> Change {
        let wait = settings.first_probe.min(settings.max_probe);
        *self = Self { held: Some(Held::until_probe(wait, now, ends_with)), ..Self::default() };
        Change::Held(wait)
    }

    fn is_clear(&self) -> bool {
        self.suspect.is_none() && self.disbelieved.is_empty() && self.held.is_none()
    }
}

impl Held {
    fn until_probe(wait: Duration, now: Instant, ends_with: Proof) -> Self {
        Self { wait, probe_at: now + wait, probe: Role::Ordinary, ends_with }
    }

    /// Wait of a message put off: until the probe, and up to half a wait more so that not all come back at once.
    fn delay(&self, settings: &HoldSettings, now: Instant, jitter: f64) -> Duration {
        let until_probe = self.probe_at.saturating_duration_since(now);
        let least = match self.probe {
            Role::Ordinary => Duration::ZERO,
            Role::Probe => PROBE_AGAIN.min(settings.first_probe),
        };
        until_probe.max(least) + (self.wait / 2).mul_f64(jitter.clamp(0.0, 1.0))
    }
}

impl Word {
    fn of(reply: &Reply, outcome: &Outcome) -> Self {
        let passed = Self::Passed(if reply.is_verified() { Proof::Signed } else { Proof::Unsigned });
        match outcome {
            Outcome::AccountFault(scope, certainty) => Self::Fault(*scope, *certainty),
            // Refused by our own encoder: nothing was sent.
            Outcome::Terminal(Reason::NotEncodable) => Self::Nothing,
            Outcome::Success(_) | Outcome::Terminal(_) => passed,
            Outcome::Retryable(cause, _) => match cause {
                // The gateway itself answered, and found no fault with the credentials.
                Cause::Code | Cause::UnlistedCode => passed,
                // What answered may be a proxy, or nobody.
                Cause::Throttled(_) | Cause::Broken | Cause::ServerError | Cause::Unreadable => Self::Nothing,
                Cause::Untrusted => Self::Disbelieved,
            },
        }
    }
}

#[cfg(test)]
mod tests;
