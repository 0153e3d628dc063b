//! The first page: every account with its state, and the last hour as charts.

use std::time::{Duration, SystemTime};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{Html, IntoResponse, Response};
use maud::{Markup, html};

use crate::clock;
use crate::desk::fleet::FleetReport;
use crate::desk::fleet::account::{AccountState, AccountView, HoldView};
use crate::domain::outcome::{Reason, Status};
use crate::ops::chart::svg::Words;
use crate::ops::chart::{Bar, Bars, Column, Series, Stacked};
use crate::ops::meaning::status as status_word;
use crate::ops::report::tone;
use crate::ops::status::HINT;
use crate::ops::web::Shared;
use crate::ops::web::guard::wants_page;
use crate::ops::web::layout::{self, Page, Tab, number, pace, plain, span, time};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::visitor::Visitor;

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// Reasons shown by name; the rest are of one kind, and few.
const MOST_REASONS: usize = 10;

/// `GET /`; a program is told where the probes are.
pub(in crate::ops::web) async fn show(State(shared): State<Shared>, visitor: Visitor, headers: HeaderMap) -> Response {
    if !wants_page(&headers) {
        return HINT.into_response();
    }
    let (accounts, charts) = tokio::join!(accounts(&shared, &visitor), charts(&shared, &visitor));
    let inside = html! {
        div .head {
            h1 { (visitor.say(Phrase::Overview)) }
            span .aside { (layout::pause(&visitor)) }
        }
        div data-live="/overview/accounts" data-every="2000" { (accounts) }
        div data-live="/overview/charts" data-every="15000" { (charts) }
    };
    let title = visitor.say(Phrase::Overview);
    Html(layout::page(&visitor, Page { title, tab: Some(Tab::Overview), follow: None }, &inside).into_string())
        .into_response()
}

/// `GET /overview/accounts`: the part of the page that changes by the second.
pub(in crate::ops::web) async fn accounts_part(State(shared): State<Shared>, visitor: Visitor) -> Html<String> {
    Html(accounts(&shared, &visitor).await.into_string())
}

/// `GET /overview/charts`.
pub(in crate::ops::web) async fn charts_part(State(shared): State<Shared>, visitor: Visitor) -> Html<String> {
    Html(charts(&shared, &visitor).await.into_string())
}

async fn accounts(shared: &Shared, visitor: &Visitor) -> Markup {
    match shared.desk.fleet().await {
        Ok(Some(report)) => html! { (figures(visitor, &report)) (table(visitor, &report)) },
        Ok(None) => layout::note(visitor, "", Phrase::NoFleet, None),
        Err(error) => layout::note(visitor, "bad", Phrase::NoBroker, Some(&error)),
    }
}

fn figures(visitor: &Visitor, report: &FleetReport) -> Markup {
    let sum = |of: fn(&AccountView) -> u64| report.accounts.iter().map(of).sum::<u64>();
    let ended: Option<f64> = report.accounts.iter().filter_map(|account| account.ended).reduce(|a, b| a + b);
    let retries = report.retries.as_ref().map(|rungs| rungs.iter().map(|(_, count)| count).sum::<u64>());
    let figure = |phrase: Phrase, value: Option<String>| {
        html! {
            div { dt { (visitor.say(phrase)) } dd { (value.unwrap_or_else(|| "—".to_owned())) } }
        }
    };
    html! {
        dl .figures {
            (figure(Phrase::Replicas, Some(number(report.replicas.len() as u64))))
            (figure(Phrase::EndedPerSecond, ended.map(pace)))
            (figure(Phrase::Backlog, Some(number(sum(|account| account.backlog().unwrap_or(0))))))
            (figure(Phrase::InFlight, Some(number(sum(|account| account.in_flight)))))
            (figure(Phrase::WaitingToRetry, retries.map(number)))
            (figure(Phrase::DeadLetters, Some(number(report.dead()))))
            @if report.unrouted.is_some_and(|count| count > 0) {
                (figure(Phrase::Unrouted, report.unrouted.map(number)))
            }
        }
    }
}

