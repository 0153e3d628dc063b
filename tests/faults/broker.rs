//! What a broker, or an operator at it, does to whole workers under load: queues and exchanges deleted, results refused,
//! connections and channels closed, alarms, permissions taken away.
//!
//! Whatever it is, it ends, and then every item must have its outcome, with no more calls than the interruptions allow.

use std::sync::Arc;
use std::time::Duration;

use lapin::options::{BasicAckOptions, BasicGetOptions, ExchangeDeleteOptions, QueueDeleteOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use takedown::domain::ids::AccountId;
use takedown::domain::outcome::Reason;
use takedown::queue::amqp::AmqpSettings;
use takedown::queue::amqp::topology::{Finding, Topology};
use tokio::time::{Instant, sleep};

use crate::checker::{Report, check};
use crate::support::broker::{publish, shared_url};
use crate::support::queue::eventually;
use crate::world::{Options, Site, World};

/// For one test, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);

/// How long the broker leaves a fault standing: much longer than the workers wait for a confirm.
const FAULT: Duration = Duration::from_secs(4);

/// A time in which much happens again and again, if it does.
const LONG_FAULT: Duration = Duration::from_secs(8);

/// Longer than a reader takes to connect anew and to read what was told before.
const QUIET: Duration = Duration::from_secs(4);

/// The wait for a confirm that the workers are started with.
const CONFIRM: &str = "1s";

/// Quick at noticing what is held for too long.
const ADVANCED: &str =
    "[{rabbit, [{dead_letter_worker_publisher_confirm_timeout, 1000}, {channel_tick_interval, 500}]}].";

fn options(items: usize, site: Site) -> Options {
    Options {
        items,
        limits: "rate = \"100/s\"\nmode = \"static\"\nshare = \"1/2\"".into(),
        environment: Arc::new(|_, _| vec![("TAKEDOWN_AMQP__CONFIRM_TIMEOUT", CONFIRM.to_owned())]),
        site,
        ..Options::default()
    }
}

async fn shared() -> Site {
    Site::Given(vec![tokio::task::spawn_blocking(shared_url).await.unwrap()])
}

/// Has `rabbitmqctl` do something.
async fn control<const N: usize>(world: &World, arguments: [&str; N]) -> String {
    let arguments = arguments.map(str::to_owned);
    world.with_broker(move |broker| broker.control(&arguments.each_ref().map(String::as_str))).await
}

async fn end(world: World, deadline: Instant) -> Report {
    let (evidence, _dir) = world.end(deadline).await;
    let report = check(&evidence);
    println!("{:?}", report.figures);
    assert_eq!(report.breaches, []);
    report
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn results_that_are_refused_are_held_and_told_later_without_another_call() {
    let deadline = Instant::now() + DEADLINE;
    let world = World::start(options(400, Site::Own(ADVANCED))).await;
    // Retries go on meanwhile: what the broker takes of them says nothing about results.
    world.set_faults(&["system_error=0.3"]);
    world.man();
    world.enqueue_part(0..200).await;
    assert!(world.reach(50, deadline).await);
    let all_but_results = format!("^(?!{}\\.results$)", world.settings.prefix);
    control(&world, ["set_permissions", "guest", ".*", &all_but_results, ".*"]).await;
    // A channel remembers what it was once allowed.
    world.note_interruption();
    control(&world, ["close_all_connections", "new permissions"]).await;
    let told = world.told_at_last(QUIET).await;
    assert!(told <= 200, "{told}");
    world.enqueue_part(200..400).await;
    sleep(LONG_FAULT).await;
    assert_eq!(world.told(), told, "nothing can be told");
    control(&world, ["set_permissions", "guest", ".*", ".*", ".*"]).await;
    let figures = end(world, deadline).await.figures;
    assert!(!figures.ends.contains_key(&Reason::CrashLoop), "{figures:?}");
}

/// Takes objects of the topology away, as an operator who mistook them for another's.
struct Vandal {
    prefix: String,
    connection: Connection,
}

impl Vandal {
    async fn new(world: &World) -> Self {
        let connection = Connection::connect(&world.settings.urls[0], ConnectionProperties::default()).await.unwrap();
        Self { prefix: world.settings.prefix.clone(), connection }
    }

    fn name(&self, name: &str) -> String {
        format!("{}.{name}", self.prefix)
    }

    async fn delete_exchange(&self, name: &str) {
        let channel = self.connection.create_channel().await.unwrap();
        channel.exchange_delete(self.name(name).into(), ExchangeDeleteOptions::default()).await.unwrap();
    }

    /// Returns how many messages that nobody had in hand went with it.
    async fn delete_queue(&self, name: &str) -> usize {
        let channel = self.connection.create_channel().await.unwrap();
        let gone = channel.queue_delete(self.name(name).into(), QueueDeleteOptions::default()).await.unwrap();
        usize::try_from(gone).unwrap()
    }

    /// The consumers' queue last: what only the desks' log took would be unrouted for nobody.
    async fn unbind_results(&self) {
        let channel = self.connection.create_channel().await.unwrap();
        for queue in ["results.log", "results.all"] {
            let (queue, exchange) = (self.name(queue), self.name("results"));
            channel.queue_unbind(queue.into(), exchange.into(), "#".into(), FieldTable::default()).await.unwrap();
        }
    }

    /// Moves what nobody was bound for to where it was sent, as a shovel would; returns how much.
    async fn move_unrouted(&self, settings: &AmqpSettings) -> usize {
        let channel = self.connection.create_channel().await.unwrap();
        let mut moved = 0;
        while let Some(message) =
            channel.basic_get(self.name("unrouted").into(), BasicGetOptions::default()).await.unwrap()
        {
            let (exchange, key) = (message.exchange.as_str(), message.routing_key.as_str());
            publish(settings, exchange, key, &message.data, message.properties.clone()).await;
            assert!(message.ack(BasicAckOptions::default()).await.unwrap());
            moved += 1;
        }
        moved
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn exchanges_that_are_deleted_are_declared_again_and_nothing_is_lost() {
    let deadline = Instant::now() + DEADLINE;
    // A missing exchange is told at once. A confirm that is merely late must not pass for a refusal here: the message would
    // be sent twice, and called for twice.
    let patient = Arc::new(|_, _| Vec::new());
    let world = World::start(Options { doomed: 40, environment: patient, ..options(600, shared().await) }).await;
    let vandal = Vandal::new(&world).await;
    world.man();
    world.enqueue_part(0..200).await;
    assert!(world.reach(10, deadline).await);
    // Each is missed only by what goes through it: letters of the doomed, outcomes, retries.
    vandal.delete_exchange("dead").await;
    assert!(world.reach(150, deadline).await);
    vandal.delete_exchange("results").await;
    world.enqueue_part(200..600).await;
    assert!(world.reach(300, deadline).await);
    world.set_faults(&["system_error=0.5"]);
    for rung in ["retry.200ms", "retry.1s"] {
        vandal.delete_exchange(rung).await;
    }
    let figures = end(world, deadline).await.figures;
    assert_eq!(figures.repeated_calls, 0, "{figures:?}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn outcomes_nobody_is_bound_for_are_kept_and_told_of_by_the_check() {
    let deadline = Instant::now() + DEADLINE;
    let world = World::start(options(100, shared().await)).await;
    let vandal = Vandal::new(&world).await;
    world.man();
    world.enqueue_part(0..50).await;
    assert!(world.reach(50, deadline).await);
    vandal.unbind_results().await;
    world.enqueue_part(50..100).await;
    let accounts = ["desk", "shops"].map(|name| AccountId::new(name).unwrap());
    let topology = Topology::new(&world.settings, &accounts);
    let unrouted = vandal.name("unrouted");
    // A worker's own look may have bound the queues again before the first of them was told.
    eventually("the check's word", async || {
        let findings = topology.check(&world.settings).await.unwrap();
        let is_told_of = |finding: &Finding| finding.object == unrouted && finding.problem.starts_with("holds ");
        findings.iter().any(is_told_of) || world.told() > 50
    })
    .await;
    topology.apply(&world.settings).await.unwrap();
    // Those told before the binding was back; the workers send on what they see of them, too.
    eventually("every outcome", async || {
        vandal.move_unrouted(&world.settings).await;
        world.told() == world.accepted()
    })
    .await;
    end(world, deadline).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_was_in_hand_when_its_queue_was_deleted_is_worked_off() {
    let deadline = Instant::now() + DEADLINE;
    let limits = "rate = \"20/s\"\nmode = \"static\"\nshare = \"1/2\"".into();
    let world = World::start(Options { limits, doomed: 0, ..options(400, shared().await) }).await;
    let vandal = Vandal::new(&world).await;
    world.man();
    world.enqueue().await;
    assert!(world.reach(40, deadline).await);
    // Nobody can bring back what was in the queues alone; the rest is the workers' duty.
    let gone = vandal.delete_queue("work.desk").await + vandal.delete_queue("work.shops").await;
    println!("{gone} messages went with their queues");
    assert!(gone > 0);
    let left = world.accepted() - gone;
    assert!(world.reach(left, Instant::now() + DEADLINE / 3).await, "{} of {left}", world.told());
    world.enqueue_again().await;
    end(world, deadline).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn connections_channels_alarms_and_permissions_cost_no_outcome() {
    const PART: usize = 100;
    let deadline = Instant::now() + DEADLINE;
    let world = World::start(options(5 * PART, Site::Own(ADVANCED))).await;
    world.set_faults(&["system_error=0.05"]);
    world.man();
    let load = async |part: usize| {
        world.enqueue_part(part * PART..(part + 1) * PART).await;
        assert!(world.reach(part * PART + PART / 4, deadline).await, "{} told", world.told());
        world.note_interruption();
    };
    load(0).await;
    control(&world, ["eval", "application:set_env(rabbit, consumer_timeout, 1000)."]).await;
    control(&world, ["close_all_connections", "maintenance"]).await;

    // Some are held for longer than the broker allows by now, on channels opened since.
    world.set_faults(&["latency:1800ms=0.1"]);
    load(1).await;
    (0..20).for_each(|_| world.note_interruption());
    sleep(FAULT).await;
    world.set_faults(&["system_error=0.05"]);
    control(&world, ["eval", "application:set_env(rabbit, consumer_timeout, 1800000)."]).await;

    load(2).await;
    control(&world, ["set_vm_memory_high_watermark", "0"]).await;
    sleep(FAULT).await;
    control(&world, ["set_vm_memory_high_watermark", "absolute", "1GB"]).await;

    load(3).await;
    control(&world, ["set_disk_free_limit", "1000000000000000"]).await;
    sleep(FAULT).await;
    control(&world, ["set_disk_free_limit", "1MB"]).await;

    load(4).await;
    control(&world, ["set_permissions", "guest", "^$", "^$", "^$"]).await;
    control(&world, ["close_all_connections", "new permissions"]).await;
    sleep(FAULT).await;
    control(&world, ["set_permissions", "guest", ".*", ".*", ".*"]).await;
    end(world, deadline).await;
}
