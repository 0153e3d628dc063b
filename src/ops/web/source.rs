//! What the pages are about: a broker with its fleet, or a queue file; opened when first looked at.
//!
//! Promise: nothing is open while nobody looks, and what fails is opened anew by the next look.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};
use tokio_util::task::{AbortOnDropHandle, TaskTracker};

use crate::desk::cancel::{Order, cancel};
use crate::desk::fleet::FleetReport;
use crate::desk::fleet::watch::{COUNT_EVERY, FleetWatch};
use crate::desk::follow::{Following, follow};
use crate::desk::letters::{DeskSettings, LetterDesk, LetterError};
use crate::desk::store::Store;
use crate::domain::cause::chain;
use crate::domain::ids::{AccountId, BatchId};
use crate::ops::config::Outline;
use crate::ops::operator;
use crate::ops::web::kept::Kept;
use crate::ops::web::problem::Problem;
use crate::ops::web::replays::Replays;
use crate::queue::QueueError;
use crate::queue::amqp::dead_letters::AmqpDeadLetters;
use crate::queue::amqp::desk_log::AmqpDeskLog;
use crate::queue::embedded::EmbeddedQueue;

/// How long the first look waits to hear the fleet, or to have counted what was told before.
const PATIENCE: Duration = Duration::from_secs(4);

/// What the pages are about.
pub struct Source(Kind);

enum Kind {
    Broker(Box<Outline>, Keeping),
    File(EmbeddedQueue),
}

/// Where what was counted is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// In the desk's file (`[desk] file`), so that the next start goes on from there.
    File,
    /// In a file without a name that goes with the process.
    Nowhere,
}

impl Source {
    /// A broker and the accounts a configuration names.
    #[must_use]
    pub fn broker(outline: Outline, keeping: Keeping) -> Self {
        Self(Kind::Broker(Box::new(outline), keeping))
    }

    /// A queue file, held until the desk closes.
    ///
    /// # Errors
    /// [`QueueError::File`] where there is none, or somebody has it.
    pub fn file(path: &Path) -> Result<Self, QueueError> {
        Ok(Self(Kind::File(EmbeddedQueue::open_existing(path)?)))
    }
}

/// The dead-letter desk over either queue.
pub(in crate::ops::web) enum Letters {
    /// On the broker.
    Broker(LetterDesk<AmqpDeadLetters, AmqpDeskLog>),
    /// In a file.
    File(LetterDesk<EmbeddedQueue, EmbeddedQueue>),
}

impl Letters {
    /// Says whether its broker was lost, and not found again yet.
    fn is_lost(&self) -> bool {
        match self {
            Self::Broker(desk) => !(desk.letters().is_connected() && desk.log().is_connected()),
            Self::File(_) => false,
        }
    }
}

/// Does the same with either.
macro_rules! with_letters {
    ($letters:expr, $desk:ident => $does:expr) => {
        match &*$letters {
            crate::ops::web::source::Letters::Broker($desk) => $does,
            crate::ops::web::source::Letters::File($desk) => $does,
        }
    };
}
pub(in crate::ops::web) use with_letters;

/// Outcomes counted, and how current the count is.
pub(in crate::ops::web) struct Counts {
    /// The counts.
    pub(in crate::ops::web) store: Store,
    following: watch::Receiver<Following>,
    _follower: AbortOnDropHandle<()>,
}

impl Counts {
    /// How current they are.
    pub(in crate::ops::web) fn following(&self) -> Following {
        self.following.borrow().clone()
    }
}

/// Everything the pages ask, and do.
pub(in crate::ops::web) struct Desk {
    source: Source,
    by: String,
    letters: Kept<Letters>,
    fleet: Kept<FleetWatch>,
    counts: Kept<Counts>,
    tasks: TaskTracker,
    /// Replays that run here.
    pub(in crate::ops::web) replays: Replays,
}

impl Desk {
    pub(in crate::ops::web) fn new(source: Source) -> Self {
        let by = format!("web desk of {}", operator::name());
        let (letters, fleet, counts) = (Kept::default(), Kept::default(), Kept::default());
        Self { source, by, letters, fleet, counts, tasks: TaskTracker::new(), replays: Replays::default() }
    }

    /// The accounts that are known without asking anybody.
    pub(in crate::ops::web) fn accounts(&self) -> Vec<AccountId> {
        match &self.source.0 {
            Kind::Broker(outline, _) => outline.accounts.keys().cloned().collect(),
            Kind::File(_) => Vec::new(),
        }
    }

    /// Calls a second each account is configured for.
    pub(in crate::ops::web) fn rates(&self) -> BTreeMap<AccountId, f64> {
        match &self.source.0 {
            Kind::Broker(outline, _) => {
                outline.rates.iter().map(|(id, rate)| (id.clone(), rate.per_second())).collect()
            }
            Kind::File(_) => BTreeMap::new(),
        }
    }

    /// Opens the dead-letter desk. One whose broker was lost is let go: it waits for the broker, and whoever opens another
    /// is told what the broker says.
    pub(in crate::ops::web) async fn letters(&self) -> Result<Arc<Letters>, Problem> {
        let letters = self.open_letters().await?;
        if !letters.is_lost() {
            return Ok(letters);
        }
        self.letters.forget().await;
        self.open_letters().await
    }

