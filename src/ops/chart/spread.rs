//! How often which values came, in bounded memory however many there were.

use std::collections::BTreeMap;

/// Values below this are kept as they are, others to three digits; so there are never more than some thousands.
const EXACT: u64 = 1000;

/// Values and how often each came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Spread(BTreeMap<u64, u64>);

impl Spread {
    /// Takes one more in.
    pub fn add(&mut self, value: u64) {
        *self.0.entry(rounded(value)).or_default() += 1;
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns how many there were.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.values().sum()
    }

    /// Returns the least and the greatest.
    #[must_use]
    pub fn ends(&self) -> Option<(u64, u64)> {
        Some((*self.0.first_key_value()?.0, *self.0.last_key_value()?.0))
    }

    /// Returns how many there were from one value on, and below another.
    #[must_use]
    pub fn between(&self, from: u64, to: u64) -> u64 {
        self.0.range(from..to).map(|(_, count)| count).sum()
    }

    /// Returns the value at a rank, counted from 1 in ascending order.
    #[must_use]
    pub fn ranked(&self, rank: u64) -> Option<u64> {
        let mut passed = 0;
        let reaches = |(value, count): (&u64, &u64)| {
            passed += count;
            (passed >= rank).then_some(*value)
        };
        self.0.iter().find_map(reaches)
    }
}

impl FromIterator<u64> for Spread {
    fn from_iter<I: IntoIterator<Item = u64>>(values: I) -> Self {
        let mut spread = Self::default();
        values.into_iter().for_each(|value| spread.add(value));
        spread
    }
}

/// Cuts a value to its first three digits.
fn rounded(value: u64) -> u64 {
    let mut unit = 1;
    while value / unit >= EXACT {
        unit *= 10;
    }
    value - value % unit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_kept_to_three_digits() {
        let kept = [0, 7, 999, 1000, 1234, 98_765, u64::MAX].map(rounded);
        assert_eq!(kept, [0, 7, 999, 1000, 1230, 98_700, 18_400_000_000_000_000_000]);
    }

    #[test]
    fn a_million_values_are_as_few_as_their_first_digits() {
        let spread: Spread = (0..1_000_000).collect();
        assert_eq!((spread.0.len(), spread.total()), (1000 + 900 * 3, 1_000_000));
        assert_eq!(spread.ranked(500_000), Some(499_000));
        assert_eq!(spread.between(2, 5), 3);
    }
}
