//! Calls in flight: places under a ceiling that gives way to a slow gateway, and a guard that frees its place on drop.
//!
//! The ceiling is halved when calls run out of time or are throttled, and rises by one for every ceilingful of answers,
//! up to what the configuration allows (additive increase, multiplicative decrease, as TCP does: RFC 5681 section 3.1).
//! So a gateway that slows down gets fewer calls at once, and each keeps its whole time-out. Promise: a place is given
//! only while fewer are taken than the ceiling allows, in the order of asking, and none is ever lost.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use crate::domain::classify::{Cause, Outcome};
use crate::domain::reply::{BrokenCall, Reply};

/// Places for calls in flight.
#[derive(Debug)]
pub struct InFlight {
    places: Arc<Places>,
}

#[derive(Debug)]
struct Places {
    free: Arc<Semaphore>,
    state: Mutex<Ceiling>,
}

/// How many places there are.
#[derive(Debug)]
struct Ceiling {
    most: usize,
    now: usize,
    /// Places that are still taken but no longer exist: whoever frees one of them frees nothing.
    surplus: usize,
    /// Answers since the ceiling last changed.
    answers: usize,
    halved_at: Option<Instant>,
}

/// One place; free again on drop.
#[derive(Debug)]
#[must_use = "a place is free again as soon as its permit is dropped"]
pub struct Permit {
    place: Option<OwnedSemaphorePermit>,
    places: Arc<Places>,
}

/// What a call's end tells of the gateway's load.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Load {
    /// It answered in time.
    Bearable,
    /// It did not answer in time, or asked for fewer calls.
    Overload,
    /// Nothing: the call never reached it, or broke for another reason.
    Unknown,
}

impl Load {
    /// Reads a reply and what it was taken for.
    #[must_use]
    pub fn of(reply: &Reply, outcome: &Outcome) -> Self {
        if matches!(outcome, Outcome::Retryable(Cause::Throttled(_), _)) {
            return Self::Overload;
        }
        match reply {
            Reply::Answered(_) => Self::Bearable,
            Reply::MaybeSent(BrokenCall::Timeout) => Self::Overload,
            Reply::MaybeSent(_) | Reply::NotSent(_) | Reply::NotEncodable { .. } | Reply::NoToken { .. } => {
                Self::Unknown
            }
        }
    }
}

impl InFlight {
    /// Opens a number of places, at least one; there will never be more.
    #[must_use]
    pub fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = Mutex::new(Ceiling { most, now: most, surplus: 0, answers: 0, halved_at: None });
        Self { places: Arc::new(Places { free: Arc::new(Semaphore::new(most)), state }) }
    }

    /// Waits for a free place, in order of asking.
    ///
    /// # Cancel safety
    /// Nothing is taken when dropped.
    pub async fn place(&self) -> Permit {
        let place = Arc::clone(&self.places.free).acquire_owned().await;
        let place = place.expect("invariant: the semaphore is never closed");
        Permit { place: Some(place), places: Arc::clone(&self.places) }
    }

    /// Returns how many calls may be in flight now, from 1 to the number configured.
    #[must_use]
    pub fn ceiling(&self) -> usize {
        self.places.lock().now
    }

    /// Takes note of a call that began then and has ended.
    ///
    /// Calls that began before the ceiling was last halved were made under the old one, and halve it no further: however
    /// many run out of time together, it is one step.
    pub fn note(&self, began: Instant, load: Load) {
        match load {
            Load::Bearable => self.places.answered(),
            Load::Overload => self.places.halve(began, Instant::now()),
            Load::Unknown => {}
        }
    }
}

impl Places {
    fn answered(&self) {
        let mut state = self.lock();
        state.answers += 1;
        if state.answers < state.now || state.now == state.most {
            return;
        }
        state.answers = 0;
        state.now += 1;
        match state.surplus.checked_sub(1) {
            Some(fewer) => state.surplus = fewer,
            None => self.free.add_permits(1),
        }
    }

    fn halve(&self, began: Instant, now: Instant) {
        let mut state = self.lock();
        if state.halved_at.is_some_and(|at| began <= at) {
            return;
        }
        let gone = state.now / 2;
        state.now -= gone;
        state.answers = 0;
        state.halved_at = Some(now);
        state.surplus += gone - self.free.forget_permits(gone);
    }

