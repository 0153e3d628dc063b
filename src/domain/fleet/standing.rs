//! How one replica stands with an account, as it tells whoever watches the fleet.
//!
//! No replica acts on it; it is there for people. What is nothing is left out, so that an idle account costs a beat some
//! forty bytes.

use serde::{Deserialize, Serialize};

/// What keeps an account from making more calls. Exactly one holds at any moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Bound {
    /// Calls wait for their turn within the rate: more replicas make no more calls.
    Rate,
    /// Every place in flight is taken while turns are free: the gateway, or the broker, is slow. More replicas help.
    Latency,
    /// Held, cooling down, or without a share of the rate: more replicas help nothing.
    Paused,
    /// Nothing waits. A word of a newer replica reads as this one.
    #[default]
    #[serde(other)]
    Idle,
}

impl Bound {
    /// Every one, in the order they are told.
    pub const ALL: [Self; 4] = [Self::Rate, Self::Latency, Self::Paused, Self::Idle];

    /// Returns the word for a label.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rate => "rate",
            Self::Latency => "latency",
            Self::Paused => "paused",
            Self::Idle => "idle",
        }
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
    fn is_idle(&self) -> bool {
        *self == Self::Idle
    }
}

/// How a replica stands with one account at the moment of a beat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ReplicaStanding {
    /// Part of the rate it was given, from 0 to 1, before any slowing down.
    pub share: f64,
    /// Calls a second of the whole account, as configured there.
    pub rate: f64,
    /// Part of the rate left after throttled calls, above 0 and at most 1.
    #[serde(default = "whole", skip_serializing_if = "is_whole")]
    pub factor: f64,
    /// Calls under way.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub in_flight: u64,
    /// Messages handed out to it that wait for their turn.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub in_hand: u64,
    /// Calls since the process began; the difference of two beats is a rate.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub called: u64,
    /// Items it ended since the process began.
    #[serde(default, skip_serializing_if = "is_nothing")]
    pub ended: u64,
    /// What keeps it from making more calls.
    #[serde(default, skip_serializing_if = "Bound::is_idle")]
    pub bound: Bound,
    /// Since when it finds no connection to the gateway, if so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<CutOff>,
}

/// A gateway that one replica does not reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CutOff {
    /// How the last call broke.
    pub cause: String,
    /// How long ago the first did, in milliseconds.
    pub age_ms: u64,
}

fn whole() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_whole(factor: &f64) -> bool {
    *factor >= 1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
fn is_nothing(count: &u64) -> bool {
    *count == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn idle() -> ReplicaStanding {
        ReplicaStanding {
            share: 1.0,
            rate: 20.0,
            factor: 1.0,
            in_flight: 0,
            in_hand: 0,
            called: 0,
            ended: 0,
            bound: Bound::Idle,
            cut_off: None,
        }
    }

    #[test]
    fn an_idle_account_is_told_in_few_words() {
        assert_eq!(serde_json::to_string(&idle()).unwrap(), r#"{"share":1.0,"rate":20.0}"#);
    }

    #[test]
    fn a_standing_comes_back_as_it_was_told_and_words_of_newer_replicas_are_no_hindrance() {
        let cut_off = Some(CutOff { cause: "connect".into(), age_ms: 61_000 });
        let told = ReplicaStanding { factor: 0.7, in_flight: 3, called: 9, bound: Bound::Paused, cut_off, ..idle() };
        let json = serde_json::to_string(&told).unwrap();
        assert_eq!(serde_json::from_str::<ReplicaStanding>(&json).unwrap(), told);
        let newer = r#"{"share":0.5,"rate":1.0,"bound":"weather","mood":"good"}"#;
        let read: ReplicaStanding = serde_json::from_str(newer).unwrap();
        assert_eq!((read.bound, read.share), (Bound::Idle, 0.5));
    }
}
