//! `takedown worker`: one replica, from RabbitMQ to the gateways to the result exchange.

mod fixed;
mod reload;

use std::panic::resume_unwind;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use clap::Args;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::domain::secret::Secret;
use crate::ops::cli::Surroundings;
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::cli::worker::fixed::Fixed;
use crate::ops::cli::worker::reload::Reload;
use crate::ops::cli::{assemble, signals};
use crate::ops::config::{Config, Fault, find_file};
use crate::ops::metrics::Metrics;
use crate::ops::observe::observer;
use crate::ops::status::{Readiness, Status, StatusServer};
use crate::ops::telemetry::Telemetry;
use crate::ops::web::{Keeping, Site, Source};
use crate::queue::Queue;
use crate::queue::amqp::AmqpQueue;
use crate::worker::context::Context;
use crate::worker::shutdown::Shutdown;

/// Between two looks at the broker's queues: some ten short questions, of each replica.
const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Between two looks whether the broker is reached.
const START_INTERVAL: Duration = Duration::from_millis(200);

/// Run one replica: RabbitMQ to the gateways to the result exchange.
///
/// Applies the topology, consumes every account of the configuration, and serves /healthz, /readyz, /metrics and the
/// operator's pages (see `takedown desk`) on `worker.listen`. SIGTERM or Ctrl-C drains: untouched messages go back, calls
/// in flight finish, then it leaves with exit code 0. A second signal leaves at once; nothing is lost, calls in flight may
/// be repeated.
///
/// Replicas of one broker share each account's rate (`mode`, `share`): give all of them the same configuration, with the
/// contract's whole rate.
///
/// On SIGHUP, and when the configuration or a file it names changes, credentials are read again and what is held is
/// probed; a configuration with a fault is told and not taken, and other settings wait for a restart.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  takedown worker --config /etc/takedown.toml --log-format json\n  \
    TAKEDOWN_AMQP__URL=amqps://user:password@broker:5671/%2f takedown worker\n  \
    TAKEDOWN_WORKER__LISTEN=127.0.0.1:9101 takedown worker    # a second one")]
pub(super) struct Worker {}

impl Worker {
    pub(super) async fn execute(&self, surroundings: &Surroundings) -> Result<Exit, Failure> {
        // Before anything else: unhandled, it would end the process.
        let hangups = signals::hangups()?;
        let path = find_file(surroundings.config.clone());
        let (config, seen) = Config::read(path.as_deref(), &surroundings.environment);
        let config = config?;
        let (amqp, consumers, listen) = (config.amqp.clone(), assemble::consumers(&config.accounts), config.listen);
        let metrics = Arc::new(Metrics::new());
        for (id, account) in &config.accounts {
            metrics.begin_account(id, account.gateway.gateway());
        }
        tell_findings(&config);
        let fixed = Fixed::of(&config);
        let (token, outline) = (config.token.clone(), config.outline());
        let telemetry = Telemetry::start(&config.telemetry, Some(config.worker.as_str()), metrics.spans());
        let context = assemble::context(config, telemetry.tracer(), observer(metrics.clone()))?;
        let status_server = StatusServer::bind(listen).await?;
        let listen = status_server.address().unwrap_or(listen);
        let shutdown = Shutdown::new();
        let signals = signals::watch(shutdown.clone(), None)?;
        let queue = Arc::new(OnceLock::new());
        let environment = surroundings.environment.clone();
        let reload = Reload { path, environment, fixed, context: context.clone(), metrics: metrics.clone() };
        let reload = tokio::spawn(async move {
            if let Err(error) = reload.watch(seen, hangups).await {
                tracing::error!(error = %error, "the configuration is no longer watched; restart to take changes");
            }
        });
        let stop_status = CancellationToken::new();
        let depths = tokio::spawn(watch_depths(queue.clone(), metrics.clone()));
        let site = Site::new(token.clone(), listen, Source::broker(outline, Keeping::Nowhere));
        let status = Status { pages: Some(site.router()), ..status(metrics, token, &context, &queue, &shutdown) };
        let status = tokio::spawn(status_server.serve(status, stop_status.clone()));
        tracing::info!(listen = %listen, worker.id = %context.worker, "status server listens");

        let started = tokio::select! {
            started = AmqpQueue::start(amqp, consumers) => started?,
            () = shutdown.draining() => return Ok(Exit::Done),
        };
        let started = Arc::new(started);
        queue.get_or_init(|| started.clone());
        // On the threads its deliveries are worked on: from the main thread, each of them would wake it and be woken by it.
        let working = tokio::spawn(crate::worker::run(started, context, shutdown));
        let summary = working.await.unwrap_or_else(|ended| resume_unwind(ended.into_panic()));
        site.close().await;
        stop_status.cancel();
        signals.abort();
        reload.abort();
        depths.abort();
        telemetry.finish().await;
        match status.await {
            Ok(()) => {}
            Err(error) => tracing::warn!(error = %error, "the status server panicked"),
        }
        let summary = summary?;
        tracing::info!(settled = summary.settled, abandoned = summary.abandoned, "drained");
        Ok(if summary.abandoned == 0 { Exit::Done } else { Exit::Interrupted })
    }
}

/// Keeps the gauges of the broker's queues up to date, until it is stopped.
async fn watch_depths(queue: Arc<OnceLock<Arc<AmqpQueue>>>, metrics: Arc<Metrics>) {
    loop {
        if let Some(queue) = queue.get() {
            let depths = queue.depths().await.map_err(|error| {
                tracing::debug!(error = %chain(&error), "the broker's queues could not be looked at");
            });
            metrics.set_depths(depths.ok().as_ref());
            sleep(LOOK_EVERY).await;
        } else {
            sleep(START_INTERVAL).await;
        }
    }
}

/// A file that others may read, a key that is no pair with its counterpart, a certificate about to end: each is worth a
/// word before the first call fails.
fn tell_findings(config: &Config) {
    for Fault { key, problem, remedy, .. } in &config.warnings {
        tracing::warn!(key, problem, "{remedy}");
    }
    for (id, account) in &config.accounts {
        let certificates = account.certificates.iter().flat_map(|set| set.findings(clock::now()));
        for finding in account.gateway.key_findings().into_iter().chain(certificates) {
            tracing::warn!(account.id = %id, problem = finding.problem, "{}", finding.remedy);
        }
    }
}

fn status(
    metrics: Arc<Metrics>,
    token: Option<Secret>,
    context: &Arc<Context>,
    queue: &Arc<OnceLock<Arc<AmqpQueue>>>,
    shutdown: &Shutdown,
) -> Status {
    let (queue, shutdown) = (queue.clone(), shutdown.clone());
    let readiness: Readiness = Arc::new(move || {
        if shutdown.is_draining() {
            return Err("draining: it takes no new messages".to_owned());
        }
        match queue.get() {
            None => Err("starting: not connected to the broker yet".to_owned()),
            Some(queue) if !queue.is_ready() => Err("cut off from the broker: reconnecting".to_owned()),
            Some(_) => Ok(()),
        }
    });
    let context = context.clone();
    let refresh = Arc::new(move |metrics: &Metrics| assemble::refresh(&context, metrics));
    Status { metrics, readiness, token, refresh, pages: None }
}
