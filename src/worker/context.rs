//! What every pipeline of a replica shares: accounts, client, policy, clock, observer.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use crate::clock::Moment;
use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::retry::RetryPolicy;
use crate::gateway::GatewayAccount;
use crate::gateway::http::HttpClient;
use crate::limits::Limits;
use crate::limits::fleet::Pace;
use crate::trace::Tracer;
use crate::worker::event::{Observer, WorkerEvent};
use crate::worker::tally::Tally;

/// One account: how to call, and how often.
#[derive(Debug)]
pub struct Account {
    gateway: RwLock<Arc<GatewayAccount>>,
    /// Rate, calls in flight, holds.
    pub limits: Limits,
    /// What was done for it since the replica began.
    pub tally: Tally,
}

impl Account {
    /// Opens an account.
    #[must_use]
    pub fn new(gateway: GatewayAccount, limits: Limits) -> Self {
        Self { gateway: RwLock::new(Arc::new(gateway)), limits, tally: Tally::default() }
    }

    /// Returns the credentials and settings at the gateway, as they are now; a call keeps those it began with.
    #[must_use]
    pub fn gateway(&self) -> Arc<GatewayAccount> {
        Arc::clone(&self.gateway.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other credentials for the calls to come, and has what is held probed with the next message.
    pub fn renew(&self, gateway: GatewayAccount) {
        *self.gateway.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gateway);
        self.limits.probe_now();
    }
}

/// Tells the time of day; the one place where a worker reads it.
pub type Clock = Arc<dyn Fn() -> Moment + Send + Sync>;

/// Returns the system's clock.
#[must_use]
pub fn system_clock() -> Clock {
    Arc::new(Moment::now)
}

/// What every pipeline of a replica shares.
pub struct Context {
    /// This replica's name.
    pub worker: WorkerId,
    /// The accounts served.
    pub accounts: BTreeMap<AccountId, Arc<Account>>,
    /// The client.
    pub http: HttpClient,
    /// When to try again and when to give up.
    pub policy: RetryPolicy,
    /// How often replicas that share a rate hear of each other.
    pub pace: Pace,
    /// How long a drain waits for calls in flight. Default 25 s.
    pub drain_timeout: Duration,
    /// The time of day: deadlines, ages, request timestamps.
    pub clock: Clock,
    /// Makes the spans of deliveries.
    pub tracer: Tracer,
    /// What a gateway is told of a delivery's trace.
    pub gateway_trace: GatewayTrace,
    /// Receives every event.
    pub observer: Observer,
}

/// Whether a call carries `traceparent` and `tracestate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GatewayTrace {
    /// It does.
    #[default]
    Told,
    /// It does not: the trace's id and what tracing systems keep in it are nobody else's business.
    Kept,
}

impl Context {
    /// Returns the time of day.
    #[must_use]
    pub fn now(&self) -> Moment {
        (self.clock)()
    }

    /// Counts what an event is to its account, and tells the observer.
    pub fn tell(&self, event: &WorkerEvent) {
        let count = |account: &AccountId, count: &dyn Fn(&Tally)| {
            self.accounts.get(account).into_iter().for_each(|account| count(&account.tally));
        };
        match event {
            WorkerEvent::Called { account, .. } => count(account, &Tally::call),
            WorkerEvent::Finished { outcome } => {
                // A message nobody could read may name any account.
                AccountId::new(outcome.account.as_str()).iter().for_each(|account| count(account, &Tally::end));
            }
            WorkerEvent::Unreachable { account, cause, .. } => count(account, &|tally| tally.cut_off(cause)),
            WorkerEvent::Reached { account } => count(account, &Tally::reach),
            WorkerEvent::Started { .. }
            | WorkerEvent::Taken { .. }
            | WorkerEvent::Settled { .. }
            | WorkerEvent::Retried { .. }
            | WorkerEvent::Deferred { .. }
            | WorkerEvent::GivenBack { .. }
            | WorkerEvent::Suspicious { .. }
            | WorkerEvent::UnknownCertificate { .. }
            | WorkerEvent::UnlistedCode { .. }
            | WorkerEvent::Held { .. }
            | WorkerEvent::Resumed { .. }
            | WorkerEvent::HoldHeard { .. }
            | WorkerEvent::FleetChanged { .. }
            | WorkerEvent::EndedBefore { .. }
            | WorkerEvent::NotKnown { .. }
            | WorkerEvent::SettleFailed { .. }
            | WorkerEvent::Panicked { .. }
            | WorkerEvent::Draining { .. }
            | WorkerEvent::Stopped { .. } => {}
        }
        (self.observer)(event);
    }
}
