//! What is opened when a page first needs it, and let go when nobody has looked for a while.
//!
//! Promise: a worker whose pages nobody looks at holds nothing for them: no connection, no file, no task. And whoever looks
//! is answered within [`OPENING`], also where what is opened does not answer, and however many others look.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// How long something nobody asks for is kept.
pub(in crate::ops::web) const IDLE: Duration = Duration::from_mins(10);

/// Longest wait for it to open: a broker behind a firewall never says no.
const OPENING: Duration = Duration::from_secs(10);

/// Something that can be opened again.
pub(in crate::ops::web) struct Kept<T>(Mutex<State<T>>);

enum State<T> {
    Closed,
    Open { value: Arc<T>, used: Instant },
    Failed { at: Instant, why: String },
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(State::Closed))
    }
}

impl<T> Kept<T> {
    /// Returns it, opened first where it is not. Whoever waited while it could not be opened is told the same.
    pub(in crate::ops::web) async fn get(
        &self,
        open: impl AsyncFnOnce() -> Result<T, String>,
    ) -> Result<Arc<T>, String> {
        let asked = Instant::now();
        let mut kept = self.0.lock().await;
        match &mut *kept {
            State::Open { value, used } => {
                *used = Instant::now();
                return Ok(value.clone());
            }
            State::Failed { at, why } if *at > asked => return Err(why.clone()),
            State::Failed { .. } | State::Closed => {}
        }
        let opened = timeout(OPENING, open()).await;
        match opened.unwrap_or_else(|_| Err(format!("no answer within {} s", OPENING.as_secs()))) {
            Ok(value) => {
                let value = Arc::new(value);
                *kept = State::Open { value: value.clone(), used: Instant::now() };
                Ok(value)
            }
            Err(why) => {
                *kept = State::Failed { at: Instant::now(), why: why.clone() };
                Err(why)
            }
        }
    }

    /// Returns it if it is open; that does not count as a use.
    #[cfg(test)]
    pub(in crate::ops::web) async fn peek(&self) -> Option<Arc<T>> {
        if let State::Open { value, .. } = &*self.0.lock().await { Some(value.clone()) } else { None }
    }

    /// Lets it go where nobody has asked for it lately. Whoever still holds it keeps it until then.
    pub(in crate::ops::web) async fn tidy(&self) {
        let mut kept = self.0.lock().await;
        if matches!(&*kept, State::Open { used, .. } if used.elapsed() >= IDLE) {
            *kept = State::Closed;
        }
    }

    /// Lets it go: it failed, or the desk closes.
    pub(in crate::ops::web) async fn forget(&self) {
        *self.0.lock().await = State::Closed;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_opened_once_and_let_go_when_nobody_asks() {
        let (kept, opened) = (Kept::default(), AtomicU32::new(0));
        let get = async || {
            let opened = kept.get(async || Ok(opened.fetch_add(1, Ordering::Relaxed) + 1)).await;
            opened.map(|value| *value)
        };
        assert_eq!((get().await, get().await), (Ok(1), Ok(1)));
        tokio::time::advance(IDLE - Duration::from_secs(1)).await;
        kept.tidy().await;
        assert_eq!(get().await, Ok(1));
        tokio::time::advance(IDLE).await;
        assert!(kept.peek().await.is_some());
        kept.tidy().await;
        assert!(kept.peek().await.is_none());
        assert_eq!(get().await, Ok(2));
        kept.forget().await;
        assert_eq!(get().await, Ok(3));
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_tried_again() {
        let kept = Kept::default();
        assert_eq!(kept.get(async || Err::<u32, _>("down".to_owned())).await, Err("down".to_owned()));
        assert_eq!(kept.get(async || Ok(7)).await.map(|value| *value), Ok(7));
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_answer_keeps_nobody_waiting_and_everybody_is_told_at_once() {
        let (kept, began) = (Kept::<u32>::default(), Instant::now());
        let silent = || kept.get(async || std::future::pending().await);
        let told = tokio::join!(silent(), silent(), silent());
        assert!(told.0.is_err() && told.0 == told.1 && told.1 == told.2, "{told:?}");
        assert_eq!(began.elapsed().as_secs(), OPENING.as_secs());
    }
}
