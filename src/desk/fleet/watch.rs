//! Watching a fleet over its broker: hears the beats, counts the queues, and keeps a [`FleetView`] of both.
//!
//! A watcher tells the fleet nothing and costs it nothing. Promise: a lost connection empties the view until the fleet is
//! heard again; nothing old is shown as if it were so now.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::clock;
use crate::desk::fleet::{FleetReport, FleetView};
use crate::domain::cause::chain;
use crate::domain::fleet::Heartbeat;
use crate::domain::fleet::hold::Order;
use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::depths::AmqpDepths;
use crate::queue::amqp::fleet::{AmqpFleet, FleetSession};

/// How often the queues are counted, unless told otherwise.
pub const COUNT_EVERY: Duration = Duration::from_secs(2);

/// Keeps a view of the fleet up to date until it is closed, or dropped.
pub struct FleetWatch {
    shared: Arc<Shared>,
    changes: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

struct Shared {
    view: Mutex<FleetView>,
    /// Why the fleet is not heard at the moment.
    lost: Mutex<Option<String>>,
    changes: watch::Sender<u64>,
}

impl FleetWatch {
    /// Connects, counts the queues once, and begins to hear.
    ///
    /// # Errors
    /// [`QueueError::Connect`], [`QueueError::Topology`] and [`QueueError::Broker`].
    pub async fn start(
        settings: &AmqpSettings,
        accounts: impl IntoIterator<Item = AccountId>,
        count_every: Duration,
    ) -> Result<Self, QueueError> {
        let line = AmqpFleet::visit(settings).await?;
        let session = line.open().await?;
        let depths = AmqpDepths::beside(&line, settings);
        let (sender, changes) = watch::channel(0);
        let shared =
            Arc::new(Shared { view: Mutex::new(FleetView::new(accounts)), lost: Mutex::default(), changes: sender });
        shared.count(&depths).await?;
        let task = tokio::spawn(keep(line, session, depths, Arc::clone(&shared), count_every));
        Ok(Self { shared, changes, task })
    }

    /// Returns the fleet as it is known now.
    #[must_use]
    pub fn look(&self) -> FleetReport {
        self.shared.lock().look(Instant::now(), clock::now())
    }

    /// Says why the fleet is not heard at the moment; `None` while it is.
    #[must_use]
    pub fn lost(&self) -> Option<String> {
        self.shared.lost.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until something was heard or counted since the last wait.
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn changed(&mut self) {
        if self.changes.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Listens until everybody who is there must have been heard twice, so that rates are known: three heartbeats after
    /// the first beat, and a lease of the default pace if nobody is.
    pub async fn settle(&mut self, heartbeat: Duration) {
        let start = Instant::now();
        loop {
            let until = start + heartbeat * if self.look().replicas.is_empty() { 6 } else { 3 };
            if timeout_at(until, self.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Ends.
    pub fn close(self) {
        self.task.abort();
    }
}

impl Drop for FleetWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// A panic elsewhere must not blind the watcher; every change of the view is complete in itself.
    fn lock(&self) -> MutexGuard<'_, FleetView> {
        self.view.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Empties the view, or begins to fill it again.
    fn set_lost(&self, why: Option<String>) {
        if why.is_some() {
            self.lock().lose();
        }
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner) = why;
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|changes| *changes += 1);
    }

    async fn count(&self, depths: &AmqpDepths) -> Result<(), QueueError> {
        let accounts = self.lock().accounts();
        let counted = depths.count(&accounts).await?;
        self.lock().count(counted);
        self.tell();
        Ok(())
    }
}

async fn keep(
    line: AmqpFleet,
    mut session: FleetSession,
    depths: AmqpDepths,
    shared: Arc<Shared>,
    count_every: Duration,
) {
    let counting = async {
        let mut timer = interval(count_every);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        timer.tick().await;
        loop {
            timer.tick().await;
            if let Err(error) = shared.count(&depths).await {
                tracing::debug!(error = %chain(&error), "the queues were not counted");
            }
        }
    };
    let hearing = async {
        loop {
            match session.hear().await {
                Ok(bytes) => hear(&shared, &bytes),
                Err(error) => {
                    tracing::warn!(error = %chain(&error), "the fleet is not heard any more");
                    shared.set_lost(Some(chain(&error)));
                    let Some(next) = line.join().await else { return };
                    session = next;
                    shared.set_lost(None);
                }
            }
        }
    };
    tokio::select! {
        () = counting => {}
        () = hearing => {}
    }
}

fn hear(shared: &Shared, bytes: &[u8]) {
    if !matches!(Order::decode(bytes), Ok(None)) {
        return;
    }
    match Heartbeat::decode(bytes) {
        Ok(beat) => {
            shared.lock().hear(beat, Instant::now());
            shared.tell();
        }
        Err(error) => tracing::debug!(error = %chain(&error), "a beat was not understood"),
    }
}
