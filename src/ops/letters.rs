//! Dead letters for programs: JSON, and the lines of an export; secrets masked.
//!
//! Promise: no secret comes out, and no cell of an exported table is taken for a formula by the program that opens it.

use std::time::SystemTime;

use serde_json::{Value, json};

use crate::desk::letters::Group;
use crate::domain::classify::Effect;
use crate::domain::history::Entry;
use crate::domain::takedown::{Item, rfc3339};
use crate::ops::mask;
use crate::queue::DeadLetter;

/// The columns of an exported table.
pub const COLUMNS: [&str; 20] = [
    "id",
    "account",
    "reason",
    "gateway_code",
    "gateway_message",
    "batch",
    "gateway",
    "goods_id",
    "commodity_id",
    "shop_id",
    "merchant",
    "attempts",
    "deferrals",
    "replays",
    "may_have_taken_effect",
    "first_seen",
    "died_at",
    "worker",
    "history",
    "message",
];

/// One letter whole.
#[must_use]
pub fn json_of(letter: &DeadLetter) -> Value {
    let outcome = &letter.outcome;
    json!({
        "id": letter.id,
        "account": letter.account,
        "reason": letter.reason.as_str(),
        "meaning": letter.reason.explain(),
        "gateway_code": outcome.gateway_code,
        "gateway_message": outcome.gateway_message,
        "batch": outcome.batch,
        "attempts": outcome.attempts,
        "deferrals": outcome.deferrals,
        "replays": outcome.replays,
        "may_have_taken_effect": letter.envelope.effect == Effect::Possible,
        "first_seen": rfc3339(outcome.first_seen),
        "died_at": rfc3339(letter.died_at),
        "worker": outcome.worker,
        "history": letter.envelope.history.entries().iter().map(entry_json).collect::<Value>(),
        "message": mask::body(&letter.body),
        "place": letter.place().to_string(),
    })
}

fn entry_json(entry: &Entry) -> Value {
    let Entry { at, what, attempt, how, effect, by, times } = entry;
    json!({
        "at": rfc3339(*at),
        "what": what.as_str(),
        "attempt": attempt,
        "how": how,
        "may_have_taken_effect": *effect == Effect::Possible,
        "by": by,
        "times": times,
    })
}

/// One group.
#[must_use]
pub fn group_json(group: &Group) -> Value {
    let Group { account, reason, code, count, first, last } = group;
    json!({
        "account": account,
        "reason": reason.as_str(),
        "gateway_code": code,
        "letters": count,
        "first_died_at": rfc3339(*first),
        "last_died_at": rfc3339(*last),
        "meaning": reason.explain(),
        "advice": group.advice(),
    })
}

/// One letter as a line of a table, in the order of [`COLUMNS`].
#[must_use]
pub fn cells(letter: &DeadLetter) -> [String; COLUMNS.len()] {
    let outcome = &letter.outcome;
    let text = |text: &Option<String>| cell(text.as_deref().unwrap_or_default());
    let merchant = letter.takedown().and_then(|takedown| match takedown.item {
        Item::OpenPlatform(item) => item.merchant.map(|merchant| merchant.to_string()),
        Item::Mapi(_) => None,
    });
    let time = |time: SystemTime| rfc3339(time);
    let history: Value = letter.envelope.history.entries().iter().map(entry_json).collect();
    [
        cell(&letter.id),
        cell(&letter.account),
        letter.reason.to_string(),
        text(&outcome.gateway_code),
        text(&outcome.gateway_message),
        text(&outcome.batch),
        outcome.gateway.map(|gateway| gateway.to_string()).unwrap_or_default(),
        text(&outcome.item.goods_id),
        text(&outcome.item.commodity_id),
        text(&outcome.item.shop_id),
        text(&merchant),
        outcome.attempts.to_string(),
        outcome.deferrals.to_string(),
        outcome.replays.to_string(),
        (letter.envelope.effect == Effect::Possible).to_string(),
        time(outcome.first_seen),
        time(letter.died_at),
        cell(&outcome.worker),
        cell(&history.to_string()),
        cell(&mask::body(&letter.body).to_string()),
    ]
}

/// A text that begins like a formula is marked as text, for a program that would carry it out (owasp.org, "CSV
/// Injection"). Other control characters are of no use in a table.
pub(in crate::ops) fn cell(text: &str) -> String {
    let plain: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '＝', '＋', '－', '＠']);
    if is_formula { format!("'{plain}") } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_cell_is_taken_for_a_formula() {
        for text in ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "＝1"] {
            assert!(cell(text).starts_with('\''), "{text}");
        }
        assert_eq!(cell("t-1=\u{1b}[2J"), "t-1= [2J");
    }
}
