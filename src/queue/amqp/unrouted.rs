//! What nobody was bound for when it was published: found by the check, and sent on once its binding is back.
//!
//! An exchange that was deleted under the workers is declared again by the first who misses it, and bound a moment later;
//! what others publish within that moment is taken by the alternate exchange, and confirmed. Promise: a message leaves
//! only after it was confirmed where it was sent at first.

use std::collections::BTreeSet;

use lapin::message::BasicGetMessage;
use lapin::options::{BasicGetOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use crate::domain::ids::AccountId;
use crate::queue::QueueError;
use crate::queue::amqp::acker;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{sent_on, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::topology::Finding;

/// Finds messages that nobody was bound for; a queue that is missing holds none.
///
/// # Errors
/// [`QueueError::Closed`] and [`QueueError::Broker`], when there is no channel to look through.
pub(super) async fn find(link: &Link, names: &Names) -> Result<Option<Finding>, QueueError> {
    let (queue, results) = (names.unrouted(), names.results_exchange());
    let held = count(link, &queue).await?;
    Ok((held > 0).then(|| Finding {
        object: queue,
        problem: format!(
            "holds {held} messages nobody was bound for: outcomes told while no queue was bound to {results}, or \
             takedowns of accounts without a queue"
        ),
        remedy: "run `takedown topology apply`, then move them to the exchange they were sent to, under their own \
                 routing keys (management page or shovel)"
            .to_owned(),
    }))
}

async fn count(link: &Link, queue: &str) -> Result<u32, QueueError> {
    let options = QueueDeclareOptions::durable().passive();
    let looked = link.channel().await?.queue_declare(short(queue), options, FieldTable::default()).await;
    Ok(looked.map_or(0, |queue| queue.message_count()))
}

/// Sends on what is meant for the results or for one of these accounts; returns how much. What is of others stays.
///
/// # Errors
/// [`QueueError::Broker`] and [`QueueError::Publish`]; what was not sent on is back in the queue.
pub(super) async fn send_on(
    link: &Link,
    publisher: &Publisher,
    names: &Names,
    accounts: &BTreeSet<AccountId>,
) -> Result<u32, QueueError> {
    let queue = names.unrouted();
    let failed = |error| broker_error(format!("send on what is in {queue}"), error);
    // To get a message of a queue without a leader is an error that ends the connection, and with it whatever is in hand.
    if count(link, &queue).await? == 0 {
        return Ok(0);
    }
    let channel = link.channel().await?;
    let (mut sent, mut left) = (0, None);
    // What comes meanwhile, or comes back, is for another time.
    while left != Some(0) {
        let got = channel.basic_get(short(&queue), BasicGetOptions::default()).await.map_err(failed)?;
        let Some(message) = got else { break };
        left = Some(left.map_or(message.message_count, |left| left - 1));
        let is_result = message.exchange.as_str() == names.results_exchange();
        let is_work = message.exchange.as_str() == names.work_exchange();
        if is_result || is_work && accounts.iter().any(|account| account.as_str() == message.routing_key.as_str()) {
            send_on_one(publisher, &message).await?;
            sent += 1;
        }
    }
    // What was left goes back with the channel.
    channel.close(200, "done".into()).await.map_err(failed)?;
    Ok(sent)
}

async fn send_on_one(publisher: &Publisher, message: &BasicGetMessage) -> Result<(), QueueError> {
    let outgoing = Outgoing {
        exchange: message.exchange.to_string(),
        routing_key: message.routing_key.to_string(),
        properties: sent_on(&message.properties),
        body: &message.data,
    };
    publisher.publish(&outgoing, || message.acker.usable()).await?;
    match acker::ack(&message.acker).await {
        Ok(true) => Ok(()),
        Ok(false) => Err(QueueError::Stale),
        Err(error) => Err(broker_error("ack what was sent on", error)),
    }
}
