//! The turns of one account: its cells, by a clock that runs at the speed of the share, with a fair line in front of
//! them.
//!
//! Who is next in the line is for [`lanes`](crate::limits::lanes); whoever has come to its head keeps it, so that one of
//! high priority passes all but that one. Promise: in any second, and any longer time, no more calls leave than the rate,
//! times the part of it in force at each moment, allows for it plus the burst ([`cells`](crate::limits::cells) has the
//! proof); and a waiting call that is dropped takes nothing with it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::limits::cells::{Cells, LATENESS};
use crate::limits::lanes::{Class, HIGH_IN_A_ROW, Lanes, Urgency};
use crate::limits::part::{Part, PartClock};
use crate::limits::rate::Rate;

/// Longest wait in hand for a turn, whatever the settings: a third of RabbitMQ's default `consumer_timeout` of 30 min
/// (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout"), after which the broker takes the message back.
pub const MAX_WAIT_CAP: Duration = Duration::from_mins(10);

/// The turns of one account.
#[derive(Debug)]
pub(crate) struct Turns {
    max_wait: Duration,
    line: Arc<Mutex<Line>>,
}

/// Who waits, and for what.
#[derive(Debug)]
struct Line {
    clock: PartClock,
    cells: Cells,
    high: u32,
    normal: u32,
    has_head: bool,
    lanes: Lanes<oneshot::Sender<Head>>,
}

/// A place in the line; left on drop.
#[derive(Debug)]
pub(crate) struct Place<'a> {
    turns: &'a Turns,
    class: Class,
    since: Instant,
}

/// Held by the first in line; goes to the next on drop.
#[derive(Debug)]
pub(crate) struct Head {
    line: Arc<Mutex<Line>>,
}

/// How long until the next turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Wait {
    /// As things stand; `None` while the part is 0.
    pub(crate) now: Option<Duration>,
    /// With the part that is to be expected.
    pub(crate) soon: Duration,
}

impl Turns {
    /// Opens an idle line with the whole rate. `max_wait` is raised to one and a half periods of a very slow rate, and
    /// capped at [`MAX_WAIT_CAP`].
    pub(crate) fn new(rate: Rate, max_wait: Duration) -> Self {
        let line = Line {
            clock: PartClock::new(Instant::now()),
            cells: Cells::new(rate),
            high: 0,
            normal: 0,
            has_head: false,
            lanes: Lanes::default(),
        };
        Self {
            max_wait: max_wait.max(rate.period().saturating_mul(3) / 2).min(MAX_WAIT_CAP),
            line: Arc::new(Mutex::new(line)),
        }
    }

    /// Changes the part of the rate; what was waited for stays waited for.
    pub(crate) fn set_part(&self, part: Part) {
        self.line().clock.set(part, Instant::now());
    }

    /// Returns the part in force.
    pub(crate) fn part(&self) -> f64 {
        self.line().clock.part(Instant::now())
    }

    /// Queues, unless the wait would be too long; that wait is then the error.
    pub(crate) fn line_up(&self, class: Class) -> Result<Place<'_>, Duration> {
        let mut line = self.line();
        let wait = line.expected(class.urgency);
        if wait > self.max_wait {
            return Err(wait);
        }
        *line.waiting(class.urgency) += 1;
        Ok(Place { turns: self, class, since: Instant::now() })
    }

    /// Says whether a newcomer would wait too long.
    pub(crate) fn is_full(&self) -> bool {
        self.line().expected(Urgency::Normal) > self.max_wait
    }

    /// Says whether anyone waits for a turn.
    pub(crate) fn is_awaited(&self) -> bool {
        let line = self.line();
        line.high + line.normal > 0
    }

    /// Takes the next cell, or says how long until there is one. For the head of the line, lest others be passed.
    ///
    /// A part of nothing has no cells, not even those of the burst, which a clock that stands still would leave.
    pub(crate) fn take(&self) -> Result<(), Wait> {
        let mut line = self.line();
        let Line { clock, cells, .. } = &mut *line;
        let now = Instant::now();
        let reading = clock.read(now);
        let wait = |wait| Wait { now: clock.real(wait, now), soon: clock.real_soon(wait, now) };
        if clock.part(now) == 0.0 {
            return Err(wait(cells.wait(reading)));
        }
        let lately = now.checked_sub(LATENESS).map_or(reading, |lately| clock.read(lately));
        cells.take(reading, lately).map_err(wait)
    }

    /// The longest wait in hand.
    pub(crate) fn max_wait(&self) -> Duration {
        self.max_wait
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        lock(&self.line)
    }
}

