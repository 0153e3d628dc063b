//! Who may pass: the one door before every page.
//!
//! It asks for a session or the token where a token is kept, and where none is refuses foreign names of this host (DNS
//! rebinding). It lets a form through only with a session, its CSRF token, and the origin of the page it was on. Promise:
//! nothing behind it is reached in another way, every answer carries the headers that keep a page to itself, and what a
//! form began is carried through, whatever becomes of the browser.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Redirect, Response};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::domain::secret::Secret;
use crate::ops::status::{Patience, Peer, challenge, is_shown};
use crate::ops::web::fields::{Fields, query};
use crate::ops::web::phrases::Phrase;
use crate::ops::web::problem::Problem;
use crate::ops::web::sessions::{Sessions, is_same};
use crate::ops::web::visitor::{Standing, Visitor, cookie, local};

/// Largest form, in bytes: a message of 64 KiB, each byte written as `%XX`, and some room.
const LARGEST_FORM: usize = 200 * 1024;

/// How long the end of a desk waits for a form to be carried out.
const PATIENCE: Duration = Duration::from_secs(10);

/// Scripts and styles of our own only, none of them inside a page; no frame, no foreign form, no other address.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What the script sends with its requests for a part of a page.
const PART: &str = "x-desk-part";

/// What may be seen without a session, where one is asked for.
const PUBLIC: [&str; 3] = ["/login", "/enter", "/preferences"];

/// Forms that whoever is not logged in may send.
const WITHOUT_CSRF: [&str; 2] = ["/login", "/preferences"];

/// What the door knows.
pub(in crate::ops::web) struct Guard {
    /// What is asked for; `None` lets everybody read and nobody act.
    pub(in crate::ops::web) token: Option<Secret>,
    /// Who has shown it.
    pub(in crate::ops::web) sessions: Sessions,
    /// Name of the session's cookie. Browsers keep cookies by host and not by port, so it holds the port.
    pub(in crate::ops::web) cookie: String,
    /// Whether only this machine can come: then every other name of the host is foreign. With a token that says nothing: a
    /// browser sends a session to the name alone under which it began, and a proxy may have any.
    is_loopback: bool,
    /// Forms that are carried out.
    acting: TaskTracker,
}

impl Guard {
    /// Builds one for an address.
    pub(in crate::ops::web) fn new(token: Option<Secret>, address: std::net::SocketAddr) -> Self {
        let (cookie, is_loopback) = (format!("takedown_desk_{}", address.port()), address.ip().is_loopback());
        Self { token, sessions: Sessions::default(), cookie, is_loopback, acting: TaskTracker::new() }
    }

    /// Waits until every form that was let through is carried out, for a while.
    pub(in crate::ops::web) async fn close(&self) {
        self.acting.close();
        if timeout(PATIENCE, self.acting.wait()).await.is_err() {
            tracing::warn!("a form was not carried out to its end; look at what it was about");
        }
    }

    fn standing(&self, headers: &HeaderMap) -> Standing {
        let Some(token) = &self.token else { return Standing::Open };
        if let Some(csrf) = cookie(headers, &self.cookie).and_then(|id| self.sessions.csrf(id)) {
            return Standing::Session { csrf };
        }
        if is_shown(token, headers) { Standing::Bearer } else { Standing::Stranger }
    }
}

/// Lets a request through, or answers in its stead.
pub(in crate::ops::web) async fn admit(State(guard): State<Arc<Guard>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    let here = request.uri().path_and_query().map_or("/", |path| path.as_str()).to_owned();
    let visitor = Visitor::of(headers, guard.standing(headers), here);
    let mut response = match pass(&guard, request, visitor.clone()).await {
        Ok(request) if request.method() == Method::POST => act(&guard, request, next).await,
        Ok(request) => next.run(request).await,
        Err(Refusal::Shown(problem)) => problem.page(&visitor),
        Err(Refusal::Answered(response)) => *response,
    };
    harden(response.headers_mut());
    response
}

