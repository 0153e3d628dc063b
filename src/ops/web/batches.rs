//! Batches: how far each is, when it will be done or what holds it, and its cancelling.

use axum::Extension;
use axum::extract::{Path, State};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::desk::batch::{Batch, Note, Stage};
use crate::desk::fleet::FleetReport;
use crate::domain::ids::BatchId;
use crate::domain::notice::MAX_REASON;
use crate::domain::outcome::Status;
use crate::ops::meaning::{explain, status as status_word};
use crate::ops::web::Shared;
use crate::ops::web::fields::Fields;
use crate::ops::web::layout::{self, Page, Tab, number, plain, span, time, token};
use crate::ops::web::overview::{by_reason, held, words};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::visitor::Visitor;

/// Batches shown at once; the latest.
const MOST: usize = 200;

/// `GET /batches`.
pub(in crate::ops::web) async fn list(State(shared): State<Shared>, visitor: Visitor) -> Response {
    let inside = html! {
        div .head { h1 { (visitor.say(Phrase::Batches)) } span .aside { (layout::pause(&visitor)) } }
        div data-live="/batches/live" data-every="2000" { (table(&shared, &visitor).await) }
    };
    page(&visitor, visitor.say(Phrase::Batches), &inside)
}

/// `GET /batches/live`.
pub(in crate::ops::web) async fn live(State(shared): State<Shared>, visitor: Visitor) -> Html<String> {
    Html(table(&shared, &visitor).await.into_string())
}

fn page(visitor: &Visitor, title: &str, inside: &Markup) -> Response {
    let page = layout::page(visitor, Page { title, tab: Some(Tab::Batches), follow: None }, inside);
    Html(page.into_string()).into_response()
}

async fn table(shared: &Shared, visitor: &Visitor) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let (counts, fleet) = tokio::join!(shared.desk.counts(), shared.desk.fleet());
    let counts = match counts {
        Ok(Some(counts)) => counts,
        Ok(None) => return layout::note(visitor, "", Phrase::NoBatchesHere, None),
        Err(error) => return layout::note(visitor, "bad", Phrase::NoCounts, Some(&error)),
    };
    let batches = match counts.store.batches() {
        Ok(batches) => batches,
        Err(error) => return layout::note(visitor, "bad", Phrase::NoCounts, Some(&error.to_string())),
    };
    let fleet = fleet.ok().flatten();
    html! {
        (layout::following(visitor, &counts.following()))
        section .panel aria-labelledby="batches" {
            div .title { h2 #batches { (say(Phrase::LatestBatches)) } span .aside { (number(batches.len() as u64)) } }
            @if batches.is_empty() {
                p .none { (say(Phrase::NoBatches)) }
            } @else {
                (layout::table(
                    "batches",
                    say(Phrase::LatestBatches),
                    html! {
                        th scope="col" { (say(Phrase::Batch)) }
                        th scope="col" { (say(Phrase::State)) }
                        th scope="col" { (say(Phrase::Progress)) }
                        @for status in Status::ALL { th scope="col" .n { (status_word(*status, visitor.language)) } }
                        th scope="col" .n { (say(Phrase::Left)) }
                        th scope="col" { (say(Phrase::TimeLeft)) }
                    },
                    html! {
                        @for batch in batches.iter().take(MOST) { (row(visitor, batch, fleet.as_ref())) }
                    },
                ))
            }
        }
    }
}

fn row(visitor: &Visitor, batch: &Batch, fleet: Option<&FleetReport>) -> Markup {
    let counts = batch.by_status();
    html! {
        tr {
            th scope="row" {
                a .break href={ "/batches/" (batch.id) } { (batch.id) }
                @if let Some(made) = &batch.made { div .muted .small { (time(made.at)) } }
            }
            td { (stage(visitor, batch)) }
            td .w { (bar(visitor, batch)) }
            @for status in Status::ALL { td .n { (number(counts.get(status).copied().unwrap_or(0))) } }
            td .n { (batch.left().map_or_else(|| "—".to_owned(), number)) }
            td .sentence { (outlook(visitor, batch, fleet)) }
        }
    }
}

fn stage(visitor: &Visitor, batch: &Batch) -> Markup {
    let (phrase, class) = match batch.stage() {
        Stage::Running => (Phrase::StageRunning, "info"),
        Stage::Cancelling => (Phrase::StageCancelling, "warn"),
        Stage::Finished if batch.cancelled.is_some() => (Phrase::StageCancelled, ""),
        Stage::Finished => (Phrase::StageFinished, "good"),
        Stage::Open => (Phrase::StageOpen, ""),
    };
    html! { span class={ "pill " (class) } { (visitor.say(phrase)) } }
}

fn bar(visitor: &Visitor, batch: &Batch) -> Markup {
    html! {
        @match batch.total() {
            Some(total) => {
                progress value=(batch.done().min(total)) max=(total) aria-label={ (visitor.say(Phrase::Progress)) " " (batch.id) } {}
                span .small .muted { (number(batch.done())) " / " (number(total)) }
            },
            None => (number(batch.done())),
        }
    }
}

