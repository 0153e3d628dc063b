//! Acks and their opposite, which end when their channel does.
//!
//! lapin 4.12 hands both to a task of the connection. What is asked for just as the connection goes can come to lie behind
//! that task's last command, and is then neither done nor refused. Promise: who asks here is answered all the same.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel};
use tokio::time::sleep;

use crate::queue::amqp::together::Together;

/// Between two looks whether the channel is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Acks a delivery; `Ok(false)` when its channel is gone, and nothing was acked for all one knows.
pub(super) async fn ack(acker: &Acker) -> lapin::Result<bool> {
    answered(acker, acker.ack(BasicAckOptions::default())).await
}

/// Acks deliveries by their tags on the channels they came by, which spares the task of the connection. Says of each
/// whether its ack is on its way; if not, its channel is gone, and nothing was acked for all one knows.
pub(super) async fn ack_all(deliveries: &[(&Channel, u64, &Acker)]) -> Vec<bool> {
    let mut asked = Together::begin(deliveries.iter().map(async |&(channel, tag, acker)| {
        acker.usable() && channel.basic_ack(tag, BasicAckOptions::default()).await.is_ok()
    }));
    while !asked.within(LOOK_INTERVAL).await {
        let mut unanswered = asked.outputs().zip(deliveries).filter(|(answer, _)| answer.is_none());
        if unanswered.all(|(_, (.., acker))| acker.poisoned()) {
            break;
        }
    }
    asked.outputs().map(|answer| answer.copied().unwrap_or_default()).collect()
}

/// Hands a delivery back; `Ok(false)` when its channel is gone, and it is back by that.
pub(super) async fn give_back(acker: &Acker) -> lapin::Result<bool> {
    answered(acker, acker.nack(BasicNackOptions { multiple: false, requeue: true })).await
}

async fn answered(acker: &Acker, asked: impl Future<Output = lapin::Result<bool>>) -> lapin::Result<bool> {
    let gone = async {
        while !acker.poisoned() {
            sleep(LOOK_INTERVAL).await;
        }
    };
    tokio::select! {
        biased;
        answer = asked => answer,
        () = gone => Ok(false),
    }
}
