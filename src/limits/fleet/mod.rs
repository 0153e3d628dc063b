//! Sharing an account's rate among the replicas of a fleet, by heartbeats alone.
//!
//! A state machine without a clock and without I/O: beats and moments arrive as arguments, beats to send are returned.
//!
//! # The rule
//! A replica's share of an account is *own demand ÷ (own demand + everyone else's)*, with its own demand taken at the
//! least it announced during the last lease, and every other's at the most that was heard of it in that time. So a
//! share shrinks as soon as a larger demand is heard, and grows a lease after the last smaller one was.
//!
//! # Why the shares never exceed the whole
//! Beats travel over one channel to the broker and through one queue to each replica, in order both ways. A replica is
//! *fenced* (its share is 0, and its lease starts anew) while the last beat of its own that came back was sent longer
//! ago than the fence, two heartbeats. So at any moment `t` of an unfenced replica *i*: every beat that reached the
//! broker before `t - fence` has been heard by *i*; and every beat that an unfenced replica *j* sent before
//! `t - 2 × fence` had reached the broker by then. Take the demands as they stood at `t - 2 × fence`: each of them was
//! announced at most one heartbeat before that, hence lies within the lease of six heartbeats, with one to spare for
//! late timers. Whatever *i* holds for the least and the most therefore encloses them, and as `x / (x + y)` grows with
//! `x` and falls with `y`, the shares in use are no larger than those of one common table of demands, which sum to 1.
//! A newcomer is heard for a lease before it calls; who is not heard for a lease has been fenced for longer.
//!
//! # What that comes to
//! No second sees more calls leave than the rate and, for each replica, one burst: each may be that far ahead of its pace.
//! (What late calls get back is in it: [`cells`](crate::limits::cells).)
//! Not covered, and so to be stated wherever the bound is: a call already admitted when its replica was paused leaves
//! when it wakes; a machine suspended with its clock goes on for up to the fence; and whoever can publish to the exchange
//! is believed, up to [`MAX_MEMBERS`] and [`MAX_HEARTBEAT`].

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use tokio::time::Instant;

use crate::domain::fleet::{AccountBeat, Heartbeat, Member, VERSION};
use crate::domain::ids::AccountId;
use crate::limits::pause::seat::{Precedence, Seat};

/// Members known at once, this one included. A larger fleet has shares too small to be of use, and more likely somebody
/// makes members up: nobody calls then.
pub const MAX_MEMBERS: usize = 1000;

/// Longest heartbeat of any configuration, and so the longest that is believed.
pub const MAX_HEARTBEAT: Duration = Duration::from_secs(30);

/// How often a replica is heard from, and what follows from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// From one beat to the next. Default 1 s.
    pub heartbeat: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { heartbeat: Duration::from_secs(1) }
    }
}

impl Pace {
    /// Returns how old the last own beat that came back may be: two heartbeats.
    #[must_use]
    pub fn fence(self) -> Duration {
        self.heartbeat * 2
    }

    /// Returns how long a demand counts after it was heard: six heartbeats.
    #[must_use]
    pub fn lease(self) -> Duration {
        self.heartbeat * 6
    }
}

/// Demands, and the moment they were sent or heard.
#[derive(Debug)]
struct Told {
    /// The first of those that count as one, and the last.
    since: Instant,
    at: Instant,
    demands: BTreeMap<AccountId, u32>,
}

/// The fleet as one replica knows it.
#[derive(Debug)]
pub struct Fleet {
    me: Member,
    pace: Pace,
    sequence: u64,
    /// Own beats since the lease began, and the one before them.
    sent: VecDeque<(u64, Told)>,
    /// When the latest own beat that came back was sent.
    echoed: Option<Instant>,
    /// Since when the fence has stood open; shares count a lease from here.
    open_since: Instant,
    others: HashMap<Member, Other>,
    /// The longest lease of anyone heard: a fleet whose settings are being changed keeps to the more careful ones.
    lease: Duration,
    /// When there were last more than [`MAX_MEMBERS`].
    crowded_at: Option<Instant>,
}

