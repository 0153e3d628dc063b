//! A plan of faults, drawn from a seed: the same seed, the same plan.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{RngExt, SeedableRng};

use crate::fault::{Fault, Side, Trouble};
use crate::proxy::{Way, Which};

/// What gateways do wrong, each with its greatest rate; together they come to less than 1/2.
const MISHAPS: [(&str, f64); 14] = [
    ("system_error", 0.06),
    ("reset", 0.05),
    ("reset:taken", 0.03),
    ("timeout", 0.015),
    ("timeout:taken", 0.01),
    ("garbage", 0.04),
    ("unsigned_success", 0.03),
    ("bad_signature", 0.03),
    ("throttled", 0.02),
    ("gbk", 0.05),
    ("latency:40ms", 0.08),
    ("latency:400ms", 0.02),
    ("unlisted_code", 0.015),
    ("illegal_sign", 0.004),
];

/// How the workers share each account's rate.
const SHARING: [&str; 2] = ["mode = \"fleet\"", "mode = \"static\"\nshare = \"1/2\""];

/// Faults in their order, and how the world is set up for them.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plan {
    /// Where it comes from.
    pub(crate) seed: u64,
    /// How the workers share, in TOML.
    pub(crate) sharing: &'static str,
    /// What goes wrong when.
    pub(crate) steps: Vec<Step>,
}

/// One fault and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Step {
    /// Once so much of the work is done, in percent of the ids.
    pub(crate) percent: usize,
    /// What happens then.
    pub(crate) fault: Fault,
}

impl Plan {
    /// Draws a plan for some posts: every sort of fault, and some more, in any order.
    pub(crate) fn draw(seed: u64, posts: usize) -> Self {
        let mut draw = Draw { random: StdRng::seed_from_u64(seed), posts };
        let sharing = SHARING.choose(&mut draw.random).expect("there are two");
        let mut faults = vec![
            draw.broker(),
            draw.kill(),
            draw.kill(),
            draw.freeze(),
            draw.link(Side::Broker),
            draw.link(Side::Broker),
            draw.link(Side::Broker),
            draw.link(Side::Gateway),
            draw.gateways(),
        ];
        for _ in 0..draw.random.random_range(0..3) {
            let more = match draw.random.random_range(0..3) {
                0 => draw.kill(),
                1 => draw.link(Side::Broker),
                _ => draw.link(Side::Gateway),
            };
            faults.push(more);
        }
        faults.shuffle(&mut draw.random);
        let mut percents: Vec<usize> = faults.iter().map(|_| draw.random.random_range(3..85)).collect();
        percents.sort_unstable();
        let mut steps = vec![Step { percent: 0, fault: draw.gateways() }];
        steps.extend(percents.into_iter().zip(faults).map(|(percent, fault)| Step { percent, fault }));
        Self { seed, sharing, steps }
    }
}

struct Draw {
    random: StdRng,
    posts: usize,
}

impl Draw {
    fn between(&mut self, least_ms: u64, most_ms: u64) -> Duration {
        Duration::from_millis(self.random.random_range(least_ms..=most_ms))
    }

    fn post(&mut self) -> usize {
        self.random.random_range(0..self.posts)
    }

    fn kill(&mut self) -> Fault {
        let post = self.post();
        if self.random.random() { Fault::Kill { post } } else { Fault::KillSlowed { post, by: self.between(50, 300) } }
    }

    fn freeze(&mut self) -> Fault {
        Fault::Freeze { post: self.post(), length: self.between(6000, 8000) }
    }

    fn broker(&mut self) -> Fault {
        let down = self.between(0, 500);
        if self.random.random() { Fault::StopBroker { down } } else { Fault::KillBroker { down } }
    }

    fn link(&mut self, side: Side) -> Fault {
        let trouble = match self.random.random_range(0..7) {
            0 => Trouble::Cut,
            1 => Trouble::Halve,
            2 => Trouble::HalfClose(Way::There),
            3 => Trouble::HalfClose(Way::Back),
            4 => Trouble::Delay { by: self.between(20, 300), length: self.between(1000, 4000) },
            5 => Trouble::Throttle { rate: self.random.random_range(1000..=20_000), length: self.between(1000, 4000) },
            _ => Trouble::BlackHole { length: self.between(500, 6000) },
        };
        let which = [Which::All, Which::Odd, Which::Even].choose(&mut self.random).expect("there are three");
        Fault::Link { post: self.post(), side, which: *which, trouble }
    }

    fn gateways(&mut self) -> Fault {
        let mut rates = Vec::new();
        for (word, most) in MISHAPS {
            if self.random.random_range(0..3) > 0 {
                rates.push(format!("{word}={:.4}", self.random.random_range(0.0..most)));
            }
        }
        Fault::Gateways { rates }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "plan of seed {}, {}:", self.seed, self.sharing.replace('\n', ", "))?;
        self.steps.iter().try_for_each(|Step { percent, fault }| writeln!(f, "  {percent:>3} %  {fault}"))
    }
}

#[test]
fn the_same_seed_draws_the_same_plan_and_another_another() {
    assert_eq!(Plan::draw(7, 2), Plan::draw(7, 2));
    assert_ne!(Plan::draw(7, 2).steps, Plan::draw(8, 2).steps);
}

#[test]
fn every_sort_of_fault_is_drawn_and_every_post_hit() {
    let plans: Vec<_> = (0..200).map(|seed| Plan::draw(seed, 2)).collect();
    let mut kinds: Vec<_> = plans.iter().flat_map(|plan| &plan.steps).map(|step| step.fault.kind()).collect();
    kinds.sort_unstable();
    kinds.dedup();
    // Worker killed twofold, frozen; broker killed, restarted; six troubles on two sides; the gateways.
    assert_eq!(kinds.len(), 18, "{kinds:?}");
    for plan in plans {
        assert!((10..=12).contains(&plan.steps.len()), "{plan}");
        assert!(plan.steps.is_sorted_by_key(|step| step.percent), "{plan}");
    }
}
