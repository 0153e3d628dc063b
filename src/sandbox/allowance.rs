//! How many calls the gateways take of each caller, by `governor`: a judge of rates that shares nothing with the limiter
//! it judges.
//!
//! Promise: whoever keeps to the rate is never refused, as long as its calls arrive no more than a tenth of a second
//! closer together than they left.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

/// Calls saved up by a caller that pauses, as a part of a second's: what a network may bunch together.
const BUNCHED: u32 = 10;

/// The calls left to each caller.
#[derive(Debug)]
pub(super) struct Allowance(DefaultKeyedRateLimiter<String>);

impl Allowance {
    /// Allows each caller one call in this time.
    pub(super) fn new(period: Duration) -> Option<Self> {
        let quota = Quota::with_period(period)?;
        let bunched = (Duration::from_secs(1) / BUNCHED).as_nanos().div_ceil(period.as_nanos());
        let burst = u32::try_from(bunched).ok().and_then(|bunched| NonZeroU32::new(bunched.saturating_add(1)));
        Some(Self(RateLimiter::keyed(quota.allow_burst(burst.unwrap_or(NonZeroU32::MIN)))))
    }

    /// Takes one call, if there is one left.
    pub(super) fn take(&self, caller: &str) -> bool {
        self.0.check_key(&caller.to_owned()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_its_own_and_more_at_once_is_too_much() {
        let allowance = Allowance::new(Duration::from_secs(50)).unwrap();
        let answers = [("a", true), ("a", true), ("a", false), ("b", true)];
        for (caller, is_taken) in answers {
            assert_eq!(allowance.take(caller), is_taken, "{caller}");
        }
    }
}
