//! Dead letters as people see them; secrets masked.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use crate::desk::letters::{Cancelled, Group, Planned};
use crate::domain::advice::advice;
use crate::domain::classify::Effect;
use crate::domain::history::{Entry, What};
use crate::domain::outcome::Reason;
use crate::domain::takedown::rfc3339;
use crate::ops::cli::tables::{counted, table};
use crate::ops::mask;
use crate::queue::DeadLetter;
use crate::queue::letters::Page;

/// One line each, and below them what the reasons mean and how to go on.
pub(super) fn page(page: &Page) -> String {
    if page.letters.is_empty() {
        return if page.total == 0 { "no dead letters".to_owned() } else { "no more dead letters".to_owned() };
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
    let mut text = table(["id", "account", "reason", "code", "attempts", "died"], page.letters.iter().map(row));
    text.push('\n');
    let reasons: BTreeSet<Reason> = page.letters.iter().map(|letter| letter.reason).collect();
    for reason in reasons {
        add(&mut text, &format!("{reason}: {}", reason.explain()));
    }
    if let Some(next) = &page.next {
        let shown = page.letters.len();
        add(&mut text, &format!("{shown} of {}; the next page: --after {}", page.total, plain(&next.to_string())));
    }
    text
}

/// Groups, the largest first, and below them what to do.
pub(super) fn groups(groups: &[Group]) -> String {
    if groups.is_empty() {
        return "no dead letters".to_owned();
    }
    let row = |group: &Group| {
        [
            group.count.to_string(),
            plain(&group.account),
            group.reason.to_string(),
            plain(group.code.as_deref().unwrap_or_default()),
            seconds(group.first),
            seconds(group.last),
        ]
    };
    let header = ["letters", "account", "reason", "code", "first died", "last died"];
    let mut text = table(header, groups.iter().map(row));
    text.push('\n');
    let reasons: BTreeSet<Reason> = groups.iter().map(|group| group.reason).collect();
    for reason in reasons {
        add(&mut text, &format!("{reason}: {}", advice(reason)));
    }
    text
}

/// A plan, and what it would do.
pub(super) fn planned(Planned { plan, groups, cancelled, seen: _, takes }: &Planned) -> String {
    let mut text = format!("plan {}: {}", plan.id, counted(plan.count, "dead letter", "dead letters"));
    add(&mut text, &self::groups(groups));
    text.push('\n');
    add(&mut text, &format!("cut-off    {}; what dies later is not in it", seconds(plan.cut_off)));
    let takes = takes.map_or_else(
        || "no rate is known here; the letters wait for whoever works them".to_owned(),
        |takes| format!("about {} at the configured rates", lasting(takes)),
    );
    add(&mut text, &format!("takes      {takes}"));
    for one in cancelled {
        add(&mut text, &format!("cancelled  {}", self::cancelled(one)));
    }
    text
}

/// What becomes of letters whose batch was cancelled.
pub(super) fn cancelled(Cancelled { batch, letters, cancel }: &Cancelled) -> String {
    let reason = cancel.reason.as_deref().map(|reason| format!(" ({})", plain(reason))).unwrap_or_default();
    format!(
        "{} of batch {batch}, which {} cancelled at {}{reason}: a replay ends each as `cancelled`, without a call",
        counted(*letters, "letter is", "letters are"),
        plain(&cancel.by),
        seconds(cancel.at),
    )
}

fn lasting(time: Duration) -> String {
    match time.as_secs() {
        0..=1 => "a second".to_owned(),
        seconds @ 2..=119 => format!("{seconds} s"),
        seconds @ 120..=7199 => format!("{} min", seconds.div_ceil(60)),
        seconds => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

fn add(text: &mut String, line: &str) {
    write!(text, "\n{line}").expect("invariant: writing to a string never fails");
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
    let history: Vec<String> = letter.envelope.history.entries().iter().map(happened).collect();
    format!(
        "id         {}\naccount    {}\nreason     {}: {}\nwhat to do {}\ncode       {}\nwording    {}\nattempts   {} ({may_have})\n\
         deferrals  {}\nreplays    {}\nfirst seen {}\ndied       {}\nworker     {}\nbatch      {}\nhistory\n{}\nmessage (secrets masked)\n{}",
        plain(&letter.id),
        plain(&letter.account),
        letter.reason,
        letter.reason.explain(),
        advice(letter.reason),
        shown(&outcome.gateway_code),
        shown(&outcome.gateway_message),
        outcome.attempts,
        outcome.deferrals,
        outcome.replays,
        seconds(outcome.first_seen),
        seconds(letter.died_at),
        plain(&outcome.worker),
        shown(&outcome.batch),
        if history.is_empty() { "  none is known".to_owned() } else { history.join("\n") },
        body.join("\n"),
    )
}

/// One thing that happened, as a line.
fn happened(entry: &Entry) -> String {
    let Entry { at, what, attempt, how, effect, by, times } = entry;
    let (how, by) = (plain(how), plain(by));
    let what = match what {
        What::Attempt => format!("attempt {attempt}: {how}"),
        What::Deferral => format!("put off: {how}"),
        What::End => format!("dead: {how}"),
        What::Replay => format!("replayed{}", if how.is_empty() { how } else { format!(" by plan {how}") }),
        What::Edit => format!("edited: {how}"),
    };
    let times = if *times > 1 { format!(", {times} times, last at this moment") } else { String::new() };
    let effect = if *effect == Effect::Possible { " (may have taken effect)" } else { "" };
    format!("  {}  {what}{effect}{times}, {by}", seconds(*at))
}

/// Others wrote these texts; a control character in one must not reach the terminal.
pub(super) fn plain(text: &str) -> String {
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
    use crate::domain::ids::AccountId;
    use crate::domain::outcome::FinalOutcome;
    use crate::domain::outcome::sample::sample;
    use crate::queue::envelope::Envelope;

    use super::*;

    fn letter() -> DeadLetter {
        let died_at = SystemTime::UNIX_EPOCH + Duration::from_millis(1500);
        let outcome = FinalOutcome {
            gateway_code: Some("CODE\u{1b}[2J".into()),
            gateway_message: Some("\u{9b}31m wording".into()),
            attempts: 3,
            finished_at: died_at,
            ..sample(Reason::UnknownCode)
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

    fn one() -> Page {
        Page { letters: vec![letter()], total: 1, ..Page::default() }
    }

    #[test]
    fn no_control_character_of_others_reaches_the_terminal() {
        for text in [whole(&letter()), page(&one())] {
            assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text:?}");
            assert!(text.contains("CODE") && text.contains("1970-01-01T00:00:01Z"), "{text}");
        }
    }

    #[test]
    fn secrets_are_masked_for_people_and_programs() {
        for text in [whole(&letter()), crate::ops::letters::json_of(&letter()).to_string()] {
            assert!(text.contains("***") && !text.contains("k3y"), "{text}");
        }
    }
}