fn lock(line: &Mutex<Line>) -> MutexGuard<'_, Line> {
    line.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Line {
    /// Wait of a newcomer: until the next cell, then one period for each of those in line before it.
    fn expected(&self, urgency: Urgency) -> Duration {
        let now = Instant::now();
        let next = self.cells.wait(self.clock.read(now));
        self.clock.real_soon(next.saturating_add(self.cells.pace().saturating_mul(self.before(urgency))), now)
    }

    fn waiting(&mut self, urgency: Urgency) -> &mut u32 {
        match urgency {
            Urgency::High => &mut self.high,
            Urgency::Normal => &mut self.normal,
        }
    }

    /// Returns how many turns go to others before a newcomer's, as things stand.
    fn before(&self, urgency: Urgency) -> u32 {
        match urgency {
            // The one at the head, and one after each row of high ones.
            Urgency::High => self.high + (self.high / HIGH_IN_A_ROW + 1).min(self.normal),
            Urgency::Normal => self.high + self.normal,
        }
    }
}

impl Place<'_> {
    /// Waits to be the first in line.
    ///
    /// # Cancel safety
    /// A place that is dropped gives way to the next.
    pub(crate) async fn head(&self) -> Head {
        let turn = {
            let mut line = self.turns.line();
            if !line.has_head {
                line.has_head = true;
                return Head { line: Arc::clone(&self.turns.line) };
            }
            let (give, turn) = oneshot::channel();
            line.lanes.push(self.class, give);
            turn
        };
        turn.await.expect("invariant: the head of a line goes to everyone who waits")
    }

    /// Says whether the wait became longer than could be foreseen: half as long again as the longest, because the part
    /// shrank meanwhile.
    pub(crate) fn is_overdue(&self) -> bool {
        self.since.elapsed() > self.turns.max_wait * 3 / 2
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        *self.turns.line().waiting(self.class.urgency) -= 1;
    }
}

