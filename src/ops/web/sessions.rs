//! Who has shown the token: sessions of browsers, and how often a wrong token may be tried.
//!
//! Sessions live in memory, each with a CSRF token of its own; a restart ends them all. Promise: neither the number of
//! sessions nor that of remembered addresses grows without bound, and a session ends by itself.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::rand;
use tokio::time::Instant;

use crate::domain::secret::Secret;

/// Sessions at once; one more ends the one unused for longest.
const MOST_SESSIONS: usize = 200;

/// A session nobody uses ends after this.
const IDLE: Duration = Duration::from_hours(2);

/// Every session ends after this: a night's shift.
const LONGEST: Duration = Duration::from_hours(12);

/// Wrong tokens from one address within [`WINDOW`]; more are not looked at.
const MOST_FROM_ONE: u32 = 10;

/// Wrong tokens from all addresses within [`WINDOW`].
const MOST_FROM_ALL: u32 = 100;

/// For how long a wrong token is remembered.
const WINDOW: Duration = Duration::from_mins(1);

/// What one browser has.
struct Session {
    csrf: String,
    began: Instant,
    used: Instant,
}

/// All sessions, and the wrong tokens of the last minute.
#[derive(Default)]
pub(in crate::ops::web) struct Sessions(Mutex<Inner>);

#[derive(Default)]
struct Inner {
    by_digest: HashMap<[u8; 32], Session>,
    window: Option<Instant>,
    wrong: HashMap<IpAddr, u32>,
    wrong_in_all: u32,
}

/// What came of a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops::web) enum Admission {
    /// It is the right one; the value is for the cookie.
    Admitted(Secret),
    /// It is not.
    Wrong,
    /// Too many wrong ones came; this one was not looked at.
    TooMany,
}

impl Sessions {
    /// Compares a token in constant time and begins a session if it is the right one.
    pub(in crate::ops::web) fn admit(&self, shown: &str, token: &Secret, from: IpAddr) -> Admission {
        let now = Instant::now();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.window.is_none_or(|began| now.duration_since(began) >= WINDOW) {
            inner.window = Some(now);
            inner.wrong.clear();
            inner.wrong_in_all = 0;
        }
        let from_one = inner.wrong.get(&from).copied().unwrap_or_default();
        if from_one >= MOST_FROM_ONE || inner.wrong_in_all >= MOST_FROM_ALL {
            return Admission::TooMany;
        }
        if !is_same(shown, token.expose()) {
            *inner.wrong.entry(from).or_default() += 1;
            inner.wrong_in_all += 1;
            return Admission::Wrong;
        }
        inner.by_digest.retain(|_, session| session.is_alive(now));
        if inner.by_digest.len() >= MOST_SESSIONS
            && let Some(oldest) = inner.by_digest.iter().min_by_key(|(_, session)| session.used).map(|(key, _)| *key)
        {
            inner.by_digest.remove(&oldest);
        }
        let id = draw();
        inner
            .by_digest
            .insert(digest_of(id.expose()), Session { csrf: draw().expose().to_owned(), began: now, used: now });
        Admission::Admitted(id)
    }

    /// Finds the CSRF token of a live session, and counts it as used.
    pub(in crate::ops::web) fn csrf(&self, id: &str) -> Option<String> {
        let now = Instant::now();
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Found by a digest, so that how long the search takes tells nothing of the ids.
        let session = inner.by_digest.get_mut(&digest_of(id)).filter(|session| session.is_alive(now))?;
        session.used = now;
        Some(session.csrf.clone())
    }

    /// Ends a session.
    pub(in crate::ops::web) fn end(&self, id: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).by_digest.remove(&digest_of(id));
    }
}

impl Session {
    fn is_alive(&self, now: Instant) -> bool {
        now.duration_since(self.used) < IDLE && now.duration_since(self.began) < LONGEST
    }
}

/// Compares two secrets; how long it takes tells nothing but their lengths.
pub(in crate::ops::web) fn is_same(shown: &str, kept: &str) -> bool {
    verify_slices_are_equal(shown.as_bytes(), kept.as_bytes()).is_ok()
}

/// Draws a secret of 32 random bytes, in hexadecimal.
pub(in crate::ops) fn draw() -> Secret {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).expect("invariant: the system has random bytes");
    Secret::new(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

fn digest_of(text: &str) -> [u8; 32] {
    let mut found = [0; 32];
    found.copy_from_slice(digest(&SHA256, text.as_bytes()).as_ref());
    found
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn token() -> Secret {
        Secret::new("0123456789abcdef")
    }

    fn enter(sessions: &Sessions) -> Secret {
        match sessions.admit("0123456789abcdef", &token(), HERE) {
            Admission::Admitted(id) => id,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_ends_by_hand_when_idle_and_at_last() {
        let sessions = Sessions::default();
        let (first, second) = (enter(&sessions), enter(&sessions));
        assert_ne!(sessions.csrf(first.expose()), sessions.csrf(second.expose()));
        sessions.end(first.expose());
        assert_eq!(sessions.csrf(first.expose()), None);
        for _ in 0..11 {
            tokio::time::advance(Duration::from_mins(61)).await;
            assert!(sessions.csrf(second.expose()).is_some());
        }
        tokio::time::advance(Duration::from_mins(61)).await;
        assert_eq!(sessions.csrf(second.expose()), None, "no session outlives a shift");
        let third = enter(&sessions);
        tokio::time::advance(IDLE).await;
        assert_eq!(sessions.csrf(third.expose()), None, "nobody used it");
    }

    #[tokio::test(start_paused = true)]
    async fn wrong_tokens_are_bounded_and_the_right_one_waits_with_them() {
        let sessions = Sessions::default();
        for _ in 0..MOST_FROM_ONE {
            assert_eq!(sessions.admit("0123456789abcdeF", &token(), HERE), Admission::Wrong);
        }
        assert_eq!(sessions.admit("0123456789abcdef", &token(), HERE), Admission::TooMany);
        let elsewhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
        assert!(matches!(sessions.admit("0123456789abcdef", &token(), elsewhere), Admission::Admitted(_)));
        tokio::time::advance(WINDOW).await;
        enter(&sessions);
    }

    #[tokio::test(start_paused = true)]
    async fn many_addresses_together_are_bounded_too() {
        let sessions = Sessions::default();
        for last in 0..MOST_FROM_ALL {
            let from = IpAddr::V4(Ipv4Addr::from(last));
            assert_eq!(sessions.admit("", &token(), from), Admission::Wrong);
        }
        assert_eq!(sessions.admit("0123456789abcdef", &token(), HERE), Admission::TooMany);
    }

    #[tokio::test(start_paused = true)]
    async fn the_session_unused_for_longest_gives_way() {
        let sessions = Sessions::default();
        let first = enter(&sessions);
        tokio::time::advance(Duration::from_secs(1)).await;
        let second = enter(&sessions);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(sessions.csrf(first.expose()).is_some());
        for _ in 0..MOST_SESSIONS - 1 {
            enter(&sessions);
        }
        assert!(sessions.csrf(first.expose()).is_some());
        assert_eq!(sessions.csrf(second.expose()), None);
    }

    #[test]
    fn what_is_drawn_is_long_and_never_the_same() {
        let (one, other) = (draw(), draw());
        assert_eq!(one.expose().len(), 64);
        assert_ne!(one, other);
    }
}
