//! A message that kills whoever calls for it, among innocent ones.

use takedown::domain::outcome::Reason;

use super::*;
use crate::checker::Figures;

/// Deliveries after which a message is not worked any more, and so the restarts it costs.
const CRASH_LOOP_FROM: u32 = 20;

const POISON: &str = r#"{"version":1,"id":"poison-1","account":"shops","takedown":{"gateway":"open_platform","commodity_id":"poison","shop_id":"1"}}"#;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_message_that_kills_ends_as_a_crash_loop_and_takes_no_other_with_it() {
    // With one place the message behind it is in hand, too, and must be worked first all the same.
    dies_alone(40, "1").await;
    if length() == Length::Long {
        dies_alone(300, "16").await;
    }
}

async fn dies_alone(items: usize, in_flight: &'static str) {
    let armed = |_, _| {
        let places = ("TAKEDOWN_ACCOUNTS__SHOPS__IN_FLIGHT", in_flight.to_owned());
        vec![("TAKEDOWN_FAULT_POINT", "poison".into()), places]
    };
    let world = world(items, Arc::new(armed)).await;
    // First in its queue: whatever comes after it is in hand at every crash.
    let properties = lapin::BasicProperties::default().with_message_id("poison-1".into());
    broker::publish(&world.settings, &world.settings.prefix, "shops", POISON.as_bytes(), properties).await;
    world.enqueue().await;
    world.man();
    eventually("the crash loop's end", async || world.posts[0].killed() >= CRASH_LOOP_FROM).await;
    let (mut evidence, _dir) = world.end(Instant::now() + DEADLINE).await;
    evidence.odd.insert("poison-1".into(), Reason::CrashLoop);
    let report = check(&evidence);
    println!("{:#?}", report.figures);
    assert_eq!(report.breaches, [] as [Breach; 0]);
    let Figures { ends, .. } = report.figures;
    assert_eq!((ends[&Reason::CrashLoop], evidence.allowed.interruptions), (1, CRASH_LOOP_FROM));
}
