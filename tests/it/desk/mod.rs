//! The operators' side on a real broker: counting that survives, batches that end.

mod batch;
mod follow;

use std::time::{Duration, SystemTime};

use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::takedown::Gateway;
use takedown::queue::amqp::AmqpSettings;

/// An outcome of batch `b-1`.
fn outcome(id: &str, reason: Reason) -> FinalOutcome {
    FinalOutcome {
        id: id.into(),
        batch: Some("b-1".into()),
        account: "desk".into(),
        gateway: Some(Gateway::Mapi),
        reason,
        gateway_code: None,
        gateway_message: None,
        attempts: 1,
        deferrals: 0,
        first_seen: SystemTime::now() - Duration::from_secs(1),
        finished_at: SystemTime::now(),
        verified: true,
        item: ItemIds::default(),
        worker: "w".into(),
        replays: 0,
    }
}

/// Publishes outcomes as workers do.
async fn tell(settings: &AmqpSettings, outcomes: impl IntoIterator<Item = FinalOutcome>) {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    channel.confirm_select(ConfirmSelectOptions::default()).await.unwrap();
    let exchange = format!("{}.results", settings.prefix);
    let mut confirms = Vec::new();
    for outcome in outcomes {
        let properties = BasicProperties::default()
            .with_message_id(outcome.outcome_id().into())
            .with_type("takedown.outcome.v1".into())
            .with_delivery_mode(2);
        let (exchange, key) = (exchange.as_str().into(), outcome.routing_key().into());
        let options = BasicPublishOptions { mandatory: true, immediate: false };
        let body = outcome.encode();
        confirms.push(channel.basic_publish(exchange, key, options, &body, properties).await.unwrap());
    }
    for confirm in confirms {
        assert_eq!(confirm.await.unwrap(), lapin::Confirmation::Ack(None));
    }
    connection.close(200, "done".into()).await.unwrap();
}
