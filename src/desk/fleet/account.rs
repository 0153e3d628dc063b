//! One account of the fleet, added up from what its replicas tell.

use std::time::{Duration, SystemTime};

use crate::desk::fleet::rates::Rates;
use crate::domain::fleet::AccountBeat;
use crate::domain::fleet::hold::{HoldNotice, HoldState};
use crate::domain::fleet::standing::{Bound, CutOff, ReplicaStanding};
use crate::domain::ids::{AccountId, WorkerId};
use crate::queue::depth::AccountDepth;

/// Longest time left that is told; beyond it a rate is as good as none.
const MAX_ETA: Duration = Duration::from_hours(24 * 366);

/// What one replica told of an account.
pub(super) struct Told<'a> {
    pub(super) worker: &'a WorkerId,
    pub(super) beat: &'a AccountBeat,
    pub(super) rates: Option<&'a Rates>,
    pub(super) heard_ago: Duration,
}

/// How an account stands, in one word; the graver one where two hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum AccountState {
    /// Nothing waits, nothing is called.
    Idle,
    /// Calls are made, or may be.
    Working,
    /// Calls are made more slowly, for the gateway asked for fewer.
    Slowed,
    /// Its replicas have no share of the rate yet: they have just begun to listen, or do not hear themselves.
    Listening,
    /// No replica reaches the gateway.
    Unreachable,
    /// A fault of its credentials, or a spent quota, holds it; it is probed from time to time.
    Held,
    /// A person paused it; only a person resumes it.
    Paused,
    /// No replica serves it.
    Unserved,
}

impl AccountState {
    /// Every one.
    pub const ALL: [Self; 8] = [
        Self::Idle,
        Self::Working,
        Self::Slowed,
        Self::Listening,
        Self::Unreachable,
        Self::Held,
        Self::Paused,
        Self::Unserved,
    ];

    /// Returns the word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Working => "working",
            Self::Slowed => "slowed",
            Self::Listening => "listening",
            Self::Unreachable => "unreachable",
            Self::Held => "held",
            Self::Paused => "paused",
            Self::Unserved => "unserved",
        }
    }

    /// Says whether items get through.
    #[must_use]
    pub fn is_moving(self) -> bool {
        match self {
            Self::Idle | Self::Working | Self::Slowed => true,
            Self::Listening | Self::Unreachable | Self::Held | Self::Paused | Self::Unserved => false,
        }
    }
}

/// What keeps an account, or one of its parties, from being called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldView {
    /// The party (a merchant, an administrator), or `None` for the whole account.
    pub party: Option<String>,
    /// [`AccountState::Held`], [`AccountState::Paused`] or [`AccountState::Unreachable`].
    pub state: AccountState,
    /// The gateway's code, or a person's reason, if they gave one. Others wrote it.
    pub cause: Option<String>,
    /// Since when; `None` where only replicas of earlier versions told of it.
    pub since: Option<SystemTime>,
    /// When the next probe is due; a pause has none.
    pub probe_at: Option<SystemTime>,
}

/// One account.
#[derive(Debug, Clone, PartialEq)]
pub struct AccountView {
    /// Its name.
    pub id: AccountId,
    /// How it stands.
    pub state: AccountState,
    /// Calls a second, as configured at its replicas; the lowest, where they differ.
    pub rate: Option<f64>,
    /// Calls a second its replicas may make now: shares and slowing down reckoned in; 0 while nothing gets through.
    pub allowed: Option<f64>,
    /// Calls a second made of late.
    pub calls: Option<f64>,
    /// Items a second ended of late.
    pub ended: Option<f64>,
    /// Part of the rate by replica; `None` for one of an earlier version.
    pub shares: Vec<(WorkerId, Option<f64>)>,
    /// Calls under way.
    pub in_flight: u64,
    /// Messages handed to replicas that wait there for their turn.
    pub in_hand: u64,
    /// What waits with the broker; `None` before the first count, or without queues.
    pub depth: Option<AccountDepth>,
    /// What keeps it from making more calls; what can be mended first, where replicas differ.
    pub bound: Option<Bound>,
    /// What holds the whole account.
    pub hold: Option<HoldView>,
    /// What holds single parties, by name.
    pub parties: Vec<HoldView>,
}

