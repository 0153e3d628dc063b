//! Groups of letters with what to do about them, and the letters of a filter page by page.

use axum::extract::{Request, State};
use axum::response::Response;
use maud::{Markup, html};

use crate::clock;
use crate::desk::letters::{Group, LetterError, Standing};
use crate::domain::ids::AccountId;
use crate::domain::notice::LetterFilter;
use crate::ops::meaning::advise;
use crate::ops::web::Shared;
use crate::ops::web::fields::Fields;
use crate::ops::web::layout::{self, number, plain, time, token};
use crate::ops::web::letters::{filter, one, page, plan};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::source::with_letters;
use crate::ops::web::visitor::Visitor;
use crate::queue::letters::{Page, Place};

/// Letters on one page.
const ROWS: usize = 50;

/// Plans shown below the groups; the latest.
const MOST_PLANS: usize = 8;

/// `GET /letters`.
pub(super) async fn show(State(shared): State<Shared>, visitor: Visitor, request: Request) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    match build(&shared, &visitor, &fields).await {
        Ok(inside) => page(&visitor, visitor.say(Phrase::DeadLetters), None, &inside),
        Err(problem) => problem.page(&visitor),
    }
}

async fn build(shared: &Shared, visitor: &Visitor, fields: &Fields) -> Result<Markup, Problem> {
    let filter = filter::read(fields, clock::now())?;
    let after = fields.get("after").map(str::parse::<Place>).transpose();
    let after = after.map_err(|error| Problem::refused(Phrase::BadFilter, Phrase::BadFilterRemedy).detail(error))?;
    let is_narrow = filter != LetterFilter::default();
    let letters = shared.desk.letters().await?;
    let read = async {
        with_letters!(letters, desk => {
            // The groups are the same on every page of the list.
            let groups = if after.is_none() { Some(desk.groups(&filter).await?.groups) } else { None };
            let wants_list = is_narrow || after.is_some() || fields.get("list").is_some();
            let listed = if wants_list { Some(desk.page(&filter, after.as_ref(), ROWS).await?) } else { None };
            let plans = if is_narrow || after.is_some() { Vec::new() } else { desk.plans().await? };
            Ok::<_, LetterError>((groups, listed, plans))
        })
    };
    let (groups, listed, plans) = shared.desk.judge(read.await).await?;
    let say = |phrase| visitor.say(phrase);
    let total = groups.as_ref().map(|groups| groups.iter().map(|group| group.count).sum::<u64>());
    let mut accounts = shared.desk.accounts();
    let seen = groups.iter().flatten().filter_map(|group| AccountId::new(group.account.as_str()).ok());
    accounts.extend(seen.chain(filter.accounts.iter().cloned()));
    accounts.sort();
    accounts.dedup();
    Ok(html! {
        div .head {
            h1 { (say(Phrase::DeadLetters)) }
            @if let Some(total) = total {
                span .aside { (visitor.fill(Phrase::LettersInAll, &[("count", &number(total))])) }
            }
        }
        (layout::reading_only(visitor))
        (under_way(shared, visitor))
        section .panel aria-labelledby="filter" {
            div .title { h2 #filter { (say(Phrase::Filter)) } }
            (filter::form(visitor, &filter, &accounts))
        }
        @if let Some(groups) = &groups { (groups_table(visitor, &filter, groups)) }
        @if let Some(listed) = &listed { (letters_table(visitor, &filter, listed, after.is_some())) }
        @if !plans.is_empty() { (plans_table(visitor, &plans)) }
    })
}

/// Letters in the hands of a replay are not seen by others.
fn under_way(shared: &Shared, visitor: &Visitor) -> Markup {
    let plans = shared.desk.replays.under_way();
    html! {
        @if !plans.is_empty() {
            div .note role="status" {
                p {
                    (visitor.say(Phrase::ReplayUnderWay)) " "
                    @for id in &plans { a href={ "/letters/plans/" (id) } { (id) } " " }
                }
            }
        }
    }
}

fn groups_table(visitor: &Visitor, filter: &LetterFilter, groups: &[Group]) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="groups" {
            div .title { h2 #groups { (say(Phrase::Groups)) } span .aside { (filter::summary(visitor, filter)) } }
            @if groups.is_empty() {
                p .none { (say(if *filter == LetterFilter::default() { Phrase::NoLetters } else { Phrase::NothingMeant })) }
            } @else {
                (layout::table(
                    "groups",
                    say(Phrase::Groups),
                    html! {
                        th scope="col" .n { (say(Phrase::Letters)) }
                        th scope="col" { (say(Phrase::Account)) }
                        th scope="col" { (say(Phrase::ReasonAndCode)) }
                        th scope="col" { (say(Phrase::Meaning)) }
                        th scope="col" { (say(Phrase::FirstAndLast)) }
                        th scope="col" { (say(Phrase::Actions)) }
                    },
                    html! {
                        @for group in groups { (group_row(visitor, filter, group)) }
                    },
                ))
                div .pages {
                    a href=(filter::address("/letters", filter, &[("list", "1".to_owned())])) { (say(Phrase::ListThem)) }
                    a href=(filter::address("/letters/export", filter, &[("as", "jsonl".to_owned())])) download { (say(Phrase::ExportJsonl)) }
                    a href=(filter::address("/letters/export", filter, &[("as", "csv".to_owned())])) download { (say(Phrase::ExportCsv)) }
                    @if visitor.csrf().is_some() {
                        form .aside method="post" action="/letters/plan" {
                            (token(visitor)) (filter::hidden(filter))
                            button .main type="submit" { (say(if *filter == LetterFilter::default() { Phrase::PlanAll } else { Phrase::PlanThese })) }
                        }
                    }
                }
            }
        }
    }
}

