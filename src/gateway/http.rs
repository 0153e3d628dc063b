//! The HTTP client both gateways share: rustls, reused connections, time-outs, a body cap, no redirects.
//!
//! # Sent or not sent
//! A takedown that surely did not reach the gateway may be tried again without a second thought; one that may have
//! reached it is ambiguous. The line is drawn at the first byte of the request:
//! - *Not sent*: name resolution, TCP, TLS or the connect time-out failed; or hyper gave the request back, which had not
//!   been written when its connection closed.
//! - *Maybe sent*: everything after that, including a half-read answer and a body beyond the cap.
//!
//! # What is retried underneath
//! A request is tried again on another connection in one case only: the idle connection it was to go over turned out to be
//! closed before hyper took the request from its queue, so that not one byte of it was written (hyper hands the whole
//! request back then, and only then). If the first byte may have gone, the call ends as *maybe sent*. HTTP/2 is not
//! spoken: one broken HTTP/1.1 connection makes one takedown doubtful, not all that share it.
//! Promise: at most one copy of a request is ever written, and no error carries a URL (which holds the signature).
//!
//! # Why neither reqwest nor hyper-util's client
//! reqwest parses the address of every call twice more, to follow redirects and to tell an answer where it came from; the
//! address holds the signature and most of the request. Nothing switches that off, and it was the largest single cost
//! beside the signature (a tenth of all the instructions that are not cryptography). hyper-util's client, on which it
//! stands, has a task of its own for each connection, which the call wakes to write and which wakes the call to read.

mod connection;
mod connector;
mod date;
mod endpoint;
mod pool;
mod retry_after;
mod skew;

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use tokio::time::timeout;

pub use crate::gateway::http::endpoint::Endpoint;
pub use crate::gateway::http::skew::Skew;

use crate::clock;
use crate::domain::cause::chain;
use crate::domain::reply::{BrokenCall, Reply};
use crate::domain::trace::{TRACEPARENT, TRACESTATE, TraceContext};
use crate::gateway::http::connection::{Broken, Outgoing};
use crate::gateway::http::connector::{Connector, Trust};
use crate::gateway::http::pool::Pool;
use crate::tls::{Roots, TlsFault};

/// Settings of the HTTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Time allowed for name resolution, TCP and TLS together. Default 3 s.
    pub connect_timeout: Duration,
    /// Time allowed for a whole call. Default 10 s.
    pub total_timeout: Duration,
    /// Largest answer read, in bytes. Default 1 MiB.
    pub max_body_bytes: usize,
    /// Whom a gateway's certificate is believed from, instead of the machine's roots.
    pub roots: Option<Roots>,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            max_body_bytes: 1024 * 1024,
            roots: None,
        }
    }
}

/// Most bytes of an answer that are made room for on its word alone.
const ROOM: usize = 64 * 1024;

/// Says why a client or an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The TLS set-up of the machine is unusable.
    #[error("the HTTP client cannot be set up; are CA certificates installed (Debian: package ca-certificates)?")]
    Client(#[source] rustls::Error),
    /// Nothing answers at an address; a retry may help.
    #[error("the gateway does not answer")]
    Reach(#[source] Box<dyn Error + Send + Sync>),
    /// The TLS handshake failed; a retry helps once that is mended.
    #[error("the TLS handshake failed")]
    Tls {
        /// What is wrong.
        fault: TlsFault,
        /// What was met.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// The address breaks a rule.
    #[error("gateway URL {url:?} {problem}")]
    Url {
        /// The address as configured.
        url: String,
        /// What is wrong and what would do.
        problem: String,
    },
}

/// One request, signed and encoded.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpRequest {
    /// Address and query, as they are sent.
    pub url: String,
    /// Headers beyond those every request has; values are plain ASCII.
    pub headers: Vec<(&'static str, String)>,
    /// Body of a POST; a GET has none.
    pub body: Option<Body>,
}

/// What a POST carries.
#[derive(Clone, PartialEq, Eq)]
pub struct Body {
    /// `Content-Type`, with the charset a form's parameters are encoded in.
    pub content_type: &'static str,
    /// The body as sent: percent-encoded parameters, JSON, or the Base64 of encrypted JSON.
    pub text: String,
}

/// Keys, tokens and the signature are in the query, the headers and the body.
impl fmt::Debug for HttpRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let method = if self.body.is_some() { "POST" } else { "GET" };
        let address = self.url.split('?').next().unwrap_or_default();
        write!(f, "HttpRequest({method} {address}, ***)")
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Body({}, ***)", self.content_type)
    }
}

/// One answer, read to its end.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAnswer {
    /// HTTP status code.
    pub status: u16,
    /// Headers as received.
    pub headers: HeaderMap,
    /// Body as received.
    pub body: Vec<u8>,
    /// `Retry-After`, at most an hour.
    pub retry_after: Option<Duration>,
}

/// Answers of mapi repeat the request, keys included.
impl fmt::Debug for HttpAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HttpAnswer({}, {} bytes)", self.status, self.body.len())
    }
}

