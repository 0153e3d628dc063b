//! Reads every outcome from the broker itself, through its restarts, and keeps the book the checker looks into.
//!
//! Promise: an outcome is written down before it is acked; one handed out again because its ack was lost is not written
//! down twice.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties, Consumer};
use takedown::domain::outcome::FinalOutcome;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// Between two tries to reach a broker.
const PAUSE: Duration = Duration::from_millis(100);

/// Longest try.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// One outcome as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    /// AMQP `message_id`.
    pub(crate) message_id: String,
    /// The message.
    pub(crate) outcome: FinalOutcome,
}

/// What was told, by takedown and in order; and the messages that are no outcome.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    /// Outcomes by the takedown's id.
    pub(crate) told: BTreeMap<String, Vec<Told>>,
    /// `message_id` and fault of each message that cannot be read.
    pub(crate) unreadable: Vec<String>,
}

/// Longest time without an outcome on one connection.
const QUIET: Duration = Duration::from_secs(5);

/// A running reader; dropped, it stops.
#[derive(Debug)]
pub(crate) struct Reader {
    book: Arc<Mutex<Book>>,
    ids: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Reader {
    /// Starts to read a queue; the brokers are tried in turn, for ever.
    pub(crate) fn start(brokers: Vec<String>, queue: String) -> Self {
        let book = Arc::new(Mutex::new(Book::default()));
        let (count, ids) = watch::channel(0);
        let writer = Writer { book: Arc::clone(&book), count };
        let task = tokio::spawn(async move {
            for broker in brokers.iter().cycle() {
                if let Ok(Ok((_connection, consumer))) = timeout(CONNECT_TIMEOUT, open(broker, &queue)).await {
                    writer.write_all(consumer).await;
                }
                sleep(PAUSE).await;
            }
        });
        Self { book, ids, task }
    }

    /// Returns the number of takedowns with an outcome, now and whenever it grows.
    pub(crate) fn ids(&self) -> watch::Receiver<usize> {
        self.ids.clone()
    }

    /// Returns what was told so far.
    pub(crate) fn book(&self) -> Book {
        self.book.lock().unwrap().clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn open(broker: &str, queue: &str) -> lapin::Result<(Connection, Consumer)> {
    let connection = Connection::connect(broker, ConnectionProperties::default()).await?;
    let channel = connection.create_channel().await?;
    channel.basic_qos(200, BasicQosOptions::default()).await?;
    let options = BasicConsumeOptions::default();
    let consumer = channel.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
    Ok((connection, consumer))
}

struct Writer {
    book: Arc<Mutex<Book>>,
    count: watch::Sender<usize>,
}

impl Writer {
    /// Until the broker is gone, or hands out nothing for a while: a consumer may be forgotten when its queue gets another
    /// leader, and nobody tells it.
    async fn write_all(&self, mut consumer: Consumer) {
        while let Ok(Some(Ok(delivery))) = timeout(QUIET, consumer.next()).await {
            self.write(&delivery);
            // A connection that breaks here may leave the ack without an answer.
            let acked = timeout(QUIET, delivery.ack(BasicAckOptions::default())).await;
            if !acked.is_ok_and(|acked| acked.is_ok_and(|is_acked| is_acked)) {
                return;
            }
        }
    }

    fn write(&self, delivery: &Delivery) {
        let message_id = delivery.properties.message_id().as_ref().map(ToString::to_string).unwrap_or_default();
        let mut book = self.book.lock().unwrap();
        match FinalOutcome::decode(&delivery.data) {
            Ok(outcome) => {
                let told = book.told.entry(outcome.id.clone()).or_default();
                let entry = Told { message_id, outcome };
                if !(delivery.redelivered && told.contains(&entry)) {
                    told.push(entry);
                }
            }
            Err(error) => book.unreadable.push(format!("{message_id}: {error}")),
        }
        let ids = book.told.len();
        // Who waits for the count looks into the book meanwhile, with the count in hand.
        drop(book);
        self.count.send_replace(ids);
    }
}
