//! One letter whole: what happened, what to do, its message with secrets masked, and the form to edit it.

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::desk::letters::{Edit, LetterError};
use crate::domain::cause::chain;
use crate::domain::classify::Effect;
use crate::domain::history::{Entry, What};
use crate::domain::takedown::Gateway;
use crate::ops::mask;
use crate::ops::meaning::advise;
use crate::ops::web::Shared;
use crate::ops::web::fields::{Fields, query};
use crate::ops::web::layout::{self, is_unseen, number, plain, time, token};
use crate::ops::web::letters::page;
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::source::with_letters;
use crate::ops::web::visitor::Visitor;
use crate::queue::DeadLetter;

/// Returns the address of a letter's page.
pub(super) fn address(letter: &DeadLetter) -> String {
    format!("/letters/one{}", query([("account", letter.account.clone()), ("id", letter.id.clone())]))
}

/// What was done with the letter just now.
#[derive(Default)]
struct Done {
    is_saved: bool,
    /// What was typed and refused, and why.
    refused: Option<(String, String)>,
}

/// `GET /letters/one`.
pub(super) async fn show(State(shared): State<Shared>, visitor: Visitor, request: Request) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    let done = Done { is_saved: fields.get("edited").is_some(), refused: None };
    answer(&shared, &visitor, &fields, &done).await
}

async fn answer(shared: &Shared, visitor: &Visitor, fields: &Fields, done: &Done) -> Response {
    match find(shared, fields).await {
        Ok((letter, count)) => page(visitor, &plain(&letter.id), None, &whole(visitor, &letter, count, done)),
        Err(problem) => problem.page(visitor),
    }
}

/// Finds the letter, and how many there are of its id.
async fn find(shared: &Shared, fields: &Fields) -> Result<(DeadLetter, usize), Problem> {
    let id = fields.raw("id").unwrap_or_default();
    let letters = shared.desk.letters().await?;
    let mut found = shared.desk.judge(with_letters!(letters, desk => desk.find(id).await)).await?;
    if let Some(account) = fields.raw("account") {
        found.retain(|letter| letter.account == account);
    }
    let count = found.len();
    // The latest: of an edit that was interrupted, the one that went through it.
    found.sort_by_key(|letter| (letter.envelope.history.entries().len(), letter.died_at));
    let letter = found.pop().ok_or_else(|| LetterError::NoLetter { id: id.to_owned() })?;
    Ok((letter, count))
}

/// `POST /letters/edit`. What was typed and is refused is shown again, with the reason.
pub(super) async fn edit(
    State(shared): State<Shared>,
    visitor: Visitor,
    Extension(fields): Extension<Fields>,
) -> Response {
    let (id, typed) = (fields.raw("id").unwrap_or_default(), fields.raw("body").unwrap_or_default());
    let letters = match shared.desk.letters().await {
        Ok(letters) => letters,
        Err(problem) => return problem.page(&visitor),
    };
    let edit = Edit::Whole(typed.as_bytes().to_vec());
    match shared.desk.judge(with_letters!(letters, desk => desk.edit(id, &edit).await)).await {
        Ok(_) => {
            let back = query([("id", id.to_owned()), ("edited", "1".to_owned())]);
            Redirect::to(&format!("/letters/one{back}")).into_response()
        }
        Err(LetterError::Edit(error)) => {
            let done = Done { is_saved: false, refused: Some((typed.to_owned(), chain(&error))) };
            (StatusCode::UNPROCESSABLE_ENTITY, answer(&shared, &visitor, &fields, &done).await).into_response()
        }
        Err(error) => Problem::from(error).page(&visitor),
    }
}

/// The page of one letter; `count` is how many there are of its id.
fn whole(visitor: &Visitor, letter: &DeadLetter, count: usize, done: &Done) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        p .crumbs { a href="/letters" { (say(Phrase::DeadLetters)) } }
        div .head {
            h1 .break { (plain(&letter.id)) }
            span .aside { (say(Phrase::Died)) " " (time(letter.died_at)) }
        }
        @if done.is_saved { div .note .good role="status" { p { (say(Phrase::EditSaved)) } } }
        @if count > 1 {
            div .note .warn { p { (visitor.fill(Phrase::SeveralCopies, &[("count", &count.to_string())])) } }
        }
        div .note .bad {
            p { (advise(letter.reason, visitor.language)) }
            @if letter.envelope.effect == Effect::Possible { p .muted { (say(Phrase::MayHaveTakenEffect)) } }
        }
        (layout::reading_only(visitor))
        @if visitor.csrf().is_some() {
            form .actions .above method="post" action="/letters/plan" {
                (token(visitor))
                input type="hidden" name="account" value=(letter.account);
                input type="hidden" name="id" value=(letter.id);
                button type="submit" { (say(Phrase::PlanThisOne)) }
            }
        }
        div .columns {
            (facts(visitor, letter))
            (message(visitor, letter, done))
        }
        (history(visitor, letter))
    }
}

