//! Dead letters as people and programs see them; secrets masked.

use std::collections::BTreeMap;
use std::time::SystemTime;

use serde_json::{Value, json};

use crate::domain::classify::Effect;
use crate::domain::outcome::Reason;
use crate::domain::takedown::rfc3339;
use crate::ops::cli::tables::table;
use crate::ops::mask;
use crate::queue::DeadLetter;

/// One line each, and below them what the reasons mean.
pub(super) fn list(letters: &[DeadLetter]) -> String {
    if letters.is_empty() {
        return "no dead letters".to_owned();
    }
    let row = |letter: &DeadLetter| {
        [
            plain(&letter.id),
            plain(&letter.account),
            letter.reason.to_string(),
            plain(letter.outcome.gateway_code.as_deref().unwrap_or_default()),
            letter.outcome.attempts.to_string(),
            seconds(letter.died_at),
        ]
    };
    let mut text = table(["id", "account", "reason", "code", "attempts", "died"], letters.iter().map(row));
    let mut reasons: BTreeMap<Reason, usize> = BTreeMap::new();
    for letter in letters {
        *reasons.entry(letter.reason).or_default() += 1;
    }
    text.push('\n');
    for (reason, count) in reasons {
        text.push_str(&format!("\n{count} {reason}: {}", reason.explain()));
    }
    text
}

/// For programs.
pub(super) fn list_json(letters: &[DeadLetter]) -> String {
    letters.iter().map(json_of).collect::<Value>().to_string()
}

/// One letter whole.
pub(super) fn whole(letter: &DeadLetter) -> String {
    let outcome = &letter.outcome;
    let may_have = match letter.envelope.effect {
        Effect::Possible => "an attempt may have taken effect",
        Effect::None => "no attempt can have taken effect",
    };
    let shown = |text: &Option<String>| text.as_deref().map_or_else(|| "none".to_owned(), plain);
    let body = serde_json::to_string_pretty(&mask::body(&letter.body)).unwrap_or_default();
    let body: Vec<String> = body.lines().map(plain).collect();
    format!(
        "id         {}\naccount    {}\nreason     {}: {}\ncode       {}\nwording    {}\nattempts   {} ({may_have})\n\
         deferrals  {}\nreplays    {}\nfirst seen {}\ndied       {}\nworker     {}\nmessage (secrets masked)\n{}",
        plain(&letter.id),
        plain(&letter.account),
        letter.reason,
        letter.reason.explain(),
        shown(&outcome.gateway_code),
        shown(&outcome.gateway_message),
        outcome.attempts,
        outcome.deferrals,
        outcome.replays,
        seconds(outcome.first_seen),
        seconds(letter.died_at),
        plain(&outcome.worker),
        body.join("\n"),
    )
}

fn json_of(letter: &DeadLetter) -> Value {
    json!({
        "id": letter.id,
        "account": letter.account,
        "reason": letter.reason.as_str(),
        "meaning": letter.reason.explain(),
        "gateway_code": letter.outcome.gateway_code,
        "gateway_message": letter.outcome.gateway_message,
        "attempts": letter.outcome.attempts,
        "deferrals": letter.outcome.deferrals,
        "replays": letter.outcome.replays,
        "may_have_taken_effect": letter.envelope.effect == Effect::Possible,
        "first_seen": rfc3339(letter.outcome.first_seen),
        "died_at": rfc3339(letter.died_at),
        "message": mask::body(&letter.body),
    })
}

/// Others wrote these texts; a control character in one must not reach the terminal.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// Whole seconds are enough for a person.
fn seconds(time: SystemTime) -> String {
    let text = rfc3339(time);
    match text.split_once('.') {
        Some((whole, _)) => format!("{whole}Z"),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::domain::ids::AccountId;
    use crate::domain::outcome::{FinalOutcome, ItemIds};
    use crate::queue::envelope::Envelope;

    use super::*;

    fn letter() -> DeadLetter {
        let died_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let outcome = FinalOutcome {
            id: "t-1".into(),
            batch: None,
            account: "desk".into(),
            gateway: None,
            reason: Reason::UnknownCode,
            gateway_code: Some("CODE\u{1b}[2J".into()),
            gateway_message: Some("\u{9b}31m wording".into()),
            attempts: 3,
            deferrals: 0,
            first_seen: SystemTime::UNIX_EPOCH,
            finished_at: died_at,
            verified: true,
            item: ItemIds::default(),
            worker: "w".into(),
            replays: 0,
        };
        DeadLetter {
            id: "t-1".into(),
            account: "desk".into(),
            reason: Reason::UnknownCode,
            outcome,
            body: "{\"key\":\"k3y\",\"close_reason\":\"\u{9b}2J\"}".into(),
            envelope: Envelope::fresh(AccountId::new("desk").unwrap()),
            died_at,
        }
    }

    #[test]
    fn no_control_character_of_others_reaches_the_terminal() {
        for text in [whole(&letter()), list(&[letter()])] {
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(text.contains("CODE") && text.contains("1970-01-01T00:00:01Z"), "{text}");
        }
    }

    #[test]
    fn secrets_are_masked_for_people_and_programs() {
        for text in [whole(&letter()), list_json(&[letter()])] {
            assert!(text.contains("***") && !text.contains("k3y"), "{text}");
        }
    }
}