    fn lock(&self) -> MutexGuard<'_, Ceiling> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        let mut state = self.places.lock();
        match state.surplus.checked_sub(1) {
            Some(fewer) => {
                state.surplus = fewer;
                place.forget();
            }
            None => drop(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;
    use futures_util::future::join_all;
    use proptest::prelude::*;
    use tokio::time::sleep;

    use super::*;

    #[tokio::test]
    async fn a_place_is_free_again_when_its_permit_is_dropped() {
        let in_flight = InFlight::new(1);
        let first = in_flight.place().await;
        assert!(in_flight.place().now_or_never().is_none());
        drop(first);
        assert!(in_flight.place().now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_ceiling_of_nothing_still_lets_one_through() {
        assert!(InFlight::new(0).place().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn calls_that_run_out_of_time_together_halve_the_ceiling_once() {
        let (in_flight, began) = (InFlight::new(32), Instant::now());
        sleep(Duration::from_secs(10)).await;
        (0..32).for_each(|_| in_flight.note(began, Load::Overload));
        assert_eq!(in_flight.ceiling(), 16);
        sleep(Duration::from_secs(1)).await;
        in_flight.note(Instant::now(), Load::Overload);
        assert_eq!(in_flight.ceiling(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn the_ceiling_rises_by_one_for_each_ceilingful_of_answers_and_never_beyond_the_most() {
        let in_flight = InFlight::new(4);
        in_flight.note(Instant::now(), Load::Overload);
        let mut seen = Vec::new();
        for _ in 0..12 {
            in_flight.note(Instant::now(), Load::Bearable);
            in_flight.note(Instant::now(), Load::Unknown);
            seen.push(in_flight.ceiling());
        }
        assert_eq!(seen, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4]);
    }

    /// A gateway that takes 100 ms for a call, and a hundred more for each beyond the eighth at once.
    #[tokio::test(start_paused = true)]
    async fn a_slow_gateway_is_called_less_at_once_until_it_answers_in_time() {
        let (in_flight, busy) = (InFlight::new(64), std::sync::atomic::AtomicUsize::new(0));
        let timeout = Duration::from_secs(1);
        let late: usize = join_all((0..64).map(|_| async {
            let mut late = 0;
            for number in 0..50 {
                let permit = in_flight.place().await;
                let began = Instant::now();
                let now = busy.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
                let took = Duration::from_millis(100) * u32::try_from(now.saturating_sub(8).max(1)).unwrap();
                sleep(took.min(timeout)).await;
                busy.fetch_sub(1, std::sync::atomic::Ordering::Relaxed);
                let load = if took > timeout { Load::Overload } else { Load::Bearable };
                in_flight.note(began, load);
                late += usize::from(number >= 10 && load == Load::Overload);
                drop(permit);
            }
            late
        }))
        .await
        .into_iter()
        .sum();
        // Of 64 × 40 calls, after the first ones; with 64 at once every one would be.
        assert!(late < 64 * 40 / 10, "{late} calls ran out of time");
        assert!((8..=19).contains(&in_flight.ceiling()), "{}", in_flight.ceiling());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn places_are_given_under_the_ceiling_alone_and_none_is_lost(
            most in 1usize..40,
            steps in prop::collection::vec(0u8..6, 1..300),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            runtime.block_on(async {
                let (in_flight, mut held) = (InFlight::new(most), Vec::new());
                for step in steps {
                    match step {
                        0 | 1 => {
                            let is_free = held.len() < in_flight.ceiling();
                            let given = in_flight.place().now_or_never();
                            prop_assert_eq!(given.is_some(), is_free);
                            held.extend(given);
                        }
                        2 => drop(held.pop()),
                        3 => in_flight.note(Instant::now(), Load::Overload),
                        4 => in_flight.note(Instant::now(), Load::Bearable),
                        _ => sleep(Duration::from_millis(1)).await,
                    }
                    prop_assert!((1..=most).contains(&in_flight.ceiling()));
                }
                held.clear();
                let all: Vec<_> = std::iter::from_fn(|| in_flight.place().now_or_never()).collect();
                prop_assert_eq!(all.len(), in_flight.ceiling());
                Ok(())
            })?;
        }
    }
}
