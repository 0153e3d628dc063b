//! What every pipeline of a replica shares: accounts, client, policy, observer.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::retry::RetryPolicy;
use crate::gateway::GatewayAccount;
use crate::gateway::http::HttpClient;
use crate::limits::Limits;
use crate::worker::event::{Observer, WorkerEvent};

/// One account: how to call, and how often.
#[derive(Debug)]
pub struct Account {
    /// Credentials and settings at the gateway.
    pub gateway: GatewayAccount,
    /// Rate, calls in flight, holds.
    pub limits: Limits,
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
    /// How long a drain waits for calls in flight. Default 25 s.
    pub drain_timeout: Duration,
    /// Receives every event.
    pub observer: Observer,
}

impl Context {
    /// Tells the observer.
    pub fn tell(&self, event: &WorkerEvent) {
        (self.observer)(event);
    }
}
