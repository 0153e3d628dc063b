//! Replays that were begun on a page: they run on when the page is left, and stop when somebody says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::desk::letters::{ReplayPace, ReplayProgress, ReplayState};
use crate::domain::cause::chain;
use crate::domain::ids::PlanId;
use crate::ops::web::source::{Letters, with_letters};

/// Replays remembered after their end.
const MOST: usize = 50;

/// How long the end of a desk waits for a replay to stop between two letters.
const PATIENCE: Duration = Duration::from_secs(10);

/// One replay, running or over.
#[derive(Clone)]
pub(in crate::ops::web) struct Running {
    progress: watch::Receiver<ReplayProgress>,
    stop: CancellationToken,
    failure: Arc<Mutex<Option<String>>>,
}

impl Running {
    /// How far it is.
    pub(in crate::ops::web) fn progress(&self) -> ReplayProgress {
        self.progress.borrow().clone()
    }

    /// Says whether it is over; also when it failed without a word.
    pub(in crate::ops::web) fn is_over(&self) -> bool {
        matches!(self.progress.borrow().state, ReplayState::Ended(_)) || self.progress.has_changed().is_err()
    }

    /// Says whether it was told to stop.
    pub(in crate::ops::web) fn is_stopping(&self) -> bool {
        self.stop.is_cancelled() && !self.is_over()
    }

    /// Returns why it failed.
    pub(in crate::ops::web) fn failure(&self) -> Option<String> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The replays of one desk, the latest of each plan.
#[derive(Default)]
pub(in crate::ops::web) struct Replays {
    running: Mutex<BTreeMap<PlanId, Running>>,
    tasks: TaskTracker,
}

impl Replays {
    /// Begins to carry out a plan, or goes on with it; one that runs already runs on alone.
    pub(in crate::ops::web) fn begin(&self, letters: Arc<Letters>, plan: &PlanId, pace: ReplayPace) {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if running.get(plan).is_some_and(|replay| !replay.is_over()) {
            return;
        }
        if running.len() >= MOST {
            running.retain(|_, replay| !replay.is_over());
        }
        let (sender, progress) = watch::channel(ReplayProgress::default());
        let (stop, failure) = (CancellationToken::new(), Arc::new(Mutex::new(None)));
        running.insert(plan.clone(), Running { progress, stop: stop.clone(), failure: failure.clone() });
        let plan = plan.clone();
        self.tasks.spawn(async move {
            let ended = with_letters!(letters, desk => desk.replay(&plan, pace, &sender, &stop).await);
            if let Err(error) = ended {
                tracing::warn!(plan = plan.as_str(), error = %chain(&error), "a replay failed; it can be begun again");
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(chain(&error));
            }
        });
    }

    /// Finds the latest replay of a plan.
    pub(in crate::ops::web) fn find(&self, plan: &PlanId) -> Option<Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner).get(plan).cloned()
    }

    /// Returns the plans that are being carried out.
    pub(in crate::ops::web) fn under_way(&self) -> Vec<PlanId> {
        let running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        running.iter().filter(|(_, replay)| !replay.is_over()).map(|(plan, _)| plan.clone()).collect()
    }

    /// Stops a replay between two letters.
    pub(in crate::ops::web) fn stop(&self, plan: &PlanId) {
        if let Some(replay) = self.find(plan) {
            replay.stop.cancel();
        }
    }

    /// Stops all, and waits for them.
    pub(in crate::ops::web) async fn close(&self) {
        for replay in self.running.lock().unwrap_or_else(PoisonError::into_inner).values() {
            replay.stop.cancel();
        }
        self.tasks.close();
        if tokio::time::timeout(PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::warn!("a replay does not stop; its letters come back by themselves");
        }
    }
}
