//! What is opened when a page first needs it, and let go when nobody has looked for a while.
//!
//! Promise: a worker whose pages nobody looks at holds nothing for them: no connection, no file, no task.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

/// How long something nobody asks for is kept.
pub(in crate::ops::web) const IDLE: Duration = Duration::from_mins(10);

/// Something that can be opened again.
pub(in crate::ops::web) struct Kept<T>(Mutex<Option<(Arc<T>, Instant)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> Kept<T> {
    /// Returns it, opened first where it is not.
    pub(in crate::ops::web) async fn get<E>(&self, open: impl AsyncFnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        let mut kept = self.0.lock().await;
        if let Some((value, used)) = kept.as_mut() {
            *used = Instant::now();
            return Ok(value.clone());
        }
        let value = Arc::new(open().await?);
        *kept = Some((value.clone(), Instant::now()));
        Ok(value)
    }

    /// Returns it if it is open; that does not count as a use.
    #[cfg(test)]
    pub(in crate::ops::web) async fn peek(&self) -> Option<Arc<T>> {
        self.0.lock().await.as_ref().map(|(value, _)| value.clone())
    }

    /// Lets it go where nobody has asked for it lately. Whoever still holds it keeps it until then.
    pub(in crate::ops::web) async fn tidy(&self) {
        let mut kept = self.0.lock().await;
        if kept.as_ref().is_some_and(|(_, used)| used.elapsed() >= IDLE) {
            *kept = None;
        }
    }

    /// Lets it go: it failed, or the desk closes.
    pub(in crate::ops::web) async fn forget(&self) {
        *self.0.lock().await = None;
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_is_opened_once_and_let_go_when_nobody_asks() {
        let (kept, opened) = (Kept::default(), AtomicU32::new(0));
        let get = async || {
            let opened = kept.get(async || Ok::<_, Infallible>(opened.fetch_add(1, Ordering::Relaxed) + 1)).await;
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
        assert_eq!(kept.get(async || Err::<u32, _>("down")).await, Err("down"));
        assert_eq!(kept.get(async || Ok::<_, &str>(7)).await.map(|value| *value), Ok(7));
    }
}