fn group_row(visitor: &Visitor, filter: &LetterFilter, group: &Group) -> Markup {
    let narrowed = narrowed(filter, group);
    let name = format!("{} {} {}", group.account, group.reason, group.code.as_deref().unwrap_or_default());
    html! {
        tr {
            td .n { b { (number(group.count)) } }
            th scope="row" .break { (plain(&group.account)) }
            td {
                code { (group.reason) }
                @if let Some(code) = &group.code { div .mono .muted .break { (plain(code)) } }
            }
            td .sentence { (advise(group.reason, visitor.language)) }
            td .small .w { (time(group.first)) br; (time(group.last)) }
            td .w {
                a href=(filter::address("/letters", &narrowed, &[])) {
                    (visitor.say(Phrase::Look)) span .unseen { " " (plain(&name)) }
                }
                @if visitor.csrf().is_some() {
                    form method="post" action="/letters/plan" {
                        (token(visitor)) (filter::hidden(&narrowed))
                        button .plain type="submit" {
                            (visitor.say(Phrase::PlanReplay)) span .unseen { " " (plain(&name)) }
                        }
                    }
                }
            }
        }
    }
}

/// The filter of one group, within the one that was asked for.
fn narrowed(filter: &LetterFilter, group: &Group) -> LetterFilter {
    LetterFilter {
        accounts: AccountId::new(group.account.as_str()).into_iter().collect(),
        reason: Some(group.reason),
        code: group.code.clone().or_else(|| filter.code.clone()),
        ..filter.clone()
    }
}

fn letters_table(visitor: &Visitor, filter: &LetterFilter, listed: &Page, is_later: bool) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="letters" {
            div .title {
                h2 #letters { (say(Phrase::Letters)) }
                span .aside { (say(Phrase::OldestFirst)) }
            }
            @if listed.letters.is_empty() {
                p .none { (say(Phrase::NothingMeant)) }
            } @else {
                (layout::table(
                    "letters",
                    say(Phrase::Letters),
                    html! {
                        th scope="col" { (say(Phrase::Id)) }
                        th scope="col" { (say(Phrase::Account)) }
                        th scope="col" { (say(Phrase::Reason)) }
                        th scope="col" { (say(Phrase::Code)) }
                        th scope="col" { (say(Phrase::Wording)) }
                        th scope="col" .n { (say(Phrase::Attempts)) }
                        th scope="col" .n { (say(Phrase::Replays)) }
                        th scope="col" { (say(Phrase::Died)) }
                    },
                    html! {
                        @for letter in &listed.letters {
                            tr {
                                th scope="row" { a .break href=(one::address(letter)) { (plain(&letter.id)) } }
                                td .break { (plain(&letter.account)) }
                                td { code { (letter.reason) } }
                                td .mono .break { (plain(letter.outcome.gateway_code.as_deref().unwrap_or("—"))) }
                                td .break .small { (plain(letter.outcome.gateway_message.as_deref().unwrap_or("—"))) }
                                td .n { (letter.outcome.attempts) }
                                td .n { (letter.outcome.replays) }
                                td .w { (time(letter.died_at)) }
                            }
                        }
                    },
                ))
                div .pages {
                    @if is_later { a href=(filter::address("/letters", filter, &[("list", "1".to_owned())])) { (say(Phrase::FirstPage)) } }
                    @if let Some(next) = &listed.next {
                        a rel="next" href=(filter::address("/letters", filter, &[("after", next.to_string())])) { (say(Phrase::NextPage)) }
                    }
                    span .aside {
                        (visitor.fill(Phrase::ShownOf, &[("shown", &number(listed.letters.len() as u64)), ("count", &number(listed.total))]))
                    }
                }
            }
        }
    }
}

fn plans_table(visitor: &Visitor, plans: &[Standing]) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="plans" {
            div .title { h2 #plans { (say(Phrase::Plans)) } }
            (layout::table(
                "plans",
                say(Phrase::Plans),
                html! {
                    th scope="col" { (say(Phrase::Plan)) }
                    th scope="col" { (say(Phrase::State)) }
                    th scope="col" { (say(Phrase::Filter)) }
                    th scope="col" .n { (say(Phrase::Planned)) }
                    th scope="col" .n { (say(Phrase::Replayed)) }
                    th scope="col" { (say(Phrase::Made)) }
                },
                html! {
                    @for standing in plans.iter().take(MOST_PLANS) {
                        tr {
                            th scope="row" { a .mono href={ "/letters/plans/" (standing.plan.id) } { (standing.plan.id) } }
                            td { (plan::state(visitor, standing)) }
                            td .small { (filter::summary(visitor, &standing.plan.filter)) }
                            td .n { (number(standing.plan.count)) }
                            td .n { (number(standing.replayed)) }
                            td .small { (time(standing.made_at)) " · " span .break { (plain(&standing.made_by)) } }
                        }
                    }
                },
            ))
        }
    }
}