/// One other member.
#[derive(Debug)]
struct Other {
    pace: Pace,
    /// Beats heard within the lease.
    heard: VecDeque<Told>,
}

impl Fleet {
    /// Joins, listening.
    #[must_use]
    pub fn new(me: Member, pace: Pace, now: Instant) -> Self {
        let (sent, others) = (VecDeque::new(), HashMap::new());
        Self {
            me,
            pace,
            sequence: 0,
            sent,
            echoed: None,
            open_since: now,
            others,
            lease: pace.lease(),
            crowded_at: None,
        }
    }

    /// Makes the next beat; send it at once, and again a heartbeat later, or sooner when the demands change.
    pub fn beat(&mut self, accounts: BTreeMap<AccountId, AccountBeat>, now: Instant) -> Heartbeat {
        self.sequence += 1;
        self.sent.push_back((self.sequence, Told::new(&accounts, now)));
        self.forget(now);
        Heartbeat {
            version: VERSION,
            member: self.me.clone(),
            sequence: self.sequence,
            heartbeat_ms: u64::try_from(self.pace.heartbeat.as_millis()).unwrap_or(u64::MAX),
            accounts,
        }
    }

    /// Takes note of a beat, one's own included.
    pub fn hear(&mut self, beat: &Heartbeat, now: Instant) {
        if self.is_own(beat) {
            return self.hear_echo(beat.sequence, now);
        }
        if beat.accounts.is_empty() {
            // It left, after its last call.
            self.others.remove(&beat.member);
            return;
        }
        if self.others.len() + 1 >= MAX_MEMBERS && !self.others.contains_key(&beat.member) {
            self.crowded_at = Some(now);
            return;
        }
        let pace = Pace { heartbeat: beat.interval().min(MAX_HEARTBEAT) };
        self.lease = self.lease.max(pace.lease());
        // What one does not serve is nobody's share; and who sends it must not fill the memory.
        let mut told = Told::new(&beat.accounts, now);
        if let Some((_, own)) = self.sent.back() {
            told.demands.retain(|account, _| own.demands.contains_key(account));
        }
        let other = self.others.entry(beat.member.clone()).or_insert_with(|| Other { pace, heard: VecDeque::new() });
        other.pace = pace;
        other.hear(told, self.pace.heartbeat / 4);
    }

    /// Says whether a beat is this replica's own.
    #[must_use]
    pub fn is_own(&self, beat: &Heartbeat) -> bool {
        beat.member == self.me
    }

    fn hear_echo(&mut self, sequence: u64, now: Instant) {
        let Some(sent) = self.sent.iter().find(|(number, _)| *number == sequence).map(|(_, told)| told.at) else {
            return;
        };
        if self.is_fenced(now) {
            self.open_since = now;
        }
        self.echoed = self.echoed.max(Some(sent));
    }

    /// Says whether this replica cannot know what the others do: it has not heard itself for too long.
    #[must_use]
    pub fn is_fenced(&self, now: Instant) -> bool {
        self.echoed.is_none_or(|sent| now.saturating_duration_since(sent) > self.pace.fence())
    }

    /// Returns when this replica will be fenced unless it hears itself again; `None` while it is, for want of an echo.
    #[must_use]
    pub fn fenced_at(&self) -> Option<Instant> {
        self.echoed.map(|sent| sent + self.pace.fence())
    }

    /// Returns the part of an account's rate this replica may use now, from 0 to 1.
    ///
    /// Ask at every call: a share falls to 0 by the mere passing of time.
    #[must_use]
    pub fn share(&self, account: &AccountId, now: Instant) -> f64 {
        let lease = self.lease;
        if self.is_fenced(now) || self.is_crowded(now) || now.saturating_duration_since(self.open_since) < lease {
            return 0.0;
        }
        let own = self.least_own(account, lease, now);
        let others: f64 = self.others.values().map(|other| other.most(account, lease, now)).sum();
        if own > 0.0 { own / (own + others) } else { 0.0 }
    }

