//! A plan: which dead letters are meant, up to when, and how many there were when it was made.
//!
//! Promise: a plan means the same letters on every machine and whenever it is carried out, for its times are absolute
//! and its cut-off leaves out what died after it was made.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::domain::ids::{AccountId, BatchId, MerchantId, PlanId, RequestId};
use crate::domain::notice::stamp;
use crate::domain::outcome::Reason;

/// Which dead letters are meant; an empty filter means all.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LetterFilter {
    /// Only these accounts; empty means every account.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub accounts: Vec<AccountId>,
    /// Only this reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// Only this gateway code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Only this batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<BatchId>,
    /// Only this merchant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merchant: Option<MerchantId>,
    /// Only those that hold this text, whatever its case, in what of them is shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Only this id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RequestId>,
    /// Only those that died at this moment or after it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "stamp::optional")]
    pub died_since: Option<SystemTime>,
    /// Only those that died before this moment or at it.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "stamp::optional")]
    pub died_until: Option<SystemTime>,
}

/// Letters counted for an action that may follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// What an operator types to have it carried out.
    pub id: PlanId,
    /// Which letters.
    pub filter: LetterFilter,
    /// Letters that died after it are not meant, whatever the filter says.
    #[serde(with = "stamp")]
    pub cut_off: SystemTime,
    /// How many there were.
    pub count: u64,
}
