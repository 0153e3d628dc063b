use std::collections::BTreeMap;

use super::*;
use crate::desk::fleet::account::AccountState;
use crate::domain::fleet::hold::{HoldNotice, HoldState, ProbeState, Proof};
use crate::domain::fleet::standing::{Bound, CutOff, ReplicaStanding};
use crate::domain::fleet::{Demand, VERSION};
use crate::queue::depth::AccountDepth;

fn desk() -> AccountId {
    AccountId::new("desk").unwrap()
}

fn standing(share: f64) -> ReplicaStanding {
    ReplicaStanding {
        share,
        rate: 10.0,
        factor: 1.0,
        in_flight: 0,
        in_hand: 0,
        called: 0,
        ended: 0,
        bound: Bound::Idle,
        cut_off: None,
    }
}

fn beat(worker: &str, told: AccountBeat) -> Heartbeat {
    Heartbeat {
        version: VERSION,
        member: Member { worker: WorkerId::new(worker).unwrap(), epoch: 1 },
        sequence: 1,
        heartbeat_ms: 1000,
        accounts: BTreeMap::from([(desk(), told)]),
    }
}

fn of(standing: ReplicaStanding) -> AccountBeat {
    AccountBeat { standing: Some(standing), ..AccountBeat::wanting(Demand::BUSY) }
}

fn held(version: u64, age_ms: Option<u64>, party: Option<&str>) -> HoldNotice {
    let state = HoldState::Held {
        cause: "ILLEGAL_SIGN".into(),
        wait_ms: 60_000,
        probe_in_ms: 30_000,
        probe: ProbeState::Free,
        ends_with: Proof::Unsigned,
    };
    HoldNotice { party: party.map(ToOwned::to_owned), version, by: 7, age_ms, state }
}

fn depths(work: u64) -> Depths {
    let accounts = BTreeMap::from([(desk(), AccountDepth { work, dead: 4, consumers: 1 })]);
    Depths { accounts, rungs: vec![(Duration::from_secs(5), 2)], unrouted: 1, ..Depths::default() }
}

fn look(view: &FleetView, now: Instant) -> AccountView {
    view.look(now, wall()).account(&desk()).unwrap().clone()
}

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000)
}

