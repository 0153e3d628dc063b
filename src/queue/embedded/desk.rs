//! One desk an account: where claimed rows lie until they are handed out, and what is known of those in the file.
//!
//! A desk that runs low is filled ahead, in the commit that the settlements wait for anyway. Promise: what a desk knows of
//! the file is what the writer's last job left there, so that nobody asks the file in vain, and nothing waits in it
//! unseen: whoever changes a waiting row says so with [`Desk::note`], on the writer's thread, after the commit.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rusqlite::Connection;
use tokio::sync::Notify;

use crate::domain::ids::AccountId;
use crate::domain::takedown::Priority;
use crate::queue::QueueError;
use crate::queue::embedded::claim::{self, Claimed, Found, Held};
use crate::queue::embedded::clock::Millis;
use crate::queue::embedded::writer::Writer;

/// Rows a desk holds at least, and at most: a crash charges all of them. In between it holds twice what is in hand, so
/// that a full desk outlasts the commit that fills it again.
const LEAST: usize = 16;
const MOST: usize = 256;

/// A moment that has passed.
pub(super) const AT_ONCE: Millis = Millis::MIN;

/// Where one account's claimed rows lie until they are handed out.
#[derive(Debug)]
pub(super) struct Desk {
    account: AccountId,
    state: Mutex<State>,
    /// Rows whose delivery was dropped while the file could not be written: nobody has them, and no claim finds them.
    stuck: Mutex<Vec<Held>>,
    /// Rows came, became free, or will not come after all.
    pub(super) changed: Notify,
    /// One caller at a time claims and waits; the others queue up behind it.
    pub(super) turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    rows: VecDeque<Claimed>,
    /// Whether a claim is under way; there is one at a time.
    is_claiming: bool,
    /// Deliveries not settled.
    in_hand: usize,
    due: Due,
}

/// When the first of an account's waiting rows in the file falls due, by their priority.
#[derive(Debug, Clone, Copy)]
pub(super) struct Due {
    pub(super) high: Option<Millis>,
    pub(super) normal: Option<Millis>,
}

impl Due {
    fn first(self) -> Option<Millis> {
        self.high.into_iter().chain(self.normal).min()
    }
}

/// What there is for whoever wants a row.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is asked for, and kept nowhere")]
pub(super) enum Next {
    /// This one, which is in hand from here on.
    Row(Claimed),
    /// Some in the file.
    Claim,
    /// Nothing until this moment, or [`Desk::changed`].
    Wait(Option<Millis>),
}

impl State {
    /// Says whether something urgent is to be claimed before the first row here, which is none itself.
    fn must_claim_first(&self, now: Millis) -> bool {
        self.due.high.is_some_and(|at| at <= now) && !self.rows.front().is_some_and(Claimed::is_high)
    }

    /// Returns how many rows the desk holds when full.
    fn size(&self) -> usize {
        (2 * self.in_hand).clamp(LEAST, MOST)
    }
}

