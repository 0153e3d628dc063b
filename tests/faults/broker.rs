//! What a broker, or an operator at it, does to whole workers under load: queues and exchanges deleted, results refused,
//! connections and channels closed, alarms, permissions taken away.
//!
//! Whatever it is, it ends, and then every item must have its outcome, with no more calls than the interruptions allow.

use std::sync::Arc;
use std::time::Duration;

use takedown::domain::outcome::Reason;
use tokio::time::{Instant, sleep};

use crate::checker::{Report, check};
use crate::support::broker::shared_url;
use crate::world::{Options, Site, World};

/// For one test, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(240);

/// How long the broker leaves a fault standing: much longer than the workers wait for a confirm.
const FAULT: Duration = Duration::from_secs(4);

/// A time in which much happens again and again, if it does.
const LONG_FAULT: Duration = Duration::from_secs(8);

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
    world.enqueue_first(200).await;
    assert!(world.reach(50, deadline).await);
    let all_but_results = format!("^(?!{}\\.results$)", world.settings.prefix);
    control(&world, ["set_permissions", "guest", ".*", &all_but_results, ".*"]).await;
    // A channel remembers what it was once allowed.
    world.note_interruption();
    control(&world, ["close_all_connections", "new permissions"]).await;
    let told = world.told();
    world.enqueue_after(200).await;
    sleep(LONG_FAULT).await;
    println!("{told} told, after {}", world.told());
    control(&world, ["set_permissions", "guest", ".*", ".*", ".*"]).await;
    let report = end(world, deadline).await;
    assert!(!report.figures.ends.contains_key(&Reason::CrashLoop), "{:?}", report.figures);
}
