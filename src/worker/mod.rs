//! A replica's work: take a delivery, call, judge, settle; start, drain, stop.
//!
//! Promise: when a run ends, every delivery it took is settled, or is back in the queue.

pub mod context;
pub mod event;
pub mod fleet;
pub mod pipeline;
pub mod shutdown;
pub mod tally;

mod case;
mod journey;
mod learnt;
mod sweep;
mod twins;

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{sleep, timeout};

use crate::domain::ids::AccountId;
use crate::limits::in_flight::Permit;
use crate::queue::{Delivery, Queue, QueueError};
use crate::worker::context::{Account, Context};
use crate::worker::event::WorkerEvent;
use crate::worker::pipeline::Replica;
use crate::worker::shutdown::Shutdown;
use crate::worker::sweep::Sweep;

/// Longest wait for the queue to close; whatever it still holds comes back by itself.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// How a replica's run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Summary {
    /// Deliveries settled.
    pub settled: u64,
    /// Deliveries left in hand; they come back to the queue.
    pub abandoned: usize,
}

/// Works until a drain is asked for (or a queue error is final), then gives back the untouched, finishes what is in
/// flight within the drain time-out, and closes the queue.
///
/// A queue error that is final asks for the drain itself, so that `shutdown` tells everyone the same. The run also ends
/// when the queue was stopped by someone else.
///
/// # Errors
/// The queue's own error when it is final, or when it cannot be closed; what is in hand then comes back by itself.
pub async fn run<Q: Queue>(queue: Arc<Q>, context: Arc<Context>, shutdown: Shutdown) -> Result<Summary, QueueError> {
    let fleet = fleet::enter(&*queue, &context);
    let replica = Arc::new(Replica::new(queue, context, shutdown));
    let Context { accounts, .. } = &*replica.context;
    replica.context.tell(&WorkerEvent::Started { accounts: accounts.len() });
    let mut serving: FuturesUnordered<_> =
        accounts.iter().map(|(id, account)| serve(Arc::clone(&replica), id.clone(), Arc::clone(account))).collect();
    let mut tasks = Vec::new();
    let mut failure = None;
    while let Some(served) = serving.next().await {
        tasks.push(served.tasks);
        if let Err(error) = served.ended {
            failure.get_or_insert(error);
            replica.shutdown.drain();
        }
    }
    drain(&replica, tasks).await;
    fleet.leave().await;
    let closed = timeout(CLOSE_TIMEOUT, replica.queue.close()).await.unwrap_or_else(|elapsed| {
        Err(QueueError::Broker { action: "close the connection in time".to_owned(), source: elapsed.into() })
    });
    let summary = Summary {
        settled: replica.settled.load(Ordering::Relaxed),
        abandoned: replica.abandoned.load(Ordering::Relaxed),
    };
    replica.context.tell(&WorkerEvent::Stopped { abandoned: summary.abandoned });
    match failure {
        Some(error) => Err(error),
        None => closed.map(|()| summary),
    }
}

/// What is left of serving one account: tasks still at work, and why no more are taken.
struct Served {
    tasks: JoinSet<()>,
    ended: Result<(), QueueError>,
}

/// Takes one account's messages and spawns a task for each, until a drain, the queue's end or its final error.
async fn serve<Q: Queue>(replica: Arc<Replica<Q>>, id: AccountId, account: Arc<Account>) -> Served {
    let mut tasks = JoinSet::new();
    let mut sweep = Sweep::new(replica.ledger.clone(), id.clone());
    loop {
        let mut taking = pin!(replica.take(&id, &account, &mut sweep));
        let taken = loop {
            tokio::select! {
                biased;
                () = replica.shutdown.draining() => return Served { tasks, ended: Ok(()) },
                Some(done) = tasks.join_next() => replica.note(done),
                taken = &mut taking => break taken,
            }
        };
        let (permit, delivery) = match taken {
            Ok(Some(taken)) => taken,
            Ok(None) => return Served { tasks, ended: Ok(()) },
            Err(error) => return Served { tasks, ended: Err(error) },
        };
        // A suspect message is called for alone; while it lets others go first it must not keep their place.
        let permit = (!case::is_suspect(&delivery.envelope)).then_some(permit);
        let replica = Arc::clone(&replica);
        tasks.spawn(async move {
            replica.process(delivery).await;
            drop(permit);
        });
    }
}

impl<Q: Queue> Replica<Q> {
    /// Waits for a place, then for the next delivery, so that no message is in hand without one.
    ///
    /// Cancel safe: a place is given up, and `next` loses no delivery.
    async fn take(
        &self,
        id: &AccountId,
        account: &Account,
        sweep: &mut Sweep,
    ) -> Result<Option<(Permit, Delivery)>, QueueError> {
        let permit = account.limits.place().await;
        if !sweep.is_on(self.context.now().wall) {
            account.limits.pace().await;
        }
        Ok(self.queue.next(id).await?.map(|delivery| (permit, delivery)))
    }

    /// Takes note of a task's end: one that was aborted, or died while settling, left its delivery unsettled.
    fn note(&self, done: Result<(), JoinError>) {
        if done.is_err() {
            self.abandoned.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Gives back the untouched and lets the tasks finish, as long as patience lasts; then aborts them.
async fn drain<Q: Queue>(replica: &Replica<Q>, mut tasks: Vec<JoinSet<()>>) {
    let in_flight = tasks.iter().map(JoinSet::len).sum();
    replica.context.tell(&WorkerEvent::Draining { in_flight });
    if in_flight > 0 {
        fault_point!(Draining);
    }
    let finish = async {
        replica.queue.stop().await;
        for account in &mut tasks {
            while let Some(done) = account.join_next().await {
                replica.note(done);
            }
        }
    };
    tokio::select! {
        biased;
        () = replica.shutdown.leaving() => {}
        () = finish => {}
        () = sleep(replica.context.drain_timeout) => {}
    }
    for account in &mut tasks {
        account.abort_all();
        while let Some(done) = account.join_next().await {
            replica.note(done);
        }
    }
}
