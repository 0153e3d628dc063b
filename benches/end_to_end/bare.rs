//! The same traffic by lapin alone, nothing signed and nothing called: what broker and client library leave to reach.
//!
//! Each loop runs in a process of its own, so that its cost is taken as the worker's is.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use takedown::signing::SignType;

use crate::accounts::Account;
use crate::items::{Lot, outcome};
use crate::process::{Ended, Process};
use crate::queues::Queues;

/// Where outcomes go.
struct Flow {
    exchange: String,
    key: String,
}

/// What is published to an exchange.
pub(crate) struct Message {
    pub(crate) key: String,
    pub(crate) id: String,
    pub(crate) body: Vec<u8>,
}

/// A loop that consumes, publishes an outcome, waits for its confirm and acks.
pub(crate) struct BareLoop {
    pub(crate) process: Process,
}

impl BareLoop {
    /// Starts one on an account's queues; `claims` has it publish to the journal first, as a worker does.
    pub(crate) fn start(queues: &Queues<'_>, account: &Account, in_flight: u32, claims: Claims) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "settle", &queues.url, &queues.work(account), &queues.prefix, &account.name]);
        command.args([&in_flight.to_string(), claims.word()]);
        let mut process = Process::start("the bare loop", command)?;
        process.line("consuming", Duration::from_secs(30))?;
        Ok(Self { process })
    }

    /// Returns what it has settled so far.
    pub(crate) fn settled(&mut self) -> Result<u64> {
        Ok(self.process.ask("count")?.parse()?)
    }
}

/// Whether a bare loop writes to the journal before it tells an outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Claims {
    Made,
    Left,
}

impl Claims {
    fn word(self) -> &'static str {
        match self {
            Self::Made => "claims",
            Self::Left => "plain",
        }
    }
}

/// Publishes so many messages of an account over one connection, from a process of its own.
pub(crate) fn enqueue(queues: &Queues<'_>, account: &Account, count: u64, window: usize) -> Result<Ended> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["bare", "publish", &queues.url, &queues.prefix, &account.name, account.sign_type.as_str()]);
    command.args([count.to_string(), window.to_string()]);
    let started = Instant::now();
    Process::start("the bare publisher", command)?.end(started, Duration::from_secs(300))
}

/// Is one of the loops.
pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["publish", url, exchange, name, sign_type, count, window] => {
            let sign_type = if sign_type == "RSA2" { SignType::Rsa2 } else { SignType::Md5 };
            let account = Account { name: name.to_owned(), sign_type };
            let (lot, count) = (Lot::new(), count.parse()?);
            let messages = (0..count).map(|number| Message {
                key: name.to_owned(),
                id: lot.id(number),
                body: lot.message(&account, number),
            });
            runtime.block_on(publish(url, exchange, messages, window.parse()?))
        }
        ["settle", url, queue, prefix, account, in_flight, claims] => {
            let settled = Arc::new(AtomicU64::new(0));
            let results = Flow { exchange: format!("{prefix}.results"), key: format!("success.mapi.{account}") };
            let journal = Flow { exchange: format!("{prefix}.journal"), key: String::new() };
            let journal = (claims == Claims::Made.word()).then_some(journal);
            let loop_ = Settling {
                queue: queue.to_owned(),
                flows: journal.into_iter().chain([results]).collect(),
                in_flight: in_flight.parse()?,
                body: outcome(account),
                settled: Arc::clone(&settled),
            };
            let running = runtime.spawn(loop_.run(url.to_owned()));
            for line in std::io::stdin().lines() {
                line?;
                if running.is_finished() {
                    return runtime.block_on(running)?;
                }
                println!("{}", settled.load(Ordering::Relaxed));
            }
            Ok(())
        }
        _ => bail!("no such loop: {arguments:?}"),
    }
}

/// Publishes persistent messages with at most so many unconfirmed, each with the properties a producer of ours gives it.
pub(crate) async fn publish(
    url: &str,
    exchange: &str,
    messages: impl Iterator<Item = Message>,
    window: usize,
) -> Result<()> {
    let connection = Connection::connect(url, ConnectionProperties::default()).await?;
    let channel = confirming(&connection).await?;
    let confirmed = |Message { key, id, body }: Message| {
        let channel = &channel;
        async move { taken(send(channel, exchange, &key, &body, properties(&id)).await?.await?) }
    };
    // As fast as lapin lets one be: no publish waits for the one before it to have been handed over.
    stream::iter(messages).map(confirmed).buffer_unordered(window).try_collect::<()>().await?;
    connection.close(200, "done".into()).await?;
    Ok(())
}

async fn confirming(connection: &Connection) -> lapin::Result<Channel> {
    let channel = connection.create_channel().await?;
    channel.confirm_select(ConfirmSelectOptions::default()).await?;
    Ok(channel)
}

async fn send(
    channel: &Channel,
    exchange: &str,
    key: &str,
    body: &[u8],
    properties: BasicProperties,
) -> lapin::Result<impl Future<Output = lapin::Result<Confirmation>> + use<>> {
    let options = BasicPublishOptions { mandatory: true, immediate: false };
    channel.basic_publish(exchange.into(), key.into(), options, body, properties).await
}

fn taken(confirmation: Confirmation) -> Result<()> {
    if confirmation != Confirmation::Ack(None) {
        bail!("a message was not taken: {confirmation:?}");
    }
    Ok(())
}

fn properties(id: &str) -> BasicProperties {
    let now = jiff::Timestamp::now();
    let mut headers = FieldTable::default();
    headers.insert("x-td-due".into(), AMQPValue::LongLongInt(now.as_millisecond()));
    BasicProperties::default()
        .with_delivery_mode(2)
        .with_content_type("application/json".into())
        .with_message_id(id.into())
        .with_timestamp(now.as_second().unsigned_abs())
        .with_headers(headers)
}

struct Settling {
    queue: String,
    /// One after the other.
    flows: Vec<Flow>,
    in_flight: u16,
    body: Vec<u8>,
    settled: Arc<AtomicU64>,
}

impl Settling {
    /// Consumes over one connection and publishes over another, as a worker does.
    async fn run(self, url: String) -> Result<()> {
        let consuming = Connection::connect(&url, ConnectionProperties::default()).await?;
        let publishing = Connection::connect(&url, ConnectionProperties::default()).await?;
        let publisher = confirming(&publishing).await?;
        let consumer = consuming.create_channel().await?;
        consumer.basic_qos(self.in_flight.saturating_mul(2), BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let deliveries = consumer.basic_consume(self.queue.as_str().into(), "".into(), options, arguments).await?;
        println!("consuming");
        let settle = |delivery: lapin::message::Delivery| {
            let (publisher, this) = (&publisher, &self);
            async move {
                let id = delivery.properties.message_id().as_ref().map_or("", |id| id.as_str());
                for Flow { exchange, key } in &this.flows {
                    taken(send(publisher, exchange, key, &this.body, properties(id)).await?.await?)?;
                }
                if !delivery.ack(BasicAckOptions::default()).await? {
                    bail!("a delivery was not acked");
                }
                this.settled.fetch_add(1, Ordering::Relaxed);
                Ok(())
            }
        };
        deliveries.map_err(anyhow::Error::from).try_for_each_concurrent(usize::from(self.in_flight), settle).await
    }
}
