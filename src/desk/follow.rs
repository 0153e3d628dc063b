//! Keeps a desk's file current from a broker.
//!
//! Promise: it goes on from where the file is, whatever ends a session, and counts what was told while nobody followed,
//! as far back as the streams go.

use std::convert::Infallible;
use std::time::{Duration, Instant};

use tokio::sync::watch;

use crate::clock;
use crate::desk::DeskError;
use crate::desk::store::Store;
use crate::domain::cause::chain;
use crate::queue::QueueError;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::schedule::Schedule;
use crate::queue::amqp::tail::{self, Log, Streams, Tail, Told};

/// How often what is too old is forgotten.
const TIDY: Duration = Duration::from_hours(1);

/// How current a desk is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Following {
    /// What was told before is being read.
    Catching,
    /// Read up to the end, and kept so.
    Current,
    /// The broker cannot be read; what is shown is as of the last word from it.
    Lost(String),
}

/// Reads both streams to the end they have at this moment, once.
///
/// # Errors
/// [`DeskError::Queue`] where the broker fails; what was counted by then stays counted. [`DeskError::Database`].
pub async fn catch_up(streams: &Streams, store: &Store) -> Result<(), DeskError> {
    // Notices first: they say how many items a batch has.
    for log in [Log::Notices, Log::Outcomes] {
        let mut entries = open(streams, store, log).await?;
        let end = tail::new_mark();
        streams.mark(log, &end).await?;
        let is_end = |told: &Told| matches!(told, Told::Mark(mark) if *mark == end);
        loop {
            let told = entries.next().await?;
            store.count(log, &told, entries.place())?;
            if told.iter().any(is_end) {
                break;
            }
        }
    }
    store.tidy(clock::now())
}

/// Follows both streams until it is dropped; connects anew whatever the broker does, and tells how current it is.
///
/// # Errors
/// [`DeskError::File`] and [`DeskError::Database`]; a broker that fails is waited for.
pub async fn follow(
    settings: &AmqpSettings,
    store: &Store,
    following: &watch::Sender<Following>,
) -> Result<Infallible, DeskError> {
    let mut schedule = Schedule::new();
    loop {
        let began = Instant::now();
        let error = match session(settings, store, following).await {
            Ok(never) => match never {},
            Err(DeskError::Queue(error)) => error,
            Err(error) => return Err(error),
        };
        tracing::warn!(error = %chain(&error), "the desk does not hear of outcomes; it connects anew");
        following.send_replace(Following::Lost(chain(&error)));
        schedule.note_uptime(began.elapsed());
        schedule.pause().await;
    }
}

async fn session(
    settings: &AmqpSettings,
    store: &Store,
    following: &watch::Sender<Following>,
) -> Result<Infallible, DeskError> {
    let streams = Streams::connect(settings).await?;
    following.send_replace(Following::Catching);
    let (mut notices, mut outcomes) =
        (open(&streams, store, Log::Notices).await?, open(&streams, store, Log::Outcomes).await?);
    let end = tail::new_mark();
    let end = match streams.mark(Log::Outcomes, &end).await {
        Ok(()) => Some(end),
        // A login that may only read cannot ask where the end is.
        Err(QueueError::Publish { .. }) => None,
        Err(error) => return Err(error.into()),
    };
    if end.is_none() {
        following.send_replace(Following::Current);
    }
    let mut tidied = None;
    loop {
        if tidied.is_none_or(|last: Instant| last.elapsed() >= TIDY) {
            store.tidy(clock::now())?;
            tidied = Some(Instant::now());
        }
        tokio::select! {
            biased;
            told = notices.next() => count(store, Log::Notices, &told?, &notices)?,
            told = outcomes.next() => {
                let told = told?;
                count(store, Log::Outcomes, &told, &outcomes)?;
                if told.iter().any(|told| matches!(told, Told::Mark(mark) if Some(mark) == end.as_ref())) {
                    following.send_replace(Following::Current);
                }
            }
        }
    }
}

fn count(store: &Store, log: Log, told: &[Told], tail: &Tail) -> Result<(), DeskError> {
    store.count(log, told, tail.place()).map(drop)
}

async fn open(streams: &Streams, store: &Store, log: Log) -> Result<Tail, DeskError> {
    Ok(streams.open(log, store.place(log)?).await?)
}
