//! What an account's limits tell the other replicas of its holds, and what they hear.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use crate::domain::fleet::hold::{HoldNotice, MAX_PARTIES, Order};
use crate::limits::pause::seat::Seat;
use crate::limits::pause::{Heard, HoldChange, Ripe};
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
