use std::num::NonZeroU32;
use std::time::SystemTime;

use futures_util::FutureExt;
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::time::timeout;

use super::*;
use crate::domain::classify::Effect;
use crate::domain::codes::{Certainty, Scope};
use crate::domain::outcome::Reason;
use crate::domain::reply::BrokenCall;
use crate::domain::settlement::Hold;
use crate::limits::cells::{Cells, LATENESS};
use crate::limits::lanes::{Round, Urgency};
use crate::limits::pause::seat::Seat;
use crate::limits::pause::{HoldChange, QUOTA_SPENT};

const FAULT: Outcome = Outcome::AccountFault(Scope::App, Certainty::Certain);
const PASSED: Outcome = Outcome::Success(Reason::TakenDown);

fn limits(rate: &str, burst: u32, max_wait: Duration) -> Limits {
    Limits::new(LimitSettings {
        rate: rate.parse::<Rate>().unwrap().with_burst(NonZeroU32::new(burst).unwrap()),
        sharing: Sharing::Fleet,
        in_flight: 8,
        max_wait,
        cool_down: Duration::from_secs(5),
        hold: HoldSettings::default(),
        quota: QuotaSettings { calls: Some(1000), ..QuotaSettings::default() },
    })
}

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// The time of so many turns: at the pace just below the rate, less what a late call may get back; timers are good to a
/// millisecond.
#[track_caller]
fn assert_paced(took: Duration, at_the_rate: Duration) {
    let expected = at_the_rate.saturating_sub(LATENESS)..=at_the_rate.mul_f64(1.0051) + Duration::from_millis(1);
    assert!(expected.contains(&took), "{took:?} instead of {at_the_rate:?}");
}

fn throttled(wait: Option<Duration>) -> Outcome {
    Outcome::Retryable(Cause::Throttled(wait), Effect::None)
}

fn record(limits: &Limits, ticket: Ticket, outcome: &Outcome) -> Recorded {
    limits.record(ticket, &RequestId::new("a").unwrap(), &Reply::NotSent(BrokenCall::Protocol), outcome)
}

#[track_caller]
fn go(admission: Admission) -> Ticket {
    match admission {
        Admission::Go(ticket) => ticket,
        Admission::Later(wait, why) => panic!("put off for {wait:?}: {why}"),
    }
}

#[track_caller]
fn later(admission: Admission) -> (Duration, Deferral) {
    match admission {
        Admission::Go(ticket) => panic!("admitted: {ticket:?}"),
        Admission::Later(wait, why) => (wait, why),
    }
}