impl AccountView {
    pub(super) fn of(id: AccountId, told: &[Told<'_>], depth: Option<AccountDepth>, wall: SystemTime) -> Self {
        let standings: Vec<&ReplicaStanding> = told.iter().filter_map(|told| told.beat.standing.as_ref()).collect();
        let (hold, parties) = holds(told, wall);
        let hold = hold.or_else(|| cut_off(told, wall));
        let has_share = standings.iter().any(|standing| standing.share > 0.0);
        let factor = standings.iter().map(|standing| standing.factor).fold(1.0, f64::min);
        let bound = standings.iter().map(|standing| standing.bound).min();
        let in_flight = standings.iter().map(|standing| standing.in_flight).sum();
        let in_hand = standings.iter().map(|standing| standing.in_hand).sum();
        let waits = in_hand + depth.map_or(0, |depth| depth.work);
        let state = match &hold {
            _ if told.is_empty() => AccountState::Unserved,
            Some(hold) => hold.state,
            None if !standings.is_empty() && !has_share => AccountState::Listening,
            None if factor < 1.0 => AccountState::Slowed,
            None if in_flight + waits > 0 || bound.is_some_and(|bound| bound != Bound::Idle) => AccountState::Working,
            None => AccountState::Idle,
        };
        let rate = standings.iter().map(|standing| standing.rate).reduce(f64::min);
        let open = |standing: &&ReplicaStanding| standing.rate * standing.share * standing.factor;
        let allowed = (!standings.is_empty())
            .then(|| if state.is_moving() { standings.iter().map(open).sum::<f64>() } else { 0.0 });
        let rates: Vec<(f64, f64)> = told.iter().filter_map(|told| told.rates?.per_second()).collect();
        let is_measured = !rates.is_empty();
        Self {
            id,
            state,
            rate,
            allowed,
            calls: is_measured.then(|| rates.iter().map(|(calls, _)| calls).sum()),
            ended: is_measured.then(|| rates.iter().map(|(_, ended)| ended).sum()),
            shares: told
                .iter()
                .map(|told| (told.worker.clone(), told.beat.standing.as_ref().map(|standing| standing.share)))
                .collect(),
            in_flight,
            in_hand,
            depth,
            bound,
            hold,
            parties,
        }
    }

    /// Returns the messages that wait for their turn, with the broker and at the replicas.
    #[must_use]
    pub fn backlog(&self) -> Option<u64> {
        self.depth.map(|depth| depth.work + self.in_hand)
    }

    /// Returns items a second: as measured while there is work, or as allowed; `None` while nothing gets through.
    #[must_use]
    pub fn true_rate(&self) -> Option<f64> {
        let measured = self.ended.filter(|rate| *rate > 0.0);
        let rate = measured.or(self.allowed.filter(|rate| *rate > 0.0))?;
        self.state.is_moving().then_some(rate)
    }

    /// Returns how long so many items take at [`AccountView::true_rate`].
    #[must_use]
    pub fn time_for(&self, items: u64) -> Option<Duration> {
        let items = f64::from(u32::try_from(items).unwrap_or(u32::MAX));
        Duration::try_from_secs_f64(items / self.true_rate()?).ok().filter(|left| *left <= MAX_ETA)
    }

    /// Returns how long the backlog takes.
    #[must_use]
    pub fn eta(&self) -> Option<Duration> {
        self.time_for(self.backlog()?)
    }
}

impl HoldView {
    /// Returns what holds the whole account, of one replica's own words.
    #[must_use]
    pub fn of_account(holds: &[HoldNotice], cut_off: Option<&CutOff>, wall: SystemTime) -> Option<Self> {
        let of_account = holds.iter().find(|notice| notice.party.is_none());
        let hold = of_account.and_then(|notice| view(notice, Duration::ZERO, wall));
        hold.or_else(|| cut_off.map(|cut_off| unreachable(Duration::from_millis(cut_off.age_ms), &cut_off.cause, wall)))
    }
}

fn unreachable(age: Duration, cause: &str, wall: SystemTime) -> HoldView {
    let (state, since) = (AccountState::Unreachable, wall.checked_sub(age));
    HoldView { party: None, state, cause: Some(cause.to_owned()), since, probe_at: None }
}

/// The latest words: of the whole account, and of its parties.
fn holds(told: &[Told<'_>], wall: SystemTime) -> (Option<HoldView>, Vec<HoldView>) {
    let mut latest: Vec<(&HoldNotice, Duration)> = Vec::new();
    for told in told {
        for notice in &told.beat.holds {
            match latest.iter_mut().find(|(known, _)| known.party == notice.party) {
                Some(known) if known.0.rank() < notice.rank() => *known = (notice, told.heard_ago),
                // The same word; who has known it for longest is right on its age.
                Some(known) if known.0.rank() == notice.rank() && known.0.age_ms < notice.age_ms => {
                    *known = (notice, told.heard_ago);
                }
                Some(_) => {}
                None => latest.push((notice, told.heard_ago)),
            }
        }
    }
    let mut views: Vec<HoldView> = latest.into_iter().filter_map(|(notice, ago)| view(notice, ago, wall)).collect();
    views.sort_by(|a, b| a.party.cmp(&b.party));
    let of_account = views.iter().position(|view| view.party.is_none()).map(|at| views.remove(at));
    (of_account, views)
}

fn view(notice: &HoldNotice, heard_ago: Duration, wall: SystemTime) -> Option<HoldView> {
    let before = |age_ms| wall.checked_sub(heard_ago + Duration::from_millis(age_ms));
    let (state, cause, probe_at) = match &notice.state {
        HoldState::Lifted => return None,
        HoldState::Held { cause, probe_in_ms, .. } => {
            let due = Duration::from_millis(*probe_in_ms).saturating_sub(heard_ago);
            (AccountState::Held, Some(cause.clone()), wall.checked_add(due))
        }
        HoldState::Paused { reason } => (AccountState::Paused, reason.clone(), None),
    };
    Some(HoldView { party: notice.party.clone(), state, cause, since: notice.age_ms.and_then(before), probe_at })
}

/// A gateway that no replica reaches; one that some reach is worked by those.
fn cut_off(told: &[Told<'_>], wall: SystemTime) -> Option<HoldView> {
    let cut_off = |told: &Told<'_>| {
        let cut_off = told.beat.standing.as_ref()?.cut_off.as_ref()?;
        Some((Duration::from_millis(cut_off.age_ms).saturating_add(told.heard_ago), cut_off.cause.clone()))
    };
    let all: Option<Vec<(Duration, String)>> = told.iter().map(cut_off).collect();
    let (age, cause) = all?.into_iter().max()?;
    Some(unreachable(age, &cause, wall))
}
