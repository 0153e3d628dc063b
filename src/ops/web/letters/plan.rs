//! A plan: what it means, its replay with a pace and progress, its cancelling, and the purge by its number.

use std::time::Duration;

use axum::Extension;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::{Markup, html};

use crate::clock;
use crate::desk::letters::{Group, LetterError, ReplayPace, ReplayState, Standing};
use crate::domain::ids::PlanId;
use crate::domain::notice::{LetterFilter, ReplayEnd};
use crate::ops::meaning::advise;
use crate::ops::web::Shared;
use crate::ops::web::fields::Fields;
use crate::ops::web::layout::{self, number, plain, span, time, token};
use crate::ops::web::letters::{filter, page};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::replays::Running;
use crate::ops::web::source::with_letters;
use crate::ops::web::visitor::Visitor;

/// Seconds between two looks of a browser without scripts.
const FOLLOW: u32 = 3;

/// The filter of everything a plan means, its cut-off included.
fn meant(standing: &Standing) -> LetterFilter {
    let plan = &standing.plan;
    let until = plan.filter.died_until.map_or(plan.cut_off, |until| until.min(plan.cut_off));
    LetterFilter { died_until: Some(until), ..plan.filter.clone() }
}

/// `POST /letters/plan`.
pub(super) async fn make(
    State(shared): State<Shared>,
    visitor: Visitor,
    Extension(fields): Extension<Fields>,
) -> Response {
    let made = async {
        let filter = filter::read(&fields, clock::now())?;
        let letters = shared.desk.letters().await?;
        Ok::<_, Problem>(shared.desk.judge(with_letters!(letters, desk => desk.plan(&filter).await)).await?)
    };
    match made.await {
        Ok(planned) => Redirect::to(&format!("/letters/plans/{}", planned.plan.id)).into_response(),
        Err(problem) => problem.page(&visitor),
    }
}

async fn find(shared: &Shared, id: &str) -> Result<Standing, Problem> {
    let missing = || Problem::missing(Phrase::NoSuchPlan, Phrase::NoSuchPlanRemedy);
    let id = PlanId::new(id.to_ascii_lowercase()).map_err(|_| missing())?;
    let letters = shared.desk.letters().await?;
    Ok(shared.desk.judge(with_letters!(letters, desk => desk.plan_by_id(&id).await)).await?)
}

/// `GET /letters/plans/{id}`.
pub(super) async fn show(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    request: Request,
) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    match build(&shared, &visitor, &id, &fields).await {
        Ok((title, follow, inside)) => page(&visitor, &title, follow, &inside),
        Err(problem) => problem.page(&visitor),
    }
}

