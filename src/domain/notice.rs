//! What operators did and planned, as the operators' log keeps it: batches made and cancelled, plans, replays, edits.
//!
//! One notice is one JSON object with `version` and `type`. Promise: nothing in a notice is secret, and one that this
//! program cannot read in full is an error: a filter half understood would mean more letters than its author did.

pub mod ledger;

mod plan;

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, BatchId, PlanId, RequestId};

pub use crate::domain::notice::plan::{LetterFilter, Plan};

/// Version of the JSON.
pub const VERSION: u32 = 1;

/// Longest free text in a notice (a cancel's reason), in characters.
pub const MAX_REASON: usize = 500;

/// One entry of the operators' log.
#[derive(Debug, Clone, PartialEq)]
pub struct Notice {
    /// When it was written, by the writer's clock.
    pub at: SystemTime,
    /// Who wrote it: a person's name at a machine, as that machine tells it.
    pub by: String,
    /// What was done or planned.
    pub what: What,
}

/// What an operator did or planned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum What {
    /// Items are about to be enqueued as a batch; written before the first of them is published.
    BatchMade {
        /// The batch.
        batch: BatchId,
        /// How many items, by account.
        items: BTreeMap<AccountId, u64>,
        /// Digest of the items' ids: the same file enqueued again makes the same part of a batch, and counts once.
        part: String,
    },
    /// What is left of a batch is to end as `cancelled`.
    BatchCancelled {
        /// The batch.
        batch: BatchId,
        /// Why, in the operator's words; at most [`MAX_REASON`] characters.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    /// Letters were counted for a replay or a purge, which may follow by the plan's id.
    PlanMade(Plan),
    /// A replay of planned letters began, or went on after an interruption.
    ReplayBegan {
        /// The plan.
        plan: PlanId,
        /// Letters a second at most; `None` without a limit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        rate: Option<f64>,
    },
    /// A replay ended.
    ReplayEnded {
        /// The plan.
        plan: PlanId,
        /// Letters put back to work since its last `replay_began`.
        replayed: u64,
        /// How it ended.
        how: ReplayEnd,
    },
    /// A letter's message was changed by hand.
    LetterEdited {
        /// The letter.
        id: RequestId,
        /// Its account.
        account: AccountId,
        /// The fields that were changed, by name; their values may be secret and are not told.
        fields: Vec<String>,
    },
    /// Letters were deleted for good.
    LettersPurged {
        /// Which.
        filter: LetterFilter,
        /// How many.
        count: u64,
    },
}

/// How a replay ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplayEnd {
    /// Nothing of the plan is left.
    Finished,
    /// Its limit was reached; the rest waits.
    Limited,
    /// An operator stopped it.
    Cancelled,
    /// The broker or the file failed it.
    Failed,
}

/// Says why a notice was not read.
#[derive(Debug, thiserror::Error)]
pub enum NoticeError {
    /// No notice, or one of a type or with a field that this program does not know.
    #[error("no notice this program can read")]
    Json(#[source] serde_json::Error),
    /// Of another version.
    #[error("a notice of version {version}, this program reads {VERSION}")]
    Version {
        /// What it says.
        version: u32,
    },
}

impl Notice {
    /// Writes the JSON.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let Self { at, by, what } = self.clone();
        serde_json::to_vec(&Wire { version: VERSION, at, by, what })
            .expect("invariant: plain strings and numbers always serialise")
    }

    /// Reads what [`Notice::encode`] wrote.
    ///
    /// # Errors
    /// [`NoticeError`]; it never becomes readable by trying again.
    pub fn decode(bytes: &[u8]) -> Result<Self, NoticeError> {
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        let Versioned { version } = serde_json::from_slice(bytes).map_err(NoticeError::Json)?;
        if version != VERSION {
            return Err(NoticeError::Version { version });
        }
        let Wire { version: _, at, by, what } = serde_json::from_slice(bytes).map_err(NoticeError::Json)?;
        Ok(Self { at, by, what })
    }
}