fn facts(visitor: &Visitor, letter: &DeadLetter) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let outcome = &letter.outcome;
    let optional = |text: &Option<String>| {
        html! {
            @match text.as_deref() { Some(text) => span .break { (plain(text)) }, None => span .muted { (say(Phrase::Nothing)) } }
        }
    };
    html! {
        section .panel aria-labelledby="facts" {
            div .title { h2 #facts { (say(Phrase::WhatIsKnown)) } }
            div .inside {
                dl .facts {
                    dt { (say(Phrase::Account)) } dd { (plain(&letter.account)) }
                    dt { (say(Phrase::Reason)) } dd { code { (letter.reason) } }
                    dt { (say(Phrase::Code)) } dd .mono { (optional(&outcome.gateway_code)) }
                    dt { (say(Phrase::Wording)) } dd { (optional(&outcome.gateway_message)) }
                    dt { (say(Phrase::Gateway)) } dd { (outcome.gateway.map_or("—", Gateway::as_str)) }
                    dt { (say(Phrase::Batch)) } dd { (optional(&outcome.batch)) }
                    dt { (say(Phrase::Attempts)) } dd { (outcome.attempts) }
                    dt { (say(Phrase::Deferrals)) } dd { (outcome.deferrals) }
                    dt { (say(Phrase::Replays)) } dd { (outcome.replays) }
                    dt { (say(Phrase::FirstSeen)) } dd { (time(outcome.first_seen)) }
                    dt { (say(Phrase::Worker)) } dd { (plain(&outcome.worker)) }
                }
            }
        }
    }
}

fn message(visitor: &Visitor, letter: &DeadLetter, done: &Done) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="message" {
            div .title {
                h2 #message { (say(Phrase::Message)) }
                span .aside { (say(Phrase::SecretsMasked)) }
            }
            pre tabindex="0" aria-labelledby="message" { (shown(letter)) }
            @if visitor.csrf().is_some() {
                div .inside { (edit_form(visitor, letter, done.refused.as_ref())) }
            }
        }
    }
}

/// The message as it may be seen; what cannot be seen is escaped, so that it still says the same.
fn shown(letter: &DeadLetter) -> String {
    let text = serde_json::to_string_pretty(&mask::body(&letter.body)).unwrap_or_default();
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c != '\n' && is_unseen(c) {
            shown.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn edit_form(visitor: &Visitor, letter: &DeadLetter, refused: Option<&(String, String)>) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let own = shown(letter);
    let text = refused.map_or(own.as_str(), |(typed, _)| typed);
    html! {
        details open[refused.is_some()] {
            summary { (say(Phrase::EditLetter)) }
            @if let Some((_, why)) = refused {
                div .note .bad role="alert" #refused {
                    p { (say(Phrase::BadEdit)) }
                    p .mono .small .break { (plain(why)) }
                }
            }
            form method="post" action="/letters/edit" {
                (token(visitor))
                input type="hidden" name="id" value=(letter.id);
                label for="body" { (say(Phrase::EditedMessage)) }
                textarea #body name="body" spellcheck="false" autocomplete="off" aria-invalid=[refused.map(|_| "true")]
                    aria-describedby=(if refused.is_some() { "refused body-hint" } else { "body-hint" }) { "\n" (text) }
                p .hint #body-hint { (say(Phrase::EditHint)) }
                div .actions { button .main type="submit" { (say(Phrase::SaveEdit)) } }
            }
        }
    }
}

