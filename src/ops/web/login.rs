//! Coming in and going out, and how one reads.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Redirect, Response};
use maud::html;

use crate::domain::secret::Secret;
use crate::ops::language::Language;
use crate::ops::web::fields::{Fields, query};
use crate::ops::web::guard::{Guard, peer};
use crate::ops::web::layout::{self, Page};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::sessions::Admission;
use crate::ops::web::visitor::{LANGUAGE_COOKIE, Standing, THEME_COOKIE, Theme, Visitor, cookie, local};

/// How long a choice of language or colours is kept, in seconds: a year.
const YEAR: u32 = 365 * 24 * 60 * 60;

/// `GET /login`.
pub(in crate::ops::web) async fn show(visitor: Visitor, request: Request) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    let next = local(fields.raw("next").unwrap_or("/"));
    if visitor.standing != Standing::Stranger {
        return Redirect::to(next).into_response();
    }
    form(&visitor, next, None)
}

fn form(visitor: &Visitor, next: &str, problem: Option<(StatusCode, Phrase)>) -> Response {
    // The address may hold a token, which the page must not.
    let visitor = &Visitor { here: format!("/login{}", query([("next", next.to_owned())])), ..visitor.clone() };
    let say = |phrase| visitor.say(phrase);
    let inside = html! {
        div .login {
            div .head { h1 { (say(Phrase::LogIn)) } }
            @if let Some((_, phrase)) = problem {
                div .note .bad role="alert" #wrong { p { (say(phrase)) } }
            }
            div .panel {
                form .inside method="post" action="/login" {
                    input type="hidden" name="next" value=(next);
                    label for="token" { (say(Phrase::Token)) }
                    input #token name="token" type="password" autocomplete="current-password" required autofocus
                        spellcheck="false" aria-describedby=(if problem.is_some() { "wrong where" } else { "where" })
                        aria-invalid=[problem.map(|_| "true")];
                    p .hint #where { (say(Phrase::TokenWhere)) }
                    div .actions { button .main type="submit" { (say(Phrase::LogIn)) } }
                }
            }
        }
    };
    let page = layout::page(visitor, Page { title: say(Phrase::LogIn), tab: None, follow: None }, &inside);
    (problem.map_or(StatusCode::OK, |(status, _)| status), Html(page.into_string())).into_response()
}

/// `POST /login`.
pub(in crate::ops::web) async fn enter(
    State(guard): State<Arc<Guard>>,
    Extension(fields): Extension<Fields>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let next = local(fields.raw("next").unwrap_or("/")).to_owned();
    admit(&guard, fields.get("token").unwrap_or_default(), &next, &visitor, &request)
}

/// `GET /enter?token=…`: the link `takedown desk` prints. It leads on at once, so that the token stays in no address bar.
pub(in crate::ops::web) async fn follow(
    State(guard): State<Arc<Guard>>,
    visitor: Visitor,
    request: Request,
) -> Response {
    let fields = Fields::read(request.uri().query().unwrap_or_default().as_bytes());
    admit(&guard, fields.get("token").unwrap_or_default(), "/", &visitor, &request)
}

fn admit(guard: &Guard, shown: &str, next: &str, visitor: &Visitor, request: &Request) -> Response {
    let Some(token) = &guard.token else { return Redirect::to(next).into_response() };
    match guard.sessions.admit(shown, token, peer(request)) {
        Admission::Admitted(id) => set(Redirect::to(next), &session_cookie(&guard.cookie, &id)),
        Admission::Wrong => form(visitor, next, Some((StatusCode::UNAUTHORIZED, Phrase::WrongToken))),
        Admission::TooMany => form(visitor, next, Some((StatusCode::TOO_MANY_REQUESTS, Phrase::TooManyTokens))),
    }
}

/// `POST /logout`.
pub(in crate::ops::web) async fn leave(State(guard): State<Arc<Guard>>, request: Request) -> Response {
    if let Some(id) = cookie(request.headers(), &guard.cookie) {
        guard.sessions.end(id);
    }
    set(Redirect::to("/login"), &format!("{}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", guard.cookie))
}

/// `POST /preferences`.
pub(in crate::ops::web) async fn prefer(Extension(fields): Extension<Fields>) -> Response {
    let back = Redirect::to(local(fields.raw("back").unwrap_or("/")));
    let language = fields.get("language").and_then(Language::of_tag).map(|language| (LANGUAGE_COOKIE, language.tag()));
    let theme = fields.get("theme").and_then(|word| Theme::ALL.into_iter().find(|theme| theme.word() == word));
    match language.or(theme.map(|theme| (THEME_COOKIE, theme.word()))) {
        Some((name, value)) => set(back, &format!("{name}={value}; Path=/; Max-Age={YEAR}; HttpOnly; SameSite=Lax")),
        None => back.into_response(),
    }
}

/// Gone with the browser, unseen by scripts, not sent along by other sites.
fn session_cookie(name: &str, id: &Secret) -> String {
    format!("{name}={}; Path=/; HttpOnly; SameSite=Strict", id.expose())
}

fn set(response: impl IntoResponse, cookie: &str) -> Response {
    ([(header::SET_COOKIE, cookie)], response).into_response()
}
