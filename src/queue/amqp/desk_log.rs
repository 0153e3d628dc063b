//! The operators' log on the broker: a stream every desk and worker reads from its first entry.
//!
//! Promise: `note` returns after the confirm, and whoever reads after that finds the notice. Entries of type
//! `takedown.notice.v1` are notices, those of type `takedown.desk.mark.v1` marks (`tail`); what cannot be read is passed
//! over, and told.

use std::time::Duration;

use tokio::time::timeout;

use crate::domain::notice::Notice;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::tail::{self, Log, Streams, Told};
use crate::queue::{DeskLog, QueueError};

/// `type` of a notice.
pub(super) const NOTICE_TYPE: &str = "takedown.notice.v1";

/// The operators' log of one broker.
pub struct AmqpDeskLog {
    streams: Streams,
    exchange: String,
    /// Longest wait for the log to be read to its end.
    patience: Duration,
}

impl AmqpDeskLog {
    /// Connects, and declares the log where it is missing.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] where it exists otherwise.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let (exchange, patience) = (Names::new(settings).desk(), settings.confirm_timeout);
        Ok(Self { streams: Streams::connect(settings).await?, exchange, patience })
    }

    /// Says whether the broker is there.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.streams.is_connected()
    }

    /// Closes the connections in order; dropping does it in the background.
    pub async fn close(&self) {
        self.streams.close().await;
    }

    async fn read(&self) -> Result<Vec<Notice>, QueueError> {
        let mut tail = self.streams.open(Log::Notices, None).await?;
        let end = tail::new_mark();
        self.streams.mark(Log::Notices, &end).await?;
        let mut notices = Vec::new();
        loop {
            for told in tail.next().await? {
                match told {
                    Told::Notice(_, notice) => notices.push(*notice),
                    Told::Mark(mark) if mark == end => return Ok(notices),
                    Told::Mark(_) | Told::Outcome(_) => {}
                }
            }
        }
    }
}

/// Writes a notice and waits for its confirm.
pub(super) async fn write(publisher: &Publisher, exchange: &str, notice: &Notice) -> Result<(), QueueError> {
    let id = format!("{:032x}", rand::random::<u128>());
    let properties = message::raw().with_type(short(NOTICE_TYPE)).with_message_id(short(&id));
    let (exchange, body) = (exchange.to_owned(), notice.encode());
    let outgoing = Outgoing { exchange, routing_key: String::new(), properties, body: &body };
    publisher.publish(&outgoing, || true).await
}

impl DeskLog for AmqpDeskLog {
    async fn note(&self, notice: &Notice) -> Result<(), QueueError> {
        write(self.streams.publisher(), &self.exchange, notice).await
    }

    async fn notices(&self) -> Result<Vec<Notice>, QueueError> {
        let unread = |_| {
            let problem = format!("what is in it was not read within {:?}", self.patience);
            QueueError::Publish { exchange: self.exchange.clone(), problem }
        };
        timeout(self.patience, self.read()).await.map_err(unread)?
    }
}
