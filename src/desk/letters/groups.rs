//! Letters counted by account, reason and code.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::SystemTime;

use crate::domain::advice::advice;
use crate::domain::outcome::Reason;
use crate::queue::QueueError;
use crate::queue::letters::{DeadLetter, DeadLetters, Seen, Selection};

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

/// What a count came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The groups, the largest first.
    pub groups: Vec<Group>,
    /// Whether these are all letters that are meant.
    pub seen: Seen,
}

impl Counted {
    /// Returns how many letters there are.
    #[must_use]
    pub fn letters(&self) -> u64 {
        self.groups.iter().map(|group| group.count).sum()
    }
}

impl Group {
    /// Says in plain sentences what it means and what to do.
    #[must_use]
    pub fn advice(&self) -> &'static str {
        advice(self.reason)
    }
}

/// Counts the letters that are meant, each shown to `also`; keeps none of them.
pub(super) async fn count<D: DeadLetters>(
    letters: &D,
    selection: &Selection,
    also: &mut (dyn FnMut(&DeadLetter) + Send),
) -> Result<Counted, QueueError> {
    let mut groups = BTreeMap::new();
    let mut see = |letter: DeadLetter| {
        also(&letter);
        let DeadLetter { account, reason, outcome, died_at, .. } = letter;
        let code = outcome.gateway_code;
        let group = groups.entry((account.clone(), reason, code.clone()));
        let group = group.or_insert(Group { account, reason, code, count: 0, first: died_at, last: died_at });
        group.count += 1;
        group.first = died_at.min(group.first);
        group.last = died_at.max(group.last);
    };
    let seen = letters.look(selection, &mut see).await?;
    let mut groups: Vec<Group> = groups.into_values().collect();
    groups.sort_by_key(|group| Reverse(group.count));
    Ok(Counted { groups, seen })
}