/// A browser that goes away ends its request; letters must not be deleted without a word in the operators' log for that.
async fn act(guard: &Guard, request: Request, next: Next) -> Response {
    match guard.acting.spawn(next.run(request)).await {
        Ok(response) => response,
        Err(error) => {
            tracing::error!(%error, "a form was not carried out to its end");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

enum Refusal {
    Shown(Problem),
    Answered(Box<Response>),
}

impl From<Problem> for Refusal {
    fn from(problem: Problem) -> Self {
        Self::Shown(problem)
    }
}

async fn pass(guard: &Guard, mut request: Request, visitor: Visitor) -> Result<Request, Refusal> {
    let path = request.uri().path().to_owned();
    if guard.is_loopback && guard.token.is_none() && !is_loopback_name(host(&request)) {
        return Err(
            Problem::new(StatusCode::MISDIRECTED_REQUEST, Phrase::ForeignHost, Phrase::ForeignHostRemedy).into()
        );
    }
    let is_known = visitor.standing != Standing::Stranger;
    if is_known && let Some(patience) = request.extensions().get::<Patience>() {
        patience.extend();
    }
    if !is_known && !PUBLIC.contains(&path.as_str()) {
        let is_form = *request.method() == Method::POST;
        let next = if is_form { referer(&request).unwrap_or("/") } else { visitor.here.as_str() };
        return Err(Refusal::Answered(Box::new(ask(request.headers(), next))));
    }
    match *request.method() {
        Method::GET | Method::HEAD => {}
        Method::POST => {
            if !is_own_origin(&request) {
                return Err(
                    Problem::new(StatusCode::FORBIDDEN, Phrase::ForeignOrigin, Phrase::ForeignOriginRemedy).into()
                );
            }
            let (parts, body) = request.into_parts();
            let fields = read(&parts.headers, body).await?;
            if !WITHOUT_CSRF.contains(&path.as_str()) {
                check(&visitor, &fields)?;
            }
            request = Request::from_parts(parts, Body::empty());
            request.extensions_mut().insert(fields);
        }
        _ => return Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, Phrase::BadForm, Phrase::BadFormRemedy).into()),
    }
    request.extensions_mut().insert(visitor);
    Ok(request)
}

/// A form acts only in a session, and from a page of it.
fn check(visitor: &Visitor, fields: &Fields) -> Result<(), Problem> {
    let Some(csrf) = visitor.csrf() else {
        return Err(Problem::new(StatusCode::FORBIDDEN, Phrase::NoActions, Phrase::NoActionsRemedy));
    };
    let is_right = fields.raw("csrf").is_some_and(|shown| is_same(shown, csrf));
    is_right.then_some(()).ok_or(Problem::new(StatusCode::FORBIDDEN, Phrase::StaleForm, Phrase::StaleFormRemedy))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Fields, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if kind.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, Phrase::BadForm, Phrase::BadFormRemedy));
    }
    let read = to_bytes(body, LARGEST_FORM).await;
    let bytes =
        read.map_err(|_| Problem::new(StatusCode::PAYLOAD_TOO_LARGE, Phrase::LargeForm, Phrase::LargeFormRemedy))?;
    Ok(Fields::read(&bytes))
}

/// The page of ours that a form was on.
fn referer(request: &Request) -> Option<&str> {
    let page = request.headers().get(header::REFERER)?.to_str().ok()?;
    let page = page.strip_prefix("http://").or_else(|| page.strip_prefix("https://"))?;
    page.get(..host(request).len()).filter(|host_of_page| host_of_page.eq_ignore_ascii_case(host(request)))?;
    Some(local(page.get(host(request).len()..)?))
}

/// A person is shown where to log in; a program, or the script of a page whose session ended, is told what it lacks.
fn ask(headers: &HeaderMap, next: &str) -> Response {
    if wants_page(headers) && !headers.contains_key(PART) {
        let next = if next == "/" { String::new() } else { next.to_owned() };
        return Redirect::to(&format!("/login{}", query([("next", next)]))).into_response();
    }
    challenge(headers)
}

/// Says whether a person's browser asks.
pub(in crate::ops::web) fn wants_page(headers: &HeaderMap) -> bool {
    let accepts = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepts.contains("text/html")
}

fn host(request: &Request) -> &str {
    let host = request.headers().get(header::HOST).and_then(|value| value.to_str().ok());
    host.unwrap_or_default()
}

/// Any port will do: one may be forwarded to ours.
fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) && !name.ends_with(':') => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Browsers tell the origin of every form they send (RFC 6454, section 7); without one nobody knows whose form it is.
fn is_own_origin(request: &Request) -> bool {
    let origin = request.headers().get(header::ORIGIN).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(|authority| !authority.is_empty() && authority.eq_ignore_ascii_case(host(request)))
}

fn harden(headers: &mut HeaderMap) {
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        // `no-referrer` would have browsers send forms with the origin `null`.
        (header::REFERRER_POLICY, "same-origin"),
        (header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    headers.append(header::VARY, HeaderValue::from_static("Cookie, Accept-Language"));
}

/// Returns the address a request came from; one that nobody told counts as one.
pub(in crate::ops::web) fn peer(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0)
}

#[cfg(test)]
mod tests;