/// The client; cheap to clone, one connection pool.
#[derive(Clone)]
pub struct HttpClient {
    pool: Arc<Pool>,
    total_timeout: Duration,
    max_body_bytes: usize,
    /// What calls say of the trace they are part of; beside the request, and so not signed.
    trace: Option<TraceContext>,
}

impl HttpClient {
    /// Builds the client.
    ///
    /// # Errors
    /// [`GatewayError::Client`] when TLS cannot be set up.
    pub fn new(settings: &HttpSettings) -> Result<Self, GatewayError> {
        Self::build(settings, settings.roots.as_ref().map_or(Trust::Machine, Trust::Roots))
    }

    /// Builds a client that trusts no certificate: for plain http to loopback, on machines without CA certificates too.
    ///
    /// # Errors
    /// [`GatewayError::Client`] when the client cannot be set up.
    pub fn for_loopback(settings: &HttpSettings) -> Result<Self, GatewayError> {
        Self::build(settings, Trust::Nobody)
    }

    /// Builds the client for these addresses: [`HttpClient::for_loopback`] where none of them needs TLS.
    ///
    /// # Errors
    /// [`GatewayError::Client`] when TLS is needed and cannot be set up.
    pub fn for_endpoints<'a>(
        settings: &HttpSettings,
        endpoints: impl IntoIterator<Item = &'a Endpoint>,
    ) -> Result<Self, GatewayError> {
        let is_rehearsal = endpoints.into_iter().all(Endpoint::is_plain);
        if is_rehearsal { Self::for_loopback(settings) } else { Self::new(settings) }
    }

    fn build(settings: &HttpSettings, trust: Trust<'_>) -> Result<Self, GatewayError> {
        // Never longer than the whole call: a total time-out is to mean that connecting was over.
        let within = settings.connect_timeout.min(settings.total_timeout);
        let connector = Connector::new(trust, within).map_err(GatewayError::Client)?;
        let HttpSettings { total_timeout, max_body_bytes, .. } = *settings;
        Ok(Self { pool: Pool::new(connector), total_timeout, max_body_bytes, trace: None })
    }

    /// Connects as a call would and asks for nothing that acts (`HEAD /`); any answer will do.
    ///
    /// Returns how far this machine's clock is from the gateway's, where the answer tells its time.
    ///
    /// # Errors
    /// [`GatewayError::Reach`] when nothing answers, [`GatewayError::Tls`] when what answers is not to be trusted.
    pub async fn reach(&self, endpoint: &Endpoint) -> Result<Option<Skew>, GatewayError> {
        let root = Uri::try_from(endpoint.root().as_str()).map_err(|error| GatewayError::Reach(error.into()))?;
        let (to, request) = plain(Method::HEAD, root, Full::default()).expect("invariant: an endpoint has a host");
        let asked = clock::now();
        let call = async {
            let mut connection = self.pool.connect(&to).await?;
            connection.exchange(request, async |answer| Ok(answer.into_parts().0.headers)).await
        };
        let answered =
            timeout(self.total_timeout, call).await.map_err(|elapsed| GatewayError::Reach(elapsed.into()))?;
        let headers = answered.map_err(|error| match TlsFault::of(&error) {
            Some(fault) => GatewayError::Tls { fault, source: error.into() },
            None => GatewayError::Reach(error.into()),
        })?;
        Ok(Skew::of(&headers, asked, clock::now()))
    }

    /// Returns the same client, for calls that tell which trace they are part of.
    ///
    /// Two headers the gateways' documents do not name: whoever gets a header field it does not know ignores it
    /// (RFC 9110, section 5.1), and both gateways sign parameters or named fields only.
    #[must_use]
    pub fn part_of(&self, trace: Option<TraceContext>) -> Self {
        Self { trace, ..self.clone() }
    }

    /// Sends one request and reads the whole answer, whatever its status.
    ///
    /// # Errors
    /// [`Reply::NotSent`] or [`Reply::MaybeSent`], by the rule of this module.
    ///
    /// # Cancel safety
    /// Dropping the future may leave a request written and its answer unread.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpAnswer, Reply> {
        let (to, request) = self.request(request).ok_or(Reply::NotSent(BrokenCall::Protocol))?;
        let call = async { self.call(&to, request).await.map_err(|error| broken(&error)) };
        timeout(self.total_timeout, call).await.unwrap_or_else(|_elapsed| {
            tracing::debug!(after = ?self.total_timeout, "gateway call took too long");
            Err(Reply::MaybeSent(BrokenCall::Timeout))
        })
    }

    /// Lays a request out for hyper, unless it holds what no request can.
    fn request(&self, request: HttpRequest) -> Option<(Uri, Outgoing)> {
        let HttpRequest { url, headers, body } = request;
        let uri = Uri::try_from(url).ok()?;
        let (to, mut request) = match body {
            None => plain(Method::GET, uri, Full::default())?,
            Some(Body { content_type, text }) => {
                let (to, mut request) = plain(Method::POST, uri, Full::from(text))?;
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
                (to, request)
            }
        };
        for (name, value) in headers {
            let mut value = HeaderValue::try_from(value).ok()?;
            value.set_sensitive(true);
            // In place of the usual one: a request of v3 says itself what it accepts.
            request.headers_mut().insert(HeaderName::try_from(name).ok()?, value);
        }
        if let Some(trace) = &self.trace {
            let header = |text: String| HeaderValue::try_from(text).ok();
            request.headers_mut().insert(TRACEPARENT, header(trace.to_string())?);
            if let Some(state) = &trace.state {
                request.headers_mut().insert(TRACESTATE, header(state.clone())?);
            }
        }
        Some((to, request))
    }

    /// Makes a call, over another connection where the one at hand had closed before.
    async fn call(&self, to: &Uri, mut request: Outgoing) -> Result<HttpAnswer, Broken> {
        loop {
            let idle = self.pool.take(to);
            let is_new = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => Box::pin(self.pool.connect(to)).await?,
            };
            match connection.exchange(request, async |answer| self.read(answer).await).await {
                Err(Broken::Unsent(_, back)) if !is_new => request = *back,
                done => {
                    if done.is_ok() {
                        self.pool.put(to, connection);
                    }
                    return done;
                }
            }
        }
    }

    /// Reads an answer to its end.
    async fn read(&self, answer: Response<Incoming>) -> Result<HttpAnswer, Broken> {
        let (head, mut rest) = answer.into_parts();
        let retry_after = retry_after::of(&head.headers, clock::now());
        let announced = usize::try_from(rest.size_hint().lower()).unwrap_or(usize::MAX);
        if announced > self.max_body_bytes {
            return Err(Broken::TooLarge);
        }
        let mut body = Vec::with_capacity(announced.min(ROOM));
        while let Some(frame) = rest.frame().await {
            let Ok(chunk) = frame?.into_data() else { continue };
            if body.len() + chunk.len() > self.max_body_bytes {
                return Err(Broken::TooLarge);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer { status: head.status.as_u16(), headers: head.headers, body, retry_after })
    }
}

