//! What an account may do now: its rate and this replica's share of it, its calls in flight, its holds.
//!
//! It knows no gateway and no queue. Promise: no call leaves without having been admitted, and a held account's
//! backlog is put off, never spent.

pub mod brake;
pub mod fleet;
pub mod in_flight;
pub mod lanes;
pub mod part;
pub mod pause;
pub mod prefetch;
pub mod quota;
pub mod rate;
pub mod sharing;
pub mod standing;
pub mod turns;

mod cells;
mod told;

use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};

use crate::domain::classify::{Cause, Outcome};
use crate::domain::ids::RequestId;
use crate::domain::reply::Reply;
use crate::domain::settlement::Deferral;
use crate::limits::brake::Brake;
use crate::limits::in_flight::{InFlight, Load, Permit};
use crate::limits::lanes::Class;
use crate::limits::part::Part;
pub use crate::limits::pause::Recorded;
use crate::limits::pause::{Claim, HoldSettings, Holds};
use crate::limits::quota::{Ledger, QuotaSettings};
use crate::limits::rate::Rate;
pub use crate::limits::sharing::Sharing;
use crate::limits::standing::Waiting;
use crate::limits::turns::{MAX_WAIT_CAP, Turns};

/// Longest cool-down a gateway can ask for; a `Retry-After` of days is a mistake, and the next call asks again.
pub const MAX_COOL_DOWN: Duration = Duration::from_hours(1);

/// Longest a message is put off for its turn; by then the rate, or the share of it, may be another.
const MAX_DEFERRAL: Duration = Duration::from_hours(24);

/// Longest pause before the next message is taken: short enough that none stays in hand untouched for long.
const PACE: Duration = Duration::from_secs(1);

/// Limits of one account.
#[derive(Debug, Clone, PartialEq)]
pub struct LimitSettings {
    /// Calls per time, of the whole account.
    pub rate: Rate,
    /// Whose part of it is this replica's.
    pub sharing: Sharing,
    /// Most calls in flight at once, at least 1. Default 32. Fewer while the gateway is slow: see [`in_flight`].
    pub in_flight: usize,
    /// Longest wait in hand for a turn within the rate; beyond it the item is deferred. Default 60 s.
    ///
    /// Raised to one and a half periods of a very slow rate, and capped at [`turns::MAX_WAIT_CAP`].
    pub max_wait: Duration,
    /// Least wait after a throttled call that named none. Default 5 s.
    pub cool_down: Duration,
    /// When a held account is probed.
    pub hold: HoldSettings,
    /// Calls a day.
    pub quota: QuotaSettings,
}

/// What one account may do now. Shared by all its tasks.
#[derive(Debug)]
pub struct Limits {
    settings: LimitSettings,
    in_flight: InFlight,
    waiting_for_a_place: AtomicUsize,
    turns: Turns,
    gate: Arc<Gate>,
}

/// The part a ticket keeps hold of.
#[derive(Debug)]
struct Gate {
    state: Mutex<GateState>,
    /// Told whenever the gate opens or shuts, so that nobody waits for a turn behind a shut gate.
    changed: Notify,
}

#[derive(Debug)]
struct GateState {
    holds: Holds,
    brake: Brake,
    ledger: Ledger,
    /// The part of the rate this replica was given, before the brake.
    part: Part,
    /// When a call last waited for its turn or was made; the start counts, for nothing is known then.
    wanted_at: Instant,
    /// The number of the last order carried out.
    order: Option<u64>,
    /// Told when there is something new to tell the others.
    news: Option<Arc<Notify>>,
}

/// Whether a call may be made.
#[derive(Debug)]
pub enum Admission {
    /// Now.
    Go(Ticket),
    /// Not now: put the item off for this long.
    Later(Duration, Deferral),
}

/// The right to make one call; handed back with its outcome by [`Limits::record`], or dropped if no call was made.
#[derive(Debug)]
#[must_use = "a ticket is handed back by `record`"]
pub struct Ticket {
    gate: Arc<Gate>,
    claim: Option<Claim>,
    turn_at: Instant,
}

impl Limits {
    /// Opens an account's limits.
    #[must_use]
    pub fn new(settings: LimitSettings) -> Self {
        let part = match settings.sharing {
            Sharing::Static(part) => Part { now: part, soon: part, until: None },
            Sharing::Fleet | Sharing::Exclusive => Part::WHOLE,
        };
        let turns = Turns::new(settings.rate, settings.max_wait);
        turns.set_part(part);
        let state = GateState {
            holds: Holds::new(settings.hold.clone(), Instant::now()),
            brake: Brake::default(),
            ledger: Ledger::new(settings.quota.clone()),
            part,
            wanted_at: Instant::now(),
            order: None,
            news: None,
        };
        Self {
            in_flight: InFlight::new(settings.in_flight),
            waiting_for_a_place: AtomicUsize::new(0),
            turns,
            gate: Arc::new(Gate { state: Mutex::new(state), changed: Notify::new() }),
            settings,
        }
    }

