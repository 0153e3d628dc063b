//! The desks of all accounts.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::ids::AccountId;
use crate::queue::embedded::claim::Held;
use crate::queue::embedded::desk::Desk;

/// Every account's desk.
#[derive(Debug, Default)]
pub(super) struct Desks(Mutex<HashMap<AccountId, Arc<Desk>>>);

impl Desks {
    fn map(&self) -> MutexGuard<'_, HashMap<AccountId, Arc<Desk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the desk of an account.
    pub(super) fn of(&self, account: &AccountId) -> Arc<Desk> {
        let mut desks = self.map();
        let desk = desks.entry(account.clone()).or_insert_with(|| Arc::new(Desk::new(account.clone())));
        Arc::clone(desk)
    }

    /// Says whether a desk is one of these.
    pub(super) fn has(&self, desk: &Arc<Desk>) -> bool {
        self.map().get(desk.account()).is_some_and(|ours| Arc::ptr_eq(ours, desk))
    }

    /// Returns every desk there is.
    pub(super) fn all(&self) -> Vec<Arc<Desk>> {
        self.map().values().cloned().collect()
    }

    /// Counts the rows claimed and not handed out.
    pub(super) fn untouched(&self) -> u64 {
        self.all().iter().map(|desk| desk.untouched() as u64).sum()
    }

    /// Takes every row that was claimed and not handed out.
    pub(super) fn clear(&self) -> Vec<Held> {
        self.all().iter().flat_map(|desk| desk.clear()).collect()
    }
}
