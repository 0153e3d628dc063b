//! What the replicas of a fleet tell each other about the accounts they share.
//!
//! Pure data and its JSON; who sends when, and what follows from it, is for `limits` and `worker`. Promise: nothing in a
//! beat is secret, and what cannot be read is an error, never a guess.

pub mod hold;
pub mod standing;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::fleet::hold::HoldNotice;
use crate::domain::fleet::standing::ReplicaStanding;
use crate::domain::ids::{AccountId, WorkerId};

/// Version of the JSON; replicas that speak another do not share a rate.
pub const VERSION: u32 = 1;

/// Longest beat read, in bytes: a thousand busy accounts need a quarter of it.
pub const MAX_BYTES: usize = 1024 * 1024;

/// One process of a fleet. A replica that restarts under its old name is another member.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// The replica's name.
    pub worker: WorkerId,
    /// Drawn at random when the process starts.
    pub epoch: u64,
}

/// How much a replica wants of an account, relative to what others want: 0 to 1,000,000.
///
/// An idle replica still wants a little, so that its first message need not wait while everyone is idle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(from = "u32")]
pub struct Demand(u32);

impl Demand {
    /// A replica with calls waiting for their turn.
    pub const BUSY: Self = Self(1_000_000);

    /// A replica that will not call.
    pub const NONE: Self = Self(0);

    /// Returns the demand of an idle replica among so many: all idle ones of a fleet together keep one hundredth of a
    /// busy one's.
    #[must_use]
    pub fn idle_among(members: usize) -> Self {
        let members = u32::try_from(members.max(1)).unwrap_or(u32::MAX);
        Self((Self::BUSY.0 / 100 / members).max(1))
    }

    /// Returns the number.
    #[must_use]
    pub fn get(self) -> u32 {
        self.0
    }
}

impl From<u32> for Demand {
    /// More than [`Demand::BUSY`] counts as that.
    fn from(number: u32) -> Self {
        Self(number.min(Self::BUSY.0))
    }
}

/// How far a fleet slowed down for a gateway that asked for fewer calls, and when.
///
/// Ages instead of moments: the replicas' clocks need not agree.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Slowdown {
    /// Part of the rate that was left right after the last decrease, above 0 and at most 1.
    pub factor: f64,
    /// How long ago that was, in milliseconds.
    pub age_ms: u64,
    /// How much longer no call may leave, in milliseconds.
    pub cool_ms: u64,
}

/// What one replica tells about one account.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AccountBeat {
    /// What it wants of the rate.
    pub demand: Demand,
    /// Whether and how the fleet slowed down, as far as it knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slowdown: Option<Slowdown>,
    /// The latest words on its holds and those of its parties, as far as it knows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<HoldNotice>,
    /// The number of the last order it carried out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<u64>,
    /// Calls made today, where the account has a daily quota.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
    /// How it stands with the account, for people; left out of beats between two that tell news alone, and of those of
    /// earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<ReplicaStanding>,
}

/// Calls made since the quota of an account was last reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// When that was, in seconds since 1970.
    pub day: i64,
    /// By the sender itself.
    pub own: u64,
    /// By the whole fleet, as far as the sender knows: never more than were made.
    pub all: u64,
}

impl AccountBeat {
    /// A beat that tells of a demand alone.
    #[must_use]
    pub fn wanting(demand: Demand) -> Self {
        Self { demand, slowdown: None, holds: Vec::new(), order: None, spent: None, standing: None }
    }
}

/// What a replica tells the fleet, once a heartbeat and whenever something changes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Heartbeat {
    /// [`VERSION`].
    pub version: u32,
    /// Who tells.
    #[serde(flatten)]
    pub member: Member,
    /// Counts from 1.
    pub sequence: u64,
    /// From one beat of the sender to its next, in milliseconds.
    pub heartbeat_ms: u64,
    /// By account; one left out is not served. Empty: the sender leaves, after its last call.
    pub accounts: BTreeMap<AccountId, AccountBeat>,
}