fn history(visitor: &Visitor, letter: &DeadLetter) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let entries = letter.envelope.history.entries();
    html! {
        section .panel aria-labelledby="history" {
            div .title {
                h2 #history { (say(Phrase::History)) }
                span .aside { (say(Phrase::HistoryBound)) }
            }
            @if entries.is_empty() {
                p .none { (say(Phrase::NoHistory)) }
            } @else {
                (layout::table(
                    "history",
                    say(Phrase::History),
                    html! {
                        th scope="col" { (say(Phrase::When)) }
                        th scope="col" { (say(Phrase::What)) }
                        th scope="col" .n { (say(Phrase::Attempt)) }
                        th scope="col" { (say(Phrase::How)) }
                        th scope="col" .n { (say(Phrase::Times)) }
                        th scope="col" { (say(Phrase::By)) }
                    },
                    html! {
                        @for entry in entries { (row(visitor, entry)) }
                    },
                ))
            }
        }
    }
}

fn row(visitor: &Visitor, entry: &Entry) -> Markup {
    let (phrase, class) = match entry.what {
        What::Attempt => (Phrase::EntryAttempt, "info"),
        What::Deferral => (Phrase::EntryDeferral, ""),
        What::End => (Phrase::EntryEnd, "bad"),
        What::Replay => (Phrase::EntryReplay, "good"),
        What::Edit => (Phrase::EntryEdit, "warn"),
    };
    html! {
        tr {
            td .w { (time(entry.at)) }
            th scope="row" { span class={ "pill " (class) } { (visitor.say(phrase)) } }
            td .n { (entry.attempt) }
            td {
                code .break { (plain(&entry.how)) }
                @if entry.effect == Effect::Possible { " " span .muted .small { (visitor.say(Phrase::MayHaveTakenEffect)) } }
            }
            td .n { (number(entry.times.into())) }
            td .break { (plain(&entry.by)) }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use axum::http::HeaderMap;

    use super::*;
    use crate::domain::ids::AccountId;
    use crate::domain::outcome::sample::sample;
    use crate::domain::outcome::{FinalOutcome, Reason};
    use crate::ops::web::visitor::Standing;
    use crate::queue::envelope::Envelope;

    const HOSTILE: &str = "\"><script>alert(1)</script>\u{202e}\u{1b}[2J'";

    fn hostile() -> DeadLetter {
        let at = SystemTime::UNIX_EPOCH;
        let text = || Some(HOSTILE.to_owned());
        let outcome = FinalOutcome {
            id: HOSTILE.into(),
            batch: text(),
            account: HOSTILE.into(),
            gateway_code: text(),
            gateway_message: text(),
            worker: HOSTILE.into(),
            ..sample(Reason::UnknownCode)
        };
        let mut envelope = Envelope::fresh(AccountId::new("desk").unwrap());
        envelope.history.push(Entry::new(What::Attempt, 1, HOSTILE, HOSTILE, at));
        let body = serde_json::json!({ "id": HOSTILE, "takedown": { "key": "k3y-of-4dmin", "close_reason": HOSTILE } });
        DeadLetter {
            id: HOSTILE.into(),
            account: HOSTILE.into(),
            reason: Reason::UnknownCode,
            outcome,
            body: body.to_string().into_bytes(),
            envelope,
            died_at: at,
        }
    }

    #[test]
    fn no_text_of_others_leaves_its_place_and_no_secret_is_shown() {
        let standing = Standing::Session { csrf: "c5rf".into() };
        let visitor = Visitor::of(&HeaderMap::new(), standing, "/letters".into());
        let refused = Done { is_saved: false, refused: Some((HOSTILE.into(), HOSTILE.into())) };
        for done in [Done::default(), refused] {
            let page = whole(&visitor, &hostile(), 2, &done).into_string();
            for part in ["<script", "k3y", "alert(1)</script"] {
                assert!(!page.contains(part), "{part:?} in {page}");
            }
            // A hidden field hands back what it was given; everything that is seen can be seen.
            let seen: String =
                page.split(" value=\"").map(|rest| rest.split_once('"').map_or(rest, |(_, seen)| seen)).collect();
            assert!(done.refused.is_some() || !seen.contains(['\u{1b}', '\u{202e}']), "{seen}");
            let text = shown(&hostile());
            let again: serde_json::Value = serde_json::from_str(&text).unwrap();
            assert!(again["id"] == HOSTILE && !text.contains('\u{202e}'), "{text}");
            assert!(page.contains("&lt;script&gt;") && page.contains("***") && page.contains("c5rf"), "{page}");
        }
    }
}
