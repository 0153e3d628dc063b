//! Futures begun together and waited for together, for who asks the connection many things at once.
//!
//! lapin's task answers them one after another, and whoever waits for each by itself is woken by each. Here the last is
//! waited for first: once it is answered, so are the others as a rule, and one wake-up serves all.

use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::timeout;

/// Futures under way, in their order.
pub(super) struct Together<'a, T>(Vec<Part<'a, T>>);

enum Part<'a, T> {
    Open(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
    Done(T),
}

impl<'a, T> Together<'a, T> {
    /// Begins all, in their order, before it waits for any.
    pub(super) fn begin<F: Future<Output = T> + Send + 'a>(futures: impl IntoIterator<Item = F>) -> Self {
        let begin = |future| Part::Open(Box::pin(future) as Pin<Box<dyn Future<Output = T> + Send + 'a>>);
        let mut all = Self(futures.into_iter().map(begin).collect());
        all.look();
        all
    }

    /// Waits until all are done, and gives up once none more was within a time; says whether all are.
    pub(super) async fn within(&mut self, patience: Duration) -> bool {
        let mut open = self.open();
        for number in (0..self.0.len()).rev() {
            while let Part::Open(future) = &mut self.0[number] {
                match timeout(patience, future).await {
                    Ok(output) => self.0[number] = Part::Done(output),
                    Err(_) => {
                        self.look();
                        let now = self.open();
                        if std::mem::replace(&mut open, now) == now {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    /// Takes note of what is done by now.
    pub(super) fn look(&mut self) {
        let mut nobody = Context::from_waker(Waker::noop());
        for part in &mut self.0 {
            if let Part::Open(future) = part
                && let Poll::Ready(output) = future.as_mut().poll(&mut nobody)
            {
                *part = Part::Done(output);
            }
        }
    }

    /// Returns what each came to, `None` for one that is not done as far as was looked.
    pub(super) fn outputs(&self) -> impl Iterator<Item = Option<&T>> {
        self.0.iter().map(|part| match part {
            Part::Open(_) => None,
            Part::Done(output) => Some(output),
        })
    }

    fn open(&self) -> usize {
        self.outputs().filter(Option::is_none).count()
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::{Instant, sleep};

    use super::*;

    fn done<T>(all: &Together<'_, T>) -> Vec<bool> {
        all.outputs().map(|output| output.is_some()).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn all_begin_at_once_and_end_in_their_order() {
        let began = Instant::now();
        let mut all = Together::begin([3, 1, 2].map(|seconds| async move {
            sleep(Duration::from_secs(seconds)).await;
            seconds
        }));
        assert!(all.within(Duration::from_secs(10)).await);
        assert_eq!(all.outputs().collect::<Vec<_>>(), [Some(&3), Some(&1), Some(&2)]);
        assert_eq!(began.elapsed().as_secs(), 3);
    }

    #[tokio::test(start_paused = true)]
    async fn patience_lasts_as_long_as_something_is_done_within_it() {
        let (sender, never) = oneshot::channel::<()>();
        let slow = [4, 7, 10].map(|seconds| sleep(Duration::from_secs(seconds)));
        let mut slow = Together::begin(slow);
        assert!(slow.within(Duration::from_secs(5)).await);
        let mut stuck = Together::begin([never]);
        assert!(!stuck.within(Duration::from_secs(5)).await);
        assert_eq!(done(&stuck), [false]);
        sender.send(()).unwrap();
        stuck.look();
        assert_eq!(done(&stuck), [true]);
    }
}
