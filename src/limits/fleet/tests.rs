use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use rand::RngExt;
use tokio::time::Instant;

use super::simulator::{Simulator, Trouble};
use super::{Fleet, MAX_MEMBERS, Pace};
use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member, VERSION};
use crate::domain::ids::{AccountId, WorkerId};

const SECOND: u64 = 1_000_000;

fn desk() -> AccountId {
    AccountId::new("desk").unwrap()
}

fn member(name: &str) -> Member {
    Member { worker: WorkerId::new(name).unwrap(), epoch: 7 }
}

fn wants(demand: Demand) -> BTreeMap<AccountId, AccountBeat> {
    BTreeMap::from([(desk(), AccountBeat::wanting(demand))])
}

fn beat_of(name: &str, demand: Demand) -> Heartbeat {
    let (version, sequence, heartbeat_ms) = (VERSION, 1, 1000);
    Heartbeat { version, member: member(name), sequence, heartbeat_ms, accounts: wants(demand) }
}

/// A replica that beats every second and hears itself at once.
struct Alone {
    fleet: Fleet,
    now: Instant,
}

impl Alone {
    fn new() -> Self {
        let now = Instant::now();
        Self { fleet: Fleet::new(member("a"), Pace::default(), now), now }
    }

    fn pass(&mut self, seconds: u64, others: &[Heartbeat]) {
        for _ in 0..seconds {
            let beat = self.fleet.beat(wants(Demand::BUSY), self.now);
            self.fleet.hear(&beat, self.now);
            for other in others {
                self.fleet.hear(other, self.now);
            }
            self.now += Duration::from_secs(1);
        }
    }

    fn share(&self) -> f64 {
        self.fleet.share(&desk(), self.now)
    }
}

