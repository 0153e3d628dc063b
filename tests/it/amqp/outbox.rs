//! Outcomes that leave together: what becomes of one is no other's.

use std::collections::BTreeMap;
use std::sync::Arc;

use lapin::Channel;
use takedown::domain::outcome::FinalOutcome;
use tokio::task::JoinSet;

use super::*;
use crate::support::broker::Broker;

const ITEMS: usize = 40;

/// Every second one is a success, and every one an outcome of its own.
fn reason(number: usize) -> Reason {
    if number.is_multiple_of(2) { Reason::TakenDown } else { Reason::NotOnSale }
}

/// Binds a queue for successes beside the catch-all one.
async fn bind_successes(settings: &AmqpSettings, arguments: FieldTable) -> (Channel, String) {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (queue, exchange) = (format!("{}.successes", settings.prefix), format!("{}.results", settings.prefix));
    channel.queue_declare(queue.as_str().into(), QueueDeclareOptions::durable(), arguments).await.unwrap();
    let bound = channel.queue_bind(
        queue.as_str().into(),
        exchange.into(),
        "success.#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    (channel, queue)
}

type Settling = JoinSet<(Reason, Result<(), QueueError>)>;

/// Settles all at the same time.
async fn settle_all(settings: &AmqpSettings, queue: &Arc<AmqpQueue>) -> Settling {
    enqueue(settings, (0..ITEMS).map(|n| format!("t-{n:02}"))).await;
    let mut deliveries = Vec::new();
    for _ in 0..ITEMS {
        deliveries.push(take(&**queue, &desk()).await);
    }
    let mut settling = JoinSet::new();
    for (number, delivery) in deliveries.into_iter().enumerate() {
        let queue = Arc::clone(queue);
        settling.spawn(async move { (reason(number), complete(&queue, delivery, reason(number)).await) });
    }
    settling
}

/// Waits for so many ends, each of them for this reason, or for any.
async fn ends(settling: &mut Settling, count: usize, expected: Option<Reason>) {
    for _ in 0..count {
        let (reason, settled) = within("an end", settling.join_next()).await.unwrap().unwrap();
        settled.unwrap();
        assert!(expected.is_none_or(|expected| expected == reason), "{reason}");
    }
}

/// Nothing is left of the items but one outcome each, however often told.
async fn all_are_told(settings: &AmqpSettings, queue: Arc<AmqpQueue>) {
    queue.close().await.unwrap();
    let queue = start(settings, 1).await;
    let work = desk();
    let mut results = Results::connect(settings).await.unwrap();
    let mut told = BTreeMap::<String, FinalOutcome>::new();
    within("every outcome", async {
        while told.len() < ITEMS {
            let (id, outcome) = results.next().await.unwrap();
            let first = told.entry(id).or_insert_with(|| outcome.clone());
            assert_eq!(*first, outcome);
        }
    })
    .await;
    let ids: BTreeSet<_> = told.values().map(|outcome| outcome.id.clone()).collect();
    assert_eq!(ids.len(), ITEMS, "one outcome each");
    let left = tokio::time::timeout(Duration::from_secs(1), queue.next(&work)).await;
    assert!(left.is_err(), "all were acked: {left:?}");
    queue.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn an_outcome_that_is_refused_is_held_and_the_others_of_its_group_end() {
    let settings = shared().await;
    let queue = Arc::new(start(&settings, 100).await);
    let mut full = FieldTable::default();
    full.insert("x-max-length".into(), AMQPValue::LongInt(0));
    full.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    let (channel, full) = bind_successes(&settings, full).await;
    let mut settling = settle_all(&settings, &queue).await;
    ends(&mut settling, ITEMS / 2, Some(Reason::NotOnSale)).await;
    channel.queue_delete(full.into(), QueueDeleteOptions::default()).await.unwrap();
    ends(&mut settling, ITEMS / 2, Some(Reason::TakenDown)).await;
    all_are_told(&settings, queue).await;
    delete(&settings).await;
}

/// Keeps a queue from doing anything, or lets it again; what is routed to it meanwhile is not confirmed.
async fn order(broker: Broker, order: &str, queue: &str) -> Broker {
    let found = format!("{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<\"/\">>, queue, <<\"{queue}\">>))");
    control(broker, vec!["eval".into(), format!("{found}, sys:{order}(amqqueue:get_pid(Q)).")]).await.0
}

async fn control(broker: Broker, arguments: Vec<String>) -> (Broker, String) {
    let ordered = tokio::task::spawn_blocking(move || {
        let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
        let told = broker.control(&arguments);
        (broker, told)
    });
    within("the order", ordered).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn the_confirmed_wait_for_none_that_is_not_and_what_is_lost_is_told_again() {
    let broker = outages::own_broker("[].").await;
    // Whoever waited for those that are not confirmed would wait too long.
    let settings = AmqpSettings { confirm_timeout: Duration::from_mins(5), ..broker::settings(broker.url()) };
    let queue = Arc::new(start(&settings, 100).await);
    let (_channel, stuck) = bind_successes(&settings, FieldTable::default()).await;
    let broker = order(broker, "suspend", &stuck).await;
    let mut settling = settle_all(&settings, &queue).await;
    ends(&mut settling, ITEMS / 2, Some(Reason::NotOnSale)).await;

    // The connection goes with the others still on their way.
    let list = ["list_connections", "--no-table-headers", "pid", "client_properties"].map(String::from);
    let (broker, connections) = control(broker, list.into()).await;
    let publishing = connections.lines().filter(|line| line.contains(" publish\""));
    let ids: Vec<_> = publishing.filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect();
    assert_eq!(ids.len(), 1, "{connections}");
    let (broker, _) = control(broker, vec!["close_connection".into(), ids[0].clone(), "test".into()]).await;
    eventually("the connection again", async || queue.is_ready()).await;
    let broker = order(broker, "resume", &stuck).await;
    ends(&mut settling, ITEMS / 2, Some(Reason::TakenDown)).await;
    all_are_told(&settings, queue).await;
    drop(broker);
}
