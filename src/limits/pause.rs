//! Holds: an account (or one of its parties) at fault is put off and probed, not spent.
//!
//! A state machine without a clock or a die of its own: both arrive as arguments. A *party* is whom a call is made for,
//! below the account: a merchant of the Open Platform, an administrator of mapi. Promise: while something is held,
//! exactly one call at a time goes out to test it, in the whole fleet, and a call that says nothing about the credentials
//! neither begins nor ends a hold. Answers that cannot be believed, and none verified between, count as a fault of the
//! account too.
//! Doubts are one replica's own; a hold is told to all. Whether the gateway can be reached at all is each replica's own
//! affair, see `way`.

pub mod seat;

mod standing;
mod told;
mod way;
mod word;

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::classify::Outcome;
use crate::domain::codes::Scope;
use crate::domain::fleet::hold::ProbeState;
use crate::domain::ids::RequestId;
use crate::domain::reply::Reply;
use crate::domain::settlement::Hold;
use crate::limits::pause::seat::Seat;
pub(crate) use crate::limits::pause::standing::Ripe;
use crate::limits::pause::standing::{Change, Role, Scene, Standing, State};
pub(crate) use crate::limits::pause::told::Heard;
use crate::limits::pause::way::{Met, Trip, Turn, Way};
use crate::limits::pause::word::Word;

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
        /// The gateway's code, or [`QUOTA_SPENT`].
        cause: String,
        /// Until the next probe.
        probe_in: Duration,
    },
    /// A person paused it.
    Paused {
        /// The party, or `None` for the whole account.
        party: Option<String>,
        /// What they gave as the reason.
        reason: Option<String>,
    },
    /// A probe passed, or a person resumed it.
    Resumed {
        /// The party, or `None` for the whole account.
        party: Option<String>,
    },
    /// Calls of this replica find no connection to the gateway, or one that tried again found none.
    Unreachable {
        /// How the last call broke.
        cause: String,
        /// Until the next one tries.
        probe_in: Duration,
    },
    /// A call found the gateway again.
    Reached,
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

/// The cause of a hold that waits for the account's daily quota.
pub const QUOTA_SPENT: &str = "quota_spent";

/// How long a message is put off while its account is paused: on resuming, those put off come back within this and a
/// half.
const PAUSED_LOOK: Duration = Duration::from_mins(1);

/// How long the lifting of a party's hold is told; the account's own last word is always.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Parties remembered before the forgotten ones among them are looked for.
const MANY_PARTIES: usize = 1024;

/// What an admitted call stands for; handed back by [`Holds::record`] or [`Holds::release`].
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) party: Option<String>,
    for_account: Role,
    for_party: Role,
    trip: Trip,
}

impl Claim {
    /// Says whether the call tests a hold.
    pub(crate) fn is_probe(&self) -> bool {
        // A trial of the way is nothing to tell the others.
        [self.for_account, self.for_party].iter().any(|role| matches!(role, Role::Probe(_)))
    }
}

/// The holds of one account and its parties.
#[derive(Debug)]
pub(crate) struct Holds {
    settings: HoldSettings,
    seat: Seat,
    account: Standing,
    parties: HashMap<String, Standing>,
    way: Way,
}

impl Holds {
    pub(crate) fn new(settings: HoldSettings, now: Instant) -> Self {
        let way = Way::new(settings.first_probe, settings.max_probe);
        Self { settings, seat: Seat::alone(now), account: Standing::new(now), parties: HashMap::new(), way }
    }

    /// Returns the wait of a call for this party; `None` if it may go, as an ordinary call or as the probe that is due.
    pub(crate) fn wait(&self, party: Option<&str>, now: Instant, jitter: f64) -> Option<Duration> {
        let scene = self.scene(now);
        let of_party = party.and_then(|name| self.parties.get(name));
        let waits = [Some(&self.account), of_party].into_iter().flatten();
        let waits = waits.filter_map(|standing| standing.wait(scene, jitter));
        waits.chain(self.way.wait(now, jitter)).max()
    }

    /// Lets one call go, taking on the probes that are due; or says how long to wait. A call is made only once its claim
    /// is ripe, see [`Holds::ripen`].
    pub(crate) fn claim(&mut self, party: Option<&str>, now: Instant, jitter: f64) -> Result<Claim, Duration> {
        if let Some(wait) = self.wait(party, now, jitter) {
            return Err(wait);
        }
        let Self { settings, seat, account, parties, way } = self;
        let scene = Scene { settings, seat, now };
        Ok(Claim {
            party: party.map(ToOwned::to_owned),
            for_account: account.claim(scene),
            for_party: party
                .and_then(|name| parties.get_mut(name))
                .map_or(Role::Ordinary, |standing| standing.claim(scene)),
            trip: way.claim(),
        })
    }