fn table(visitor: &Visitor, report: &FleetReport) -> Markup {
    let say = |phrase| visitor.say(phrase);
    html! {
        section .panel aria-labelledby="accounts" {
            div .title {
                h2 #accounts { (say(Phrase::Accounts)) }
                span .aside { (say(Phrase::AsOf)) " " (time(report.at)) }
            }
            (layout::table(
                "accounts",
                say(Phrase::Accounts),
                html! {
                    th scope="col" { (say(Phrase::Account)) }
                    th scope="col" { (say(Phrase::State)) }
                    th scope="col" .n { (say(Phrase::RateNow)) }
                    th scope="col" .n { (say(Phrase::RateWhole)) }
                    th scope="col" { (say(Phrase::Share)) }
                    th scope="col" .n { (say(Phrase::Backlog)) }
                    th scope="col" .n { (say(Phrase::InFlight)) }
                    th scope="col" .n { (say(Phrase::DeadLetters)) }
                    th scope="col" .n { (say(Phrase::TimeLeft)) }
                },
                html! {
                    @for account in &report.accounts { (row(visitor, account)) }
                },
            ))
        }
    }
}

fn row(visitor: &Visitor, account: &AccountView) -> Markup {
    let dead = account.depth.map(|depth| depth.dead);
    let none = || "—".to_owned();
    html! {
        tr {
            th scope="row" .break { (account.id) }
            td .sentence {
                (state(visitor, account.state))
                @for hold in account.hold.iter().chain(&account.parties) { (held(visitor, hold)) }
            }
            td .n { (account.calls.map_or_else(none, pace)) }
            td .n { (account.rate.map_or_else(none, pace)) }
            td .small {
                @for (worker, share) in &account.shares {
                    div .w { span .muted { (plain(worker.as_str())) } " " (share.map_or_else(none, percent)) }
                }
                @if account.shares.is_empty() { "—" }
            }
            td .n { (account.backlog().map_or_else(none, number)) }
            td .n { (number(account.in_flight)) }
            td .n {
                @match dead {
                    Some(count) if count > 0 => a href={ "/letters?account=" (account.id) } { (number(count)) },
                    Some(_) => "0",
                    None => "—",
                }
            }
            td .n { (account.eta().filter(|_| account.backlog() > Some(0)).map_or_else(none, |left| span(left, visitor.language))) }
        }
    }
}

/// A state as a word with a colour.
pub(in crate::ops::web) fn state(visitor: &Visitor, state: AccountState) -> Markup {
    let (phrase, class) = match state {
        AccountState::Idle => (Phrase::StateIdle, ""),
        AccountState::Working => (Phrase::StateWorking, "good"),
        AccountState::Slowed => (Phrase::StateSlowed, "warn"),
        AccountState::Listening => (Phrase::StateListening, "info"),
        AccountState::Unreachable => (Phrase::StateUnreachable, "bad"),
        AccountState::Held => (Phrase::StateHeld, "bad"),
        AccountState::Paused => (Phrase::StatePaused, "warn"),
        AccountState::Unserved => (Phrase::StateUnserved, "bad"),
    };
    html! { span class={ "pill " (class) } { (visitor.say(phrase)) } }
}

