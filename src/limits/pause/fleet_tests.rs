//! Holds of two to five replicas that hear each other late, or not at all, or die.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::domain::classify::{Cause, Effect};
use crate::domain::codes::Certainty;
use crate::domain::fleet::hold::{HoldNotice, OrderKind};
use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member};
use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::outcome::Reason;
use crate::domain::reply::Signature;
use crate::limits::fleet::{Fleet, Pace};
use crate::limits::pause::tests::reply;

const FIRST: Duration = Duration::from_secs(10);
const MAX: Duration = Duration::from_secs(40);
const TICK: Duration = Duration::from_millis(100);
const FAULT: Outcome = Outcome::AccountFault(Scope::App, Certainty::Certain);
const PASSED: Outcome = Outcome::Success(Reason::TakenDown);

/// Small, and the same for a seed everywhere.
struct Die(u64);

impl Die {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

struct Call {
    claim: Claim,
    /// When its answer comes; `None` while its probe is only announced.
    ends: Option<Instant>,
}

struct Replica {
    fleet: Fleet,
    holds: Holds,
    beat_at: Instant,
    has_messages: bool,
    call: Option<Call>,
    /// On the way to it, by sender in order.
    inbox: Vec<(Instant, Heartbeat)>,
}

/// A fleet, its broker and its gateway.
struct Stage {
    now: Instant,
    die: Die,
    replicas: Vec<Replica>,
    /// Tenths of a second a beat takes from and to each replica at most.
    slowness: u64,
    /// One beat in so many is lost; 0: none.
    loss: u64,
    is_bad: bool,
    /// When the last probe that failed ended.
    failed: Option<Instant>,
    probes: usize,
}

impl Stage {
    fn new(count: u64, seed: u64) -> Self {
        let now = Instant::now();
        let mut stage = Self {
            now,
            die: Die(seed),
            replicas: Vec::new(),
            slowness: 9,
            loss: 0,
            is_bad: false,
            failed: None,
            probes: 0,
        };
        (1..=count).for_each(|epoch| stage.join(epoch));
        stage
    }

    fn join(&mut self, epoch: u64) {
        let member = Member { worker: WorkerId::new(format!("w{epoch}")).unwrap(), epoch };
        let (now, pace) = (self.now, Pace::default());
        let mut holds = Holds::new(HoldSettings { first_probe: FIRST, max_probe: MAX }, now);
        holds.set_seat(Seat::outside(epoch, pace.lease()));
        let fleet = Fleet::new(member, pace, now);
        let (call, inbox) = (None, Vec::new());
        self.replicas.push(Replica { fleet, holds, beat_at: now, has_messages: true, call, inbox });
    }

    fn run(&mut self, seconds: u64) -> Result<(), TestCaseError> {
        for _ in 0..seconds * 10 {
            self.now += TICK;
            for index in 0..self.replicas.len() {
                self.step(index)?;
            }
        }
        Ok(())
    }

    fn step(&mut self, index: usize) -> Result<(), TestCaseError> {
        let (now, account) = (self.now, account());
        let replica = &mut self.replicas[index];
        let (due, later): (Vec<_>, _) = replica.inbox.drain(..).partition(|(at, _)| *at <= now);
        replica.inbox = later;
        for (_, beat) in due {
            for told in &beat.accounts[&account].holds {
                replica.holds.hear(told.clone(), beat.member.epoch, now);
            }
            replica.fleet.hear(&beat, now);
        }
        replica.holds.set_seat(replica.fleet.seat(&account, now));
        let is_news = self.work(index)?;
        if is_news || self.replicas[index].beat_at <= now {
            self.beat(index);
        }
        Ok(())
    }

