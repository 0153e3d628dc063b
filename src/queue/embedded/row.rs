//! How an envelope lies in columns, the same ones for a message and for a dead letter.

use rusqlite::Row;
use rusqlite::types::Type;

use crate::domain::classify::{Effect, Redelivery};
use crate::domain::history::Record;
use crate::domain::ids::PlanId;
use crate::domain::takedown::Priority;
use crate::queue::embedded::clock::from_millis;
use crate::queue::envelope::Envelope;

/// The columns [`envelope`] reads, and the body.
pub(super) const COLUMNS: &str =
    "account, message_id, attempt, deferrals, first_seen, ambiguous, last_code, replays, plan, history, body";

/// Returns a priority as the column has it.
pub(super) fn rank(priority: Priority) -> i64 {
    match priority {
        Priority::Normal => 0,
        Priority::High => 1,
    }
}

/// Reads the column.
pub(super) fn priority(rank: i64) -> Priority {
    if rank == 1 { Priority::High } else { Priority::Normal }
}

/// Reads the envelope of a row, as of a message never handed out.
pub(super) fn envelope(row: &Row<'_>) -> rusqlite::Result<Envelope> {
    Ok(Envelope {
        account: text(row, "account")?,
        message_id: row.get("message_id")?,
        attempt: row.get("attempt")?,
        deferrals: row.get("deferrals")?,
        first_seen: row.get::<_, Option<i64>>("first_seen")?.map(from_millis),
        // Waits are exact here: a row is not handed out before its time.
        not_before: None,
        effect: if row.get("ambiguous")? { Effect::Possible } else { Effect::None },
        last_code: row.get("last_code")?,
        replays: row.get("replays")?,
        // A word of ours, and nothing is decided by one that is not.
        plan: row.get::<_, Option<String>>("plan")?.and_then(|id| PlanId::new(id).ok()),
        history: Record::decode(&row.get::<_, String>("history")?),
        // Columns hold neither: a file is worked by one process, which nobody asks for its waits.
        trace: None,
        due: None,
        redelivery: Redelivery::First,
        delivery_count: 0,
    })
}

/// Reads a text column that must be one of our words or identifiers.
pub(super) fn text<T>(row: &Row<'_>, column: &str) -> rusqlite::Result<T>
where
    T: TryFrom<String>,
    T::Error: std::fmt::Display,
{
    let text: String = row.get(column)?;
    T::try_from(text).map_err(|e| unreadable(format!("column {column} {e}").into()))
}

/// Builds the error for a column that holds what this program never wrote.
pub(super) fn unreadable(cause: Box<dyn std::error::Error + Send + Sync>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(0, Type::Text, cause)
}
