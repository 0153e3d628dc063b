//! Reading a stream: from where on, in its order, with acks that keep pace.
//!
//! Promise: entries come in the order of the stream with their offset, none is left out, and none is left unacked while
//! nothing more comes: that would be taken for a stuck consumer's, and the channel closed
//! (rabbitmq.com/docs/consumers, "Delivery Acknowledgement Timeout").

use futures_util::{FutureExt, StreamExt};
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Consumer};

use crate::queue::QueueError;
use crate::queue::amqp::connection::{Link, broker_error};
use crate::queue::amqp::message::{short, stream_offset};

/// Entries handed out ahead; acks are what a stream takes for leave to send more.
const PREFETCH: u16 = 1000;

/// Entries to an ack, while they come without a pause.
const ACK_EVERY: u16 = 250;

/// One consumer of a stream.
pub(super) struct Stream {
    name: String,
    channel: Channel,
    consumer: Consumer,
    last: u64,
    unacked: u16,
}

/// One entry.
pub(super) struct Entry {
    pub(super) offset: u64,
    pub(super) properties: BasicProperties,
    pub(super) data: Vec<u8>,
}

impl Entry {
    /// Returns its `type`, empty without one.
    pub(super) fn kind(&self) -> &str {
        self.properties.kind().as_ref().map_or("", |kind| kind.as_str())
    }

    /// Returns its `message_id`, empty without one.
    pub(super) fn id(&self) -> &str {
        self.properties.message_id().as_ref().map_or("", |id| id.as_str())
    }
}

impl Stream {
    /// Opens a channel and consumes from an offset on, or from the first entry there is.
    ///
    /// # Errors
    /// [`QueueError::Broker`] and [`QueueError::Closed`].
    pub(super) async fn open(link: &Link, name: &str, from: Option<u64>) -> Result<Self, QueueError> {
        let channel = link.channel().await?;
        let consumer = subscribe(&channel, name, PREFETCH, from).await?;
        Ok(Self { name: name.to_owned(), channel, consumer, last: 0, unacked: 0 })
    }

    /// Waits for the next entry.
    ///
    /// # Errors
    /// [`QueueError::Broker`], and [`QueueError::Stale`] when the stream was deleted; the reading is over.
    ///
    /// # Cancel safety
    /// Safe: no entry is lost.
    pub(super) async fn next(&mut self) -> Result<Entry, QueueError> {
        loop {
            if self.unacked >= ACK_EVERY {
                self.ack().await?;
            }
            let item = match self.consumer.next().now_or_never() {
                Some(item) => item,
                None => {
                    self.ack().await?;
                    self.consumer.next().await
                }
            };
            let delivery = match item {
                Some(Ok(delivery)) => delivery,
                Some(Err(error)) => return Err(broker_error(format!("read {}", self.name), error)),
                None => return Err(QueueError::Stale),
            };
            (self.last, self.unacked) = (delivery.delivery_tag, self.unacked + 1);
            // Every entry of a stream has one; without it nothing could go on from here.
            let Some(offset) = stream_offset(&delivery.properties) else { continue };
            return Ok(Entry { offset, properties: delivery.properties, data: delivery.data });
        }
    }

    async fn ack(&mut self) -> Result<(), QueueError> {
        // Counted out first: acked twice, they would cost the channel. What a dropped future left unsent goes with the next.
        if std::mem::take(&mut self.unacked) > 0 {
            let acked = self.channel.basic_ack(self.last, BasicAckOptions { multiple: true }).await;
            acked.map_err(|error| broker_error(format!("read {}", self.name), error))?;
        }
        Ok(())
    }
}

/// Draws a `message_id` that no other entry has.
pub(super) fn new_id() -> String {
    format!("{:032x}", rand::random::<u128>())
}

/// Consumes a stream from an offset on, or from its first entry.
pub(super) async fn subscribe(
    channel: &Channel,
    stream: &str,
    prefetch: u16,
    from: Option<u64>,
) -> Result<Consumer, QueueError> {
    let offset = match from.and_then(|offset| i64::try_from(offset).ok()) {
        Some(offset) => AMQPValue::LongLongInt(offset),
        None => AMQPValue::LongString("first".into()),
    };
    let mut arguments = FieldTable::default();
    arguments.insert(short("x-stream-offset"), offset);
    let opened = async {
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        channel.basic_consume(short(stream), short(""), BasicConsumeOptions::default(), arguments).await
    };
    opened.await.map_err(|error| broker_error(format!("read {stream}"), error))
}