/// Returns a request with the headers each has, and the address of its host; nothing where an address names none.
fn plain(method: Method, uri: Uri, body: Full<Bytes>) -> Option<(Uri, Outgoing)> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    let headers = request.headers_mut();
    uri.scheme()?;
    headers.insert(HOST, HeaderValue::from_str(uri.authority()?.as_str()).ok()?);
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("takedown/", env!("CARGO_PKG_VERSION"))));
    if let Some(path) = uri.path_and_query() {
        *request.uri_mut() = path.clone().into();
    }
    Some((uri, request))
}

/// Judges a call that has no answer.
fn broken(error: &Broken) -> Reply {
    let fault = TlsFault::of(error);
    if let Some(fault @ TlsFault::Certificate(_)) = fault {
        let cause = chain(error);
        tracing::warn!(cause, "a gateway is not trusted: {}", fault.advice("http", "the endpoint"));
    } else {
        tracing::debug!(cause = chain(error), "gateway call broke");
    }
    match error {
        Broken::Connect(_) => Reply::NotSent(match fault {
            _ if is_timeout(error) => BrokenCall::ConnectTimeout,
            Some(TlsFault::Certificate(fault)) => BrokenCall::Certificate(fault),
            Some(_) => BrokenCall::Tls,
            None if is_tls(error) => BrokenCall::Tls,
            None => BrokenCall::Connect,
        }),
        Broken::Unsent(..) => Reply::NotSent(BrokenCall::Reset),
        Broken::MaybeSent(_) => Reply::MaybeSent(after_writing(error)),
        Broken::TooLarge => Reply::MaybeSent(BrokenCall::BodyTooLarge),
    }
}

fn after_writing(error: &(dyn Error + 'static)) -> BrokenCall {
    let hyper = cause::<hyper::Error>(error);
    if is_timeout(error) {
        BrokenCall::Timeout
    } else if hyper.is_some_and(|e| e.is_incomplete_message() || e.is_closed()) || cause::<io::Error>(error).is_some() {
        BrokenCall::Reset
    } else {
        BrokenCall::Protocol
    }
}

/// The connector's own time-out, and that of the machine's TCP.
fn is_timeout(error: &(dyn Error + 'static)) -> bool {
    cause::<io::Error>(error).is_some_and(|error| error.kind() == io::ErrorKind::TimedOut)
}

/// hyper-rustls wraps what the handshake met in a second `io::Error`; what TCP met arrives bare. (A test of refused,
/// reset and garbled handshakes holds this.)
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    cause::<io::Error>(error).and_then(io::Error::get_ref).is_some_and(<dyn Error + Send + Sync>::is::<io::Error>)
}

/// Finds the first error of one type among an error and its causes.
fn cause<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    std::iter::successors(Some(error), |&cause| cause.source()).find_map(<dyn Error>::downcast_ref)
}
