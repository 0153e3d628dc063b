//! The same traffic by lapin alone, nothing signed and nothing called: what broker and client library leave to reach.
//! One loop calls as well, by the same client and keys as a worker: what a worker costs beyond it is the worker's own.
//!
//! Each loop runs in a process of its own, so that its cost is taken as the worker's is.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context as _, Result, bail};
use futures_util::{StreamExt, TryStreamExt, stream};
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use takedown::domain::reply::{Reply, Signature};
use takedown::domain::takedown::Takedown;
use takedown::gateway::GatewayAccount;
use takedown::gateway::http::{HttpClient, HttpSettings};
use takedown::signing::SignType;

use crate::accounts::{Account, Credentials, SIGN_TYPES};
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
    /// Starts one on an account's queues.
    pub(crate) fn start(queues: &Queues<'_>, account: &Account, in_flight: u32, work: &Work<'_>) -> Result<Self> {
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["bare", "settle", &queues.url, &queues.work(account), &queues.prefix, &account.name]);
        command.args([&in_flight.to_string(), work.word()]);
        if let Work::Call(keys, gateway) = work {
            command.arg(keys.directory()).args([account.sign_type.as_str(), gateway]);
        }
        let mut process = Process::start("the bare loop", command)?;
        process.line("consuming", Duration::from_secs(30))?;
        Ok(Self { process })
    }

    /// Returns what it has settled so far.
    pub(crate) fn settled(&mut self) -> Result<u64> {
        Ok(self.process.ask("count")?.parse()?)
    }
}

/// What a bare loop does of an item.
pub(crate) enum Work<'a> {
    /// Tells its outcome.
    Outcome,
    /// Writes to the journal before, as a worker does.
    Claim,
    /// Calls the gateway at an address with some keys before that.
    Call(&'a Credentials, &'a str),
}

impl Work<'_> {
    /// Names it.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Claim => "claim and outcome",
            Self::Call(..) => "call, claim and outcome",
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
            let account = Account { name: name.to_owned(), sign_type: sign_type_of(sign_type)? };
            let (lot, count) = (Lot::new(), count.parse()?);
            let messages = (0..count).map(|number| Message {
                key: name.to_owned(),
                id: lot.id(number),
                body: lot.message(&account, number),
            });
            runtime.block_on(publish(url, exchange, messages, window.parse()?))
        }
        ["settle", url, queue, prefix, account, in_flight, word, ref call @ ..] => {
            let settled = Arc::new(AtomicU64::new(0));
            let results = Flow { exchange: format!("{prefix}.results"), key: format!("success.mapi.{account}") };
            let journal = Flow { exchange: format!("{prefix}.journal"), key: String::new() };
            let loop_ = Settling {
                queue: queue.to_owned(),
                gateway: Caller::read(call)?,
                flows: (word != Work::Outcome.word()).then_some(journal).into_iter().chain([results]).collect(),
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

fn sign_type_of(word: &str) -> Result<SignType> {
    SIGN_TYPES.into_iter().find(|known| known.as_str() == word).with_context(|| format!("no sign type {word}"))
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

/// Calls as a worker does: the same client and the same account.
struct Caller {
    http: HttpClient,
    account: GatewayAccount,
}

impl Caller {
    fn read(call: &[&str]) -> Result<Option<Self>> {
        let (keys, sign_type, gateway) = match call {
            [] => return Ok(None),
            [keys, sign_type, gateway] => (keys, sign_type, gateway),
            _ => bail!("no such call: {call:?}"),
        };
        let account = Credentials::at(Path::new(keys)).account(sign_type_of(sign_type)?, gateway)?;
        Ok(Some(Self { http: HttpClient::for_loopback(&HttpSettings::default())?, account }))
    }

    async fn call(&self, message: &[u8]) -> Result<()> {
        let item = Takedown::decode(message)?.item;
        match self.account.call(&self.http, &item, SystemTime::now()).await {
            Reply::Answered(answer) if answer.signature == Signature::Valid => Ok(()),
            reply => bail!("a call was not answered: {reply:?}"),
        }
    }
}

struct Settling {
    queue: String,
    gateway: Option<Caller>,
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
                if let Some(gateway) = &this.gateway {
                    gateway.call(&delivery.data).await?;
                }
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
