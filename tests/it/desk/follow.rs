//! Counting the result exchange: exactly, whatever is killed, deleted or cut.

use std::process::Command;

use lapin::options::QueueDeleteOptions;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;
use takedown::desk::follow::{Following, catch_up, follow};
use takedown::desk::store::Store;
use takedown::domain::ids::{AccountId, BatchId};
use takedown::domain::outcome::Reason;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::tail::Streams;
use takedown::queue::amqp::topology::Topology;
use tempfile::TempDir;
use tokio::sync::watch;

use super::{outcome, tell};
use crate::support::broker;
use crate::support::command::{Ended, end, takedown};
use crate::support::queue::{account, within};

async fn prepared() -> AmqpSettings {
    let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
    Topology::new(&settings, &[account("desk")]).apply(&settings).await.unwrap();
    settings
}

async fn delete(settings: &AmqpSettings) {
    Topology::new(settings, &[account("desk")]).delete(settings).await.unwrap();
}

fn ended(store: &Store) -> u64 {
    store.batch(&BatchId::new("b-1").unwrap()).unwrap().map_or(0, |batch| batch.done())
}

fn list(home: &TempDir, settings: &AmqpSettings, fault: Option<&str>) -> Ended {
    let mut command: Command = takedown(home.path(), &["batch", "list", "--json"]);
    command.env("TAKEDOWN_AMQP__URL", &settings.urls[0]).env("TAKEDOWN_AMQP__PREFIX", &settings.prefix);
    command.env("TAKEDOWN_DESK__FILE", home.path().join("desk.sqlite"));
    command.envs(fault.map(|fault| ("TAKEDOWN_FAULT_POINT", fault)));
    end(command)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_count_killed_in_the_middle_is_exact_in_the_end() {
    const ITEMS: usize = 4_500;
    let (settings, home) = (prepared().await, TempDir::new().unwrap());
    let account =
        "[accounts.desk]\ngateway = \"mapi\"\npartner = \"2088000000000001\"\nsign_type = \"MD5\"\nsecret = \"s\"\n";
    std::fs::write(home.path().join("takedown.toml"), account).unwrap();
    let told = |range: std::ops::Range<usize>| range.map(|n| outcome(&format!("t-{n}"), Reason::TakenDown));
    tell(&settings, told(0..3_000)).await;
    // Copies, as a crash between confirm and ack leaves them.
    tell(&settings, told(2_000..ITEMS)).await;
    let (at, listed) = (settings.clone(), home);
    let text = tokio::task::spawn_blocking(move || {
        // Each transaction holds a thousand entries at most; each death is before the commit of another one.
        for count in ["1", "2", "2", "1", "3"] {
            let killed = list(&listed, &at, Some(&format!("committing:{count}")));
            if cfg!(feature = "fault-points") {
                assert_eq!(killed.code, None, "killed: {killed:?}");
            }
        }
        let (first, again) = (list(&listed, &at, None), list(&listed, &at, None));
        assert_eq!((first.code, &first.stdout), (Some(0), &again.stdout), "{first:?}");
        first.stdout
    });
    let batches: Value = serde_json::from_str(&text.await.unwrap()).unwrap();
    assert_eq!(batches[0]["by_status"]["success"], ITEMS, "{batches}");
    delete(&settings).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs RabbitMQ"]
async fn a_stream_made_anew_is_read_from_its_first_entry_and_nothing_counts_twice() {
    let settings = prepared().await;
    let store = Store::temporary(&settings.identity()).unwrap();
    let following = watch::Sender::new(Following::Catching);
    let mut state = following.subscribe();
    let followed = tokio::spawn({
        let (settings, store) = (settings.clone(), store.clone());
        async move { follow(&settings, &store, &following).await }
    });
    within("the end", state.wait_for(|state| *state == Following::Current)).await.unwrap();
    tell(&settings, (0..50).map(|n| outcome(&format!("t-{n}"), Reason::NotOnSale))).await;
    let mut changes = store.changes();
    let counted = async |count: u64, changes: &mut watch::Receiver<u64>| {
        within("the count", async {
            while ended(&store) < count {
                changes.changed().await.unwrap();
            }
        })
        .await;
        assert_eq!(ended(&store), count);
    };
    counted(50, &mut changes).await;

    let connection = Connection::connect(&settings.urls[0], ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let name = format!("{}.results.log", settings.prefix);
    channel.queue_delete(name.as_str().into(), QueueDeleteOptions::default()).await.unwrap();
    within("another look", state.wait_for(|state| matches!(state, Following::Lost(_)))).await.unwrap();
    within("the end", state.wait_for(|state| *state == Following::Current)).await.unwrap();
    // Its offsets begin at 0 again, below the place that was kept.
    tell(&settings, (40..60).map(|n| outcome(&format!("t-{n}"), Reason::NotOnSale))).await;
    counted(60, &mut changes).await;
    followed.abort();

    let streams = Streams::connect(&settings).await.unwrap();
    within("the end", catch_up(&streams, &store)).await.unwrap();
    assert_eq!(ended(&store), 60);
    let minutes = store.minutes(std::time::SystemTime::now() - std::time::Duration::from_hours(1)).unwrap();
    let all: u64 = minutes.iter().flat_map(|minute| minute.outcomes.values()).sum();
    assert_eq!(all, 60, "the charts count as the batches do");
    assert!(AccountId::new(minutes[0].outcomes.keys().next().unwrap().0.as_str()).is_ok());
    streams.close().await;
    delete(&settings).await;
}