async fn build(
    shared: &Shared,
    visitor: &Visitor,
    id: &str,
    fields: &Fields,
) -> Result<(String, Option<u32>, Markup), Problem> {
    let standing = find(shared, id).await?;
    let plan = &standing.plan;
    let running = shared.desk.replays.find(&plan.id);
    let is_running = running.as_ref().is_some_and(|replay| !replay.is_over());
    // A replay has letters in hand; counting what it does not hold would tell nothing.
    let groups = if is_running { None } else { Some(left(shared, &standing).await?) };
    let say = |phrase| visitor.say(phrase);
    let title = format!("{} {}", say(Phrase::Plan), plan.id);
    let inside = html! {
        p .crumbs { a href="/letters" { (say(Phrase::DeadLetters)) } }
        div .head { h1 { (say(Phrase::Plan)) " " span .mono { (plan.id) } } span .aside { (say(Phrase::Made)) " " (time(standing.made_at)) " · " (plain(&standing.made_by)) } }
        @if let Some(count) = fields.get("purged").and_then(|text| text.parse::<u64>().ok()) {
            div .note .good role="status" { p { (visitor.fill(Phrase::Purged, &[("count", &number(count))])) } }
        }
        section .panel aria-labelledby="what" {
            div .title {
                h2 #what { (say(Phrase::WhatIsPlanned)) }
                // The log is told a moment after the replay began.
                @if !is_running { (state(visitor, &standing)) }
            }
            div .inside {
                dl .facts {
                    dt { (say(Phrase::Filter)) } dd { (filter::summary(visitor, &plan.filter)) }
                    dt { (say(Phrase::CutOff)) } dd { (time(plan.cut_off)) " " span .muted .small { (say(Phrase::CutOffText)) } }
                    dt { (say(Phrase::Planned)) } dd { (number(plan.count)) }
                    dt { (say(Phrase::Replayed)) } dd { (number(standing.replayed)) }
                    @if let Some(groups) = &groups {
                        dt { (say(Phrase::LeftNow)) }
                        dd #left { (number(groups.iter().map(|group| group.count).sum())) }
                        @if let Some(takes) = takes(shared, groups) {
                            dt { (say(Phrase::TakesAbout)) }
                            dd { (span(takes, visitor.language)) " " span .muted .small { (say(Phrase::AtConfiguredRates)) } }
                        }
                    }
                }
            }
        }
        @if let Some(replay) = &running {
            section .panel aria-labelledby="progress-title" {
                div .title { h2 #progress-title { (say(Phrase::Progress)) } }
                div #progress data-live=[(!replay.is_over()).then(|| format!("/letters/plans/{}/progress", plan.id))] data-every="700"
                    data-voice="voice" { (progress(visitor, &plan.id, replay)) }
                p #voice .unseen role="status" aria-live="polite" {}
            }
        }
        @if let Some(groups) = &groups { (groups_table(visitor, groups)) }
        (layout::reading_only(visitor))
        @if let (false, Some(groups), Some(_)) = (is_running, &groups, visitor.csrf()) {
            @let count = groups.iter().map(|group| group.count).sum::<u64>();
            @if count > 0 {
                div .columns {
                    (replay_form(visitor, &standing))
                    (purge_form(visitor, &standing, count))
                }
            }
        }
    };
    Ok((title, is_running.then_some(FOLLOW), inside))
}

async fn left(shared: &Shared, standing: &Standing) -> Result<Vec<Group>, Problem> {
    let letters = shared.desk.letters().await?;
    let counted = with_letters!(letters, desk => desk.groups(&meant(standing)).await);
    Ok(shared.desk.judge(counted).await?.groups)
}

/// How long a replay of what is left takes: the accounts come one after the other, each at its configured rate.
fn takes(shared: &Shared, groups: &[Group]) -> Option<Duration> {
    let rates = shared.desk.rates();
    let one = |group: &Group| {
        let rate = rates.iter().find(|(account, _)| account.as_str() == group.account).map(|(_, rate)| *rate)?;
        Duration::try_from_secs_f64(f64::from(u32::try_from(group.count).ok()?) / rate).ok()
    };
    groups.iter().map(one).sum::<Option<Duration>>().filter(|takes| !takes.is_zero())
}

/// How a plan stands, as a word with a colour.
pub(super) fn state(visitor: &Visitor, standing: &Standing) -> Markup {
    let (phrase, class) = match (standing.has_begun, standing.ended) {
        (false, _) => (Phrase::PlanNew, "info"),
        (true, None) => (Phrase::PlanRunning, "warn"),
        (true, Some(how)) => end(how),
    };
    html! { span class={ "pill " (class) } { (visitor.say(phrase)) } }
}

fn end(how: ReplayEnd) -> (Phrase, &'static str) {
    match how {
        ReplayEnd::Finished => (Phrase::PlanFinished, "good"),
        ReplayEnd::Limited => (Phrase::PlanLimited, "warn"),
        ReplayEnd::Cancelled => (Phrase::PlanStopped, "warn"),
        ReplayEnd::Failed => (Phrase::PlanFailed, "bad"),
    }
}

fn groups_table(visitor: &Visitor, groups: &[Group]) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        @if !groups.is_empty() {
            section .panel aria-labelledby="groups" {
                div .title { h2 #groups { (say(Phrase::LeftNow)) } }
                (layout::table(
                    "groups",
                    say(Phrase::LeftNow),
                    html! {
                        th scope="col" .n { (say(Phrase::Letters)) }
                        th scope="col" { (say(Phrase::Account)) }
                        th scope="col" { (say(Phrase::ReasonAndCode)) }
                        th scope="col" { (say(Phrase::Meaning)) }
                    },
                    html! {
                        @for group in groups {
                            tr {
                                td .n { (number(group.count)) }
                                th scope="row" .break { (plain(&group.account)) }
                                td { code { (group.reason) } @if let Some(code) = &group.code { div .mono .muted .break { (plain(code)) } } }
                                td .sentence { (advise(group.reason, visitor.language)) }
                            }
                        }
                    },
                ))
            }
        }
    }
}

