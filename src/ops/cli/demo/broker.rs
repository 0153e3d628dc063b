//! The demo through RabbitMQ: a prefix of its own, two workers, and everything deleted afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::domain::ids::AccountId;
use crate::domain::notice::LetterFilter;
use crate::ops::cli::assemble;
use crate::ops::cli::demo::Played;
use crate::ops::cli::demo::stage::Stage;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::ops::cli::progress::Progress;
use crate::ops::cli::watch::Watch;
use crate::queue::amqp::dead_letters::AmqpDeadLetters;
use crate::queue::amqp::intake::AmqpIntake;
use crate::queue::amqp::results::Results;
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::{AmqpQueue, AmqpSettings};
use crate::queue::{DeadLetters, Intake, QueueError};
use crate::worker::Summary;
use crate::worker::shutdown::Shutdown;

/// Workers of the demo.
pub(super) const REPLICAS: u32 = 2;

/// Plays the demo, and deletes what it declared however it ends.
pub(super) async fn play(
    url: &str,
    stage: &Stage,
    shutdown: &Shutdown,
    watch: &Arc<Watch>,
    progress: &Progress,
) -> Result<Played, Failure> {
    let prefix = format!("takedown-demo-{:04x}", rand::random::<u16>());
    let environment = BTreeMap::from([
        ("TAKEDOWN_AMQP__URL".to_owned(), url.to_owned()),
        ("TAKEDOWN_AMQP__PREFIX".to_owned(), prefix),
    ]);
    let config = stage.config(REPLICAS, &environment)?;
    let settings = config.amqp;
    let accounts: Vec<AccountId> = config.accounts.into_keys().collect();
    let topology = Topology::new(&settings, &accounts);
    topology.apply(&settings).await?;
    let played = with_topology(stage, &environment, &settings, accounts, (shutdown, watch, progress)).await;
    topology.delete(&settings).await?;
    played
}

async fn with_topology(
    stage: &Stage,
    environment: &BTreeMap<String, String>,
    settings: &AmqpSettings,
    accounts: Vec<AccountId>,
    (shutdown, watch, progress): (&Shutdown, &Arc<Watch>, &Progress),
) -> Result<Played, Failure> {
    let mut results = Results::connect(settings).await?;
    let intake = AmqpIntake::connect(settings).await?;
    intake.enqueue(stage.mix.takedowns.clone()).await?;
    for (account, body) in stage.unreadable() {
        intake.put_raw(&account, &body).await?;
    }
    intake.close().await;
    let mut workers = start_workers(stage, environment, shutdown, watch).await?;
    let mut outcomes = Vec::new();
    let mut seen = BTreeSet::new();
    let left = loop {
        let left = stage.total().saturating_sub(seen.len() as u64);
        if left == 0 {
            break left;
        }
        tokio::select! {
            next = results.next() => {
                let (message_id, outcome) = next?;
                seen.insert(message_id);
                outcomes.push(outcome);
                progress.set(seen.len() as u64, &watch.tally().line());
            }
            () = shutdown.draining() => break left,
            Some(ended) = workers.join_next() => { settled(ended)?; }
        }
    };
    shutdown.drain();
    while let Some(ended) = workers.join_next().await {
        settled(ended)?;
    }
    let letters = AmqpDeadLetters::connect(settings, accounts).await?.list(&LetterFilter::default()).await?;
    Ok(Played { outcomes, letters, left })
}

type Workers = JoinSet<Result<Summary, QueueError>>;

async fn start_workers(
    stage: &Stage,
    environment: &BTreeMap<String, String>,
    shutdown: &Shutdown,
    watch: &Arc<Watch>,
) -> Result<Workers, Failure> {
    let mut workers = JoinSet::new();
    for number in 1..=REPLICAS {
        let config = stage.config(REPLICAS, environment)?;
        let (settings, consumers) = (config.amqp.clone(), assemble::consumers(&config.accounts));
        let name = format!("demo-{number}");
        let context = stage.context(&name, config, watch)?;
        let queue = AmqpQueue::start(AmqpSettings { connection_name: name, ..settings }, consumers).await?;
        workers.spawn(crate::worker::run(Arc::new(queue), context, shutdown.clone()));
    }
    Ok(workers)
}

fn settled(ended: Result<Result<Summary, QueueError>, tokio::task::JoinError>) -> Result<(), Failure> {
    let panicked = |error| Failure::new(Exit::Unexpected, format!("a worker ended unexpectedly: {error}"));
    ended.map_err(panicked)??;
    Ok(())
}
