//! The fleet as somebody sees it who watches: every account with its state, rate, shares, backlog and holds.
//!
//! Fed by the beats of the replicas and by counts of the queues; [`watch`] feeds it from a broker. Promise: what was not
//! heard is not claimed: a replica that falls silent is gone after six of its beats, and a number nobody told is `None`.

pub mod account;
pub mod watch;

mod rates;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::desk::fleet::account::{AccountView, Told};
use crate::desk::fleet::rates::Rates;
use crate::domain::fleet::{AccountBeat, Heartbeat, Member};
use crate::domain::ids::{AccountId, WorkerId};
use crate::queue::depth::Depths;

/// Beats a replica may miss before it counts as gone; as its fleet has it.
const LEASE_BEATS: u32 = 6;

/// Longest heartbeat believed.
const MAX_HEARTBEAT: Duration = Duration::from_secs(30);

/// Replicas kept in mind; more are made up by somebody.
const MAX_MEMBERS: usize = 1000;

/// The fleet, as far as it was heard.
#[derive(Debug)]
pub struct FleetView {
    accounts: BTreeSet<AccountId>,
    members: BTreeMap<Member, Replica>,
    depths: Option<Depths>,
}

#[derive(Debug)]
struct Replica {
    heard_at: Instant,
    lease: Duration,
    accounts: BTreeMap<AccountId, AccountBeat>,
    rates: BTreeMap<AccountId, Rates>,
}

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaView {
    /// Its name.
    pub worker: WorkerId,
    /// Accounts it serves.
    pub accounts: usize,
    /// Calls it has under way.
    pub in_flight: u64,
    /// How long ago it was heard.
    pub heard_ago: Duration,
}

/// The fleet at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct FleetReport {
    /// When it was looked at.
    pub at: SystemTime,
    /// The replicas, by name.
    pub replicas: Vec<ReplicaView>,
    /// The accounts, by name: those configured here, and those a replica serves.
    pub accounts: Vec<AccountView>,
    /// Messages that wait to be tried again, by delay, of all accounts together; `None` before the first count.
    pub retries: Option<Vec<(Duration, u64)>>,
    /// Messages nobody was bound for.
    pub unrouted: Option<u64>,
}

impl FleetView {
    /// Begins with nothing heard; `accounts` are shown even if nobody serves them.
    #[must_use]
    pub fn new(accounts: impl IntoIterator<Item = AccountId>) -> Self {
        Self { accounts: accounts.into_iter().collect(), members: BTreeMap::new(), depths: None }
    }

    /// Takes note of a beat.
    pub fn hear(&mut self, beat: Heartbeat, now: Instant) {
        let Heartbeat { member, heartbeat_ms, mut accounts, .. } = beat;
        if accounts.is_empty() {
            self.members.remove(&member);
            return;
        }
        self.forget_the_silent(now);
        if self.members.len() >= MAX_MEMBERS && !self.members.contains_key(&member) {
            return;
        }
        let lease = Duration::from_millis(heartbeat_ms).min(MAX_HEARTBEAT) * LEASE_BEATS;
        let (mut rates, mut before) = match self.members.remove(&member) {
            Some(replica) => (replica.rates, replica.accounts),
            None => (BTreeMap::new(), BTreeMap::new()),
        };
        rates.retain(|account, _| accounts.contains_key(account));
        for (account, told) in &mut accounts {
            match &told.standing {
                Some(standing) => rates.entry(account.clone()).or_default().note(standing, now),
                // A beat between two, which tells news alone.
                None => told.standing = before.remove(account).and_then(|before| before.standing),
            }
        }
        self.members.insert(member, Replica { heard_at: now, lease, accounts, rates });
    }

    /// Takes note of a count of the queues.
    pub fn count(&mut self, depths: Depths) {
        self.depths = Some(depths);
    }

    /// Forgets everybody, and what was counted: what is told from now on follows a gap.
    pub fn lose(&mut self) {
        self.members.clear();
        self.depths = None;
    }

    /// Returns the accounts whose queues are worth a count.
    #[must_use]
    pub fn accounts(&self) -> BTreeSet<AccountId> {
        let served = self.members.values().flat_map(|replica| replica.accounts.keys());
        self.accounts.iter().chain(served).cloned().collect()
    }

    fn forget_the_silent(&mut self, now: Instant) {
        self.members.retain(|_, replica| now.saturating_duration_since(replica.heard_at) <= replica.lease);
    }

    /// Puts it together.
    #[must_use]
    pub fn look(&self, now: Instant, wall: SystemTime) -> FleetReport {
        let alive = |replica: &&Replica| now.saturating_duration_since(replica.heard_at) <= replica.lease;
        let living: Vec<(&Member, &Replica)> = self.members.iter().filter(|(_, replica)| alive(replica)).collect();
        let account = |id: AccountId| {
            let told = living.iter().filter_map(|(member, replica)| {
                let beat = replica.accounts.get(&id)?;
                let (rates, heard_at) = (replica.rates.get(&id), replica.heard_at);
                Some(Told { worker: &member.worker, beat, rates, heard_ago: now.saturating_duration_since(heard_at) })
            });
            let depth = self.depths.as_ref().and_then(|depths| depths.accounts.get(&id)).copied();
            AccountView::of(id.clone(), &told.collect::<Vec<_>>(), depth, wall)
        };
        let replica = |(member, replica): &(&Member, &Replica)| ReplicaView {
            worker: member.worker.clone(),
            accounts: replica.accounts.len(),
            in_flight: replica.accounts.values().filter_map(|beat| Some(beat.standing.as_ref()?.in_flight)).sum(),
            heard_ago: now.saturating_duration_since(replica.heard_at),
        };
        FleetReport {
            at: wall,
            replicas: living.iter().map(replica).collect(),
            accounts: self.accounts().into_iter().map(account).collect(),
            retries: self.depths.as_ref().map(|depths| depths.rungs.clone()),
            unrouted: self.depths.as_ref().map(|depths| depths.unrouted),
        }
    }
}

impl FleetReport {
    /// Returns one account.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&AccountView> {
        self.accounts.iter().find(|account| account.id == *id)
    }

    /// Returns the dead letters of all accounts.
    #[must_use]
    pub fn dead(&self) -> u64 {
        self.accounts.iter().filter_map(|account| Some(account.depth?.dead)).sum()
    }
}

#[cfg(test)]
mod tests;
