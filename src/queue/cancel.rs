//! How an item of a cancelled batch ends.

use std::time::SystemTime;

use crate::domain::classify::Effect;
use crate::domain::outcome::{FinalOutcome, Reason};
use crate::domain::takedown::Takedown;
use crate::queue::envelope::Envelope;

/// Returns the outcome of an item that ends because its batch was cancelled.
///
/// It tells of the calls that were made all the same: how many counted as attempts, the last code, and that one of them
/// may have taken effect.
#[must_use]
pub fn outcome(takedown: &Takedown, envelope: &Envelope, worker: &str, now: SystemTime) -> FinalOutcome {
    let told = match envelope.effect {
        Effect::Possible => Some("cancelled; an earlier call may have taken effect".to_owned()),
        Effect::None => None,
    };
    FinalOutcome {
        id: takedown.id.to_string(),
        batch: takedown.batch.as_ref().map(ToString::to_string),
        account: envelope.account.to_string(),
        gateway: Some(takedown.item.gateway()),
        reason: Reason::BatchCancelled,
        gateway_code: envelope.last_code.clone(),
        gateway_message: told,
        attempts: envelope.attempt.saturating_sub(1),
        deferrals: envelope.deferrals,
        first_seen: envelope.first_seen.unwrap_or(now),
        finished_at: now,
        verified: false,
        item: takedown.item.ids(),
        worker: worker.to_owned(),
        replays: envelope.replays,
    }
}