    async fn open_letters(&self) -> Result<Arc<Letters>, Problem> {
        let open = async || {
            let accounts = match &self.source.0 {
                Kind::Broker(outline, _) => outline.accounts.clone(),
                Kind::File(_) => BTreeMap::new(),
            };
            let settings = DeskSettings { accounts, rates: self.rates(), by: self.by.clone() };
            Ok::<_, QueueError>(match &self.source.0 {
                Kind::Broker(outline, _) => {
                    let letters = AmqpDeadLetters::connect(&outline.amqp, self.accounts()).await?;
                    let log = AmqpDeskLog::connect(&outline.amqp).await?;
                    Letters::Broker(LetterDesk::new(letters, log, settings))
                }
                Kind::File(queue) => Letters::File(LetterDesk::new(queue.clone(), queue.clone(), settings)),
            })
        };
        self.letters.get(async || open().await.map_err(|error| chain(&error))).await.map_err(Problem::broker)
    }

    /// Lets go of the dead-letter desk if its queue failed it, so that the next look opens another.
    pub(in crate::ops::web) async fn judge<T>(&self, done: Result<T, LetterError>) -> Result<T, LetterError> {
        if matches!(done, Err(LetterError::Queue(_) | LetterError::NotNoted { .. })) {
            self.letters.forget().await;
        }
        done
    }

    /// Returns the fleet as it is heard; `None` where there is none.
    pub(in crate::ops::web) async fn fleet(&self) -> Result<Option<FleetReport>, String> {
        let Kind::Broker(outline, _) = &self.source.0 else { return Ok(None) };
        let watch = self
            .fleet
            .get(async || {
                let watch = FleetWatch::start(&outline.amqp, self.accounts(), COUNT_EVERY).await;
                let mut watch = watch.map_err(|error| chain(&error))?;
                let until = Instant::now() + PATIENCE;
                while watch.look().replicas.is_empty() && timeout_at(until, watch.changed()).await.is_ok() {}
                Ok(watch)
            })
            .await?;
        watch.lost().map_or_else(|| Ok(Some(watch.look())), Err)
    }

    /// Returns the outcomes counted; `None` where nobody tells them.
    pub(in crate::ops::web) async fn counts(&self) -> Result<Option<Arc<Counts>>, String> {
        let Kind::Broker(outline, keeping) = &self.source.0 else { return Ok(None) };
        let counts = self
            .counts
            .get(async || {
                let source = outline.amqp.identity();
                let store = match keeping {
                    Keeping::File => Store::open(&outline.desk_file, &source),
                    Keeping::Nowhere => Store::temporary(&source),
                };
                let store = store.map_err(|error| chain(&error))?;
                let (told, mut following) = watch::channel(Following::Catching);
                let (settings, counted) = (outline.amqp.clone(), store.clone());
                let follower = tokio::spawn(async move {
                    match follow(&settings, &counted, &told).await {
                        Ok(never) => match never {},
                        Err(error) => {
                            tracing::error!(error = %chain(&error), "the desk no longer counts outcomes");
                            told.send_replace(Following::Lost(chain(&error)));
                        }
                    }
                });
                // Whoever looks first sees what was counted by then, and what is missing a moment later.
                let settled = following.wait_for(|following| *following != Following::Catching);
                drop(timeout_at(Instant::now() + PATIENCE, settled).await);
                Ok(Counts { store, following, _follower: AbortOnDropHandle::new(follower) })
            })
            .await;
        counts.map(Some)
    }

    /// Cancels a batch, as `takedown batch cancel` does; what then is still to be moved is moved in the background.
    pub(in crate::ops::web) async fn cancel(&self, batch: &BatchId, reason: Option<String>) -> Result<(), String> {
        let Kind::Broker(outline, _) = &self.source.0 else { return Ok(()) };
        let order = Order { batch: batch.clone(), reason, by: self.by.clone() };
        let settings = outline.amqp.clone();
        let carrying = self.tasks.spawn(async move {
            let carried = cancel(&settings, &order, |_| ()).await;
            carried.map(|_| ()).map_err(|error| {
                tracing::warn!(batch = order.batch.as_str(), error = %chain(&error), "a batch was not cancelled whole");
                chain(&error)
            })
        });
        match timeout_at(Instant::now() + PATIENCE, carrying).await {
            Ok(Ok(carried)) => carried,
            Ok(Err(panicked)) => Err(panicked.to_string()),
            // It goes on; the page shows how far.
            Err(_) => Ok(()),
        }
    }

    /// Lets go of what nobody has asked for lately, for ever.
    pub(in crate::ops::web) async fn tidy(&self) {
        let mut timer = tokio::time::interval(Duration::from_mins(1));
        loop {
            timer.tick().await;
            tokio::join!(self.letters.tidy(), self.fleet.tidy(), self.counts.tidy());
        }
    }

    /// Stops replays between two letters, and closes.
    pub(in crate::ops::web) async fn close(&self) {
        self.replays.close().await;
        self.tasks.close();
        if timeout_at(Instant::now() + PATIENCE, self.tasks.wait()).await.is_err() {
            tracing::warn!("a cancel has not emptied every retry queue; cancel the batch once more");
        }
        tokio::join!(self.letters.forget(), self.fleet.forget(), self.counts.forget());
    }
}
