//! The main job on real parts: RabbitMQ, two worker processes, both gateways over HTTP, one of the workers killed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use lapin::options::QueueDeclareOptions;
use lapin::types::FieldTable;
use takedown::domain::ids::AccountId;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, Reason, Status};
use takedown::queue::DeadLetters;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;
use takedown::queue::amqp::results::Results;
use takedown::queue::amqp::topology::Topology;
use takedown::sandbox::faults::Faults;
use takedown::sandbox::mix::{Mix, Verdict};
use takedown::sandbox::setup::Setup;
use takedown::sandbox::{ItemState, Sandbox, SandboxSettings};
use takedown::signing::SignType;

use crate::support::command::{run, worker};
use crate::support::{broker, rehearsal};

const ITEMS: usize = 2000;
/// Early enough that the victim has much in hand.
const KILL_AFTER: usize = 500;
/// For all of the work; it takes some 20 s on two idle cores.
const DEADLINE: Duration = Duration::from_secs(240);

const FAULTS: [&str; 9] = [
    "system_error=0.04",
    "reset=0.03",
    "timeout=0.005",
    "garbage=0.02",
    "unsigned_success=0.01",
    "bad_signature=0.01",
    "throttled=0.005",
    "gbk=0.05",
    "latency:40ms=0.1",
];

const SETTINGS: &str = r#"
[http]
connect_timeout = "1s"
total_timeout = "2s"
[retry]
delays = ["200ms"]
rungs = ["200ms", "1s"]
max_attempts = 12
"#;

const LIMITS: &str = r#"
rate = "400/s"
cool_down = "200ms"
"#;

const UNREADABLE: &str = r#"{"version":1,"#;
const STRANGER: &str = r#"{"version":1,"id":"stranger-1","account":"nobody","takedown":{"gateway":"open_platform","commodity_id":"1","shop_id":"2"}}"#;

/// Every outcome by takedown, each with its `message_id`.
type Outcomes = BTreeMap<String, Vec<(String, FinalOutcome)>>;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn two_workers_end_every_item_once_though_one_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::generate(SignType::Rsa).unwrap();
    let faults = Faults::parse(FAULTS, "").unwrap();
    let sandbox = Sandbox::start(SandboxSettings { seed: 7, faults, ..setup.settings().unwrap() }).await.unwrap();
    let settings = broker::settings(tokio::task::spawn_blocking(broker::shared_url).await.unwrap());
    let general = format!("[amqp]\nurl = {:?}\nprefix = {:?}\n{SETTINGS}", settings.urls[0], settings.prefix);
    rehearsal::write(dir.path(), &setup, &sandbox, &general, LIMITS);
    let accounts = ["desk", "shops"].map(|name| AccountId::new(name).unwrap()).to_vec();
    let topology = Topology::new(&settings, &accounts);
    topology.apply(&settings).await.unwrap();

    let mix = Mix::new(ITEMS, 2026, &setup);
    mix.prepare(&sandbox);
    enqueue(dir.path(), &mix);
    // Two things no producer should send. Last in their queues, so that the victim never has them in hand: a dead letter
    // too may come twice.
    for (account, id, body) in [("desk", "unreadable-1", UNREADABLE), ("shops", "stranger-1", STRANGER)] {
        let properties = lapin::BasicProperties::default().with_message_id(id.into());
        broker::publish(&settings, &settings.prefix, account, body.as_bytes(), properties).await;
    }

    let mut outcomes = Outcomes::new();
    let worked_off = work_off(dir.path(), &settings, &mut outcomes);
    let in_time = tokio::time::timeout(DEADLINE, worked_off).await;
    assert!(in_time.is_ok(), "{} of {} outcomes within {DEADLINE:?}", outcomes.len(), ITEMS + 2);

    assert_eq!(outcomes.len(), ITEMS + 2);
    for (id, told) in &outcomes {
        let distinct: BTreeSet<_> = told.iter().map(|(message_id, _)| message_id).collect();
        assert_eq!(distinct.len(), 1, "{id} has outcomes {distinct:?}");
    }
    for takedown in &mix.takedowns {
        for (_, outcome) in &outcomes[takedown.id.as_str()] {
            assert_eq!(mix.judge(takedown, outcome.reason), Verdict::Right, "{outcome:?}");
            if outcome.status() == Status::Success {
                assert_eq!(sandbox.item(&takedown.item.label()), ItemState::OffSale, "{outcome:?}");
            }
        }
    }
    assert_eq!(outcomes["unreadable-1"][0].1.reason, Reason::InvalidMessage);
    assert_eq!(outcomes["stranger-1"][0].1.reason, Reason::UnknownAccount);

    let letters = AmqpDeadLetters::connect(&settings, accounts).await.unwrap();
    let letters = letters.list(&LetterFilter::default()).await.unwrap();
    let ids: BTreeSet<_> = letters.iter().map(|letter| letter.id.as_str()).collect();
    assert_eq!(ids, BTreeSet::from(["unreadable-1", "stranger-1"]));
    assert_eq!(left_in(&settings, ["dead.desk", "dead.shops", "unrouted"]).await, 2);
    topology.delete(&settings).await.unwrap();
}