/// Says why a beat was not read.
#[derive(Debug, thiserror::Error)]
pub enum HeartbeatError {
    /// No beat at all.
    #[error("no heartbeat")]
    Json(#[source] serde_json::Error),
    /// Of another version of this program.
    #[error("a heartbeat of version {version}, this program speaks {VERSION}")]
    Version {
        /// What it says.
        version: u32,
    },
    /// Longer than [`MAX_BYTES`].
    #[error("a heartbeat of {bytes} bytes, at most {MAX_BYTES} are read")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
}

impl Heartbeat {
    /// Returns the sender's heartbeat.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_millis(self.heartbeat_ms)
    }

    /// Writes the JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: a beat always serialises")
    }

    /// Reads the JSON. Unknown fields are left unread, for a fleet is upgraded one replica at a time.
    ///
    /// # Errors
    /// [`HeartbeatError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, HeartbeatError> {
        if bytes.len() > MAX_BYTES {
            return Err(HeartbeatError::TooLong { bytes: bytes.len() });
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(HeartbeatError::Json)?;
        if version != VERSION {
            return Err(HeartbeatError::Version { version });
        }
        serde_json::from_slice(bytes).map_err(HeartbeatError::Json)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn beat() -> Heartbeat {
        let slowdown = Slowdown { factor: 0.7, age_ms: 1200, cool_ms: 0 };
        let lifted =
            HoldNotice { party: Some("m1".into()), version: 4, by: 9, age_ms: Some(7), state: hold::HoldState::Lifted };
        let desk = AccountBeat {
            slowdown: Some(slowdown),
            holds: vec![lifted],
            order: Some(3),
            spent: Some(Spent { day: 0, own: 1, all: 2 }),
            ..AccountBeat::wanting(Demand::BUSY)
        };
        Heartbeat {
            version: VERSION,
            member: Member { worker: WorkerId::new("w-1").unwrap(), epoch: u64::MAX },
            sequence: 3,
            heartbeat_ms: 1000,
            accounts: BTreeMap::from([(AccountId::new("desk").unwrap(), desk)]),
        }
    }

    #[test]
    fn a_beat_comes_back_as_it_was_sent() {
        assert_eq!(Heartbeat::decode(&beat().encode()).unwrap(), beat());
    }

    #[test]
    fn a_beat_of_a_thousand_accounts_stays_far_below_what_is_read() {
        let idle = ReplicaStanding {
            share: 0.333_333,
            rate: 20.0,
            factor: 1.0,
            in_flight: 0,
            in_hand: 0,
            called: 0,
            ended: 0,
            bound: standing::Bound::Idle,
            cut_off: None,
        };
        let busy = ReplicaStanding {
            factor: 0.7,
            in_flight: 64,
            in_hand: 500,
            called: 10_000_000,
            ended: 10_000_000,
            bound: standing::Bound::Latency,
            ..idle.clone()
        };
        let bytes = |standing: &ReplicaStanding| {
            let told = AccountBeat { standing: Some(standing.clone()), ..AccountBeat::wanting(Demand::BUSY) };
            let name = |number| AccountId::new(format!("account-{number:04}")).unwrap();
            let accounts = (0..1000).map(|number| (name(number), told.clone())).collect();
            Heartbeat { accounts, ..beat() }.encode().len()
        };
        assert!(bytes(&idle) < 100_000, "{}", bytes(&idle));
        assert!(bytes(&busy) < MAX_BYTES / 4, "{}", bytes(&busy));
    }

    #[test]
    fn what_is_no_beat_of_ours_is_told() {
        let newer = Heartbeat { version: 2, ..beat() };
        for (bytes, told) in [
            (newer.encode(), "a heartbeat of version 2, this program speaks 1"),
            (b"{}".to_vec(), "no heartbeat"),
            (vec![b' '; MAX_BYTES + 1], "a heartbeat of 1048577 bytes, at most 1048576 are read"),
        ] {
            assert_eq!(Heartbeat::decode(&bytes).unwrap_err().to_string(), told);
        }
    }

    #[test]
    fn a_demand_is_bounded_and_an_idle_fleet_wants_little() {
        assert_eq!(Demand::from(u32::MAX), Demand::BUSY);
        let idle: u32 = (0..200).map(|_| Demand::idle_among(200).get()).sum();
        assert_eq!(idle, Demand::BUSY.get() / 100);
        assert!(Demand::idle_among(usize::MAX).get() > 0);
    }
}
