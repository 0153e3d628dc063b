//! Takedowns by the hundred: published in groups, told in one.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn one_unroutable_among_hundreds_fails_the_list() {
    let settings = shared().await;
    let accounts = [desk(), account("shops")];
    Topology::new(&settings, &accounts).apply(&settings).await.unwrap();
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = |name: &str| format!("{}.{name}", settings.prefix);
    channel.queue_delete(name("unrouted").into(), QueueDeleteOptions::default()).await.unwrap();
    let exchange = settings.prefix.as_str().into();
    channel.queue_unbind(name("work.shops").into(), exchange, "shops".into(), FieldTable::default()).await.unwrap();
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    for lost in [0, 300, 599] {
        let account = |n: usize| if n == lost { "shops" } else { "desk" };
        let takedowns = (0..600).map(|n| takedown(&format!("t-{lost}-{n}"), account(n))).collect();
        let error = within("a return", intake.enqueue(takedowns)).await.unwrap_err();
        let expected = format!("publishing to {} was not confirmed: returned as unroutable: NO_ROUTE", settings.prefix);
        assert_eq!(error.to_string(), expected);
        // The next list is not told of what was returned of this one.
        let takedowns = (0..600).map(|n| takedown(&format!("t-{lost}-again-{n}"), "desk")).collect();
        assert_eq!(within("the confirms", intake.enqueue(takedowns)).await.unwrap().accepted, 600);
    }
    intake.close().await;
    Topology::new(&settings, &accounts).delete(&settings).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn what_a_killed_broker_did_not_confirm_is_sent_again() {
    const ITEMS: usize = 5000;
    let mut broker = outages::own_broker("[].").await;
    // Longer than a restart on a busy machine may take.
    let settings = AmqpSettings { confirm_timeout: Duration::from_mins(2), ..broker::settings(broker.url()) };
    Topology::new(&settings, &[desk()]).apply(&settings).await.unwrap();
    let intake = AmqpIntake::connect(&settings).await.unwrap();
    let takedowns = (0..ITEMS).map(|n| takedown(&format!("t-{n}"), "desk")).collect();
    let enqueuing = tokio::spawn(async move { intake.enqueue(takedowns).await.map(|enqueued| enqueued.accepted) });
    eventually("a first part", async || waiting(&settings).await > 100).await;
    let broker = tokio::task::spawn_blocking(move || {
        broker.kill9();
        broker.restart();
        broker
    });
    let broker = within("the restart", broker).await.unwrap();
    assert_eq!(within("the confirms", enqueuing).await.unwrap().unwrap(), ITEMS as u64);
    eventually("every item", async || waiting(&settings).await as usize >= ITEMS).await;
    drop(broker);
}

async fn waiting(settings: &AmqpSettings) -> u32 {
    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let exact = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
    let name = format!("{}.work.desk", settings.prefix);
    channel.queue_declare(name.into(), exact, FieldTable::default()).await.unwrap().message_count()
}
