//! A fleet in virtual time: replicas, a broker between them, and everything that can go wrong with either.
//!
//! Beats reach the broker in order of sending and a replica in order of arrival, after random delays, as over AMQP.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::rc::Rc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::Instant;

use crate::domain::fleet::{AccountBeat, Demand, Heartbeat, Member};
use crate::domain::ids::{AccountId, WorkerId};
use crate::limits::fleet::{Fleet, Pace};

/// What befalls one replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trouble {
    /// Killed; beats under way still arrive.
    Crash,
    /// Leaves in order, with a last beat.
    Leave,
    /// Stopped (SIGSTOP) for so many milliseconds: neither sends, hears nor calls; what came meanwhile is heard after.
    Pause(u64),
    /// Nothing reaches it for so many milliseconds; then everything at once.
    Deaf(u64),
    /// What it sends is held up for so many milliseconds before the broker has it.
    Mute(u64),
    /// Its timer runs late by so many milliseconds, once.
    Late(u64),
    /// Its demand changes.
    Turn(Demand),
}

struct Replica {
    fleet: Fleet,
    is_alive: bool,
    /// Clock drift in parts per million.
    drift: f64,
    demand: Demand,
    paused_until: u64,
    deaf_until: u64,
    mute_until: u64,
    /// When its last beat reached the broker, and when the last one reached it.
    sent_until: u64,
    heard_until: u64,
    late_until: u64,
    /// Beats in its queue, and on the way from there to it.
    inbox: VecDeque<Rc<Heartbeat>>,
}

enum Event {
    /// A replica's timer.
    Timer(usize),
    /// A beat reaches the broker.
    Broker(Heartbeat),
    /// The next beat of its queue reaches a replica.
    Arrival(usize),
}

/// A run; moments are microseconds since its start.
pub(super) struct Simulator {
    origin: Instant,
    pub(super) pace: Pace,
    pub(super) now: u64,
    account: AccountId,
    replicas: Vec<Replica>,
    events: BTreeMap<u64, Event>,
    order: BinaryHeap<Reverse<(u64, u64)>>,
    count: u64,
    pub(super) rng: StdRng,
    /// Longest delay of one leg, in microseconds, where nothing is wrong.
    pub(super) delay: u64,
}

const MILLI: u64 = 1000;

impl Simulator {
    pub(super) fn new(seed: u64, pace: Pace) -> Self {
        Self {
            origin: Instant::now(),
            pace,
            now: 0,
            account: AccountId::new("desk").unwrap(),
            replicas: Vec::new(),
            events: BTreeMap::new(),
            order: BinaryHeap::new(),
            count: 0,
            rng: StdRng::seed_from_u64(seed),
            delay: 20 * MILLI,
        }
    }

    /// Adds a replica; it begins to beat at once.
    pub(super) fn join(&mut self, demand: Demand) -> usize {
        let index = self.replicas.len();
        let drift = self.rng.random_range(-200.0..200.0);
        let epoch = self.rng.random();
        let member = Member { worker: WorkerId::new(format!("w-{index}")).unwrap(), epoch };
        let now = self.local(drift, self.now);
        self.replicas.push(Replica {
            fleet: Fleet::new(member, self.pace, now),
            is_alive: true,
            drift,
            demand,
            paused_until: 0,
            deaf_until: 0,
            mute_until: 0,
            sent_until: 0,
            heard_until: 0,
            late_until: 0,
            inbox: VecDeque::new(),
        });
        self.at(self.now, Event::Timer(index));
        index
    }

    pub(super) fn living(&self) -> Vec<usize> {
        (0..self.replicas.len()).filter(|index| self.replicas[*index].is_alive).collect()
    }

    pub(super) fn trouble(&mut self, index: usize, trouble: Trouble) {
        let now = self.now;
        let replica = &mut self.replicas[index];
        match trouble {
            Trouble::Crash => replica.is_alive = false,
            Trouble::Leave => {
                let local = self.origin + scaled(replica.drift, now);
                let beat = replica.fleet.beat(BTreeMap::new(), local);
                replica.is_alive = false;
                self.send(index, beat);
            }
            Trouble::Pause(ms) => replica.paused_until = now + ms * MILLI,
            Trouble::Deaf(ms) => replica.deaf_until = now + ms * MILLI,
            Trouble::Mute(ms) => replica.mute_until = now + ms * MILLI,
            Trouble::Late(ms) => replica.late_until = now + ms * MILLI,
            Trouble::Turn(demand) => replica.demand = demand,
        }
    }

