//! Cancelling a batch on a broker: the notice that workers go by, and the rungs emptied of what waits there.
//!
//! Promise: the notice is confirmed before anything is moved; interrupted at any moment, the cancel holds, and the same
//! order again finishes what is left.

use crate::clock;
use crate::desk::DeskError;
use crate::domain::ids::BatchId;
use crate::domain::notice::ledger::{Cancel, Entry, Ledger};
use crate::domain::notice::{Notice, What};
use crate::queue::DeskLog;
use crate::queue::amqp::AmqpSettings;
use crate::queue::amqp::desk_log::AmqpDeskLog;
use crate::queue::amqp::rungs::{AmqpRungs, Released};

/// Looks through the rungs at most: an item whose worker had not heard yet may have come there after the first.
const LOOKS: u32 = 5;

/// An operator's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The batch.
    pub batch: BatchId,
    /// Why, in the operator's words.
    pub reason: Option<String>,
    /// Who.
    pub by: String,
}

/// What an order came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Carried {
    /// The cancel that came before this one.
    pub earlier: Option<Cancel>,
    /// What the operators' log tells of the batch otherwise.
    pub known: Option<Entry>,
    /// Items taken out of the retry rungs.
    pub moved: u64,
}

/// Carries an order out; `note` hears how far the looking through is.
///
/// # Errors
/// [`DeskError::Queue`].
pub async fn cancel(
    settings: &AmqpSettings,
    order: &Order,
    mut note: impl FnMut(Released),
) -> Result<Carried, DeskError> {
    let log = AmqpDeskLog::connect(settings).await?;
    let known = Ledger::of(&log.notices().await?).batch(&order.batch).cloned();
    let earlier = known.as_ref().and_then(|entry| entry.cancelled.clone());
    if earlier.is_none() {
        let Order { batch, reason, by } = order.clone();
        log.note(&Notice { at: clock::now(), by, what: What::BatchCancelled { batch, reason } }).await?;
    }
    log.close().await;
    let rungs = AmqpRungs::connect(settings).await?;
    let mut moved = 0;
    for look in 0..LOOKS {
        let released = rungs.release(&order.batch, &mut note).await?;
        moved += released.moved;
        if released.moved == 0 && look > 0 {
            break;
        }
    }
    rungs.close().await;
    Ok(Carried { earlier, known, moved })
}