#[tokio::test(start_paused = true)]
async fn replicas_add_up_to_an_account_with_a_rate_and_a_time_left() {
    let (mut view, start) = (FleetView::new([]), Instant::now());
    for (second, ended) in [(0, 0), (1, 4), (2, 8)] {
        let now = start + Duration::from_secs(second);
        for worker in ["w-1", "w-2"] {
            let standing = ReplicaStanding { ended, called: 2 * ended, in_flight: 3, in_hand: 5, ..standing(0.5) };
            view.hear(beat(worker, of(standing)), now);
        }
    }
    view.count(depths(150));
    let now = start + Duration::from_secs(2);
    let account = look(&view, now);
    assert_eq!(account.state, AccountState::Working);
    assert_eq!((account.rate, account.allowed), (Some(10.0), Some(10.0)));
    assert_eq!((account.calls, account.ended), (Some(16.0), Some(8.0)));
    assert_eq!((account.in_flight, account.backlog()), (6, Some(160)));
    assert_eq!(account.eta(), Some(Duration::from_secs(20)));
    let shares: Vec<_> = account.shares.iter().map(|(worker, share)| (worker.as_str(), *share)).collect();
    assert_eq!(shares, [("w-1", Some(0.5)), ("w-2", Some(0.5))]);
    let report = view.look(now, wall());
    assert_eq!((report.replicas.len(), report.dead(), report.unrouted), (2, 4, Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_hold_is_told_with_its_cause_and_since_when() {
    let (mut view, now) = (FleetView::new([]), Instant::now());
    // The replica that came later knows less.
    for (worker, age_ms) in [("w-1", Some(120_000)), ("w-2", None)] {
        let holds = vec![held(3, age_ms, None), held(1, Some(1000), Some("m1"))];
        let told = AccountBeat { holds, ..of(ReplicaStanding { bound: Bound::Paused, ..standing(0.5) }) };
        view.hear(beat(worker, told), now);
    }
    view.count(depths(50));
    let account = look(&view, now + Duration::from_secs(1));
    let hold = account.hold.clone().unwrap();
    assert_eq!(account.state, AccountState::Held);
    assert_eq!(hold.cause.as_deref(), Some("ILLEGAL_SIGN"));
    assert_eq!(hold.since, Some(wall() - Duration::from_secs(121)));
    assert_eq!(hold.probe_at, Some(wall() + Duration::from_secs(29)));
    assert_eq!((account.allowed, account.eta()), (Some(0.0), None));
    assert_eq!(account.parties.iter().map(|hold| hold.party.as_deref()).collect::<Vec<_>>(), [Some("m1")]);

    let lifted = HoldNotice { state: HoldState::Lifted, ..held(4, None, None) };
    view.hear(beat("w-2", AccountBeat { holds: vec![lifted], ..of(standing(0.5)) }), now);
    assert_eq!(look(&view, now).hold, None, "the newest word wins");
}

#[tokio::test(start_paused = true)]
async fn an_account_is_unreachable_only_if_no_replica_reaches_its_gateway() {
    let (mut view, now) = (FleetView::new([]), Instant::now());
    let cut_off = |age_ms| Some(CutOff { cause: "connect".into(), age_ms });
    view.hear(beat("w-1", of(ReplicaStanding { cut_off: cut_off(5_000), ..standing(0.5) })), now);
    view.hear(beat("w-2", of(standing(0.5))), now);
    assert_eq!(look(&view, now).state, AccountState::Idle);
    view.hear(beat("w-2", of(ReplicaStanding { cut_off: cut_off(9_000), ..standing(0.5) })), now);
    let account = look(&view, now);
    assert_eq!(account.state, AccountState::Unreachable);
    assert_eq!(account.hold.unwrap().since, Some(wall() - Duration::from_secs(9)));
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_for_six_beats_or_leaves_is_gone() {
    let (mut view, now) = (FleetView::new([desk()]), Instant::now());
    assert_eq!(look(&view, now).state, AccountState::Unserved);
    view.hear(beat("w-1", of(standing(1.0))), now);
    assert_eq!(look(&view, now + Duration::from_secs(6)).state, AccountState::Idle);
    assert_eq!(look(&view, now + Duration::from_millis(6001)).state, AccountState::Unserved);
    let left = Heartbeat { accounts: BTreeMap::new(), ..beat("w-1", of(standing(1.0))) };
    view.hear(left, now);
    assert_eq!(look(&view, now).state, AccountState::Unserved);
}

#[tokio::test(start_paused = true)]
async fn a_beat_that_tells_news_alone_leaves_the_rest_as_it_was_told() {
    let (mut view, now) = (FleetView::new([]), Instant::now());
    view.hear(beat("w-1", of(ReplicaStanding { in_flight: 3, ..standing(1.0) })), now);
    let news = AccountBeat { holds: vec![held(1, Some(0), None)], ..AccountBeat::wanting(Demand::BUSY) };
    view.hear(beat("w-1", news), now);
    let account = look(&view, now);
    assert_eq!((account.state, account.in_flight, account.rate), (AccountState::Held, 3, Some(10.0)));
}

#[tokio::test(start_paused = true)]
async fn a_replica_of_an_earlier_version_claims_nothing() {
    let (mut view, now) = (FleetView::new([]), Instant::now());
    view.hear(beat("w-1", AccountBeat::wanting(Demand::BUSY)), now);
    view.count(depths(7));
    let account = look(&view, now);
    assert_eq!((account.rate, account.allowed, account.calls, account.bound), (None, None, None, None));
    assert_eq!((account.state, account.eta()), (AccountState::Working, None));
}

#[tokio::test(start_paused = true)]
async fn slowed_down_and_without_a_share_are_told_apart() {
    let (mut view, now) = (FleetView::new([]), Instant::now());
    view.hear(beat("w-1", of(ReplicaStanding { factor: 0.7, ..standing(1.0) })), now);
    assert_eq!((look(&view, now).state, look(&view, now).allowed), (AccountState::Slowed, Some(7.0)));
    view.hear(beat("w-1", of(ReplicaStanding { bound: Bound::Paused, ..standing(0.0) })), now);
    assert_eq!(look(&view, now).state, AccountState::Listening);
}
