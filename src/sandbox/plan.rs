//! Which fault meets which request: the script first, then a draw that depends on seed, item and turn alone.
//!
//! Promise: with the same seed, the same call on the same item meets the same fault, in whatever order a swarm of
//! concurrent calls arrives.

use std::collections::{BTreeMap, VecDeque};

use sha2::{Digest, Sha256};

use crate::sandbox::faults::{Effect, Fault, Faults};

/// The faults still to be played.
#[derive(Debug)]
pub(super) struct Plan {
    seed: u64,
    for_any: VecDeque<(usize, Option<Fault>)>,
    for_item: BTreeMap<String, VecDeque<(usize, Option<Fault>)>>,
    rates: Vec<(Fault, f64)>,
}

impl Plan {
    /// Lays out faults; those for one item are found without walking the whole script.
    pub(super) fn new(faults: Faults, seed: u64) -> Self {
        let mut plan = Self { seed, for_any: VecDeque::new(), for_item: BTreeMap::new(), rates: faults.rates };
        for (order, entry) in faults.script.into_iter().enumerate() {
            match entry.item {
                None => plan.for_any.push_back((order, entry.fault)),
                Some(item) => plan.for_item.entry(item).or_default().push_back((order, entry.fault)),
            }
        }
        plan
    }

    /// Takes the fault of an item's next call; `turn` counts the item's calls.
    pub(super) fn next(&mut self, item: &str, turn: u64) -> Option<Fault> {
        let (which, coin) = draw(self.seed, item, turn);
        let fault = match self.scripted(item) {
            Some(scripted) => scripted?,
            None => self.drawn(which)?,
        };
        let effect = |effect: Effect| match effect {
            Effect::Either if coin < 0.5 => Effect::Taken,
            Effect::Either => Effect::NotTaken,
            said @ (Effect::Taken | Effect::NotTaken) => said,
        };
        Some(match fault {
            Fault::SystemError(said) => Fault::SystemError(effect(said)),
            Fault::Timeout(said) => Fault::Timeout(effect(said)),
            Fault::Reset(said) => Fault::Reset(effect(said)),
            other => other,
        })
    }

    fn scripted(&mut self, item: &str) -> Option<Option<Fault>> {
        let own = self.for_item.get(item).and_then(VecDeque::front).map(|(order, _)| *order);
        let any = self.for_any.front().map(|(order, _)| *order);
        let queue = match (own, any) {
            (None, None) => return None,
            (Some(own), Some(any)) if any < own => &mut self.for_any,
            (None, Some(_)) => &mut self.for_any,
            (Some(_), _) => self.for_item.get_mut(item)?,
        };
        queue.pop_front().map(|(_, fault)| fault)
    }

    fn drawn(&self, which: f64) -> Option<Fault> {
        let mut upper = 0.0;
        let drawn = self.rates.iter().find(|(_, rate)| {
            upper += rate;
            which < upper
        });
        drawn.map(|(fault, _)| fault.clone())
    }
}

/// Two numbers in 0..1, fixed by their arguments.
pub(super) fn draw(seed: u64, item: &str, turn: u64) -> (f64, f64) {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(turn.to_le_bytes());
    hash.update(item.as_bytes());
    let digest = hash.finalize();
    let number = |from: usize| {
        let bits = digest[from..from + 4].iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte));
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    };
    (number(0), number(4))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(file: &str, rates: &[&str]) -> Plan {
        Plan::new(Faults::parse(rates.iter().copied(), file).unwrap(), 7)
    }

    #[test]
    fn a_script_is_played_once_in_order_and_by_item() {
        let mut plan =
            plan("{\"item\":\"a\",\"fault\":\"gbk\"}\n{\"fault\":\"garbage\"}\n{\"item\":\"a\",\"fault\":null}", &[]);
        assert_eq!(plan.next("b", 1), Some(Fault::Garbage));
        assert_eq!(plan.next("a", 1), Some(Fault::Gbk));
        assert_eq!(plan.next("a", 2), None);
        assert_eq!(plan.next("b", 2), None);
        assert_eq!(plan.next("a", 3), None);
    }

    #[test]
    fn an_entry_for_any_item_that_stands_first_goes_first() {
        let mut plan = plan("{\"fault\":\"garbage\"}\n{\"item\":\"a\",\"fault\":\"gbk\"}", &[]);
        assert_eq!(plan.next("a", 1), Some(Fault::Garbage));
        assert_eq!(plan.next("a", 2), Some(Fault::Gbk));
    }

    #[test]
    fn a_pass_in_the_script_shields_from_the_rates() {
        let mut plan = plan("{\"fault\":null}", &["garbage=1"]);
        assert_eq!(plan.next("a", 1), None);
        assert_eq!(plan.next("a", 2), Some(Fault::Garbage));
    }

    #[test]
    fn the_same_seed_draws_the_same_faults_in_any_order() {
        let rates = ["system_error=0.3", "gbk=0.3"];
        let calls: Vec<String> = (0..200).map(|n| n.to_string()).collect();
        let (mut forth, mut back) = (plan("", &rates), plan("", &rates));
        let first: Vec<_> = calls.iter().map(|item| forth.next(item, 1)).collect();
        let mut second: Vec<_> = calls.iter().rev().map(|item| back.next(item, 1)).collect();
        second.reverse();
        assert_eq!(first, second);
    }

    #[test]
    fn draws_come_at_their_rates_and_the_coin_is_fair() {
        let mut plan = plan("", &["system_error=0.3", "gbk=0.1"]);
        let drawn: Vec<_> = (0..10_000).map(|n| plan.next(&format!("item-{n}"), 1)).collect();
        let count = |fault: Option<Fault>| drawn.iter().filter(|drawn| **drawn == fault).count();
        let taken = count(Some(Fault::SystemError(Effect::Taken)));
        let not_taken = count(Some(Fault::SystemError(Effect::NotTaken)));
        assert!((1350..1650).contains(&taken) && (1350..1650).contains(&not_taken), "{taken} {not_taken}");
        assert!((850..1150).contains(&count(Some(Fault::Gbk))));
    }
}