    /// Works one message at a time; says whether the others should hear of it at once.
    fn work(&mut self, index: usize) -> Result<bool, TestCaseError> {
        let (now, is_bad) = (self.now, self.is_bad);
        let (is_message, takes) = (self.die.below(4) == 0, TICK * (1 + u32::try_from(self.die.below(20)).unwrap()));
        let replica = &mut self.replicas[index];
        let Some(mut call) = replica.call.take() else {
            if !is_message || !replica.has_messages || replica.fleet.share(&account(), now) == 0.0 {
                return Ok(false);
            }
            let Ok(claim) = replica.holds.claim(None, now, 0.0) else { return Ok(false) };
            let is_probe = claim.is_probe();
            replica.call = Some(Call { claim, ends: None });
            return Ok(is_probe);
        };
        match call.ends {
            None => match replica.holds.ripen(&mut call.claim, now) {
                Ripe::Lost => {
                    replica.holds.release(&call.claim, now);
                    return Ok(true);
                }
                Ripe::In(_) => replica.call = Some(call),
                Ripe::Now => {
                    let is_probe = call.claim.is_probe();
                    call.ends = Some(now + takes);
                    replica.call = Some(call);
                    if is_probe {
                        self.probes += 1;
                        let out = self.replicas.iter().filter_map(|replica| replica.call.as_ref());
                        let out = out.filter(|call| call.claim.is_probe() && call.ends.is_some()).count();
                        prop_assert_eq!(out, 1, "two probes are out");
                        let too_soon = self.failed.filter(|failed| now < *failed + FIRST);
                        prop_assert_eq!(too_soon, None, "a probe within the wait, now {:?}", now);
                    }
                    return Ok(is_probe);
                }
            },
            Some(ends) if now < ends => replica.call = Some(call),
            Some(_) => {
                let is_probe = call.claim.is_probe();
                let outcome = if is_bad { FAULT } else { PASSED };
                let id = RequestId::new("a").unwrap();
                replica.holds.record(call.claim, &id, &reply(Signature::Valid), &outcome, now, 0.0);
                if is_probe {
                    self.failed = is_bad.then_some(now);
                }
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn beat(&mut self, index: usize) {
        let now = self.now;
        let replica = &mut self.replicas[index];
        replica.beat_at = now + Pace::default().heartbeat;
        let told = AccountBeat { holds: replica.holds.tell(now), ..AccountBeat::wanting(Demand::BUSY) };
        let beat = replica.fleet.beat(BTreeMap::from([(account(), told)]), now);
        // On to the wire and back: what a replica reads it reads again.
        let beat = Heartbeat::decode(&beat.encode()).unwrap();
        for replica in &mut self.replicas {
            if self.loss > 0 && self.die.below(self.loss) == 0 {
                continue;
            }
            let last = replica.inbox.iter().map(|(at, _)| *at).max().unwrap_or(now);
            let at = now + TICK * u32::try_from(self.die.below(self.slowness + 1)).unwrap();
            replica.inbox.push((at.max(last), beat.clone()));
        }
    }

    fn kill(&mut self, index: usize) {
        self.replicas.remove(index);
    }

    fn held(&self) -> Vec<bool> {
        self.replicas.iter().map(|replica| replica.holds.is_held()).collect()
    }

    fn is_agreed(&self) -> bool {
        let rank = |replica: &Replica| (replica.holds.account.version, replica.holds.account.by);
        self.replicas.windows(2).all(|two| rank(&two[0]) == rank(&two[1]))
    }
}

fn account() -> AccountId {
    AccountId::new("desk").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn one_probe_is_out_in_the_fleet_and_none_within_the_wait(count in 2u64..6, seed: u64, slowness in 0u64..10) {
        let mut stage = Stage::new(count, seed);
        stage.slowness = slowness;
        stage.run(20)?;
        stage.is_bad = true;
        stage.run(8)?;
        prop_assert!(stage.held().iter().all(|held| *held), "a hold is heard everywhere: {:?}", stage.held());
        stage.run(60)?;
        prop_assert!(stage.probes >= 2, "it is probed: {}", stage.probes);
        // One dies, perhaps with the probe, and one joins, perhaps the new first.
        let which = stage.die.below(count);
        stage.kill(usize::try_from(which).unwrap());
        let newcomer = stage.die.below(2) * 100;
        stage.join(newcomer);
        stage.run(5)?;
        prop_assert!(stage.held().iter().all(|held| *held), "a newcomer learns of it before it calls");
        stage.run(95)?;
        stage.is_bad = false;
        while stage.held().iter().all(|held| *held) {
            stage.run(1)?;
            prop_assert!(stage.now < stage.failed.unwrap_or(stage.now) + 3 * MAX, "it is never lifted");
        }
        stage.run(1)?;
        prop_assert_eq!(stage.held(), vec![false; stage.replicas.len()], "lifted everywhere within a heartbeat");
    }

    #[test]
    fn a_lost_beat_changes_nothing_for_good(count in 2u64..6, seed: u64, loss in 2u64..5) {
        let mut stage = Stage::new(count, seed);
        stage.run(20)?;
        // Nobody counts probes while beats are lost: a replica that lost its own is fenced, others may be deaf.
        stage.loss = loss;
        for (order, number) in [(OrderKind::Pause { reason: None }, 7), (OrderKind::Resume, 8), (OrderKind::Pause { reason: None }, 9)] {
            let who = usize::try_from(stage.die.below(count)).unwrap();
            let now = stage.now;
            stage.replicas[who].holds.order(None, order, number, now);
            stage.run(6)?;
        }
        stage.loss = 0;
        stage.run(3)?;
        prop_assert!(stage.is_agreed() && stage.held().iter().all(|held| *held));
        let probes = stage.probes;
        stage.run(100)?;
        prop_assert_eq!(stage.probes, probes, "a pause is never probed");
        let now = stage.now;
        stage.replicas[0].holds.order(None, OrderKind::Resume, 10, now);
        stage.run(2)?;
        prop_assert_eq!(stage.held(), vec![false; stage.replicas.len()]);
    }
}

#[test]
fn resuming_a_hold_probes_at_once_and_a_probe_that_is_out_is_left_alone() {
    let mut stage = Stage::new(3, 1);
    stage.run(20).unwrap();
    stage.is_bad = true;
    stage.run(3).unwrap();
    assert_eq!((stage.held(), stage.probes), (vec![true; 3], 0));
    let now = stage.now;
    for replica in &mut stage.replicas {
        replica.holds.order(None, OrderKind::Resume, 5, now);
    }
    stage.run(2).unwrap();
    assert_eq!(stage.probes, 1);
}

#[test]
fn a_lone_member_with_the_message_probes_though_it_is_not_the_first() {
    let mut stage = Stage::new(4, 3);
    stage.run(20).unwrap();
    stage.replicas.iter_mut().take(3).for_each(|replica| replica.has_messages = false);
    stage.run(3).unwrap();
    let since = stage.now;
    stage.replicas[3].holds.hold_until("X", since, since);
    while stage.probes == 0 {
        stage.run(1).unwrap();
        let notice = Pace::default().lease() + Pace::default().lease() / 2;
        // The message itself comes within three seconds of the die.
        assert!(stage.now <= since + notice + Duration::from_secs(6), "the announced probe is not made");
    }
    assert!(stage.now >= since + Duration::from_secs(9), "it stood for four and a half fences");
}

#[test]
fn a_hold_for_answers_not_believed_asks_for_a_signed_one_wherever_it_is_heard() {
    let now = Instant::now();
    let settings = HoldSettings { first_probe: FIRST, max_probe: MAX };
    let mut one = Holds::new(settings.clone(), now);
    let untrusted = Outcome::Retryable(Cause::Untrusted, Effect::Possible);
    for id in ["a", "b", "c", "d", "e"] {
        let claim = one.claim(None, now, 0.0).unwrap();
        one.record(claim, &RequestId::new(id).unwrap(), &reply(Signature::Invalid), &untrusted, now, 0.0);
    }
    let mut other = Holds::new(settings, now);
    other.hear(one.tell(now)[0].clone(), 1, now);
    for (signature, is_held) in [(Signature::Unsigned, true), (Signature::Valid, false)] {
        let later = now + FIRST * 2;
        other.probe_now(later);
        let probe = other.claim(None, later, 0.0).unwrap();
        other.record(probe, &RequestId::new("f").unwrap(), &reply(signature), &PASSED, later, 0.0);
        assert_eq!(other.is_held(), is_held, "{signature:?}");
    }
}

#[test]
fn what_was_mended_is_probed_but_neither_what_a_person_paused_nor_what_waits_for_its_quota() {
    let now = Instant::now();
    let mut holds = Holds::new(HoldSettings { first_probe: FIRST, max_probe: MAX }, now);
    holds.hold_until("X", now + MAX, now);
    holds.probe_now(now);
    assert_eq!(holds.wait(None, now, 0.0), None);
    holds.order(None, OrderKind::Pause { reason: None }, 3, now);
    holds.probe_now(now);
    assert_eq!(holds.wait(None, now, 0.0), Some(PAUSED_LOOK));
    holds.order(None, OrderKind::Resume, 4, now);
    holds.hold_until(QUOTA_SPENT, now + MAX, now);
    holds.probe_now(now);
    assert_eq!(holds.wait(None, now, 0.0), Some(MAX));
}

#[test]
fn how_long_a_hold_has_been_on_is_told_however_often_it_was_said_anew() {
    let now = Instant::now() + Duration::from_hours(1);
    let mut one = Holds::new(HoldSettings { first_probe: FIRST, max_probe: MAX }, now);
    let age = |holds: &mut Holds, now| holds.tell(now).first().and_then(|told| told.age_ms);
    one.hold_until("X", now + FIRST, now);
    // A probe that fails says it anew.
    let later = now + Duration::from_mins(2);
    one.probe_now(later);
    let probe = one.claim(None, later, 0.0).unwrap();
    let fault = Outcome::AccountFault(Scope::App, Certainty::Certain);
    one.record(probe, &RequestId::new("a").unwrap(), &reply(Signature::Valid), &fault, later, 0.0);
    assert_eq!(age(&mut one, later), Some(120_000));
    // Whoever hears of it late knows it too; and from an earlier version, since the hearing.
    let mut other = Holds::new(HoldSettings::default(), later);
    let told = one.tell(later)[0].clone();
    other.hear(told.clone(), 1, later);
    assert_eq!(age(&mut other, later + Duration::from_secs(1)), Some(121_000));
    let mut third = Holds::new(HoldSettings::default(), later);
    third.hear(HoldNotice { age_ms: None, ..told }, 1, later);
    assert_eq!(age(&mut third, later + Duration::from_secs(1)), Some(1000));
    // A pause in its place begins then.
    other.order(None, OrderKind::Pause { reason: None }, 9, later);
    assert_eq!(age(&mut other, later), Some(0));
}

#[test]
fn beats_stay_small_and_keep_what_a_person_paused() {
    let now = Instant::now();
    let mut holds = Holds::new(HoldSettings::default(), now);
    holds.set_seat(Seat::outside(1, Pace::default().lease()));
    holds.order(Some("paused".into()), OrderKind::Pause { reason: Some("x".repeat(10_000)) }, 3, now);
    for number in 0..500 {
        let later = now + Duration::from_secs(number);
        let claim = holds.claim(Some(&format!("m{number}")), later, 0.0).unwrap();
        let fault = Outcome::AccountFault(Scope::Token, Certainty::Certain);
        holds.record(claim, &RequestId::new("a").unwrap(), &reply(Signature::Valid), &fault, later, 0.0);
    }
    let told = holds.tell(now + Duration::from_secs(500));
    assert_eq!(told.len(), 64);
    assert_eq!(told[0].party.as_deref(), Some("paused"));
    assert_eq!(told[1].party.as_deref(), Some("m499"), "the newest of the rest");
    assert!(serde_json::to_vec(&told).unwrap().len() < 16 * 1024);
}