    /// Says whether the call of a claim may leave; if so it counts as out. A lost claim is to be released.
    pub(crate) fn ripen(&mut self, claim: &mut Claim, now: Instant) -> Ripe {
        let Self { settings, seat, account, parties, way } = self;
        if way.is_lost(claim.trip) {
            return Ripe::Lost;
        }
        let scene = Scene { settings, seat, now };
        let mut of_party = claim.party.as_ref().and_then(|name| parties.get_mut(name));
        let party_is = of_party.as_ref().map_or(Ripe::Now, |standing| standing.ripe(claim.for_party, scene));
        let ripe = account.ripe(claim.for_account, scene).max(party_is);
        if ripe == Ripe::Now {
            account.leave(&mut claim.for_account, scene);
            if let Some(standing) = &mut of_party {
                standing.leave(&mut claim.for_party, scene);
            }
        }
        ripe
    }

    /// Takes back a claim no call was made for: a probe that was lost is due again at once.
    pub(crate) fn release(&mut self, claim: &Claim, now: Instant) {
        let Self { settings, seat, account, parties, way } = self;
        let scene = Scene { settings, seat, now };
        way.release(claim.trip);
        account.release(claim.for_account, scene);
        if let Some(standing) = claim.party.as_ref().and_then(|name| parties.get_mut(name)) {
            standing.release(claim.for_party, scene);
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
            (Word::Passed(_) | Word::Throttled | Word::Nothing, _) => (word, word),
        };
        let cause = if word == Word::Disbelieved { DISBELIEVED } else { reply.code().unwrap_or("unknown") };
        let Self { settings, seat, account, parties, way } = self;
        let scene = Scene { settings, seat, now };
        let mut changes = Vec::new();
        let met = Met::of(reply, outcome);
        changes.extend(way.judge(met, claim.trip, now).map(|turn| turn.tell(cause)));
        changes.extend(account.judge(to_account, claim.for_account, id, cause, scene).map(|change| change.tell(None)));
        let mut standing = &*account;
        if let Some(party) = claim.party {
            forget_stale(parties, now, settings.max_probe);
            let of_party = parties.entry(party.clone()).or_insert_with(|| Standing::new(now));
            let change = of_party.judge(to_party, claim.for_party, id, cause, scene);
            changes.extend(change.map(|change| change.tell(Some(party.clone()))));
            if of_party.is_clear(scene) {
                parties.remove(&party);
            } else if matches!(to_party, Word::Fault(..)) {
                standing = &parties[&party];
            }
        }
        if let Some(delay) = way.delay(now, jitter).filter(|_| met == Met::Nobody) {
            return Recorded { hold: Hold::Held(delay), changes };
        }
        let hold = match (word, standing.delay(scene, jitter)) {
            (Word::Fault(..), Some(delay)) => Hold::Held(delay),
            (Word::Fault(..) | Word::Passed(_) | Word::Disbelieved | Word::Throttled | Word::Nothing, _) => {
                Hold::NotHeld
            }
        };
        Recorded { hold, changes }
    }

    /// Returns how long the whole account stays shut: until its probe is due, or while that probe is out.
    pub(crate) fn shut_for(&self, now: Instant) -> Option<Duration> {
        self.account.wait(self.scene(now), 0.0).max(self.way.wait(now, 0.0))
    }

    /// Makes every probe due at once: what was at fault may be mended.
    pub(crate) fn probe_now(&mut self, now: Instant) {
        let Self { settings, seat, account, parties, way } = self;
        let scene = Scene { settings, seat, now };
        way.try_now(now);
        std::iter::once(account).chain(parties.values_mut()).for_each(|standing| standing.probe_now(scene));
    }

    /// Says whether the whole account is held, by a fault of its own or for want of a way to the gateway.
    pub(crate) fn is_held(&self) -> bool {
        self.account.state != State::Open || self.is_cut_off()
    }

    /// Says whether this replica does not reach the gateway.
    pub(crate) fn is_cut_off(&self) -> bool {
        self.way.is_shut()
    }

    fn scene(&self, now: Instant) -> Scene<'_> {
        Scene { settings: &self.settings, seat: &self.seat, now }
    }
}

/// Keeps a flood of bad parties from filling the memory: one long due for a probe that never came is let go, and its
/// next call is as good as a probe.
fn forget_stale(parties: &mut HashMap<String, Standing>, now: Instant, after: Duration) {
    if parties.len() >= MANY_PARTIES {
        parties.retain(|_, standing| match &standing.state {
            State::Paused(_) => true,
            State::Held(held) => held.probe != ProbeState::Free || now.saturating_duration_since(held.probe_at) < after,
            State::Open => false,
        });
    }
}

impl Turn {
    fn tell(self, cause: &str) -> HoldChange {
        match self {
            Self::Shut(probe_in) => HoldChange::Unreachable { cause: cause.to_owned(), probe_in },
            Self::Open => HoldChange::Reached,
        }
    }
}

impl Change {
    fn tell(self, party: Option<String>) -> HoldChange {
        match self {
            Self::Held(cause, probe_in) => HoldChange::Held { party, cause, probe_in },
            Self::Paused(reason) => HoldChange::Paused { party, reason },
            Self::Resumed => HoldChange::Resumed { party },
        }
    }
}

#[cfg(test)]
mod fleet_tests;
#[cfg(test)]
mod tests;