    /// Returns the settings.
    #[must_use]
    pub fn settings(&self) -> &LimitSettings {
        &self.settings
    }

    /// Waits for a free place among the calls in flight.
    ///
    /// # Cancel safety
    /// Nothing is taken when dropped.
    pub async fn place(&self) -> Permit {
        let _waiting = Waiting::among(&self.waiting_for_a_place);
        self.in_flight.place().await
    }

    /// Waits a moment, at most 1 s, while the next message could only be put off: the whole account is held or cooling
    /// down, or its turns are taken for longer than a message may wait in hand.
    ///
    /// So a backlog trickles to the retry rungs instead of racing round them, and no prefetched message stays in hand
    /// for long. Returns at once for an open account.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn pace(&self) {
        let mut until = None;
        loop {
            let changed = self.gate.changed.notified();
            if self.turns.part() == 0.0 {
                // Nothing is known of the others yet, or any more; the message stays with the broker.
                changed.await;
                continue;
            }
            let shut_for = self.gate.lock().shut_for(Instant::now());
            let Some(pause) = shut_for.or_else(|| self.turns.is_full().then_some(PACE)) else { return };
            // Looked at again whenever something changes, but not for longer in all.
            let until = *until.get_or_insert_with(|| Instant::now() + pause.min(PACE));
            tokio::select! {
                () = sleep_until(until) => return,
                () = changed => {}
            }
        }
    }

    /// Returns how many calls may be in flight now, from 1 to the number configured.
    #[must_use]
    pub fn ceiling(&self) -> usize {
        self.in_flight.ceiling()
    }

    /// Takes note of how the gateway bore a call that began then: it is called less at once when it is slow.
    pub fn note_load(&self, began: Instant, load: Load) {
        self.in_flight.note(began, load);
    }

    /// Admits one fresh call of normal urgency; see [`Limits::admit_as`].
    pub async fn admit(&self, party: Option<&str>) -> Admission {
        self.admit_as(Class::default(), party).await
    }

    /// Admits one call for a party (a merchant, an administrator), waiting for its turn while the wait is short.
    ///
    /// Turns are given by class, within one in the order of asking. A hold or a cool-down that begins meanwhile ends the
    /// wait.
    ///
    /// # Cancel safety
    /// Nothing is taken when dropped, and those behind move up.
    pub async fn admit_as(&self, class: Class, party: Option<&str>) -> Admission {
        let jitter = rand::random::<f64>();
        if let Some((wait, why)) = self.look(party, jitter) {
            return Admission::Later(wait, why);
        }
        let place = match self.turns.line_up(class) {
            Ok(place) => place,
            Err(wait) => return Admission::Later(wait.min(MAX_DEFERRAL), Deferral::RateLimited),
        };
        let head = place.head().await;
        loop {
            let changed = self.gate.changed.notified();
            // Asked again: the gate may have shut while others had their turns. Before the cell is taken, so that a
            // message put off costs none.
            if let Some((wait, why)) = self.look(party, jitter) {
                return Admission::Later(wait, why);
            }
            match self.turns.take() {
                Ok(()) => break,
                Err(wait) if wait.soon > self.turns.max_wait() || place.is_overdue() => {
                    return Admission::Later(wait.soon.min(MAX_DEFERRAL), Deferral::RateLimited);
                }
                Err(wait) => tokio::select! {
                    () = sleep(wait.now.unwrap_or(PACE).min(MAX_WAIT_CAP)) => {}
                    () = changed => {}
                },
            }
        }
        // An announced probe stands for a while; those behind need not wait for that.
        drop(head);
        drop(place);
        self.claim(party, jitter).await
    }

    /// Says why a call may not line up now, if so; and lets the rate recover.
    fn look(&self, party: Option<&str>, jitter: f64) -> Option<(Duration, Deferral)> {
        let now = Instant::now();
        let mut state = self.gate.lock();
        state.wanted_at = now;
        if state.brake.is_on(now) {
            self.turns.set_part(state.effective_part(now));
        }
        state.wait(party, now, jitter)
    }

    /// Gives this replica a part of the rate; the brake acts on it.
    pub fn set_part(&self, part: Part) {
        let mut state = self.gate.lock();
        state.part = part;
        self.turns.set_part(state.effective_part(Instant::now()));
        drop(state);
        self.gate.changed.notify_waiters();
    }

    /// Returns the part of the rate in force now, from 0 to 1.
    #[must_use]
    pub fn part(&self) -> f64 {
        self.turns.part()
    }

    /// Says whether a call waited for its turn, or was made, not longer ago than this.
    #[must_use]
    pub fn was_wanted_within(&self, time: Duration) -> bool {
        let state = self.gate.lock();
        // Others may reach the gateway, and use its part of the rate.
        !state.holds.is_cut_off()
            && (self.turns.is_awaited() || self.in_flight() > 0 || state.wanted_at.elapsed() <= time)
    }

    /// Takes on what the call stands for; a probe that has to be announced waits here until it may leave.
    async fn claim(&self, party: Option<&str>, jitter: f64) -> Admission {
        let turn_at = Instant::now();
        let claim = match self.gate.lock().holds.claim(party, turn_at, jitter) {
            Ok(claim) => claim,
            Err(wait) => return Admission::Later(wait, Deferral::Held),
        };
        let mut ticket = Ticket { gate: Arc::clone(&self.gate), claim: Some(claim), turn_at };
        if let Some(wait) = self.ripen(&mut ticket).await {
            drop(ticket);
            let wait = self.gate.lock().holds.wait(party, Instant::now(), jitter).unwrap_or(wait);
            return Admission::Later(wait, Deferral::Held);
        }
        self.renew(&mut ticket).await;
        Admission::Go(ticket)
    }

    /// Waits for another turn if the ticket's own has passed unused: turns saved up and used together would exceed the
    /// rate. Whoever calls right after [`Limits::admit`] need not ask.
    ///
    /// # Cancel safety
    /// Safe; the ticket stays as it is.
    pub async fn renew(&self, ticket: &mut Ticket) {
        if ticket.turn_at.elapsed() < self.settings.rate.period() {
            return;
        }
        while let Err(wait) = self.turns.take() {
            sleep(wait.now.unwrap_or(PACE).min(MAX_WAIT_CAP)).await;
        }
        ticket.turn_at = Instant::now();
    }

    /// Takes note of an outcome: counts faults, begins and ends holds, starts a cool-down.
    pub fn record(&self, mut ticket: Ticket, id: &RequestId, reply: &Reply, outcome: &Outcome) -> Recorded {
        let claim = ticket.claim.take().expect("invariant: a ticket has its claim until it is recorded or dropped");
        let now = Instant::now();
        let mut state = self.gate.lock();
        let is_probe = claim.is_probe();
        let recorded = state.holds.record(claim, id, reply, outcome, now, rand::random::<f64>());
        let mut is_changed = !recorded.changes.is_empty();
        if let Outcome::Retryable(Cause::Throttled(asked), _) = outcome {
            let wait = asked.unwrap_or_default().clamp(self.settings.cool_down.min(MAX_COOL_DOWN), MAX_COOL_DOWN);
            state.brake.refused(wait, now);
            self.turns.set_part(state.effective_part(now));
            is_changed = true;
        }
        if is_changed || is_probe {
            state.tell_news();
        }
        drop(state);
        if is_changed {
            self.gate.changed.notify_waiters();
        }
        recorded
    }

    /// Returns the calls admitted and not yet recorded.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        // Each ticket holds the gate, and so do the limits themselves.
        Arc::strong_count(&self.gate) - 1
    }

    /// Says whether the whole account is held now.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.gate.lock().holds.is_held()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some(claim) = self.claim.take() {
            let mut state = self.gate.lock();
            state.holds.release(&claim, Instant::now());
            if claim.is_probe() {
                state.tell_news();
            }
            drop(state);
            self.gate.changed.notify_waiters();
        }
    }
}

impl Gate {
    /// A panic elsewhere must not shut an account for good; every change of the state is complete in itself.
    fn lock(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl GateState {
    /// Returns how long a call for this party has to wait, and why, if it may not line up now.
    fn wait(&self, party: Option<&str>, now: Instant, jitter: f64) -> Option<(Duration, Deferral)> {
        let held = self.holds.wait(party, now, jitter).map(|wait| (wait, Deferral::Held));
        let cooling = self.brake.cooling(now).map(|left| (left + (left / 2).mul_f64(jitter), Deferral::Throttled));
        held.into_iter().chain(cooling).max_by_key(|(wait, _)| *wait)
    }

    fn effective_part(&self, now: Instant) -> Part {
        let factor = self.brake.factor(now);
        Part { now: self.part.now * factor, soon: self.part.soon * factor, until: self.part.until }
    }

    fn shut_for(&self, now: Instant) -> Option<Duration> {
        self.holds.shut_for(now).max(self.brake.cooling(now))
    }
}

#[cfg(test)]
mod tests;