impl Desk {
    pub(super) fn new(account: AccountId) -> Self {
        // Nobody has looked yet.
        let due = Due { high: Some(AT_ONCE), normal: Some(AT_ONCE) };
        Self {
            account,
            state: Mutex::new(State { rows: VecDeque::new(), is_claiming: false, in_hand: 0, due }),
            stuck: Mutex::default(),
            changed: Notify::new(),
            turn: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn account(&self) -> &AccountId {
        &self.account
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn stuck(&self) -> MutexGuard<'_, Vec<Held>> {
        self.stuck.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts the rows claimed and not handed out.
    pub(super) fn untouched(&self) -> usize {
        self.state().rows.len()
    }

    /// Takes every row that was claimed and not handed out.
    pub(super) fn clear(&self) -> Vec<Held> {
        std::mem::take(&mut self.state().rows).into_iter().map(|row| row.held).collect()
    }

    /// Takes note of a delivery that ended, settled or dropped.
    pub(super) fn ended(&self) {
        self.state().in_hand -= 1;
    }

    /// Takes note of a row that nobody has and no claim finds, for the next caller to free.
    pub(super) fn strand(&self, held: Held) {
        self.stuck().push(held);
        self.changed.notify_one();
    }

    /// Lets stuck rows wait again, so that a full disk is an error for the next caller and not a wait without end.
    ///
    /// # Errors
    /// [`QueueError::Database`] while the file still cannot be written; [`QueueError::Closed`].
    pub(super) async fn free_stuck(self: &Arc<Self>, writer: &Writer) -> Result<(), QueueError> {
        let stuck = self.stuck().clone();
        if stuck.is_empty() {
            return Ok(());
        }
        let (rows, desk) = (stuck.clone(), Arc::clone(self));
        let free = move |db: &Connection| rows.iter().try_for_each(|held| claim::free(db, *held).map(drop));
        let freed = move |()| {
            desk.stuck().retain(|held| !stuck.contains(held));
            [Priority::High, Priority::Normal].into_iter().for_each(|priority| desk.note(priority, AT_ONCE));
        };
        writer.call_then("written", free, freed).await
    }

    /// Takes note of a row that waits in the file from here on, and tells whoever waits for one.
    pub(super) fn note(&self, priority: Priority, due_at: Millis) {
        let mut state = self.state();
        let known = match priority {
            Priority::High => &mut state.due.high,
            Priority::Normal => &mut state.due.normal,
        };
        *known = Some(known.map_or(due_at, |known| known.min(due_at)));
        drop(state);
        self.changed.notify_one();
    }

    /// Returns the next row, or how to come by one.
    pub(super) fn next(&self, now: Millis) -> Next {
        let mut state = self.state();
        if !state.must_claim_first(now)
            && let Some(row) = state.rows.pop_front()
        {
            state.in_hand += 1;
            return Next::Row(row);
        }
        match state.due.first() {
            _ if state.is_claiming => Next::Wait(None),
            Some(at) if at <= now => Next::Claim,
            due => Next::Wait(due),
        }
    }

    /// Says whether the desk is not empty and will be soon, and the file has more. What is urgent is not claimed ahead but
    /// waited for.
    pub(super) fn runs_low(&self, now: Millis) -> bool {
        let state = self.state();
        !state.is_claiming
            && state.due.first().is_some_and(|at| at <= now)
            && !state.must_claim_first(now)
            && (1..=state.size() / 2).contains(&state.rows.len())
    }

    /// Claims due rows onto the desk.
    ///
    /// # Errors
    /// [`QueueError::Database`] and [`QueueError::Closed`].
    ///
    /// # Cancel safety
    /// Safe: what is claimed lies on the desk, whoever comes next.
    pub(super) async fn claim(self: &Arc<Self>, writer: &Writer, lease: i64, now: Millis) -> Result<(), QueueError> {
        let (work, put) = self.order(lease, now);
        writer.call_then("written", work, put).await
    }

    /// As [`Desk::claim`], without waiting. An error is left to whoever finds the desk empty and claims.
    pub(super) fn claim_ahead(self: &Arc<Self>, writer: &Writer, lease: i64, now: Millis) -> Result<(), QueueError> {
        let (work, put) = self.order(lease, now);
        writer.submit(work, move |result| drop(result.map(put)))
    }

    /// Returns the two steps of a claim: in the transaction, and after its commit.
    fn order(
        self: &Arc<Self>,
        lease: i64,
        now: Millis,
    ) -> (impl FnMut(&Connection) -> rusqlite::Result<Found> + Send + use<>, impl FnOnce(Found) + Send + use<>) {
        let mut state = self.state();
        let room = state.size().saturating_sub(state.rows.len());
        state.is_claiming = true;
        drop(state);
        let (account, claiming) = (self.account.clone(), Claiming(Arc::clone(self)));
        // High priority is claimed beyond the room left, or the slow normal rows on the desk would hold it up.
        let work = move |db: &Connection| claim::claim(db, &account, lease, now, room.max(LEAST), room);
        (work, move |found| claiming.0.put(found))
    }

    fn put(&self, Found { rows, due }: Found) {
        let mut state = self.state();
        state.rows.extend(rows);
        state.rows.make_contiguous().sort_by_key(Claimed::rank);
        state.due = due;
    }
}

/// A claim under way; dropped when its rows have come, or will not.
struct Claiming(Arc<Desk>);

impl Drop for Claiming {
    fn drop(&mut self) {
        self.0.state().is_claiming = false;
        self.0.changed.notify_one();
    }
}