    /// Lets time pass.
    pub(super) fn run_until(&mut self, until: u64) {
        while let Some(Reverse((at, number))) = self.order.peek().copied() {
            if at > until {
                break;
            }
            self.order.pop();
            self.now = at;
            let event = self.events.remove(&number).unwrap();
            self.happen(event);
        }
        self.now = until;
    }

    /// Sum of the shares in use at this moment: a stopped process calls nobody.
    pub(super) fn used(&self) -> f64 {
        self.shares().iter().map(|(_, share)| share).sum()
    }

    /// Shares in use, by replica.
    pub(super) fn shares(&self) -> Vec<(usize, f64)> {
        let of = |(index, replica): (usize, &Replica)| {
            let is_calling = replica.is_alive && replica.paused_until <= self.now;
            let share = || replica.fleet.share(&self.account, self.local(replica.drift, self.now));
            (index, if is_calling { share() } else { 0.0 })
        };
        self.replicas.iter().enumerate().map(of).collect()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Timer(index) => self.tick(index),
            Event::Broker(beat) => {
                let beat = Rc::new(beat);
                for index in 0..self.replicas.len() {
                    if self.replicas[index].is_alive {
                        self.deliver(index, Rc::clone(&beat));
                    }
                }
            }
            Event::Arrival(index) => {
                let now = self.local(self.replicas[index].drift, self.now);
                let replica = &mut self.replicas[index];
                let held_up = replica.paused_until.max(replica.deaf_until);
                if held_up > self.now {
                    return self.at(held_up, Event::Arrival(index));
                }
                let beat = replica.inbox.pop_front().expect("one arrival a beat");
                if replica.is_alive {
                    replica.fleet.hear(&beat, now);
                }
            }
        }
    }

    fn tick(&mut self, index: usize) {
        let (origin, now) = (self.origin, self.now);
        let replica = &mut self.replicas[index];
        if !replica.is_alive {
            return;
        }
        let held_up = replica.paused_until.max(replica.late_until);
        if held_up > now {
            return self.at(held_up, Event::Timer(index));
        }
        let local = origin + scaled(replica.drift, now);
        let accounts = BTreeMap::from([(self.account.clone(), AccountBeat::wanting(replica.demand))]);
        let beat = replica.fleet.beat(accounts, local);
        self.send(index, beat);
        let interval = u64::try_from(self.pace.heartbeat.as_micros()).unwrap();
        let jitter = self.rng.random_range(0..interval / 20);
        self.at(now + interval - interval / 20 + jitter, Event::Timer(index));
    }

    fn send(&mut self, index: usize, beat: Heartbeat) {
        let delay = self.rng.random_range(0..self.delay);
        let replica = &mut self.replicas[index];
        let at = (self.now + delay).max(replica.mute_until).max(replica.sent_until);
        replica.sent_until = at;
        self.at(at, Event::Broker(beat));
    }

    fn deliver(&mut self, index: usize, beat: Rc<Heartbeat>) {
        let delay = self.rng.random_range(0..self.delay);
        let replica = &mut self.replicas[index];
        let at = (self.now + delay).max(replica.deaf_until).max(replica.heard_until);
        replica.heard_until = at;
        replica.inbox.push_back(beat);
        self.at(at, Event::Arrival(index));
    }

    fn at(&mut self, at: u64, event: Event) {
        self.count += 1;
        self.events.insert(self.count, event);
        self.order.push(Reverse((at, self.count)));
    }

    fn local(&self, drift: f64, at: u64) -> Instant {
        self.origin + scaled(drift, at)
    }
}

/// A moment by a clock that drifts.
fn scaled(drift: f64, at: u64) -> Duration {
    Duration::from_secs_f64(at as f64 / 1e6 * (1.0 + drift / 1e6))
}
