//! Acks and their opposite, which end when their channel does.
//!
//! lapin 4.12 hands both to a task of the connection. What is asked for just as the connection goes can come to lie behind
//! that task's last command, and is then neither done nor refused. Promise: who asks here is answered all the same.

use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicNackOptions};
use lapin::{Acker, Channel};
use tokio::time::sleep;

/// Between two looks whether the channel is still there.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// Acks a delivery; `Ok(false)` when its channel is gone, and nothing was acked for all one knows.
pub(super) async fn ack(acker: &Acker) -> lapin::Result<bool> {
    answered(acker, acker.ack(BasicAckOptions::default())).await
}

/// Acks a delivery by its tag on the channel it came by, which spares the task of the connection; `Ok(false)` as above.
pub(super) async fn ack_on(channel: &Channel, tag: u64, acker: &Acker) -> lapin::Result<bool> {
    if !acker.usable() {
        return Ok(false);
    }
    let acked = async { channel.basic_ack(tag, BasicAckOptions::default()).await.map(|()| true) };
    answered(acker, acked).await
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
