//! What an account's limits tell the other replicas of its holds, its brake and its quota, and what they hear.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::clock::Moment;
use crate::domain::classify::{Cause, Outcome};
use crate::domain::fleet::hold::{HoldNotice, MAX_PARTIES, Order};
use crate::domain::fleet::{Slowdown, Spent};
use crate::limits::pause::seat::Seat;
use crate::limits::pause::{Heard, HoldChange, QUOTA_SPENT, Ripe};
use crate::limits::quota::Verdict;
use crate::limits::{GateState, Limits, Ticket};

impl Limits {
    /// Joins a fleet, which is told through `news` that there is something to tell it.
    pub fn join(&self, seat: Seat, news: Arc<Notify>) {
        let mut state = self.gate.lock();
        state.holds.set_seat(seat);
        state.news = Some(news);
    }

    /// Takes another place in the fleet.
    pub fn take_seat(&self, seat: Seat) {
        self.gate.lock().holds.set_seat(seat);
    }

    /// Returns the latest words on the holds, and the number of the last order carried out.
    #[must_use]
    pub fn tell_holds(&self) -> (Vec<HoldNotice>, Option<u64>) {
        let mut state = self.gate.lock();
        (state.holds.tell(Instant::now()), state.order)
    }

    /// Takes note of another replica's words; `speaker` is its epoch. Returns what changed.
    pub fn hear_holds(&self, told: &[HoldNotice], speaker: u64) -> Vec<HoldChange> {
        if told.is_empty() {
            return Vec::new();
        }
        let now = Instant::now();
        let mut state = self.gate.lock();
        // The account itself, and the parties.
        let told = told.iter().take(1 + MAX_PARTIES).cloned();
        let (mut changes, mut is_new) = (Vec::new(), false);
        for notice in told {
            if let Heard::News(change) = state.holds.hear(notice, speaker, now) {
                is_new = true;
                changes.extend(change);
            }
        }
        drop(state);
        if is_new {
            self.gate.changed.notify_waiters();
        }
        changes
    }

    /// Carries out what a person ordered.
    pub fn obey(&self, order: &Order) -> Option<HoldChange> {
        let mut state = self.gate.lock();
        let change = state.holds.order(order.party.clone(), order.order.clone(), order.number, Instant::now());
        state.order = Some(order.number);
        state.tell_news();
        drop(state);
        self.gate.changed.notify_waiters();
        change
    }

    /// Returns what the other replicas should know of this one's slowing down.
    #[must_use]
    pub fn slowdown(&self) -> Option<Slowdown> {
        self.gate.lock().brake.tell(Instant::now())
    }

    /// Slows down with another replica.
    pub fn hear_slowdown(&self, told: Slowdown) {
        let now = Instant::now();
        let mut state = self.gate.lock();
        state.brake.hear(told, now);
        self.turns.set_part(state.effective_part(now));
        drop(state);
        self.gate.changed.notify_waiters();
    }

    /// Counts a call that was made against the daily quota; holds the account until the reset once it is spent.
    ///
    /// Comes after [`Limits::record`], with the time of day.
    pub fn count(&self, outcome: &Outcome, moment: Moment) -> Option<HoldChange> {
        let now = Instant::now();
        let verdict = match outcome {
            Outcome::Retryable(Cause::Throttled(asked), _) => Verdict::Refused(asked.unwrap_or_default()),
            Outcome::Success(_) | Outcome::Terminal(_) | Outcome::Retryable(Cause::Code | Cause::UnlistedCode, _) => {
                Verdict::Passed
            }
            Outcome::Retryable(..) | Outcome::AccountFault(..) => Verdict::Unknown,
        };
        let mut state = self.gate.lock();
        let left = state.ledger.count(verdict, moment, now)?;
        let change = state.holds.hold_until(QUOTA_SPENT, now + left, now);
        state.tell_news();
        drop(state);
        self.gate.changed.notify_waiters();
        change
    }

    /// Returns what the other replicas should know of today's calls.
    #[must_use]
    pub fn tell_spent(&self, wall: SystemTime) -> Option<Spent> {
        self.gate.lock().ledger.tell(wall)
    }

    /// Takes note of what another replica called today; `speaker` is its epoch.
    pub fn hear_spent(&self, told: Spent, speaker: u64, wall: SystemTime) {
        self.gate.lock().ledger.hear(told, speaker, wall);
    }

    /// Waits until the call of a ticket may leave; returns the wait of its message if it may not at all.
    pub(super) async fn ripen(&self, ticket: &mut Ticket) -> Option<Duration> {
        loop {
            let changed = self.gate.changed.notified();
            let ripe = {
                let claim = ticket.claim.as_mut().expect("invariant: a ticket has its claim until it is recorded");
                let mut state = self.gate.lock();
                let ripe = state.holds.ripen(claim, Instant::now());
                if claim.is_probe() {
                    state.tell_news();
                }
                ripe
            };
            match ripe {
                Ripe::Now => return None,
                Ripe::Lost => return Some(Duration::ZERO),
                Ripe::In(left) => tokio::select! {
                    () = sleep(left) => {}
                    () = changed => {}
                },
            }
        }
    }
}

impl GateState {
    /// Wakes whoever tells the others, if anyone does.
    pub(super) fn tell_news(&self) {
        if let Some(news) = &self.news {
            news.notify_one();
        }
    }
}
