//! Letters counted by account, reason and code.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::domain::advice::advice;
use crate::domain::outcome::Reason;
use crate::queue::QueueError;
use crate::queue::letters::{DeadLetters, Selection};

/// Letters of one account that died for the same reason, under the same code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The account.
    pub account: String,
    /// Why they died.
    pub reason: Reason,
    /// The gateway's code, if there was one.
    pub code: Option<String>,
    /// How many.
    pub count: u64,
    /// When the first of them died.
    pub first: SystemTime,
    /// When the last of them died.
    pub last: SystemTime,
}

impl Group {
    /// Says in plain sentences what it means and what to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        advice(self.reason)
    }
}

/// Counts the letters that are meant; keeps none of them.
pub(super) async fn count<D: DeadLetters>(letters: &D, selection: &Selection) -> Result<Vec<Group>, QueueError> {
    let mut groups: BTreeMap<(String, Reason, Option<String>), (u64, SystemTime, SystemTime)> = BTreeMap::new();
    let mut see = |letter: crate::queue::letters::DeadLetter| {
        let died = letter.died_at;
        let key = (letter.account, letter.reason, letter.outcome.gateway_code);
        let (count, first, last) = groups.entry(key).or_insert((0, died, died));
        *count += 1;
        *first = died.min(*first);
        *last = died.max(*last);
    };
    letters.look(selection, &mut see).await?;
    let mut groups: Vec<Group> = groups
        .into_iter()
        .map(|((account, reason, code), (count, first, last))| Group { account, reason, code, count, first, last })
        .collect();
    groups.sort_by_key(|group| Reverse(group.count));
    Ok(groups)
}
