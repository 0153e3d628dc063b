//! The operators' log on the broker: a stream every desk and worker reads from its first entry.
//!
//! Promise: `note` returns after the confirm, and whoever reads after that finds the notice. A reader knows that it has
//! seen all by a mark of its own: an entry of type `takedown.desk.mark.v1` without a body, which is nobody else's.
//! Entries of type `takedown.notice.v1` are notices; what cannot be read is passed over, and told.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::domain::cause::chain;
use crate::domain::notice::Notice;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::connection::Link;
use crate::queue::amqp::message::{self, short};
use crate::queue::amqp::names::Names;
use crate::queue::amqp::publisher::{Outgoing, Publisher};
use crate::queue::amqp::stream::{Entry, Stream};
use crate::queue::amqp::topology::Topology;
use crate::queue::amqp::work_queue::WorkQueue;
use crate::queue::{DeskLog, QueueError};

const NOTICE_TYPE: &str = "takedown.notice.v1";
const MARK_TYPE: &str = "takedown.desk.mark.v1";

/// The operators' log of one broker.
pub struct AmqpDeskLog {
    link: Arc<Link>,
    publisher: Arc<Publisher>,
    stream: String,
    /// Longest wait for the log to be read to its end.
    patience: Duration,
}

impl AmqpDeskLog {
    /// Connects, and declares the log where it is missing.
    ///
    /// # Errors
    /// [`QueueError::Connect`]; [`QueueError::Topology`] where it exists otherwise.
    pub async fn connect(settings: &AmqpSettings) -> Result<Self, QueueError> {
        let link = Arc::new(Link::open(settings, "desk log").await?);
        Topology::new::<WorkQueue>(settings, []).apply_over(&link).await?;
        let publisher = Arc::new(Publisher::open(settings).await?);
        Ok(Self { link, publisher, stream: Names::new(settings).desk(), patience: settings.confirm_timeout })
    }

    /// Closes the connections in order; dropping does it in the background.
    pub async fn close(&self) {
        self.link.close().await;
        self.publisher.close().await;
    }

    async fn write(&self, kind: &str, id: Option<&str>, body: &[u8]) -> Result<(), QueueError> {
        let mut properties = message::raw().with_type(short(kind));
        if let Some(id) = id {
            properties = properties.with_message_id(short(id));
        }
        let outgoing = Outgoing { exchange: self.stream.clone(), routing_key: String::new(), properties, body };
        self.publisher.publish(&outgoing, || true).await
    }

    async fn read(&self) -> Result<Vec<Notice>, QueueError> {
        let mut stream = Stream::open(&self.link, &self.stream, None).await?;
        let mark = format!("{:032x}", rand::random::<u128>());
        self.write(MARK_TYPE, Some(&mark), b"").await?;
        let mut notices = Vec::new();
        loop {
            let entry = stream.next().await?;
            if entry.kind() == MARK_TYPE && entry.id() == mark {
                return Ok(notices);
            }
            notices.extend(notice(&self.stream, &entry));
        }
    }
}

impl DeskLog for AmqpDeskLog {
    async fn note(&self, notice: &Notice) -> Result<(), QueueError> {
        self.write(NOTICE_TYPE, None, &notice.encode()).await
    }

    async fn notices(&self) -> Result<Vec<Notice>, QueueError> {
        let unread = |_| {
            let problem = format!("what is in it was not read within {:?}", self.patience);
            QueueError::Publish { exchange: self.stream.clone(), problem }
        };
        timeout(self.patience, self.read()).await.map_err(unread)?
    }
}

/// Reads an entry; a mark is none, and what cannot be read is told and passed over.
fn notice(stream: &str, entry: &Entry) -> Option<Notice> {
    let problem = match entry.kind() {
        NOTICE_TYPE => match Notice::decode(&entry.data) {
            Ok(notice) => return Some(notice),
            Err(error) => chain(&error),
        },
        MARK_TYPE => return None,
        _ => "its type is none of the log's".to_owned(),
    };
    tracing::warn!(%stream, offset = entry.offset, problem, "an entry of the operators' log is passed over");
    None
}
