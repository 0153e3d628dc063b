//! A daily quota: how many calls were made since it was last reset, and how a spent one is noticed.
//!
//! A state machine without a clock. Replicas tell what they counted, and never more than was made, so the largest sum
//! heard is the best. Best effort by nature: calls on their way when the quota is reached still leave (at most those in
//! flight, and what the fleet calls within a heartbeat), and what was counted is forgotten when no replica is left.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use jiff::civil::Time;
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan};
use tokio::time::Instant;

use crate::clock::Moment;
use crate::domain::fleet::Spent;

/// Windows in a row in which a replica was refused as too fast and no call of its passed, before the quota counts as
/// spent: a minute and more at one call a few seconds, by which time the brake has long reached its floor.
const REFUSED_RUN: u32 = 12;

/// Refusals within this time, or the cool-down they asked for, are one window: as for the brake.
const WINDOW: Duration = Duration::from_secs(5);

/// Members counted apart in a day; of more than that only their own sums are known.
const MAX_MEMBERS: usize = 1024;

/// An account's daily quota.
#[derive(Debug, Clone, PartialEq)]
pub struct QuotaSettings {
    /// Calls a day of the whole account; `None`: not known, so that only refusals tell that it is spent.
    pub calls: Option<u64>,
    /// The time of day at which it is reset. Default 00:00.
    pub resets_at: Time,
    /// Where that is. Default GMT+8, the platform's own: an inference, neither document names the zone of its day.
    pub zone: TimeZone,
}

impl Default for QuotaSettings {
    fn default() -> Self {
        Self { calls: None, resets_at: Time::midnight(), zone: TimeZone::fixed(Offset::constant(8)) }
    }
}

/// From one reset to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Day {
    /// Seconds since 1970.
    began: i64,
    ends: i64,
}

impl Day {
    /// Returns what is left of it.
    fn left(self, now: SystemTime) -> Duration {
        let ends = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(self.ends).unwrap_or(0));
        ends.duration_since(now).unwrap_or_default()
    }
}

impl QuotaSettings {
    /// Returns the day a moment belongs to; a clock beyond the calendar gets an endless one.
    fn day(&self, now: SystemTime) -> Day {
        self.find_day(now).unwrap_or(Day { began: i64::MIN, ends: i64::MAX })
    }

    fn find_day(&self, now: SystemTime) -> Option<Day> {
        let now = Timestamp::try_from(now).ok()?.to_zoned_datetime(self.zone.clone());
        let reset = |days: i64| {
            let date = now.date().checked_add(days.days()).ok()?;
            date.to_datetime(self.resets_at).to_zoned_datetime(self.zone.clone()).ok()
        };
        let today = reset(0)?;
        let (began, ends) = if today <= now { (today, reset(1)?) } else { (reset(-1)?, today) };
        Some(Day { began: began.timestamp().as_second(), ends: ends.timestamp().as_second() })
    }
}

/// What is known of today's calls.
#[derive(Debug)]
pub(crate) struct Ledger {
    settings: QuotaSettings,
    day: Option<Day>,
    own: u64,
    /// By the epoch of each other member, the most heard; kept when it is gone.
    heard: HashMap<u64, u64>,
    /// The largest sum any member told, which covers those gone before this one came.
    most: u64,
    refused: u32,
    refused_at: Option<Instant>,
}

/// What a call said about the quota.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Too many calls; wait so long.
    Refused(Duration),
    /// It was let through.
    Passed,
    /// Nothing.
    Unknown,
}

impl Ledger {
    pub(crate) fn new(settings: QuotaSettings) -> Self {
        let (heard, refused_at) = (HashMap::new(), None);
        Self { settings, day: None, own: 0, heard, most: 0, refused: 0, refused_at }
    }

    /// Counts a call that was made; returns for how long the quota is spent, if it is.
    pub(crate) fn count(&mut self, verdict: Verdict, moment: Moment, now: Instant) -> Option<Duration> {
        self.open(moment.wall);
        self.own += 1;
        match verdict {
            Verdict::Passed => self.refused = 0,
            Verdict::Refused(wait) => {
                let is_new = self.refused_at.is_none_or(|at| now.saturating_duration_since(at) >= WINDOW.max(wait));
                if is_new {
                    self.refused += 1;
                    self.refused_at = Some(now);
                }
            }
            Verdict::Unknown => {}
        }
        let is_used_up = self.settings.calls.is_some_and(|calls| self.all() >= calls);
        if !is_used_up && self.refused < REFUSED_RUN {
            return None;
        }
        self.refused = 0;
        let left = |time| self.settings.day(time).left(time);
        Some(left(moment.wall).min(left(moment.steady)))
    }

    /// Takes note of what another counted; `speaker` is its epoch.
    pub(crate) fn hear(&mut self, told: Spent, speaker: u64, wall: SystemTime) {
        if self.open(wall).began != told.day {
            return;
        }
        if self.heard.len() < MAX_MEMBERS || self.heard.contains_key(&speaker) {
            let most = self.heard.entry(speaker).or_default();
            *most = told.own.max(*most);
        }
        self.most = self.most.max(told.all);
    }

