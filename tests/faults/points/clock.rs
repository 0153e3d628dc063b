//! A worker whose clock is set while it works, by days and in both directions.

use std::path::Path;

use takedown::domain::outcome::Reason;

use super::*;

/// Longer than a message may be put off in all.
const FORWARD: i64 = 96 * 3600;
const BACK: i64 = -24 * 3600;

/// Replaced whole, so that no half-written number is read.
fn set(clock: &Path, seconds: i64) {
    let next = clock.with_extension("next");
    std::fs::write(&next, seconds.to_string()).unwrap();
    std::fs::rename(next, clock).unwrap();
}

/// The Open Platform refuses requests of another time, so that its account is held meanwhile; mapi's carry none.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ"]
async fn a_clock_that_is_set_ends_and_parks_nothing() {
    let rounds = if length() == Length::Long { 20 } else { 1 };
    let home = tempfile::tempdir().unwrap();
    let clock = home.path().join("clock");
    set(&clock, 0);
    let environment = {
        let clock = clock.to_str().unwrap().to_owned();
        move |_, _| {
            let settings = [
                ("TAKEDOWN_CLOCK_FILE", clock.as_str()),
                ("TAKEDOWN_ACCOUNTS__DESK__RATE", "80/s"),
                ("TAKEDOWN_ACCOUNTS__SHOPS__RATE", "80/s"),
                ("TAKEDOWN_ACCOUNTS__SHOPS__HOLD__MAX_PROBE", "1s"),
            ];
            settings.map(|(name, value)| (name, value.to_owned())).into()
        }
    };
    let world = world(400 * rounds, Arc::new(environment)).await;
    world.set_faults(&["system_error=0.1", "throttled=0.05", "reset=0.05"]);
    world.enqueue().await;
    world.man();
    let deadline = Instant::now() + DEADLINE;
    let mut ended = 0;
    for seconds in [FORWARD, 0, BACK, 0, FORWARD, BACK, 0].repeat(rounds) {
        ended += 30;
        assert!(world.reach(ended, deadline).await, "{ended} ended before the clock is set by {seconds} s");
        set(&clock, seconds);
    }
    let (mut evidence, _dir) = world.end(deadline).await;
    // A call of another time holds the account and uses up no attempt.
    let all = evidence.seen.len();
    evidence.seen.retain(|seen| seen.answered != "isv.invalid-timestamp");
    assert!(evidence.seen.len() < all, "the clock was never set");
    let report = check(&evidence);
    println!("{:#?}", report.figures);
    assert_eq!(report.breaches, [] as [Breach; 0]);
    let unearned = [Reason::HeldTooLong, Reason::DeadlinePassed, Reason::AttemptsExhausted, Reason::OutcomeUnknown];
    assert!(unearned.iter().all(|reason| !report.figures.ends.contains_key(reason)), "{:?}", report.figures.ends);
}
