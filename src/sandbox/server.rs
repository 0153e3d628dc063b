//! HTTP on loopback: accepts, reads, routes, and can do to a connection what a bad network does.
//!
//! Built on hyper alone because a fault must be able to reset the very socket a request came on. Promise: stopped, it
//! leaves no task and no socket behind.

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::clock;
use crate::sandbox::form::RawForm;
use crate::sandbox::open_platform_v3::RawCall;
use crate::sandbox::page::{Page, Spoken};
use crate::sandbox::state::{Say, State};
use crate::sandbox::{SILENCE, Seen, control, mapi, open_platform, open_platform_v3};

/// Largest body read, in bytes; a takedown has a few hundred, a long list of faults a few hundred thousand.
const LARGEST_BODY: usize = 16 * 1024 * 1024;

/// A pause after a failed accept (usually: no file descriptor left), so that it does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How a connection ends without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cut {
    /// Closed.
    Close,
    /// Reset: the peer reads ECONNRESET.
    Reset,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("cut by a fault")
    }
}

impl std::error::Error for Cut {}

/// Serves until told to stop; then every connection is cut.
pub(super) async fn serve(listener: TcpListener, state: Arc<State>, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(ended) = connections.join_next(), if !connections.is_empty() => {
                if let Err(error) = ended {
                    tracing::error!(%error, "a sandbox connection ended badly");
                }
            }
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(connection(stream, Arc::clone(&state)))),
                Err(error) => {
                    tracing::warn!(%error, "the sandbox could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    connections.shutdown().await;
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "answers may be delayed");
    }
    let service = service_fn(|request| answer(Arc::clone(&state), request));
    let mut connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    let ended = (&mut connection).await;
    let cut = ended.as_ref().err().and_then(|error| error.source()?.downcast_ref::<Cut>());
    if cut == Some(&Cut::Reset) {
        // With a zero linger time, closing sends RST instead of FIN.
        let stream = connection.into_parts().io.into_inner();
        if let Err(error) = stream.set_zero_linger() {
            tracing::warn!(%error, "a connection that should be reset is closed instead");
        }
    }
}

async fn answer(state: Arc<State>, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Cut> {
    let at = clock::now();
    let (head, body) = request.into_parts();
    let Ok(body) = Limited::new(body, LARGEST_BODY).collect().await.map(|body| body.to_bytes()) else {
        return Ok(response(Page::text(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large or broke off")));
    };
    let spoken = match head.uri.path() {
        mapi::PATH | open_platform::PATH if ![Method::GET, Method::POST].contains(&head.method) => {
            return Ok(response(Page::text(StatusCode::METHOD_NOT_ALLOWED, "the gateways take GET and POST")));
        }
        mapi::PATH => mapi::respond(&state, &form(&head, &body)),
        open_platform::PATH => open_platform::respond(&state, &form(&head, &body)),
        open_platform_v3::PATH => {
            let target = head.uri.path_and_query().map_or(open_platform_v3::PATH, PathAndQuery::as_str);
            let call = RawCall { method: &head.method, target, headers: &head.headers, body: &body };
            open_platform_v3::respond(&state, &call)
        }
        path => return Ok(response(control::respond(&state, &head.method, path, &body))),
    };
    match spoken {
        Ok(spoken) => deliver(&state, spoken, at, traceparent(&head)).await,
        Err(error) => Ok(response(Page::text(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))),
    }
}

fn form(head: &Parts, body: &[u8]) -> RawForm {
    RawForm {
        query: head.uri.query().unwrap_or_default().to_owned(),
        body: if is_form(&head.headers) { body.to_vec() } else { Vec::new() },
    }
}

fn traceparent(head: &Parts) -> Option<String> {
    head.headers.get("traceparent")?.to_str().ok().map(str::to_owned)
}

/// Takes note of what was done, then answers in due time, or does not.
async fn deliver(
    state: &State,
    spoken: Spoken,
    at: SystemTime,
    traceparent: Option<String>,
) -> Result<Response<Full<Bytes>>, Cut> {
    let Spoken { item, answered, turn, page } = spoken;
    state.record(Seen {
        at_ms: at.duration_since(UNIX_EPOCH).map_or(0, |age| u64::try_from(age.as_millis()).unwrap_or(u64::MAX)),
        item,
        fault: turn.as_ref().and_then(|turn| turn.fault.as_ref()).map(ToString::to_string),
        answered: answered.to_owned(),
        took_effect: turn.as_ref().is_some_and(|turn| turn.took_effect),
        traceparent,
    });
    let delay = state.latency + turn.as_ref().map_or(Duration::ZERO, |turn| turn.delay());
    tokio::time::sleep(delay).await;
    match turn.map(|turn| turn.say) {
        Some(Say::Silence) => {
            tokio::time::sleep(SILENCE).await;
            Err(Cut::Close)
        }
        Some(Say::Reset) => Err(Cut::Reset),
        Some(Say::Success(_) | Say::Refusal(_) | Say::Throttled | Say::Garbage) | None => Ok(response(page)),
    }
}

/// A servlet reads no parameters from a body of another type.
fn is_form(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    essence.eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

fn response(page: Page) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(page.body)));
    *response.status_mut() = page.status;
    if let Ok(content_type) = HeaderValue::from_str(&page.content_type) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    for (name, value) in page.headers {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    if page.status == StatusCode::TOO_MANY_REQUESTS {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