    /// Returns what the others should know, where the quota has a number.
    pub(crate) fn tell(&mut self, wall: SystemTime) -> Option<Spent> {
        self.settings.calls?;
        let day = self.open(wall).began;
        Some(Spent { day, own: self.own, all: self.all() })
    }

    /// Returns the calls of the whole fleet today, as far as known: never more than were made.
    fn all(&self) -> u64 {
        self.heard.values().fold(self.own, |sum, calls| sum.saturating_add(*calls)).max(self.most)
    }

    /// Begins the day that it is now, if it is another.
    fn open(&mut self, wall: SystemTime) -> Day {
        let day = self.settings.day(wall);
        if self.day != Some(day) {
            self.day = Some(day);
            (self.own, self.most, self.refused) = (0, 0, 0);
            self.heard.clear();
        }
        day
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SystemTime {
        text.parse::<Timestamp>().unwrap().try_into().unwrap()
    }

    fn ledger(calls: Option<u64>) -> Ledger {
        Ledger::new(QuotaSettings { calls, ..QuotaSettings::default() })
    }

    fn hours(left: Option<Duration>) -> Option<u64> {
        left.map(|left| left.as_secs() / 3600)
    }

    #[test]
    fn a_quota_without_a_zone_is_reset_at_midnight_in_the_platforms_zone() {
        let quota = QuotaSettings::default();
        let day = quota.day(at("2026-11-25T15:59:59Z"));
        assert_eq!(day.ends, "2026-11-25T16:00:00Z".parse::<Timestamp>().unwrap().as_second());
        assert_eq!(quota.day(at("2026-11-25T16:00:00Z")).began, day.ends);
    }

    #[test]
    fn a_day_may_have_23_hours() {
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let quota = QuotaSettings { resets_at: jiff::civil::time(1, 30, 0, 0), zone, calls: None };
        let day = quota.day(at("2026-03-29T00:31:00Z"));
        assert_eq!(day.ends - day.began, 23 * 3600);
    }

    #[test]
    fn the_calls_of_all_count_and_those_gone_are_remembered_for_the_day() {
        let (morning, now) = (at("2026-11-25T01:00:00Z"), Instant::now());
        let (mut first, mut second, mut third) = (ledger(Some(5)), ledger(Some(5)), ledger(Some(5)));
        first.count(Verdict::Passed, morning.into(), now);
        first.count(Verdict::Passed, morning.into(), now);
        second.hear(first.tell(morning).unwrap(), 1, morning);
        assert_eq!(second.count(Verdict::Passed, morning.into(), now), None);
        // The first is gone; the third knows of it by the second alone.
        third.hear(second.tell(morning).unwrap(), 2, morning);
        assert_eq!(third.count(Verdict::Passed, morning.into(), now), None);
        second.hear(third.tell(morning).unwrap(), 3, morning);
        assert_eq!(second.tell(morning).unwrap().all, 4);
        assert_eq!(
            hours(second.count(Verdict::Passed, morning.into(), now)),
            Some(15),
            "the fifth call; until 16:00 UTC"
        );
        let evening = at("2026-11-25T16:00:00Z");
        second.hear(third.tell(morning).unwrap(), 3, evening);
        assert_eq!(second.tell(evening).unwrap().all, 0, "a new day, and yesterday's words are none of it");
    }

    #[test]
    fn refusals_in_a_row_mean_a_spent_quota_and_one_call_that_passes_does_not() {
        let (morning, mut now) = (at("2026-11-25T01:00:00Z"), Instant::now());
        let mut ledger = ledger(None);
        let refused = Verdict::Refused(Duration::ZERO);
        for _ in 0..100 {
            assert_eq!(ledger.count(refused, morning.into(), now), None, "one window, however many calls");
        }
        for window in 2..=12 {
            if window == 8 {
                ledger.count(Verdict::Passed, morning.into(), now);
            }
            now += WINDOW;
            assert_eq!(ledger.count(refused, morning.into(), now), None, "{window}");
        }
        for _ in 0..7 {
            now += WINDOW;
            ledger.count(Verdict::Unknown, morning.into(), now);
            assert_eq!(ledger.tell(morning), None, "nothing to tell without a number");
            if let Some(left) = ledger.count(refused, morning.into(), now) {
                return assert_eq!(hours(Some(left)), Some(15));
            }
        }
        panic!("twelve windows in a row and not spent");
    }

    #[test]
    fn a_clock_that_was_set_holds_an_account_no_longer() {
        let evening = at("2026-11-25T15:00:00Z");
        for hours_off in [23, 25] {
            let off = Duration::from_hours(hours_off);
            for wall in [evening - off, evening + off] {
                let left = ledger(Some(1)).count(Verdict::Passed, Moment { wall, steady: evening }, Instant::now());
                assert!(hours(left) <= Some(1), "{left:?}");
                let left =
                    ledger(Some(1)).count(Verdict::Passed, Moment { wall: evening, steady: wall }, Instant::now());
                assert!(hours(left) <= Some(1), "{left:?}");
            }
        }
    }
}
