//! The nonces a gateway has seen, so that a request sent twice is told from two requests.
//!
//! Promise: a nonce is refused for as long as its timestamp would pass, and forgotten some time after.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

/// Nonces of two spans of time; each is kept for one span at least and for two at most.
#[derive(Debug)]
pub(super) struct Nonces {
    span: Duration,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    began: SystemTime,
    now: HashSet<String>,
    before: HashSet<String>,
}

/// Whether a nonce was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nonce {
    New,
    Seen,
}

impl Nonces {
    /// Begins with none.
    pub(super) fn new(span: Duration) -> Self {
        let inner = Inner { began: SystemTime::UNIX_EPOCH, now: HashSet::new(), before: HashSet::new() };
        Self { span, inner: Mutex::new(inner) }
    }

    /// Takes note of a nonce.
    pub(super) fn take(&self, nonce: &str, now: SystemTime) -> Nonce {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if now.duration_since(inner.began).is_ok_and(|age| age > self.span) {
            inner.before = std::mem::take(&mut inner.now);
            inner.began = now;
        }
        if inner.before.contains(nonce) || !inner.now.insert(nonce.to_owned()) { Nonce::Seen } else { Nonce::New }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_refused_for_a_span_and_forgotten_after_two() {
        let second = Duration::from_secs(1);
        let begin = SystemTime::UNIX_EPOCH + Duration::from_hours(24);
        let nonces = Nonces::new(10 * second);
        assert_eq!(nonces.take("a", begin), Nonce::New);
        assert_eq!(nonces.take("b", begin + 9 * second), Nonce::New);
        for late in [0, 9, 11, 19] {
            assert_eq!(nonces.take("b", begin + late * second), Nonce::Seen, "{late}");
        }
        assert_eq!(nonces.take("c", begin + 22 * second), Nonce::New);
        assert_eq!(nonces.take("a", begin + 33 * second), Nonce::New);
    }
}