fn replay_form(visitor: &Visitor, standing: &Standing) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="replay" {
            div .title { h2 #replay { (say(Phrase::Replay)) } }
            form .inside method="post" action={ "/letters/plans/" (standing.plan.id) "/replay" } {
                (token(visitor))
                p { (say(Phrase::ReplayText)) }
                div .fields {
                    div {
                        label for="rate" { (say(Phrase::ReplayRate)) }
                        input #rate name="rate" type="number" min="0.01" max="10000" step="any" inputmode="decimal" aria-describedby="rate-hint";
                    }
                    div {
                        label for="limit" { (say(Phrase::ReplayLimit)) }
                        input #limit name="limit" type="number" min="1" step="1" inputmode="numeric" aria-describedby="rate-hint";
                    }
                }
                p .hint #rate-hint { (say(Phrase::ReplayHint)) }
                div .actions { button .main type="submit" { (say(if standing.has_begun { Phrase::ReplayOn } else { Phrase::Replay })) } }
            }
        }
    }
}

fn purge_form(visitor: &Visitor, standing: &Standing, count: u64) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="purge" {
            div .title { h2 #purge { (say(Phrase::Purge)) } }
            form .inside method="post" action={ "/letters/plans/" (standing.plan.id) "/purge" } {
                (token(visitor))
                p { (say(Phrase::PurgeText)) }
                div .fields {
                    div {
                        label for="count" { (visitor.fill(Phrase::PurgeCount, &[("count", &count.to_string())])) }
                        input #count name="count" type="number" min="1" step="1" inputmode="numeric" required autocomplete="off";
                    }
                }
                div .actions { button .danger type="submit" { (say(Phrase::Purge)) } }
            }
        }
    }
}

/// How far a replay is; the words for who cannot see it change a tenth at a time.
fn progress(visitor: &Visitor, id: &PlanId, replay: &Running) -> Markup {
    let say = |phrase| visitor.say(phrase);
    let told = replay.progress();
    let count = |count: u64| number(count);
    let (phrase, class) = match told.state {
        _ if replay.failure().is_some() => (Phrase::PlanFailed, "bad"),
        _ if replay.is_stopping() => (Phrase::Stopping, "warn"),
        ReplayState::Counting => (Phrase::Counting, "info"),
        ReplayState::Running => (Phrase::PlanRunning, "info"),
        ReplayState::Ended(how) => end(how),
    };
    let gaps = [("done", count(told.replayed)), ("count", count(told.total))];
    let gaps: Vec<(&str, &str)> = gaps.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let tenth = (told.replayed * 10).checked_div(told.total).unwrap_or(0) * 10;
    let said = match told.state {
        ReplayState::Ended(_) => format!("{}. {}", say(phrase), visitor.fill(Phrase::ReplayedOf, &gaps)),
        ReplayState::Counting | ReplayState::Running => format!("{} {tenth}%", say(phrase)),
    };
    html! {
        div .inside {
            p { span class={ "pill " (class) } { (say(phrase)) } " " b { (visitor.fill(Phrase::ReplayedOf, &gaps)) }
                @if let (ReplayState::Running, Some(left)) = (told.state, told.left) {
                    " · " (say(Phrase::TimeLeft)) " " (span(left, visitor.language))
                }
            }
            progress value=(told.replayed) max=(told.total.max(1)) aria-label=(say(Phrase::Progress)) {}
            span data-say=(said) {}
            @if let Some(failure) = replay.failure() { p .mono .small { (plain(&failure)) } p { (say(Phrase::ReplayFailedText)) } }
            @if replay.is_over() {
                div .actions { a .button href={ "/letters/plans/" (id) } { (say(Phrase::SeeWhatIsLeft)) } a href="/letters" { (say(Phrase::DeadLetters)) } }
            } @else if visitor.csrf().is_some() {
                form .actions method="post" action={ "/letters/plans/" (id) "/stop" } {
                    (token(visitor))
                    button .danger type="submit" disabled[replay.is_stopping()] { (say(Phrase::StopReplay)) }
                    span .hint { (say(Phrase::StopText)) }
                }
            }
        }
    }
}

