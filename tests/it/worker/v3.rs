//! Protocol v3 from queue to outcome: the same ends as by version 1.0, whatever the gateway does.

use takedown::domain::outcome::{Reason, Status};
use takedown::sandbox::ItemState;
use takedown::sandbox::faults::{Effect, Fault};
use takedown::worker::event::WorkerEvent;

use super::told;
use crate::support::replica::{Bench, LAPSED, Tuning, account, by_v3, merchant_item, shop_item};

#[tokio::test]
async fn items_end_as_their_state_says_and_their_answers_are_verified() {
    let bench = Bench::new().await;
    bench.sandbox.set_item("c3@s1", ItemState::Missing);
    bench.sandbox.set_item("c4@s1", ItemState::Forbidden);
    bench.sandbox.set_item("c5@s1", ItemState::OffSale);
    let replica = bench.start(Tuning::default());
    replica.enqueue([by_v3(shop_item("c1")), by_v3(merchant_item("c2", "m1"))]).await;
    replica.enqueue(["c3", "c4", "c5"].map(shop_item).map(by_v3)).await;
    for (id, reason, code) in [
        ("c1", Reason::TakenDown, None),
        ("c2", Reason::TakenDown, None),
        ("c3", Reason::ItemNotFound, Some("COMMODITY_SHOP_NOT_EXIST")),
        ("c4", Reason::NoPermission, Some("NO_PERMISSION_OFFLINE_SHOP")),
        ("c5", Reason::NotOnSale, Some("SHOP_STATUS_NOT_SUPPORT")),
    ] {
        let outcome = replica.outcome(id).await;
        assert_eq!((outcome.reason, outcome.gateway_code.as_deref(), outcome.attempts), (reason, code, 1), "{id}");
        assert!(outcome.verified, "{id}");
    }
    // Every one came by v3: version 1.0 would have answered 10000.
    let answered: Vec<_> = bench.sandbox.seen().into_iter().map(|seen| seen.answered).collect();
    assert!(answered.len() == 5 && !answered.contains(&"10000".to_owned()), "{answered:?}");
}

#[tokio::test]
async fn an_attempt_that_took_effect_unsaid_ends_as_taken_down_earlier() {
    for fault in [
        Fault::SystemError(Effect::Taken),
        Fault::Reset(Effect::Taken),
        Fault::Garbage,
        Fault::UnsignedSuccess,
        Fault::BadSignature,
    ] {
        let bench = Bench::new().await;
        bench.play([fault.clone()]);
        let replica = bench.start(Tuning::default());
        replica.enqueue([by_v3(shop_item("c1"))]).await;
        let outcome = replica.outcome("c1").await;
        assert_eq!(told(&outcome), ("c1", Status::Success, Reason::TakenDownEarlier, 2), "{fault:?}");
    }
}

#[tokio::test]
async fn a_throttled_call_uses_no_attempt_and_an_unlisted_code_is_given_up() {
    let bench = Bench::new().await;
    bench.play([Fault::Throttled]);
    let replica = bench.start(Tuning::default());
    replica.enqueue([by_v3(shop_item("c1"))]).await;
    let outcome = replica.outcome("c1").await;
    assert_eq!(told(&outcome), ("c1", Status::Success, Reason::TakenDown, 1));
    assert_eq!(outcome.deferrals, 1);
    bench.play([Fault::UnlistedCode, Fault::UnlistedCode, Fault::UnlistedCode]);
    replica.enqueue([by_v3(shop_item("c2"))]).await;
    assert_eq!(told(&replica.outcome("c2").await), ("c2", Status::Dead, Reason::UnknownCode, 3));
}

#[tokio::test]
async fn a_lapsed_token_holds_its_merchant_alone() {
    let bench = Bench::new().await;
    let replica = bench.start(Tuning::default());
    replica.enqueue([by_v3(merchant_item("c1", LAPSED))]).await;
    let party = replica
        .wait_for("hold", |events| {
            events.iter().find_map(|event| match event {
                WorkerEvent::Held { account: held, party, .. } if *held == account("shops-v3") => Some(party.clone()),
                _ => None,
            })
        })
        .await;
    assert_eq!(party.as_deref(), Some(LAPSED));
    replica.enqueue([by_v3(merchant_item("c2", "m1"))]).await;
    assert_eq!(replica.outcome("c2").await.reason, Reason::TakenDown);
}
