//! How replicas tell each other of holds, and how a person tells them all to pause or resume.
//!
//! Every change of a hold is a *word* with a version one higher than the one it changes; the newest word wins, so it
//! does not matter which beats are lost, come twice or late. Waits instead of moments: clocks need not agree.

use serde::{Deserialize, Serialize};

use crate::domain::fleet::{HeartbeatError, MAX_BYTES, VERSION};
use crate::domain::ids::AccountId;

/// Parties told in one beat, the newest words first, so that a beat stays small.
pub const MAX_PARTIES: usize = 64;

/// Longest reason of a pause, in characters.
pub const MAX_REASON: usize = 200;

/// The latest word on the hold of an account, or of one of its parties.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldNotice {
    /// The party (a merchant, an administrator), or `None` for the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// Counts the words from 1.
    pub version: u64,
    /// Whose word it is: the epoch of a member, or the number of an order.
    pub by: u64,
    /// How long the hold, or the pause, has been on, in milliseconds; `None` where that is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_ms: Option<u64>,
    /// What it says.
    pub state: HoldState,
}

/// What is said of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// There is none any more.
    Lifted,
    /// It is on.
    Held {
        /// The gateway's code, or what else it was held for.
        cause: String,
        /// The wait that doubles with every failed probe, in milliseconds.
        wait_ms: u64,
        /// Until the next probe is due, in milliseconds.
        probe_in_ms: u64,
        /// Where the next probe stands.
        probe: ProbeState,
        /// What the answer to a probe must have to end it.
        #[serde(default, skip_serializing_if = "Proof::is_unsigned")]
        ends_with: Proof,
    },
    /// A person paused it; only a person resumes it.
    Paused {
        /// What they gave as the reason.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
}

/// Where the next probe of a hold stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProbeState {
    /// Nobody has taken it on.
    Free,
    /// The word's author will make it unless someone with a better right is heard.
    Announced,
    /// The word's author is making it.
    Out,
}

/// Whose word it is that a call passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// That of whoever answered: our credentials were taken.
    #[default]
    Unsigned,
    /// The gateway's: its key is the one configured, too.
    Signed,
}

impl Proof {
    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_unsigned(&self) -> bool {
        *self == Self::Unsigned
    }
}

impl HoldNotice {
    /// Returns what orders words: the higher wins. Two words of one version are ordered too, the graver one first, so
    /// that all replicas keep the same.
    #[must_use]
    pub fn rank(&self) -> (u64, u8, u64) {
        let gravity = match &self.state {
            HoldState::Lifted => 0,
            HoldState::Held { probe: ProbeState::Free, .. } => 1,
            HoldState::Held { probe: ProbeState::Announced, .. } => 2,
            HoldState::Held { probe: ProbeState::Out, .. } => 3,
            HoldState::Paused { .. } => 4,
        };
        (self.version, gravity, self.by)
    }
}

/// What a person wants of the whole fleet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// [`VERSION`].
    pub version: u32,
    /// Drawn at random; replicas tell it in their beats once they carried the order out.
    pub number: u64,
    /// The account.
    pub account: AccountId,
    /// The party, or `None` for the whole account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub party: Option<String>,
    /// What to do.
    pub order: OrderKind,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderKind {
    /// Make no call until resumed.
    Pause {
        /// Why, for whoever finds it paused; at most [`MAX_REASON`] characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Lift a pause; probe what is held for another cause at once.
    Resume,
}

impl Order {
    /// Writes the JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("invariant: an order always serialises")
    }

    /// Reads the JSON; `None` if the message is none of an order, but perhaps a beat.
    ///
    /// # Errors
    /// [`HeartbeatError`]: an order of another version, or a broken one.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, HeartbeatError> {
        if bytes.len() > MAX_BYTES {
            return Err(HeartbeatError::TooLong { bytes: bytes.len() });
        }
        #[derive(Deserialize)]
        struct Head {
            version: u32,
            order: Option<serde::de::IgnoredAny>,
        }
        let head: Head = serde_json::from_slice(bytes).map_err(HeartbeatError::Json)?;
        match head {
            Head { order: None, .. } => Ok(None),
            Head { version: VERSION, .. } => serde_json::from_slice(bytes).map(Some).map_err(HeartbeatError::Json),
            Head { version, .. } => Err(HeartbeatError::Version { version }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order() -> Order {
        let order = OrderKind::Pause { reason: Some("key rotation".into()) };
        let account = AccountId::new("desk").unwrap();
        Order { version: VERSION, number: u64::MAX, account, party: Some("m1".into()), order }
    }

    #[test]
    fn an_order_comes_back_as_it_was_sent_and_a_beat_is_none() {
        for order in [order(), Order { party: None, order: OrderKind::Resume, ..order() }] {
            assert_eq!(Order::decode(&order.encode()).unwrap(), Some(order));
        }
        assert_eq!(Order::decode(br#"{"version":1,"worker":"w"}"#).unwrap(), None);
        let newer = Order { version: 2, ..order() }.encode();
        let told = Order::decode(&newer).unwrap_err().to_string();
        assert_eq!(told, "a heartbeat of version 2, this program speaks 1");
    }

    #[test]
    fn the_newest_word_wins_and_the_graver_of_two_equals() {
        let held = |version, probe| HoldNotice {
            party: None,
            version,
            by: 7,
            age_ms: None,
            state: HoldState::Held { cause: "X".into(), wait_ms: 1, probe_in_ms: 1, probe, ends_with: Proof::Unsigned },
        };
        let with = |state| HoldNotice { party: None, version: 1, by: 7, age_ms: None, state };
        let words = [
            with(HoldState::Lifted),
            held(1, ProbeState::Free),
            held(1, ProbeState::Announced),
            held(1, ProbeState::Out),
            with(HoldState::Paused { reason: None }),
            held(2, ProbeState::Free),
        ];
        assert!(words.is_sorted_by(|a, b| a.rank() < b.rank()));
    }
}