#[test]
fn a_newcomer_listens_for_a_lease_before_it_calls() {
    let mut alone = Alone::new();
    alone.pass(5, &[]);
    assert_eq!(alone.share(), 0.0);
    alone.pass(1, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn a_share_shrinks_at_once_and_grows_after_a_lease() {
    let other = beat_of("b", Demand::BUSY);
    let mut alone = Alone::new();
    alone.pass(10, &[]);
    alone.fleet.hear(&other, alone.now);
    assert_eq!(alone.share(), 0.5);
    alone.pass(5, &[]);
    assert_eq!(alone.share(), 0.5);
    alone.pass(2, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn who_does_not_hear_itself_calls_nobody_and_starts_anew() {
    let mut alone = Alone::new();
    alone.pass(10, &[]);
    let lost = alone.fleet.beat(wants(Demand::BUSY), alone.now);
    alone.now += Duration::from_millis(2001);
    assert_eq!(alone.share(), 0.0);
    alone.fleet.hear(&lost, alone.now);
    alone.pass(5, &[]);
    assert_eq!(alone.share(), 0.0);
    alone.pass(2, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn a_crowd_that_cannot_be_a_fleet_stops_the_calls_and_fills_no_memory() {
    let mut alone = Alone::new();
    alone.pass(10, &[]);
    for number in 0..100_000 {
        alone.fleet.hear(&beat_of(&format!("fake-{number}"), Demand::BUSY), alone.now);
    }
    assert_eq!(alone.share(), 0.0);
    assert!(alone.fleet.members(alone.now) <= MAX_MEMBERS);
    alone.pass(7, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn one_that_beats_without_end_is_remembered_briefly_and_believed_at_its_most() {
    let mut alone = Alone::new();
    alone.pass(10, &[]);
    for number in 0..50_000_u32 {
        alone.fleet.hear(&beat_of("b", Demand::from(number % 2 * 1_000_000)), alone.now);
        alone.now += Duration::from_micros(10);
    }
    let remembered = alone.fleet.others.values().map(|other| other.heard.len()).sum::<usize>();
    assert!(remembered <= 30, "{remembered}");
    alone.pass(1, &[]);
    assert_eq!(alone.share(), 0.5);
    // And it is forgotten as soon as anyone else.
    alone.pass(6, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn a_heartbeat_no_configuration_allows_is_waited_for_no_longer_than_the_longest_one() {
    let mut alone = Alone::new();
    alone.pass(10, &[]);
    alone.fleet.hear(&Heartbeat { heartbeat_ms: u64::MAX, ..beat_of("b", Demand::BUSY) }, alone.now);
    alone.pass(6 * 30 + 1, &[]);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn accounts_one_does_not_serve_are_not_remembered() {
    let mut alone = Alone::new();
    alone.pass(1, &[]);
    let mut beat = beat_of("b", Demand::BUSY);
    let account = |number| AccountId::new(format!("other-{number}")).unwrap();
    beat.accounts.extend((0..1000).map(|number| (account(number), AccountBeat::wanting(Demand::BUSY))));
    alone.fleet.hear(&beat, alone.now);
    let told = alone.fleet.others.values().flat_map(|other| &other.heard);
    assert_eq!(told.map(|told| told.demands.len()).collect::<Vec<_>>(), [1]);
}

#[test]
fn an_echo_that_was_never_sent_opens_no_fence() {
    let mut alone = Alone::new();
    let forged = |sequence| Heartbeat { sequence, member: member("a"), ..beat_of("a", Demand::BUSY) };
    for sequence in [0, 1, 2, u64::MAX] {
        alone.fleet.hear(&forged(sequence), alone.now);
    }
    alone.now += Duration::from_secs(6);
    assert!(alone.fleet.is_fenced(alone.now) && alone.share() == 0.0);
}

#[test]
fn the_idle_ones_leave_the_rate_to_the_busy_one() {
    let idle = Demand::idle_among(100);
    let others: Vec<_> = (0..99).map(|number| beat_of(&format!("b-{number}"), idle)).collect();
    let mut busy = Alone::new();
    busy.pass(10, &others);
    assert!(busy.share() > 0.99, "{}", busy.share());
}

#[test]
fn who_leaves_in_order_is_not_waited_for() {
    let mut alone = Alone::new();
    alone.pass(10, &[beat_of("b", Demand::BUSY)]);
    assert_eq!(alone.share(), 0.5);
    alone.fleet.hear(&Heartbeat { accounts: BTreeMap::new(), ..beat_of("b", Demand::BUSY) }, alone.now);
    assert_eq!(alone.share(), 1.0);
}

#[test]
fn a_restart_under_the_same_name_is_another_member() {
    let mut alone = Alone::new();
    let old = beat_of("b", Demand::BUSY);
    let new = Heartbeat { member: Member { epoch: 8, ..member("b") }, ..old.clone() };
    alone.pass(10, &[old, new]);
    assert_eq!(alone.fleet.members(alone.now), 3);
    assert!((alone.share() - 1.0 / 3.0).abs() < 1e-9);
}

#[test]
fn the_most_careful_heartbeat_heard_is_kept_to() {
    let mut alone = Alone::new();
    let slow = Heartbeat { heartbeat_ms: 5000, ..beat_of("b", Demand::BUSY) };
    alone.pass(10, std::slice::from_ref(&slow));
    assert_eq!(alone.share(), 0.0);
    alone.pass(21, std::slice::from_ref(&slow));
    assert_eq!(alone.share(), 0.5);
}

/// Steps of virtual time at which the sum is looked at.
fn watch(simulator: &mut Simulator, until: u64, step: u64) -> f64 {
    let mut most = 0.0_f64;
    while simulator.now < until {
        let next = (simulator.now + step).min(until);
        simulator.run_until(next);
        most = most.max(simulator.used());
    }
    most
}

/// One run of random troubles, then quiet: returns the largest sum of shares ever in use, and the last.
fn storm(seed: u64, replicas: usize, seconds: u64) -> (f64, f64) {
    let mut simulator = Simulator::new(seed, Pace::default());
    // Beats grow with the square of the replicas: many of them join and get into trouble in quick order, and are looked
    // at less often. What matters of a trouble is whether it is longer than a fence, or a lease.
    let (step, gap, longest) =
        if replicas > 20 { (SECOND, SECOND / 4, 7_000) } else { (SECOND / 50, 2 * SECOND, 15_000) };
    let mut most = 0.0_f64;
    // Up to the fence both ways together: the slowest that is still believed.
    simulator.delay = simulator.rng.random_range(1..SECOND);
    for _ in 0..replicas {
        simulator.join(Demand::BUSY);
        let until = simulator.now + simulator.rng.random_range(0..gap / 2);
        most = most.max(watch(&mut simulator, until, step));
    }
    let end = simulator.now + seconds * SECOND;
    while simulator.now < end {
        let living = simulator.living();
        let trouble = match simulator.rng.random_range(0..10) {
            0 => None,
            1 if living.len() > 1 => Some(Trouble::Crash),
            2 if living.len() > 1 => Some(Trouble::Leave),
            3 => Some(Trouble::Pause(simulator.rng.random_range(100..longest))),
            4 => Some(Trouble::Deaf(simulator.rng.random_range(100..longest))),
            5 | 6 => Some(Trouble::Mute(simulator.rng.random_range(100..longest))),
            7 => Some(Trouble::Late(simulator.rng.random_range(10..1500))),
            8 => Some(Trouble::Turn(Demand::BUSY)),
            _ => Some(Trouble::Turn(Demand::idle_among(living.len()))),
        };
        match trouble {
            None => drop(simulator.join(Demand::BUSY)),
            Some(trouble) => {
                let index = living[simulator.rng.random_range(0..living.len())];
                simulator.trouble(index, trouble);
            }
        }
        let until = simulator.now + simulator.rng.random_range(0..gap);
        most = most.max(watch(&mut simulator, until, step));
    }
    simulator.delay = SECOND / 50;
    for index in simulator.living() {
        simulator.trouble(index, Trouble::Turn(Demand::BUSY));
    }
    // The longest trouble, the fence and a lease, and some spare.
    let until = simulator.now + longest * 1000 + 12 * SECOND;
    most = most.max(watch(&mut simulator, until, step));
    (most, simulator.used())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_befalls_a_fleet_the_shares_in_use_never_exceed_the_whole(seed: u64, replicas in 2_usize..12) {
        let (most, last) = storm(seed, replicas, 120);
        prop_assert!(most <= 1.0 + 1e-9, "{most}");
        prop_assert!(last > 0.999, "{last} in use after the storm");
    }
}

#[test]
fn two_hundred_replicas_keep_within_the_whole_and_use_it() {
    let (most, last) = storm(11, 200, 6);
    assert!(most <= 1.0 + 1e-9, "{most}");
    assert!(last > 0.999, "{last}");
}

#[test]
fn capacity_is_unused_for_no_longer_than_a_lease_after_a_crash() {
    let mut simulator = Simulator::new(3, Pace::default());
    for _ in 0..4 {
        simulator.join(Demand::BUSY);
    }
    simulator.run_until(20 * SECOND);
    assert!(simulator.used() > 0.999);
    simulator.trouble(0, Trouble::Crash);
    // Its last beat may have been under way.
    simulator.run_until(simulator.now + 6 * SECOND + 50_000);
    assert!(simulator.used() > 0.999, "{:?}", simulator.shares());
}
