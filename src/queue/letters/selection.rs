//! Which letters are meant: a filter, or a plan's.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::domain::history::What;
use crate::domain::ids::{AccountId, PlanId};
use crate::domain::notice::{LetterFilter, Plan};
use crate::queue::letters::DeadLetter;

/// Letters that are meant, and those of them that are left out.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Selection {
    filter: LetterFilter,
    /// In small letters.
    text: Option<String>,
    cut_off: Option<SystemTime>,
    not_of: Option<PlanId>,
    /// When letters were edited last, by id and round: an interrupted edit leaves one as it was and one edited.
    edited: Arc<BTreeMap<(String, u32), SystemTime>>,
}

impl From<&LetterFilter> for Selection {
    fn from(filter: &LetterFilter) -> Self {
        let text = filter.text.as_ref().map(|text| text.to_lowercase());
        Self { filter: filter.clone(), text, ..Self::default() }
    }
}

impl From<&Plan> for Selection {
    /// What a plan has put back to work itself is not in it any more, whatever the clock of the worker says on whose hands
    /// it died again.
    fn from(plan: &Plan) -> Self {
        Self { cut_off: Some(plan.cut_off), not_of: Some(plan.id.clone()), ..Self::from(&plan.filter) }
    }
}

impl Selection {
    /// Returns the same without those that another of the same id and round stands in for, because it was edited later.
    #[must_use]
    pub fn without_stale(self, edited: BTreeMap<(String, u32), SystemTime>) -> Self {
        Self { edited: Arc::new(edited), ..self }
    }

    /// Returns what means every letter of the same accounts.
    #[must_use]
    pub fn whole_accounts(&self) -> Self {
        Self::from(&LetterFilter { accounts: self.filter.accounts.clone(), ..LetterFilter::default() })
    }

    /// Returns the accounts named; empty means every one.
    #[must_use]
    pub fn accounts(&self) -> &[AccountId] {
        &self.filter.accounts
    }

    /// Says whether a letter is meant.
    #[must_use]
    pub fn means(&self, letter: &DeadLetter) -> bool {
        let LetterFilter { accounts, reason, code, batch, merchant, text: _, id, died_since, died_until } =
            &self.filter;
        let is_named = |named: &Option<_>, found: &Option<String>| {
            let named: &Option<String> = named;
            named.is_none() || named == found
        };
        (accounts.is_empty() || accounts.iter().any(|account| account.as_str() == letter.account))
            && reason.is_none_or(|reason| reason == letter.reason)
            && is_named(code, &letter.outcome.gateway_code)
            && id.as_ref().is_none_or(|id| id.as_str() == letter.id)
            && died_since.is_none_or(|since| letter.died_at >= since)
            && [died_until, &self.cut_off].into_iter().all(|until| until.is_none_or(|until| letter.died_at <= until))
            && (self.not_of.is_none() || self.not_of != letter.envelope.plan)
            && self
                .edited
                .get(&(letter.id.clone(), letter.envelope.replays))
                .is_none_or(|last| edited_at(letter) >= Some(*last))
            && batch.as_ref().is_none_or(|batch| letter.outcome.batch.as_deref() == Some(batch.as_str()))
            && merchant.as_ref().is_none_or(|merchant| letter.merchant().as_deref() == Some(merchant.as_str()))
            && self.text.as_deref().is_none_or(|text| letter.holds(text))
    }
}

/// When a letter's message was last changed by hand.
#[must_use]
pub fn edited_at(letter: &DeadLetter) -> Option<SystemTime> {
    let entries = letter.envelope.history.entries().iter();
    entries.filter(|entry| entry.what == What::Edit).map(|entry| entry.at).max()
}
