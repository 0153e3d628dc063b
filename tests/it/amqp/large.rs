//! Messages whose headers take more than a worker's usual frames hold.

use std::time::Duration;

use lapin::options::BasicGetOptions;
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use takedown::domain::classify::Effect;
use takedown::domain::outcome::Reason;
use takedown::domain::settlement::Settlement;
use takedown::queue::{Queue, Settled};

use super::{complete, delete, desk, enqueue, shared, start};
use crate::support::broker;
use crate::support::queue::{id_of, outcome, take, takedown, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_message_with_large_headers_goes_round_and_ends_like_any_other() {
    let settings = shared().await;
    let queue = start(&settings, 1).await;
    let note = AMQPValue::LongString("x".repeat(16_000).into());
    let mut headers = FieldTable::default();
    headers.insert("note".into(), note.clone());
    let properties = BasicProperties::default().with_headers(headers);
    broker::publish(&settings, &settings.prefix, "desk", &takedown("t-1", "desk").encode(), properties).await;
    let retry = Settlement::Retry { delay: Duration::ZERO, effect: Effect::None, last_code: None };
    within("the retry", queue.settle(take(&queue, &desk()).await, retry)).await.unwrap();
    let again = take(&queue, &desk()).await;
    assert_eq!((id_of(&again).as_str(), again.envelope.attempt), ("t-1", 2));
    let dead = Settlement::of(outcome(&again, Reason::AttemptsExhausted));
    assert_eq!(within("the letter", queue.settle(again, dead)).await.unwrap(), Settled::AsAsked);
    // Others go on meanwhile.
    enqueue(&settings, ["t-2".into()]).await;
    complete(&queue, take(&queue, &desk()).await, Reason::TakenDown).await.unwrap();
    within("the end", queue.close()).await.unwrap();

    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let letters = format!("{}.dead.desk", settings.prefix);
    let letter = channel.basic_get(letters.into(), BasicGetOptions { no_ack: true }).await.unwrap().unwrap();
    assert_eq!(letter.properties.headers().as_ref().unwrap().inner().get("note"), Some(&note));
    delete(&settings).await;
}
