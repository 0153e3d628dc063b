//! Bounds, ticks and quantiles: the arithmetic of charts.

use crate::ops::chart::spread::Spread;

/// A value that so many percent of all do not exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quantile {
    /// 1 to 100.
    pub percent: u8,
    /// The value; one of those measured, to three digits.
    pub value: u64,
}

/// The quantiles told of every histogram.
const PERCENTS: [u8; 4] = [50, 95, 99, 100];

/// Returns the quantiles of values (nearest rank); none of nothing.
#[must_use]
pub fn quantiles(values: &Spread) -> Vec<Quantile> {
    let total = values.total();
    let rank = |percent: u8| (total * u64::from(percent)).div_ceil(100).max(1);
    let quantile = |percent| Some(Quantile { percent, value: values.ranked(rank(percent))? });
    PERCENTS.into_iter().filter_map(quantile).collect()
}

/// Sorts values between bounds that are 0, or 1, 2 or 5 times a power of ten; empty buckets at either end are
/// left out.
#[must_use]
pub fn buckets(values: &Spread) -> Vec<(u64, u64, u64)> {
    let Some((least, most)) = values.ends() else { return Vec::new() };
    let mut found = Vec::new();
    let mut from = 0;
    for to in bounds() {
        if to > least {
            found.push((from, to, values.between(from, to)));
        }
        from = to;
        if to > most {
            break;
        }
    }
    found
}

/// 1, 2, 5, 10, 20, 50 … as far as numbers go.
fn bounds() -> impl Iterator<Item = u64> {
    steps(&[1, 2, 5])
}

fn steps(digits: &[u64]) -> impl Iterator<Item = u64> {
    let powers = (0..=19).map_while(|power| 10u64.checked_pow(power));
    powers.flat_map(|power| digits.iter().filter_map(move |digit| power.checked_mul(*digit)))
}

/// Returns the least round number that is not below a value: where an axis may end.
#[must_use]
pub fn ceiling(value: u64) -> u64 {
    steps(&[1, 2, 3, 4, 5, 6, 8]).find(|bound| *bound >= value).unwrap_or(u64::MAX)
}

/// Returns a part of a whole, from 0 to 1.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "for drawing")]
pub fn part(value: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { value as f64 / whole as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_in_one_bucket() {
        let buckets = |values: &[u64]| super::buckets(&values.iter().copied().collect());
        assert_eq!(buckets(&[]), []);
        assert_eq!(buckets(&[0]), [(0, 1, 1)]);
        assert_eq!(buckets(&[3, 4, 5, 20, 21]), [(2, 5, 2), (5, 10, 1), (10, 20, 0), (20, 50, 2)]);
        let values: Vec<u64> = (0..1000).map(|n| n * n).collect();
        assert_eq!(buckets(&values).iter().map(|(.., count)| count).sum::<u64>(), 1000);
        assert_eq!(buckets(&[1_000_000_000_000]).len(), 1);
    }

    #[test]
    fn a_quantile_is_a_value_that_was_measured() {
        let told = |values: &[u64]| {
            let values = values.iter().copied().collect();
            quantiles(&values).iter().map(|q| (q.percent, q.value)).collect::<Vec<_>>()
        };
        assert_eq!(told(&[]), []);
        assert_eq!(told(&[7]), [(50, 7), (95, 7), (99, 7), (100, 7)]);
        let hundred: Vec<u64> = (1..=100).collect();
        assert_eq!(told(&hundred), [(50, 50), (95, 95), (99, 99), (100, 100)]);
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!([0, 1, 3, 10, 11, 211, 499, 801].map(ceiling), [1, 1, 3, 10, 20, 300, 500, 1000]);
        assert_eq!(ceiling(u64::MAX), u64::MAX);
    }
}
