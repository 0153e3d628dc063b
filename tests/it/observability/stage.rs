//! A broker, a sandbox and a configuration, for worker processes that are watched.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use serde_json::Value;
use takedown::domain::ids::AccountId;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::topology::Topology;
use takedown::sandbox::Sandbox;
use takedown::sandbox::faults::{Fault, Faults, Scripted};
use takedown::sandbox::setup::{Keys, Setup};
use takedown::signing::SignType;
use tempfile::TempDir;

use crate::support::command::{Running, http, takedown};
use crate::support::replica::{PATIENCE, setup};
use crate::support::{broker, rehearsal};

pub(super) struct Stage {
    pub(super) directory: TempDir,
    pub(super) setup: Setup,
    pub(super) sandbox: Sandbox,
    pub(super) settings: AmqpSettings,
}

/// A message in a queue nobody consumes.
pub(super) struct Found {
    pub(super) headers: FieldTable,
    pub(super) body: Value,
}

impl Found {
    pub(super) fn header(&self, key: &str) -> Option<String> {
        match self.headers.inner().get(key)? {
            AMQPValue::LongString(text) => Some(text.to_string()),
            other => panic!("{key}: {other:?}"),
        }
    }
}

impl Stage {
    pub(super) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let setup = setup();
        // The directory's configuration has mapi sign with RSA.
        let mapi_keys = Keys { sign_type: SignType::Rsa, ..setup.open_platform_keys.clone() };
        let setup = Setup { mapi_keys, ..setup };
        let sandbox = Sandbox::start(setup.settings().unwrap()).await.unwrap();
        let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
        let general = format!(
            "[amqp]\nurl = {:?}\nprefix = {:?}\n[retry]\ndelays = [\"100ms\"]\nrungs = [\"200ms\", \"1s\"]\n\
             max_unknown_code_attempts = 1\n",
            settings.urls[0], settings.prefix
        );
        rehearsal::write(directory.path(), &setup, &sandbox, &general, "rate = \"200/s\"\n");
        let accounts = ["desk", "shops"].map(|name| AccountId::new(name).unwrap());
        Topology::new(&settings, &accounts).apply(&settings).await.unwrap();
        Self { directory, setup, sandbox, settings }
    }

    /// Plays these faults, one a call, then none.
    pub(super) fn play(&self, faults: impl IntoIterator<Item = Fault>) {
        let script = faults.into_iter().map(|fault| Scripted { item: None, fault: Some(fault) }).collect();
        self.sandbox.set_faults(Faults { script, rates: Vec::new() });
    }

    pub(super) fn command(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = takedown(self.directory.path(), arguments);
        command.env("TAKEDOWN_WORKER__LISTEN", "127.0.0.1:0").env("TAKEDOWN_WORKER__ID", "w1");
        for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("OTEL_")) {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        command
    }

    /// Starts a worker that logs JSON; returns where its metrics are.
    pub(super) fn worker(&self, variables: &[(&str, &str)]) -> (Running, SocketAddr) {
        let arguments = ["worker", "--log-format", "json", "--log", "takedown=debug"];
        let worker = Running::start(self.command(&arguments, variables));
        let line: Value = serde_json::from_str(&worker.line("status server listens")).unwrap();
        worker.line("worker started");
        (worker, line["listen"].as_str().unwrap().parse().unwrap())
    }

    /// Publishes as any producer could.
    pub(super) async fn publish(&self, id: &str, more: &str, headers: &[(&str, &str)]) {
        let item = format!(r#"{{"gateway":"open_platform","commodity_id":"{id}","shop_id":"s1"{more}}}"#);
        let body = format!(r#"{{"version":1,"id":"{id}","account":"shops","takedown":{item}}}"#);
        let mut table = FieldTable::default();
        for (key, value) in headers {
            table.insert((*key).into(), AMQPValue::LongString((*value).into()));
        }
        let properties = BasicProperties::default().with_message_id(id.into()).with_headers(table);
        broker::publish(&self.settings, &self.settings.prefix, "shops", body.as_bytes(), properties).await;
    }

    /// Waits for a message in a queue, and takes it.
    pub(super) async fn take(&self, queue: &str) -> Found {
        let connection = Connection::connect(&self.settings.urls[0], ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let queue = format!("{}.{queue}", self.settings.prefix);
        let options = QueueDeclareOptions::durable().passive();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                let declared =
                    channel.queue_declare(queue.as_str().into(), options, FieldTable::default()).await.unwrap();
                if declared.message_count() > 0 {
                    let options = BasicGetOptions { no_ack: true };
                    if let Some(found) = channel.basic_get(queue.as_str().into(), options).await.unwrap() {
                        return found.delivery;
                    }
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let delivery = found.await.unwrap_or_else(|_| panic!("nothing came into {queue}"));
        connection.close(200, "done".into()).await.unwrap();
        Found {
            headers: delivery.properties.headers().clone().unwrap_or_default(),
            body: serde_json::from_slice(&delivery.data).unwrap(),
        }
    }

    pub(super) async fn end(self) {
        let accounts = ["desk", "shops"].map(|name| AccountId::new(name).unwrap());
        Topology::new(&self.settings, &accounts).delete(&self.settings).await.unwrap();
        self.sandbox.stop().await;
    }
}

/// Reads one series of a worker's metrics.
pub(super) fn series(status: SocketAddr, name: &str) -> Option<f64> {
    let text = http(status, "GET", "/metrics", "").1;
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}