/// Since when something is held, and why.
pub(in crate::ops::web) fn held(visitor: &Visitor, hold: &HoldView) -> Markup {
    html! {
        span .muted {
            @if let Some(party) = &hold.party { b { (plain(party)) } " " (state(visitor, hold.state)) " " }
            @if let Some(since) = hold.since { (visitor.say(Phrase::Since)) " " (time(since)) }
            @if let Some(cause) = &hold.cause { " · " span .break { (plain(cause)) } }
            @if let Some(probe) = hold.probe_at { " · " (visitor.say(Phrase::NextProbe)) " " (time(probe)) }
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of a whole, as a percentage")]
fn percent(share: f64) -> String {
    format!("{}%", (share.clamp(0.0, 1.0) * 100.0).round() as u8)
}

async fn charts(shared: &Shared, visitor: &Visitor) -> Markup {
    let now = clock::now();
    let counts = match shared.desk.counts().await {
        Ok(Some(counts)) => counts,
        Ok(None) => return html! {},
        Err(error) => return layout::note(visitor, "bad", Phrase::NoCounts, Some(&error)),
    };
    let begin = minute_of(now).checked_sub(HOUR - MINUTE).unwrap_or(SystemTime::UNIX_EPOCH);
    let minutes = match counts.store.minutes(begin) {
        Ok(minutes) => minutes,
        Err(error) => return layout::note(visitor, "bad", Phrase::NoCounts, Some(&error.to_string())),
    };
    let mut columns: Vec<Column> = (0..60)
        .map(|at| Column { label: clock_label(begin + MINUTE * at), values: vec![0; Status::ALL.len()] })
        .collect();
    let mut reasons: std::collections::BTreeMap<Reason, u64> = std::collections::BTreeMap::new();
    for minute in &minutes {
        let since = minute.at.duration_since(begin).unwrap_or_default().as_secs() / 60;
        let Some(column) = usize::try_from(since).ok().and_then(|at| columns.get_mut(at)) else { continue };
        for ((_, reason), count) in &minute.outcomes {
            let place = Status::ALL.iter().position(|status| *status == reason.status()).unwrap_or(0);
            column.values[place] += count;
            *reasons.entry(*reason).or_default() += count;
        }
    }
    let total: u64 = reasons.values().sum();
    html! {
        (layout::following(visitor, &counts.following()))
        @if total == 0 {
            section .panel { div .title { h2 { (visitor.say(Phrase::LastHour)) } } p .none { (visitor.say(Phrase::NothingEnded)) } }
        } @else {
            div .columns {
                section .panel aria-labelledby="hour" {
                    div .title { h2 #hour { (visitor.say(Phrase::LastHour)) } span .aside { (visitor.fill(Phrase::ItemsEnded, &[("count", &number(total))])) } }
                    div .inside { (throughput(visitor, columns, total).figure("throughput", &words(visitor))) }
                }
                section .panel aria-labelledby="why" {
                    div .title { h2 #why { (visitor.say(Phrase::ByReason)) } }
                    div .inside { (by_reason(visitor, &reasons).figure("reasons", &words(visitor))) }
                }
            }
        }
    }
}

/// What the charts say beside their data.
pub(in crate::ops::web) fn words(visitor: &Visitor) -> Words {
    Words { numbers: visitor.say(Phrase::TheNumbers).to_owned() }
}

fn throughput(visitor: &Visitor, columns: Vec<Column>, total: u64) -> Stacked {
    let used = |at: usize| columns.iter().any(|column| column.values[at] > 0);
    let kept: Vec<usize> = (0..Status::ALL.len()).filter(|at| used(*at)).collect();
    let series = kept.iter().map(|at| {
        let status = Status::ALL[*at];
        Series { label: status_word(status, visitor.language).to_owned(), tone: tone(status) }
    });
    let series = series.collect();
    let columns = columns
        .into_iter()
        .map(|column| Column { label: column.label, values: kept.iter().map(|at| column.values[*at]).collect() });
    Stacked {
        title: visitor.say(Phrase::ThroughputTitle).to_owned(),
        description: visitor.fill(Phrase::ThroughputText, &[("count", &number(total))]),
        head: visitor.say(Phrase::Minute).to_owned(),
        series,
        columns: columns.collect(),
    }
}

/// Reasons as bars, the most frequent first.
pub(in crate::ops::web) fn by_reason(visitor: &Visitor, reasons: &std::collections::BTreeMap<Reason, u64>) -> Bars {
    let mut sorted: Vec<(Reason, u64)> = reasons.iter().map(|(reason, count)| (*reason, *count)).collect();
    sorted.sort_by_key(|(reason, count)| (std::cmp::Reverse(*count), *reason));
    let bars = sorted.iter().take(MOST_REASONS).map(|(reason, value)| Bar {
        label: format!("{reason} · {}", status_word(reason.status(), visitor.language)),
        value: *value,
        tone: tone(reason.status()),
    });
    let most = sorted.first().map_or_else(String::new, |(reason, _)| reason.to_string());
    Bars {
        title: visitor.say(Phrase::ReasonsTitle).to_owned(),
        description: visitor.fill(Phrase::ReasonsText, &[("reason", &most)]),
        heads: [visitor.say(Phrase::Reason).to_owned(), visitor.say(Phrase::Items).to_owned()],
        bars: bars.collect(),
    }
}

fn minute_of(at: SystemTime) -> SystemTime {
    let since = at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    SystemTime::UNIX_EPOCH + Duration::from_secs(since - since % 60)
}

/// Minutes are labelled in UTC: a chart cannot be relabelled by the reader's clock.
fn clock_label(at: SystemTime) -> String {
    let text = crate::domain::takedown::rfc3339(at);
    text.get(11..16).unwrap_or_default().to_owned()
}
