//! The rate: GCRA by `governor`, over a clock that tests can pause.

use std::num::NonZeroU32;
use std::time::Duration;

/// A number of calls per time, with a burst; written `20/s`, `600/min`, `5000/h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Calls per [`Rate::per`].
    pub calls: NonZeroU32,
    /// 1 s, 1 min or 1 h.
    pub per: Duration,
    /// Calls that may leave at once after a pause; default 1.
    pub burst: NonZeroU32,
}