impl Drop for Head {
    /// Given to one who leaves at this very moment, the head comes back and is dropped there: it goes on.
    fn drop(&mut self) {
        let next = {
            let mut line = lock(&self.line);
            let next = line.lanes.pop(|give| !give.is_closed());
            line.has_head = next.is_some();
            next
        };
        if let Some(next) = next {
            drop(next.send(Self { line: Arc::clone(&self.line) }));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use proptest::prelude::*;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_longest_wait_suits_slow_rates_and_the_broker() {
        let longest = |rate: &str, wait| Turns::new(rate.parse().unwrap(), Duration::from_secs(wait)).max_wait();
        assert_eq!(longest("20/s", 60), Duration::from_secs(60));
        assert_eq!(longest("60/h", 60), Duration::from_secs(90));
        assert_eq!(longest("1/h", 60), MAX_WAIT_CAP);
        assert_eq!(longest("20/s", 3600), MAX_WAIT_CAP);
    }

    #[tokio::test(start_paused = true)]
    async fn the_slowest_rate_and_the_largest_burst_do_not_overflow() {
        let turns = Turns::new("1/h".parse::<Rate>().unwrap().with_burst(NonZeroU32::MAX), Duration::MAX);
        turns.take().unwrap();
    }

    fn part(now: f64) -> Part {
        Part { now, soon: now, until: None }
    }

    async fn next(turns: &Turns) -> Duration {
        let start = Instant::now();
        while let Err(wait) = turns.take() {
            tokio::time::sleep(wait.now.unwrap()).await;
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn half_of_a_rate_is_half_as_fast_and_what_was_waited_for_stays() {
        let turns = Turns::new("10/s".parse().unwrap(), Duration::from_secs(60));
        assert_eq!(next(&turns).await, Duration::ZERO);
        turns.set_part(part(0.5));
        tokio::time::sleep(Duration::from_millis(100)).await;
        turns.set_part(part(1.0));
        // Half of the period has passed at half the speed.
        // Timers are good to a millisecond, and never early.
        assert!((50..=51).contains(&next(&turns).await.as_millis()));
        turns.set_part(part(0.25));
        assert!((400..=404).contains(&next(&turns).await.as_millis()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_of_nothing_lets_nothing_through_and_saves_nothing_up() {
        let turns = Turns::new("10/s".parse().unwrap(), Duration::from_secs(60));
        turns.take().unwrap();
        turns.set_part(Part { now: 1.0, soon: 1.0, until: Some(Instant::now() + Duration::from_millis(30)) });
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!((turns.part(), turns.take().unwrap_err().now), (0.0, None));
        turns.set_part(part(1.0));
        assert!((70..=71).contains(&next(&turns).await.as_millis()));
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_saved_up_is_not_used_without_a_share() {
        let turns = Turns::new("10/s".parse::<Rate>().unwrap().with_burst(NonZeroU32::new(5).unwrap()), Duration::MAX);
        turns.set_part(Part { now: 0.0, soon: 1.0, until: None });
        assert_eq!(turns.take(), Err(Wait { now: None, soon: Duration::ZERO }));
        turns.set_part(part(1.0));
        turns.take().unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_waits_for_a_share_that_is_about_to_grow() {
        let turns = Turns::new("1/s".parse().unwrap(), Duration::from_secs(10));
        turns.take().unwrap();
        turns.set_part(Part { now: 0.001, soon: 0.5, until: None });
        assert_eq!(turns.take().unwrap_err().soon.as_secs(), 2);
        assert!(!turns.is_full());
        turns.set_part(part(0.001));
        assert!(turns.is_full());
    }

    #[tokio::test(start_paused = true)]
    async fn a_part_that_lapsed_is_shut_and_opened_again_and_loses_nothing_of_its_clock() {
        let turns = Turns::new("10/s".parse().unwrap(), Duration::from_secs(60));
        let fenced = |now| Part { now, soon: 1.0, until: Some(Instant::now() + Duration::from_secs(2)) };
        for _ in 0..600 {
            turns.set_part(fenced(1.0));
            tokio::time::sleep(Duration::from_secs(1)).await;
            while turns.take().is_ok() {}
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        turns.set_part(Part { now: 0.0, soon: 1.0, until: None });
        turns.set_part(fenced(1.0));
        assert!(!turns.is_full());
        assert!(next(&turns).await <= Duration::from_millis(150));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn in_any_window_no_more_calls_leave_than_the_parts_in_force_allow(
            changes in proptest::collection::vec((1_u64..400, 0_u32..=100), 1..12),
            burst in 1_u32..4,
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
            let calls = runtime.block_on(async {
                let rate = "100/s".parse::<Rate>().unwrap().with_burst(NonZeroU32::new(burst).unwrap());
                let turns = Turns::new(rate, Duration::from_secs(60));
                // What the parts have allowed for so far, at each millisecond, and the millisecond of each call.
                let (mut allowed, mut calls) = (vec![0.0], Vec::new());
                for (millis, percent) in changes {
                    let now = f64::from(percent) / 100.0;
                    turns.set_part(part(now));
                    for _ in 0..millis {
                        while turns.take().is_ok() {
                            calls.push(allowed.len() - 1);
                        }
                        tokio::time::advance(Duration::from_millis(1)).await;
                        allowed.push(allowed[allowed.len() - 1] + now * 0.1 * 0.995);
                    }
                }
                calls.into_iter().map(|at| (allowed[at.saturating_sub(5)], allowed[at])).collect::<Vec<_>>()
            });
            for (first, (before, _)) in calls.iter().enumerate() {
                for (last, (_, after)) in calls.iter().enumerate().skip(first) {
                    let count = (last - first + 1) as f64;
                    prop_assert!(count <= f64::from(burst) + (after - before) + 1e-6, "{count} calls, {}", after - before);
                }
            }
        }
    }
}