/// Runs two workers, kills one, and reads outcomes until a worker has drained and left nothing behind.
async fn work_off(dir: &Path, settings: &AmqpSettings, outcomes: &mut Outcomes) {
    let first = worker(dir, "first");
    let mut second = worker(dir, "second");
    let mut results = Results::connect(settings).await.unwrap();
    let mut is_killed = false;
    while outcomes.len() < ITEMS + 2 {
        let (message_id, outcome) = results.next().await.unwrap();
        outcomes.entry(outcome.id.clone()).or_default().push((message_id, outcome));
        if outcomes.len() == KILL_AFTER && !is_killed {
            first.signal("KILL");
            is_killed = true;
        }
    }
    // What the victim had told, but not acked, is on its way once more; a drain may give some of it back.
    loop {
        second.signal("TERM");
        let (status, lines) = tokio::task::spawn_blocking(|| second.wait()).await.unwrap();
        assert_eq!(status.code(), Some(0), "a drained worker ends well: {lines:?}");
        if left_in(settings, ["work.desk", "work.shops", "retry.200ms", "retry.1s"]).await == 0 {
            break;
        }
        second = worker(dir, "third");
        while left_in(settings, ["work.desk", "work.shops", "retry.200ms", "retry.1s"]).await > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    // Nobody publishes any more: one last message marks the end.
    let mut last = outcomes["unreadable-1"][0].1.clone();
    last.id = "the-end".to_owned();
    let exchange = format!("{}.results", settings.prefix);
    let properties = lapin::BasicProperties::default().with_message_id("the-end".into());
    broker::publish(settings, &exchange, &last.routing_key(), &last.encode(), properties).await;
    loop {
        let (message_id, outcome) = results.next().await.unwrap();
        if outcome.id == last.id {
            return;
        }
        outcomes.entry(outcome.id.clone()).or_default().push((message_id, outcome));
    }
}

fn enqueue(dir: &Path, mix: &Mix) {
    let mut lines = String::new();
    for takedown in &mix.takedowns {
        writeln!(lines, "{}", String::from_utf8(takedown.encode()).unwrap()).unwrap();
    }
    std::fs::write(dir.join("items.jsonl"), lines).unwrap();
    let ended = run(dir, &["enqueue", "items.jsonl"]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
}

/// Counts the messages ready in some queues.
async fn left_in<const N: usize>(settings: &AmqpSettings, names: [&str; N]) -> u32 {
    let connection =
        lapin::Connection::connect(&settings.urls[0], lapin::ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let mut count = 0;
    for name in names {
        let queue = format!("{}.{name}", settings.prefix);
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        count += channel.queue_declare(queue.into(), options, FieldTable::default()).await.unwrap().message_count();
    }
    connection.close(200, "counted".into()).await.unwrap();
    count
}