/// The JSON, whose fields lie beside one another.
#[derive(Serialize, Deserialize)]
struct Wire {
    version: u32,
    #[serde(with = "stamp")]
    at: SystemTime,
    by: String,
    #[serde(flatten)]
    what: What,
}

/// Moments as RFC 3339.
mod stamp {
    use std::time::SystemTime;

    use jiff::Timestamp;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        Timestamp::try_from(*time).unwrap_or(Timestamp::UNIX_EPOCH).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<SystemTime, D::Error> {
        SystemTime::try_from(Timestamp::deserialize(from)?).map_err(D::Error::custom)
    }

    /// The same where there may be none.
    pub(super) mod optional {
        use super::{Deserialize, Deserializer, Serializer, SystemTime};

        pub(in super::super) fn serialize<S: Serializer>(time: &Option<SystemTime>, to: S) -> Result<S::Ok, S::Error> {
            match time {
                Some(time) => super::serialize(time, to),
                None => to.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<SystemTime>, D::Error> {
            #[derive(Deserialize)]
            struct Stamp(#[serde(with = "super")] SystemTime);
            Ok(Option::<Stamp>::deserialize(from)?.map(|Stamp(time)| time))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::outcome::Reason;

    fn notice(what: What) -> Notice {
        Notice { at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_500), by: "ada@desk".into(), what }
    }

    fn every_kind() -> Vec<What> {
        let batch = BatchId::new("b-1").unwrap();
        let (desk, id) = (AccountId::new("desk").unwrap(), PlanId::new("p-7k2m").unwrap());
        let filter = LetterFilter {
            accounts: vec![desk.clone()],
            reason: Some(Reason::UnknownCode),
            died_since: Some(SystemTime::UNIX_EPOCH),
            ..LetterFilter::default()
        };
        vec![
            What::BatchMade { batch: batch.clone(), items: BTreeMap::from([(desk.clone(), 3)]), part: "ab".into() },
            What::BatchCancelled { batch: batch.clone(), reason: Some("wrong list".into()) },
            What::BatchCancelled { batch, reason: None },
            What::PlanMade(Plan {
                id: id.clone(),
                filter: filter.clone(),
                cut_off: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
                count: 1_400,
            }),
            What::ReplayBegan { plan: id.clone(), rate: Some(2.5) },
            What::ReplayEnded { plan: id, replayed: 7, how: ReplayEnd::Cancelled },
            What::LetterEdited { id: RequestId::new("t-1").unwrap(), account: desk, fields: vec!["deadline".into()] },
            What::LettersPurged { filter, count: 2 },
        ]
    }

    #[test]
    fn every_kind_of_notice_survives_the_wire() {
        for what in every_kind() {
            let before = notice(what);
            assert_eq!(Notice::decode(&before.encode()).unwrap(), before);
        }
    }

    #[test]
    fn a_notice_reads_as_people_expect() {
        let text = String::from_utf8(notice(every_kind().remove(0)).encode()).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"at":"1970-01-01T00:00:01.5Z","by":"ada@desk","type":"batch_made","batch":"b-1","items":{"desk":3},"part":"ab"}"#
        );
    }

    #[test]
    fn what_is_not_understood_in_full_is_an_error() {
        let plan = String::from_utf8(notice(every_kind().remove(3)).encode()).unwrap();
        let wider = plan.replace("\"accounts\"", "\"colour\":\"red\",\"accounts\"");
        assert!(matches!(Notice::decode(wider.as_bytes()), Err(NoticeError::Json(_))), "{wider}");
        let newer = plan.replace("\"version\":1", "\"version\":2");
        assert_eq!(
            Notice::decode(newer.as_bytes()).unwrap_err().to_string(),
            "a notice of version 2, this program reads 1"
        );
        let other = plan.replace("plan_made", "plan_burnt");
        assert!(matches!(Notice::decode(other.as_bytes()), Err(NoticeError::Json(_))));
    }
}
