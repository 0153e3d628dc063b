//! Who is next among those who wait for a turn: high before normal, and among equals fresh work and repeated in turn.
//!
//! Without a clock, and blind to what waits. Promise: order within a class is that of asking, and whoever waits is
//! passed by a bounded number only: a normal one by at most [`HIGH_IN_A_ROW`] high ones for each turn of its kind.

use std::collections::VecDeque;

/// Turns of high priority in a row while normal ones wait.
pub const HIGH_IN_A_ROW: u32 = 4;

/// How urgent a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Urgency {
    /// Before normal ones.
    High,
    /// The default.
    #[default]
    Normal,
}

/// Whether a message was tried or put off before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Round {
    /// It was not: fresh work.
    #[default]
    First,
    /// It was: at most half of the turns are theirs while fresh ones wait.
    Again,
}

/// What a call is in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Class {
    /// How urgent it is.
    pub urgency: Urgency,
    /// Whether it comes again.
    pub round: Round,
}

/// Waiting ones by class.
#[derive(Debug)]
pub(crate) struct Lanes<T> {
    high: Pair<T>,
    normal: Pair<T>,
    high_in_a_row: u32,
}

/// Fresh and repeated work of one urgency.
#[derive(Debug)]
struct Pair<T> {
    fresh: VecDeque<T>,
    again: VecDeque<T>,
    last: Round,
}

impl<T> Default for Lanes<T> {
    fn default() -> Self {
        let pair = || Pair { fresh: VecDeque::new(), again: VecDeque::new(), last: Round::Again };
        Self { high: pair(), normal: pair(), high_in_a_row: 0 }
    }
}

impl<T> Lanes<T> {
    /// Lines up behind those of the same class.
    pub(crate) fn push(&mut self, class: Class, item: T) {
        let pair = match class.urgency {
            Urgency::High => &mut self.high,
            Urgency::Normal => &mut self.normal,
        };
        match class.round {
            Round::First => pair.fresh.push_back(item),
            Round::Again => pair.again.push_back(item),
        }
    }

    /// Takes the next one that still waits.
    pub(crate) fn pop(&mut self, still_waits: impl Fn(&T) -> bool) -> Option<T> {
        self.high.forget(&still_waits);
        self.normal.forget(&still_waits);
        if self.normal.is_empty() {
            // Those who come now find that nobody was passed.
            self.high_in_a_row = 0;
            return self.high.pop();
        }
        if self.high.is_empty() || self.high_in_a_row >= HIGH_IN_A_ROW {
            self.high_in_a_row = 0;
            return self.normal.pop();
        }
        self.high_in_a_row += 1;
        self.high.pop()
    }
}

impl<T> Pair<T> {
    fn forget(&mut self, still_waits: &impl Fn(&T) -> bool) {
        self.fresh.retain(still_waits);
        self.again.retain(still_waits);
    }

    fn is_empty(&self) -> bool {
        self.fresh.is_empty() && self.again.is_empty()
    }

    fn pop(&mut self) -> Option<T> {
        let round = match (self.fresh.is_empty(), self.again.is_empty(), self.last) {
            (false, false, Round::Again) | (false, true, _) => Round::First,
            (false, false, Round::First) | (true, _, _) => Round::Again,
        };
        self.last = round;
        match round {
            Round::First => self.fresh.pop_front(),
            Round::Again => self.again.pop_front(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HIGH: Class = Class { urgency: Urgency::High, round: Round::First };
    const FRESH: Class = Class { urgency: Urgency::Normal, round: Round::First };
    const AGAIN: Class = Class { urgency: Urgency::Normal, round: Round::Again };

    fn order(waiting: &[(Class, usize)]) -> String {
        let mut lanes = Lanes::default();
        for (class, count) in waiting {
            let word = if *class == HIGH {
                'h'
            } else if *class == FRESH {
                'f'
            } else {
                'a'
            };
            (0..*count).for_each(|_| lanes.push(*class, word));
        }
        std::iter::from_fn(|| lanes.pop(|_| true)).collect()
    }

    #[test]
    fn high_goes_before_normal_but_not_for_ever() {
        assert_eq!(order(&[(FRESH, 3), (HIGH, 10)]), "hhhhfhhhhfhhf");
    }

    #[test]
    fn fresh_work_and_repeated_take_turns_and_neither_waits_for_nobody() {
        assert_eq!(order(&[(AGAIN, 4), (FRESH, 2)]), "fafaaa");
        assert_eq!(order(&[(AGAIN, 3)]), "aaa");
    }

    #[test]
    fn one_that_no_longer_waits_takes_no_turn() {
        let mut lanes = Lanes::default();
        (0..4).for_each(|number| lanes.push(if number == 0 { HIGH } else { FRESH }, number));
        assert_eq!(std::iter::from_fn(|| lanes.pop(|number| number % 2 == 1)).collect::<Vec<_>>(), [1, 3]);
    }

    fn class() -> impl Strategy<Value = Class> {
        let urgency = prop_oneof![Just(Urgency::High), Just(Urgency::Normal)];
        let round = prop_oneof![Just(Round::First), Just(Round::Again)];
        (urgency, round).prop_map(|(urgency, round)| Class { urgency, round })
    }

    proptest! {
        /// Whoever comes and goes: order within a class holds, and nobody is passed by more than the budgets allow.
        #[test]
        fn nobody_starves(steps in prop::collection::vec(prop::option::weighted(0.55, class()), 1..400)) {
            let mut lanes = Lanes::default();
            // By class: number, and turns that went to others since the front of the class became the front.
            let mut waiting: Vec<(Class, usize)> = Vec::new();
            let mut passed = [[0usize; 2]; 2];
            let at = |class: Class| (usize::from(class.urgency == Urgency::Normal), usize::from(class.round == Round::Again));
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Some(class) => {
                        lanes.push(class, (class, number));
                        waiting.push((class, number));
                    }
                    None => {
                        let Some((class, number)) = lanes.pop(|_| true) else {
                            prop_assert!(waiting.is_empty());
                            continue;
                        };
                        let first = waiting.iter().position(|(other, _)| *other == class).unwrap();
                        prop_assert_eq!(waiting.remove(first), (class, number));
                        for (urgency, row) in passed.iter_mut().enumerate() {
                            for (round, count) in row.iter_mut().enumerate() {
                                let waits = waiting.iter().any(|(other, _)| at(*other) == (urgency, round));
                                *count = if waits && at(class) != (urgency, round) { *count + 1 } else { 0 };
                            }
                        }
                        let k = usize::try_from(HIGH_IN_A_ROW).unwrap();
                        // A high one: the other kind's turn, and a normal one's. A normal one: the same, each after k high.
                        prop_assert!(passed[0].iter().all(|count| *count <= 2), "{passed:?}");
                        prop_assert!(passed[1].iter().all(|count| *count <= 2 * k + 1), "{passed:?}");
                    }
                }
            }
        }
    }
}