/// When it will be done, or what keeps it.
fn outlook(visitor: &Visitor, batch: &Batch, fleet: Option<&FleetReport>) -> Markup {
    let left = batch.left_by_account();
    let accounts: Vec<_> = left.iter().filter_map(|(account, left)| Some((fleet?.account(account)?, *left))).collect();
    let stuck: Vec<_> = accounts.iter().filter(|(account, _)| !account.state.is_moving()).collect();
    let longest = accounts.iter().map(|(account, left)| account.time_for(*left)).collect::<Option<Vec<_>>>();
    html! {
        @if left.is_empty() { "—" }
        @else if stuck.is_empty() {
            @match longest.and_then(|times| times.into_iter().max()) {
                Some(left) => (span(left, visitor.language)),
                None => span .muted { (visitor.say(Phrase::NotKnownYet)) },
            }
        }
        @for (account, _) in stuck {
            div {
                b { (account.id) } " " (crate::ops::web::overview::state(visitor, account.state))
                @if let Some(hold) = &account.hold { (held(visitor, hold)) }
            }
        }
    }
}

/// `GET /batches/{id}`.
pub(in crate::ops::web) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    let found = match find(&shared, &id).await {
        Ok(batch) => batch,
        Err(problem) => return problem.page(&visitor),
    };
    let live = format!("/batches/{}/live", found.id);
    let inside = html! {
        p .crumbs { a href="/batches" { (visitor.say(Phrase::Batches)) } }
        div .head { h1 .break { (found.id) } span .aside { (layout::pause(&visitor)) } }
        div data-live=(live) data-every="1500" { (whole(&shared, &visitor, &found).await) }
        (cancel_form(&visitor, &found))
    };
    page(&visitor, found.id.as_str(), &inside)
}

/// `GET /batches/{id}/live`.
pub(in crate::ops::web) async fn show_live(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
) -> Response {
    match find(&shared, &id).await {
        Ok(batch) => Html(whole(&shared, &visitor, &batch).await.into_string()).into_response(),
        Err(problem) => problem.page(&visitor),
    }
}

async fn find(shared: &Shared, id: &str) -> Result<Batch, Problem> {
    let missing = || Problem::missing(Phrase::NoSuchBatch, Phrase::NoSuchBatchRemedy);
    let id = BatchId::new(id).map_err(|_| missing())?;
    let counts = shared.desk.counts().await.map_err(Problem::broker)?.ok_or_else(missing)?;
    counts.store.batch(&id).map_err(|error| Problem::broker(error.to_string()))?.ok_or_else(missing)
}

async fn whole(shared: &Shared, visitor: &Visitor, batch: &Batch) -> Markup {
    let fleet = shared.desk.fleet().await.ok().flatten();
    let say = |phrase| visitor.say(phrase);
    let counts = batch.by_status();
    let reasons = batch.by_reason();
    html! {
        dl .figures {
            div { dt { (say(Phrase::State)) } dd { (stage(visitor, batch)) } }
            div { dt { (say(Phrase::Ended)) } dd { (number(batch.done())) @if let Some(total) = batch.total() { small { " / " (number(total)) } } } }
            @for status in Status::ALL {
                div { dt { (status_word(*status, visitor.language)) } dd { (number(counts.get(status).copied().unwrap_or(0))) } }
            }
        }
        section .panel aria-labelledby="outlook" {
            div .title { h2 #outlook { (say(Phrase::Outlook)) } }
            div .inside {
                (bar(visitor, batch))
                dl .facts {
                    dt { (say(Phrase::TimeLeft)) } dd { (outlook(visitor, batch, fleet.as_ref())) }
                    @if let Some(made) = &batch.made { dt { (say(Phrase::Made)) } dd { (note(made)) } }
                    @if let Some(cancelled) = &batch.cancelled { dt { (say(Phrase::Cancelled)) } dd { (note(cancelled)) } }
                }
            }
        }
        @if !reasons.is_empty() {
            div .columns {
                section .panel aria-labelledby="by-reason" {
                    div .title { h2 #by-reason { (say(Phrase::ByReason)) } }
                    div .inside { (by_reason(visitor, &reasons).figure("reasons", &words(visitor))) }
                }
                section .panel aria-labelledby="meaning" {
                    div .title { h2 #meaning { (say(Phrase::Meaning)) } }
                    div .inside {
                        dl .facts { @for reason in reasons.keys() { dt { code { (reason) } } dd { (explain(*reason, visitor.language)) } } }
                    }
                }
            }
        }
    }
}

fn note(note: &Note) -> Markup {
    html! {
        (time(note.at)) " · " span .break { (plain(&note.by)) }
        @if let Some(reason) = &note.reason { " · " q { (plain(reason)) } }
    }
}

fn cancel_form(visitor: &Visitor, batch: &Batch) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let may_cancel = batch.cancelled.is_none() && batch.stage() != Stage::Finished;
    html! {
        (layout::reading_only(visitor))
        @if may_cancel && visitor.csrf().is_some() {
            section .panel aria-labelledby="cancel" {
                div .title { h2 #cancel { (say(Phrase::CancelBatch)) } }
                form .inside method="post" action={ "/batches/" (batch.id) "/cancel" } {
                    (token(visitor))
                    p { (say(Phrase::CancelBatchText)) }
                    label for="reason" { (say(Phrase::CancelReason)) }
                    input #reason name="reason" maxlength=(MAX_REASON) autocomplete="off";
                    div .actions { button .danger type="submit" { (say(Phrase::CancelBatch)) } }
                }
            }
        }
    }
}

/// `POST /batches/{id}/cancel`.
pub(in crate::ops::web) async fn cancel(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let cancelled = async {
        let batch = find(&shared, &id).await?;
        let reason = fields.get("reason").map(|text| text.chars().take(MAX_REASON).collect());
        shared.desk.cancel(&batch.id, reason).await.map_err(Problem::broker)?;
        Ok::<_, Problem>(batch.id)
    };
    match cancelled.await {
        Ok(id) => Redirect::to(&format!("/batches/{id}")).into_response(),
        Err(problem) => problem.page(&visitor),
    }
}