/// `GET /letters/plans/{id}/progress`.
pub(super) async fn progress_part(State(shared): State<Shared>, visitor: Visitor, Path(id): Path<String>) -> Response {
    let found = PlanId::new(id).ok().and_then(|id| shared.desk.replays.find(&id).map(|replay| (id, replay)));
    let Some((id, replay)) = found else {
        return Problem::missing(Phrase::NoSuchPlan, Phrase::NoSuchPlanRemedy).page(&visitor);
    };
    let mut headers = HeaderMap::new();
    if replay.is_over() {
        headers.insert("x-desk-done", HeaderValue::from_static("1"));
    }
    (headers, Html(progress(&visitor, &id, &replay).into_string())).into_response()
}

/// `POST /letters/plans/{id}/replay`.
pub(super) async fn replay(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let begun = async {
        let pace = pace(&fields)?;
        let standing = find(&shared, &id).await?;
        shared.desk.replays.begin(shared.desk.letters().await?, &standing.plan.id, pace);
        Ok::<_, Problem>(standing.plan.id)
    };
    back(&visitor, begun.await)
}

fn pace(fields: &Fields) -> Result<ReplayPace, Problem> {
    let wrong =
        |field: Phrase, text: &str| Problem::refused(Phrase::BadPace, Phrase::BadPaceRemedy).field(field).detail(text);
    let rate = fields.get("rate").map(|text| {
        let rate = text.parse::<f64>().ok().filter(|rate| (0.01..=10_000.0).contains(rate));
        rate.ok_or_else(|| wrong(Phrase::ReplayRate, text))
    });
    let limit = fields.get("limit").map(|text| {
        let limit = text.parse::<u64>().ok().filter(|limit| *limit > 0);
        limit.ok_or_else(|| wrong(Phrase::ReplayLimit, text))
    });
    Ok(ReplayPace { rate: rate.transpose()?, limit: limit.transpose()? })
}

/// `POST /letters/plans/{id}/stop`.
pub(super) async fn stop(State(shared): State<Shared>, visitor: Visitor, Path(id): Path<String>) -> Response {
    let stopped = PlanId::new(id).map_err(|_| Problem::missing(Phrase::NoSuchPlan, Phrase::NoSuchPlanRemedy));
    back(&visitor, stopped.inspect(|id| shared.desk.replays.stop(id)))
}

/// `POST /letters/plans/{id}/purge`.
pub(super) async fn purge(
    State(shared): State<Shared>,
    visitor: Visitor,
    Path(id): Path<String>,
    Extension(fields): Extension<Fields>,
) -> Response {
    let purged = async {
        let standing = find(&shared, &id).await?;
        let wrong = || Problem::refused(Phrase::BadPace, Phrase::BadPaceRemedy).field(Phrase::Letters);
        let planned: u64 = fields.get("count").and_then(|text| text.parse().ok()).ok_or_else(wrong)?;
        if standing.plan.filter == LetterFilter::default() {
            return Err(Problem::from(LetterError::NoFilter));
        }
        let letters = shared.desk.letters().await?;
        let purged = with_letters!(letters, desk => desk.purge(&meant(&standing), planned).await);
        let count = shared.desk.judge(purged).await?;
        Ok((standing.plan.id, count))
    };
    match purged.await {
        Ok((id, count)) => Redirect::to(&format!("/letters/plans/{id}?purged={count}")).into_response(),
        Err(problem) => problem.page(&visitor),
    }
}

fn back(visitor: &Visitor, done: Result<PlanId, Problem>) -> Response {
    match done {
        Ok(id) => Redirect::to(&format!("/letters/plans/{id}")).into_response(),
        Err(problem) => problem.page(visitor),
    }
}
