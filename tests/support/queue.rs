//! Takedowns and outcomes for queue tests, and patience with an end.

use std::future::Future;
use std::time::{Duration, SystemTime};

use takedown::domain::ids::{AccountId, RequestId};
use takedown::domain::notice::LetterFilter;
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::takedown::{Gateway, Item, OpenPlatformItem, Priority, Takedown};
use takedown::queue::letters::{Purged, Replay};
use takedown::queue::{DeadLetters, Delivery, Queue};

/// Waits for something that must come; a busy machine is slow, a bug is for ever.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

pub(crate) fn account(name: &str) -> AccountId {
    AccountId::new(name).unwrap()
}

pub(crate) fn takedown(id: &str, account_name: &str) -> Takedown {
    Takedown {
        id: RequestId::new(id).unwrap(),
        account: account(account_name),
        batch: None,
        deadline: None,
        priority: Priority::Normal,
        item: Item::OpenPlatform(OpenPlatformItem {
            commodity_id: "20160010200000000033400".into(),
            shop_id: id.chars().take(32).collect(),
            merchant: None,
            app_auth_token: None,
        }),
    }
}

/// Builds the outcome a worker would publish for a delivery.
pub(crate) fn outcome(delivery: &Delivery, reason: Reason) -> Box<FinalOutcome> {
    let id = Takedown::decode(&delivery.body).map_or_else(|_| "unreadable".into(), |takedown| takedown.id.to_string());
    // Whole milliseconds, as headers hold.
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_790_000_000_123);
    Box::new(FinalOutcome {
        id,
        batch: None,
        account: delivery.envelope.account.to_string(),
        gateway: Some(Gateway::OpenPlatform),
        reason,
        gateway_code: Some("isv.some-code".into()),
        gateway_message: None,
        attempts: delivery.envelope.attempt,
        deferrals: delivery.envelope.deferrals,
        first_seen: delivery.envelope.first_seen.unwrap_or(now),
        finished_at: now,
        verified: true,
        item: ItemIds::default(),
        worker: "test".into(),
        replays: delivery.envelope.replays,
    })
}

/// Takes the next delivery of an account.
pub(crate) async fn take<Q: Queue>(queue: &Q, account: &AccountId) -> Delivery {
    within("a delivery", queue.next(account)).await.unwrap().expect("the queue has not stopped")
}

/// Returns the id of the takedown in a delivery.
pub(crate) fn id_of(delivery: &Delivery) -> String {
    Takedown::decode(&delivery.body).unwrap().id.to_string()
}

/// Looks again and again until a condition holds.
pub(crate) async fn eventually(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    within(what, async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
}

/// Puts all letters a filter means back to work at once, without a plan.
pub(crate) async fn replay_all(letters: &impl DeadLetters, filter: &LetterFilter) -> u64 {
    let replay = Replay { plan: None, by: "test".into(), at: SystemTime::UNIX_EPOCH };
    letters.replay(&filter.into(), &replay).await.unwrap()
}

/// Deletes all letters a filter means.
pub(crate) async fn purge_all(letters: &impl DeadLetters, filter: &LetterFilter) -> u64 {
    let planned = letters.list(filter).await.unwrap().len() as u64;
    assert_eq!(letters.purge(&filter.into(), planned).await.unwrap(), Purged::AsPlanned(planned));
    planned
}
