//! The settings a running worker cannot change, kept to be compared.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::domain::ids::{AccountId, WorkerId};
use crate::domain::retry::RetryPolicy;
use crate::domain::secret::Secret;
use crate::domain::takedown::Gateway;
use crate::gateway::http::{Endpoint, HttpSettings};
use crate::limits::LimitSettings;
use crate::limits::fleet::Pace;
use crate::ops::config::{AccountConfig, Config};
use crate::ops::telemetry::TelemetrySettings;
use crate::queue::amqp::AmqpSettings;

/// All of a configuration but its credentials.
pub(super) struct Fixed {
    worker: (WorkerId, SocketAddr, Option<Secret>, Duration),
    fleet: Pace,
    amqp: AmqpSettings,
    http: HttpSettings,
    retry: RetryPolicy,
    telemetry: TelemetrySettings,
    accounts: BTreeMap<AccountId, FixedAccount>,
}

#[derive(PartialEq)]
struct FixedAccount {
    gateway: Gateway,
    endpoint: Endpoint,
    limits: LimitSettings,
    prefetch: u16,
}

impl Fixed {
    pub(super) fn of(config: &Config) -> Self {
        let account = |(id, account): (&AccountId, &AccountConfig)| {
            let fixed = FixedAccount {
                gateway: account.gateway.gateway(),
                endpoint: account.gateway.endpoint().clone(),
                limits: account.limits.clone(),
                prefetch: account.prefetch,
            };
            (id.clone(), fixed)
        };
        Self {
            worker: (config.worker.clone(), config.listen, config.token.clone(), config.drain_timeout),
            fleet: config.pace,
            amqp: config.amqp.clone(),
            http: config.http.clone(),
            retry: config.retry.clone(),
            telemetry: config.telemetry.clone(),
            accounts: config.accounts.iter().map(account).collect(),
        }
    }

    /// Names what another configuration has otherwise, by section and account.
    pub(super) fn differences(&self, other: &Self) -> Vec<String> {
        let sections = [
            ("worker", self.worker != other.worker),
            ("fleet", self.fleet != other.fleet),
            ("amqp", self.amqp != other.amqp),
            ("http", self.http != other.http),
            ("retry", self.retry != other.retry),
            ("telemetry", self.telemetry != other.telemetry),
        ];
        let sections = sections.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned());
        let added = other.accounts.keys().filter(|id| !self.accounts.contains_key(id));
        let accounts = self.accounts.keys().chain(added).filter_map(|id| self.difference(other, id));
        sections.chain(accounts).collect()
    }

    /// Says whether an account is the same caller's place in both: credentials may then be taken from either.
    pub(super) fn is_same_gateway(&self, other: &Self, id: &AccountId) -> bool {
        let gateway = |fixed: &FixedAccount| (fixed.gateway, fixed.endpoint.clone());
        self.accounts.get(id).map(gateway) == other.accounts.get(id).map(gateway)
    }

    fn difference(&self, other: &Self, id: &AccountId) -> Option<String> {
        let what = match (self.accounts.get(id), other.accounts.get(id)) {
            (Some(own), Some(others)) if own == others => return None,
            (Some(own), Some(others)) if (own.gateway, &own.endpoint) == (others.gateway, &others.endpoint) => "limits",
            (Some(_), Some(_)) => "gateway, so its credentials too",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        Some(format!("accounts.{id} ({what})"))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn fixed(text: &str) -> Fixed {
        let secret = "\ngateway = \"mapi\"\npartner = \"2088000000000001\"\nsign_type = \"MD5\"\nsecret = \"0123456789abcdef\"\n";
        let text = text.replace("]MAPI", &format!("]{secret}"));
        let environment = BTreeMap::new();
        match Config::parse(&format!("{text}\n"), Path::new(""), &environment) {
            Ok(config) => Fixed::of(&config),
            Err(faults) => panic!("{faults:?}"),
        }
    }

    #[test]
    fn what_a_running_worker_cannot_take_is_named() {
        let old = fixed("[worker]\nid = \"w\"\n[accounts.desk]MAPI\n[accounts.gone]MAPI\n[accounts.moved]MAPI");
        let new = fixed(
            "[worker]\nid = \"w\"\n[amqp]\nprefix = \"other\"\n[accounts.desk]MAPIrate = \"1/s\"\n[accounts.moved]MAPI\
             endpoint = \"http://127.0.0.1:1/\"\n[accounts.new]MAPI",
        );
        assert_eq!(
            old.differences(&new),
            [
                "amqp",
                "accounts.desk (limits)",
                "accounts.gone (removed)",
                "accounts.moved (gateway, so its credentials too)",
                "accounts.new (added)"
            ]
        );
        assert!(old.differences(&old).is_empty());
        let is_same = |name| old.is_same_gateway(&new, &AccountId::new(name).unwrap());
        assert_eq!((is_same("desk"), is_same("moved"), is_same("gone")), (true, false, false));
    }
}