#[tokio::test(start_paused = true)]
async fn calls_leave_at_the_rate_and_in_the_order_of_asking() {
    let limits = limits("2/s", 1, seconds(60));
    let start = Instant::now();
    let order = Mutex::new(Vec::new());
    join_all((0..10u32).map(|n| {
        let (limits, order) = (&limits, &order);
        async move {
            drop(go(limits.admit(None).await));
            order.lock().unwrap().push((n, start.elapsed()));
        }
    }))
    .await;
    for ((n, took), expected) in order.into_inner().unwrap().into_iter().zip(0..) {
        assert_eq!(n, expected);
        assert_paced(took, Duration::from_millis(500) * n);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_that_changes_nothing_is_no_news_to_the_fleet() {
    let limits = limits("10/s", 1, seconds(60));
    let news = Arc::new(Notify::new());
    limits.join(Seat::alone(Instant::now()), Arc::clone(&news));
    let is_news = || news.notified().now_or_never().is_some();
    record(&limits, go(limits.admit(None).await), &PASSED);
    drop(go(limits.admit(None).await));
    assert!(!is_news());
    record(&limits, go(limits.admit(None).await), &throttled(None));
    assert!(is_news());
    sleep(seconds(10)).await;
    record(&limits, go(limits.admit(None).await), &FAULT);
    assert!(is_news());
}

#[tokio::test(start_paused = true)]
async fn a_burst_leaves_at_once_after_a_pause() {
    let limits = limits("1/s", 3, seconds(60));
    for _ in 0..3 {
        drop(go(limits.admit(None).now_or_never().expect("within the burst")));
    }
    assert!(limits.admit(None).now_or_never().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_wait_too_long_is_known_before_queueing() {
    let limits = limits("1/s", 1, Duration::from_millis(3100));
    drop(go(limits.admit(None).await));
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(limits.admit(None))).collect();
    for admit in &mut waiting {
        assert!(admit.now_or_never().is_none());
    }
    let (wait, why) = later(limits.admit(None).now_or_never().expect("decided without waiting"));
    assert_eq!(why, Deferral::RateLimited);
    assert_paced(wait, seconds(4));
}

#[tokio::test(start_paused = true)]
async fn a_very_slow_rate_still_admits_the_next_in_line() {
    let limits = limits("60/h", 1, seconds(5));
    let start = Instant::now();
    drop(go(limits.admit(None).await));
    drop(go(limits.admit(None).await));
    assert_paced(start.elapsed(), seconds(60));
}

#[tokio::test(start_paused = true)]
async fn a_turn_beyond_the_brokers_patience_is_put_off() {
    let limits = limits("1/h", 1, seconds(60));
    drop(go(limits.admit(None).await));
    let (wait, why) = later(limits.admit(None).await);
    assert_eq!(why, Deferral::RateLimited);
    assert_paced(wait, seconds(3600));
    let start = Instant::now();
    limits.pace().await;
    assert_eq!(start.elapsed(), PACE, "the backlog trickles");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_wait_loses_no_cell_and_wedges_nobody() {
    let limits = limits("1/s", 1, seconds(60));
    let start = Instant::now();
    drop(go(limits.admit(None).await));
    let mut head = Box::pin(limits.admit(None));
    let mut second = Box::pin(limits.admit(None));
    let mut third = Box::pin(limits.admit(None));
    for admit in [&mut head, &mut second, &mut third] {
        assert!(admit.now_or_never().is_none());
    }
    drop(head);
    drop(second);
    drop(go(third.await));
    assert_paced(start.elapsed(), seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_hold_ends_the_wait_of_everyone_in_line_and_costs_no_cell() {
    let limits = limits("60/h", 1, seconds(600));
    let ticket = go(limits.admit(None).await);
    let fault = async {
        sleep(seconds(7)).await;
        record(&limits, ticket, &FAULT)
    };
    let (one, two, recorded) = tokio::join!(limits.admit(None), limits.admit(None), fault);
    assert!(matches!(recorded.hold, Hold::Held(wait) if wait >= seconds(30)));
    for admission in [one, two] {
        let (wait, why) = later(admission);
        assert_eq!(why, Deferral::Held);
        assert!(wait >= seconds(30) && wait <= seconds(45), "{wait:?}");
    }
    assert!(limits.is_held());
    sleep(seconds(53)).await;
    assert_eq!(record(&limits, go(limits.admit(None).await), &PASSED).changes.len(), 1);
    assert!(!limits.is_held());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_ticket_frees_the_probe() {
    let limits = limits("20/s", 1, seconds(60));
    record(&limits, go(limits.admit(None).await), &FAULT);
    sleep(seconds(30)).await;
    let probe = go(limits.admit(None).await);
    assert_eq!(later(limits.admit(None).await).1, Deferral::Held);
    drop(probe);
    assert_eq!(record(&limits, go(limits.admit(None).await), &PASSED).changes.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_turn_saved_up_is_taken_anew() {
    let limits = limits("1/s", 1, seconds(60));
    let start = Instant::now();
    let (mut one, mut two) = (go(limits.admit(None).await), go(limits.admit(None).await));
    let fresh = start.elapsed();
    limits.renew(&mut two).await;
    assert_eq!(start.elapsed(), fresh, "a fresh turn is good");
    sleep(seconds(9)).await;
    let saved = start.elapsed();
    limits.renew(&mut one).await;
    assert_eq!(start.elapsed(), saved);
    limits.renew(&mut two).await;
    // Not both at once.
    assert_paced(start.elapsed() - saved, seconds(1));
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_cools_the_account_down() {
    let limits = limits("20/s", 1, seconds(60));
    record(&limits, go(limits.admit(None).await), &throttled(Some(seconds(20))));
    let (wait, why) = later(limits.admit(None).await);
    assert_eq!(why, Deferral::Throttled);
    assert!(wait >= seconds(20) && wait <= seconds(30), "{wait:?}");
    sleep(seconds(20)).await;
    record(&limits, go(limits.admit(None).await), &throttled(None));
    sleep(Duration::from_millis(4999)).await;
    assert_eq!(later(limits.admit(None).await).1, Deferral::Throttled);
    sleep(Duration::from_millis(1)).await;
    drop(go(limits.admit(None).await));
}

#[tokio::test(start_paused = true)]
async fn no_gateway_can_ask_for_a_cool_down_of_days() {
    let limits = limits("20/s", 1, seconds(60));
    record(&limits, go(limits.admit(None).await), &throttled(Some(Duration::MAX)));
    sleep(MAX_COOL_DOWN).await;
    drop(go(limits.admit(None).await));
}

#[tokio::test(start_paused = true)]
async fn pace_holds_back_a_second_at_most_and_only_while_shut() {
    let limits = limits("20/s", 1, seconds(60));
    assert!(limits.pace().now_or_never().is_some(), "an open account is not paced");
    record(&limits, go(limits.admit(None).await), &throttled(Some(Duration::from_millis(5500))));
    let start = Instant::now();
    limits.pace().await;
    assert_eq!(start.elapsed(), PACE);
    sleep(seconds(4)).await;
    limits.pace().await;
    assert_eq!(start.elapsed(), Duration::from_millis(5500), "no longer than the cool-down");
    assert!(limits.pace().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn calls_in_flight_are_the_tickets_out() {
    let limits = limits("20/s", 2, seconds(60));
    let (one, two) = (go(limits.admit(Some("m1")).await), go(limits.admit(None).await));
    assert_eq!(limits.in_flight(), 2);
    drop(one);
    record(&limits, two, &PASSED);
    assert_eq!(limits.in_flight(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Tasks arrive at random, some give up waiting; whatever leaves keeps within rate and burst in every window, and
    /// afterwards the line is empty and open.
    #[test]
    fn the_rate_is_never_exceeded_in_any_window(
        calls in 1u32..200,
        burst in 1u32..5,
        arrivals in prop::collection::vec((0u64..300, 1u64..4000), 1..80),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let rate = Rate { calls: NonZeroU32::new(calls).unwrap(), per: seconds(10), burst: NonZeroU32::new(burst).unwrap() };
            let limits = Limits::new(LimitSettings { rate, ..limits("1/s", 1, seconds(20)).settings().clone() });
            let left = Mutex::new(Vec::new());
            let mut at = Duration::ZERO;
            join_all(arrivals.into_iter().map(|(gap, patience)| {
                at += Duration::from_millis(gap);
                let (limits, left) = (&limits, &left);
                async move {
                    sleep(at).await;
                    if let Ok(Admission::Go(ticket)) = timeout(Duration::from_millis(patience), limits.admit(None)).await {
                        left.lock().unwrap().push(Instant::now());
                        drop(ticket);
                    }
                }
            })).await;
            let (left, pace) = (left.into_inner().unwrap(), Cells::new(rate).pace());
            prop_assert!(!left.is_empty());
            for (first, from) in left.iter().enumerate() {
                for (last, to) in left.iter().enumerate().skip(first) {
                    let in_window = (last - first + 1) as f64;
                    let allowed = f64::from(burst) + (*to - *from + LATENESS).as_secs_f64() / pace.as_secs_f64();
                    prop_assert!(in_window <= allowed + 1e-6, "{in_window} calls where {allowed} are allowed");
                }
            }
            let start = Instant::now();
            drop(go(limits.admit(None).await));
            prop_assert!(start.elapsed() <= pace + Duration::from_millis(1));
            Ok(())
        })?;
    }
}

#[tokio::test(start_paused = true)]
async fn a_spent_quota_holds_the_account_until_its_reset_and_is_probed_then() {
    let limits = limits("1000/s", 1000, seconds(60));
    let wall = SystemTime::try_from("2026-11-25T15:59:50Z".parse::<jiff::Timestamp>().unwrap()).unwrap();
    let held =
        |seconds| HoldChange::Held { party: None, cause: QUOTA_SPENT.into(), probe_in: Duration::from_secs(seconds) };
    for _ in 0..999 {
        assert_eq!(limits.count(&PASSED, wall.into()), None);
    }
    assert_eq!(limits.count(&PASSED, wall.into()), Some(held(10)));
    assert_eq!(limits.count(&PASSED, wall.into()), None, "told once");
    let Admission::Later(wait, Deferral::Held) = limits.admit(None).await else { panic!("a call beyond the quota") };
    assert!(wait >= seconds(10));
    tokio::time::advance(seconds(10)).await;
    let Admission::Go(probe) = limits.admit(None).await else { panic!("no probe after the reset") };
    assert!(matches!(limits.admit(None).await, Admission::Later(_, Deferral::Held)), "one probe");
    // Refused again: not reset yet, whatever the clock says.
    assert_eq!(record(&limits, probe, &throttled(None)).changes, [held(60)]);
    tokio::time::advance(seconds(60)).await;
    let Admission::Go(probe) = limits.admit(None).await else { panic!("no second probe") };
    assert_eq!(record(&limits, probe, &PASSED).changes, [HoldChange::Resumed { party: None }]);
    assert!(matches!(limits.admit(None).await, Admission::Go(_)));
}

#[tokio::test(start_paused = true)]
async fn urgent_calls_pass_normal_ones_and_work_that_comes_again_takes_turns_with_fresh() {
    let limits = limits("1/s", 1, seconds(60));
    drop(go(limits.admit(None).await));
    let class = |urgency, round| Class { urgency, round };
    let order = Mutex::new(String::new());
    let (normal, high) = (Urgency::Normal, Urgency::High);
    // The first one waits at the head, and keeps it.
    let asked = [
        (normal, Round::Again, 'x'),
        (normal, Round::Again, 'a'),
        (normal, Round::Again, 'b'),
        (normal, Round::First, '1'),
        (normal, Round::First, '2'),
        (high, Round::First, 'H'),
    ];
    join_all(asked.map(|(urgency, round, name)| {
        let (limits, order) = (&limits, &order);
        async move {
            drop(go(limits.admit_as(class(urgency, round), None).await));
            order.lock().unwrap().push(name);
        }
    }))
    .await;
    assert_eq!(order.into_inner().unwrap(), "xH1a2b");
}

#[tokio::test(start_paused = true)]
async fn an_urgent_call_is_not_put_off_for_the_normal_ones_it_passes() {
    let limits = limits("1/s", 1, Duration::from_millis(3100));
    drop(go(limits.admit(None).await));
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(limits.admit(None))).collect();
    for admit in &mut waiting {
        assert!(admit.now_or_never().is_none());
    }
    later(limits.admit(None).await);
    let high = Class { urgency: Urgency::High, ..Class::default() };
    let start = Instant::now();
    let (_, ticket) = tokio::join!(join_all(waiting), async {
        let ticket = go(limits.admit_as(high, None).await);
        (start.elapsed(), ticket)
    });
    assert_paced(ticket.0, seconds(2));
}
