//! Messages nobody can work, amid good ones: each ends as a dead letter with its bytes, and disturbs nothing.

use lapin::BasicProperties;
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::Reason;
use takedown::queue::DeadLetters;
use takedown::queue::amqp::dead_letters::AmqpDeadLetters;

use super::*;
use crate::support::queue::account;

/// Bodies by id: of another version, sixteen times too large but else well, larger than all and no JSON, no text at all.
fn bodies() -> [(&'static str, Vec<u8>); 4] {
    let of = |version: u32, id: &str, reason: &str| {
        format!(
            r#"{{"version":{version},"id":"{id}","account":"desk","takedown":{{"gateway":"mapi","sns_user_id":"u","key":"k","close_reason":"{reason}"}}}}"#
        )
        .into_bytes()
    };
    let megabyte = "x".repeat(1024 * 1024);
    [
        ("odd-version", of(2, "odd-version", "x")),
        ("odd-large", of(1, "odd-large", &megabyte)),
        ("odd-text", megabyte.into_bytes()),
        ("odd-bytes", vec![0xff, 0x00, 0xc3, 0x28]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn what_cannot_be_worked_is_kept_to_the_byte_and_disturbs_nothing() {
    let world = world(200, Arc::new(|_, _| Vec::new())).await;
    let publish = async |round: usize| {
        for (id, body) in bodies() {
            let id = format!("{id}-{round}");
            let properties = BasicProperties::default().with_message_id(id.into());
            broker::publish(&world.settings, &world.settings.prefix, "desk", &body, properties).await;
        }
    };
    publish(0).await;
    world.enqueue().await;
    world.man();
    publish(1).await;
    let (deadline, odd) = (Instant::now() + DEADLINE, 2 * bodies().len());
    assert!(world.reach(world.accepted() + odd, deadline).await);
    let letters = AmqpDeadLetters::connect(&world.settings, vec![account("desk")]).await.unwrap();
    let letters = letters.list(&LetterFilter::default()).await.unwrap();
    let (mut evidence, _dir) = world.end(deadline).await;
    for (name, body) in bodies() {
        for round in 0..2 {
            let id = format!("{name}-{round}");
            let letter = letters.iter().find(|letter| letter.envelope.message_id.as_ref() == Some(&id)).unwrap();
            assert_eq!((letter.reason, letter.body == body), (Reason::InvalidMessage, true), "{id}: {letter:?}");
            evidence.odd.insert(letter.id.clone(), Reason::InvalidMessage);
        }
    }
    assert_eq!(check(&evidence).breaches, [] as [Breach; 0]);
}