    /// Says whether there were more members than a fleet has, within the lease.
    #[must_use]
    pub fn is_crowded(&self, now: Instant) -> bool {
        self.crowded_at.is_some_and(|at| now.saturating_duration_since(at) <= self.lease)
    }

    /// Returns what this replica may do about the probes of an account: see [`crate::limits::pause::seat`].
    #[must_use]
    pub fn seat(&self, account: &AccountId, now: Instant) -> Seat {
        let (me, lease) = (self.me.epoch, self.lease);
        let is_before = |member: &Member, other: &Other| *member < self.me && other.serves(account, lease, now);
        let is_first = !self.others.iter().any(|(member, other)| is_before(member, other));
        Seat {
            me,
            lease,
            entitled: self.fenced_at().map(|until| (self.open_since + lease, Some(until))),
            order: if is_first { Precedence::First } else { Precedence::Later },
        }
    }

    /// Returns the members heard within the lease, this one included.
    #[must_use]
    pub fn members(&self, now: Instant) -> usize {
        let lease = self.lease;
        1 + self.others.values().filter(|other| other.within(lease, now).next().is_some()).count()
    }

    fn least_own(&self, account: &AccountId, lease: Duration, now: Instant) -> f64 {
        // Newest first, down to the one that was in force when the lease began.
        let mut least = f64::INFINITY;
        for (_, told) in self.sent.iter().rev() {
            least = least.min(told.demand(account));
            if now.saturating_duration_since(told.at) >= lease {
                return least;
            }
        }
        if least.is_finite() { least } else { 0.0 }
    }

    /// Lets go of what no lease reaches any more.
    fn forget(&mut self, now: Instant) {
        let lease = self.lease;
        let is_past = |told: &Told| now.saturating_duration_since(told.at) > lease;
        while self.sent.get(1).is_some_and(|(_, next)| is_past(next)) {
            self.sent.pop_front();
        }
        self.others.retain(|_, other| {
            while other.heard.front().is_some_and(is_past) {
                other.heard.pop_front();
            }
            !other.heard.is_empty()
        });
        self.lease = self.others.values().map(|other| other.pace.lease()).fold(self.pace.lease(), Duration::max);
    }
}

impl Other {
    /// Remembers a beat; those of a short while count as one that wanted the most of them, and as the last one heard.
    fn hear(&mut self, told: Told, stretch: Duration) {
        match self.heard.back_mut().filter(|last| told.at.saturating_duration_since(last.since) < stretch) {
            Some(last) => last.merge(told),
            None => self.heard.push_back(told),
        }
    }

    fn within(&self, lease: Duration, now: Instant) -> impl Iterator<Item = &Told> {
        self.heard.iter().filter(move |told| now.saturating_duration_since(told.at) <= lease)
    }

    fn serves(&self, account: &AccountId, lease: Duration, now: Instant) -> bool {
        self.within(lease, now).any(|told| told.demands.contains_key(account))
    }

    fn most(&self, account: &AccountId, lease: Duration, now: Instant) -> f64 {
        self.within(lease, now).map(|told| told.demand(account)).fold(0.0, f64::max)
    }
}

impl Told {
    fn new(accounts: &BTreeMap<AccountId, AccountBeat>, at: Instant) -> Self {
        Self { since: at, at, demands: accounts.iter().map(|(id, beat)| (id.clone(), beat.demand.get())).collect() }
    }

    fn merge(&mut self, later: Self) {
        self.at = later.at;
        for (account, demand) in later.demands {
            let most = self.demands.entry(account).or_default();
            *most = demand.max(*most);
        }
    }

    fn demand(&self, account: &AccountId) -> f64 {
        self.demands.get(account).copied().map_or(0.0, f64::from)
    }
}

#[cfg(test)]
mod simulator;
#[cfg(test)]
mod tests;
