//! From a configuration to what a worker needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::ids::AccountId;
use crate::gateway::http::HttpClient;
use crate::limits::{Limits, Sharing};
use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::{Failure, chain};
use crate::ops::config::{AccountConfig, Config};
use crate::ops::metrics::Metrics;
use crate::queue::amqp::ConsumerSettings;
use crate::queue::amqp::work_queue::{Consumers, WorkQueue};
use crate::trace::Tracer;
use crate::worker::context::{Account, Context, system_clock};
use crate::worker::event::Observer;

/// Returns one consumer an account, which stands for its work queue too.
pub(super) fn consumers(accounts: &BTreeMap<AccountId, AccountConfig>) -> Vec<ConsumerSettings> {
    let consumer = |(account, config): (&AccountId, &AccountConfig)| ConsumerSettings {
        account: account.clone(),
        prefetch: config.prefetch,
        consumers: served(config.limits.sharing),
    };
    accounts.iter().map(consumer).collect()
}

/// Returns one work queue an account.
pub(super) fn work_queues(sharing: &BTreeMap<AccountId, Sharing>) -> Vec<WorkQueue> {
    let queue = |(account, sharing): (&AccountId, &Sharing)| WorkQueue {
        account: account.clone(),
        consumers: served(*sharing),
    };
    sharing.iter().map(queue).collect()
}

fn served(sharing: Sharing) -> Consumers {
    match sharing {
        Sharing::Exclusive => Consumers::SingleActive,
        Sharing::Fleet | Sharing::Static(_) => Consumers::Competing,
    }
}

/// Builds what every pipeline shares.
///
/// # Errors
/// [`Exit::Unexpected`] when TLS is needed and cannot be set up on this machine.
pub(super) fn context(config: Config, tracer: Tracer, observer: Observer) -> Result<Arc<Context>, Failure> {
    let endpoints = config.accounts.values().map(|account| account.gateway.endpoint());
    let http = HttpClient::for_endpoints(&config.http, endpoints);
    let http = http.map_err(|error| Failure::new(Exit::Unexpected, chain(&error)))?;
    let account = |(id, config): (AccountId, AccountConfig)| {
        (id, Arc::new(Account::new(config.gateway, Limits::new(config.limits))))
    };
    Ok(Arc::new(Context {
        worker: config.worker,
        accounts: config.accounts.into_iter().map(account).collect(),
        http,
        policy: config.retry,
        pace: config.pace,
        drain_timeout: config.drain_timeout,
        clock: system_clock(),
        tracer,
        gateway_trace: config.telemetry.gateway_trace,
        observer,
    }))
}

/// Brings the gauges of the accounts up to date.
pub(super) fn refresh(context: &Context, metrics: &Metrics) {
    for (id, account) in &context.accounts {
        let limits = &account.limits;
        metrics.set_account(id.as_str(), limits.settings().rate, limits.standing(), limits.in_flight());
    }
}
