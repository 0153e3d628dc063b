//! The RabbitMQ adapter under the contract.

use takedown::domain::ids::AccountId;
use takedown::domain::outcome::FinalOutcome;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::desk_log::AmqpDeskLog;
use takedown::queue::amqp::intake::AmqpIntake;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::queue::amqp::work_queue::Consumers;
use takedown::queue::amqp::{AmqpQueue, AmqpSettings, ConsumerSettings};
use takedown::queue::{DeadLetters, DeskLog, Intake, Queue};

use super::{Harness, PREFETCH};
use crate::support::broker;
use crate::support::queue::{account, within};

/// The RabbitMQ adapter, under a prefix of its own on the shared node.
pub(crate) struct RabbitMq {
    settings: AmqpSettings,
    queue: AmqpQueue,
    intake: AmqpIntake,
    dead_letters: AmqpDeadLetters,
    desk_log: AmqpDeskLog,
    results: Results,
}

impl RabbitMq {
    fn accounts() -> Vec<AccountId> {
        vec![account("desk"), account("shops")]
    }

    async fn open(settings: AmqpSettings) -> Self {
        let consumers = Self::accounts().into_iter().map(|account| ConsumerSettings {
            account,
            prefetch: PREFETCH,
            consumers: Consumers::Competing,
        });
        let queue = AmqpQueue::start(settings.clone(), consumers.collect()).await.unwrap();
        let intake = AmqpIntake::connect(&settings).await.unwrap();
        let dead_letters = AmqpDeadLetters::connect(&settings, Self::accounts()).await.unwrap();
        let desk_log = AmqpDeskLog::connect(&settings).await.unwrap();
        let results = Results::connect(&settings).await.unwrap();
        Self { settings, queue, intake, dead_letters, desk_log, results }
    }
}

impl Harness for RabbitMq {
    type Queue = AmqpQueue;

    async fn start() -> Self {
        let url = tokio::task::spawn_blocking(broker::shared_url).await.unwrap();
        Self::open(broker::settings(url)).await
    }

    fn queue(&self) -> &AmqpQueue {
        &self.queue
    }

    fn intake(&self) -> &impl Intake {
        &self.intake
    }

    fn dead_letters(&self) -> &impl DeadLetters {
        &self.dead_letters
    }

    fn desk_log(&self) -> &impl DeskLog {
        &self.desk_log
    }

    async fn put_raw(&self, account: &AccountId, message_id: &str, body: &[u8]) {
        let properties = lapin::BasicProperties::default().with_message_id(message_id.into());
        broker::publish(&self.settings, &self.settings.prefix, account.as_str(), body, properties).await;
    }

    async fn next_outcome(&mut self) -> (String, FinalOutcome) {
        within("an outcome", self.results.next()).await.unwrap()
    }

    async fn reopen(self) -> Self {
        let settings = self.settings.clone();
        // Closing without settling: the broker sees a connection end, as it does at a crash.
        self.queue.close().await.unwrap();
        drop(self);
        Self::open(settings).await
    }

    async fn finish(self) {
        let settings = self.settings.clone();
        self.queue.close().await.unwrap();
        Topology::new(&settings, &Self::accounts()).delete(&settings).await.unwrap();
    }
}
