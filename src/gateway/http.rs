//! The HTTP client both gateways share: rustls, reused connections, time-outs, a body cap, no redirects.
//!
//! # Sent or not sent
//! A takedown that surely did not reach the gateway may be tried again without a second thought; one that may have
//! reached it is ambiguous. The line is drawn at the first byte of the request:
//! - *Not sent*: name resolution, TCP, TLS or the connect time-out failed; or hyper cancelled the request while it was
//!   still queued for a connection.
//! - *Maybe sent*: everything after that, including a half-read answer and a body beyond the cap.
//!
//! # What is retried underneath
//! hyper-util tries a request again on another connection in one case only: the pooled connection it had picked closed
//! before hyper took the request from its queue, so that not one byte of it was written (hyper hands the whole request
//! back then, and only then). If the first byte may have gone, the call ends as *maybe sent*. reqwest would in addition
//! repeat HTTP/2 requests that a server refuses with `REFUSED_STREAM` or `GOAWAY`; that is switched off, and so is
//! HTTP/2 itself: one broken HTTP/1.1 connection makes one takedown doubtful, not all that share it.
//! Promise: at most one copy of a request is ever written, and no error carries a URL (which holds the signature).
//!
//! # TLS
//! rustls with aws-lc-rs, as reqwest's feature `rustls` sets it up; roots are those of the settings, else of the machine
//! (package `ca-certificates` on Debian), so [`HttpClient::new`] fails where there are none. A certificate that is not
//! accepted leaves the call not sent, told by what is wrong with it.

mod date;
mod endpoint;
mod retry_after;
mod skew;

use std::error::Error as _;
use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use url::Url;

pub use crate::gateway::http::endpoint::Endpoint;
pub use crate::gateway::http::skew::Skew;

use crate::clock;
use crate::domain::cause::chain;
use crate::domain::reply::{BrokenCall, Reply};
use crate::domain::trace::{TRACEPARENT, TRACESTATE, TraceContext};
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

/// Idle connections are closed by us after this time, before the usual 60 s of servers and load balancers: a request
/// written into a connection that the other side is closing is an ambiguous attempt.
const POOL_IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Says why a client or an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The TLS set-up of the machine is unusable.
    #[error("the HTTP client cannot be set up; are CA certificates installed (Debian: package ca-certificates)?")]
    Client(#[source] reqwest::Error),
    /// Nothing answers at an address; a retry may help.
    #[error("the gateway does not answer")]
    Reach(#[source] reqwest::Error),
    /// The TLS handshake failed; a retry helps once that is mended.
    #[error("the TLS handshake failed")]
    Tls {
        /// What is wrong.
        fault: TlsFault,
        /// What was met.
        #[source]
        source: reqwest::Error,
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
    /// Address and query.
    pub url: Url,
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
        write!(f, "HttpRequest({method} {}://{}{}, ***)", self.url.scheme(), self.url.authority(), self.url.path())
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
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
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
        let mut builder = Self::builder(settings);
        if let Some(roots) = &settings.roots {
            let read: Result<Vec<_>, _> = roots.iter().map(reqwest::Certificate::from_der).collect();
            builder = builder.tls_certs_only(read.map_err(GatewayError::Client)?);
        }
        Self::build(settings, builder)
    }

    /// Builds a client that trusts no certificate: for plain http to loopback, on machines without CA certificates too.
    ///
    /// # Errors
    /// [`GatewayError::Client`] when the client cannot be set up.
    pub fn for_loopback(settings: &HttpSettings) -> Result<Self, GatewayError> {
        Self::build(settings, Self::builder(settings).tls_certs_only([]))
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

    /// Connects as a call would and asks for nothing that acts (`HEAD /`); any answer will do.
    ///
    /// Returns how far this machine's clock is from the gateway's, where the answer tells its time.
    ///
    /// # Errors
    /// [`GatewayError::Reach`] when nothing answers, [`GatewayError::Tls`] when what answers is not to be trusted.
    pub async fn reach(&self, endpoint: &Endpoint) -> Result<Option<Skew>, GatewayError> {
        let asked = clock::now();
        let answered = self.client.head(endpoint.root()).send().await;
        let answer = answered.map_err(|error| {
            let source = error.without_url();
            match TlsFault::of(&source) {
                Some(fault) => GatewayError::Tls { fault, source },
                None => GatewayError::Reach(source),
            }
        })?;
        Ok(Skew::of(answer.headers(), asked, clock::now()))
    }

    fn builder(settings: &HttpSettings) -> reqwest::ClientBuilder {
        reqwest::Client::builder()
            .user_agent(concat!("takedown/", env!("CARGO_PKG_VERSION")))
            .http1_only()
            .retry(reqwest::retry::never())
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .referer(false)
            .pool_idle_timeout(POOL_IDLE_TIMEOUT)
            // Never longer than the whole call: a total time-out must mean that connecting was over.
            .connect_timeout(settings.connect_timeout.min(settings.total_timeout))
            .timeout(settings.total_timeout)
    }

    fn build(settings: &HttpSettings, builder: reqwest::ClientBuilder) -> Result<Self, GatewayError> {
        let client = builder.build().map_err(|error| GatewayError::Client(error.without_url()))?;
        Ok(Self { client, max_body_bytes: settings.max_body_bytes, trace: None })
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
        let HttpRequest { url, headers, body } = request;
        let mut request = match body {
            None => self.client.get(url),
            Some(Body { content_type, text }) => {
                self.client.post(url).header(CONTENT_TYPE, HeaderValue::from_static(content_type)).body(text)
            }
        };
        for (name, value) in headers {
            let mut value = HeaderValue::try_from(value).map_err(|_| Reply::NotSent(BrokenCall::Protocol))?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        if let Some(trace) = &self.trace {
            request = request.header(TRACEPARENT, trace.to_string());
            if let Some(state) = &trace.state {
                request = request.header(TRACESTATE, state);
            }
        }
        let mut response = request.send().await.map_err(broken)?;
        let retry_after = retry_after::of(response.headers(), clock::now());
        let too_large = Reply::MaybeSent(BrokenCall::BodyTooLarge);
        let announced = response.content_length().unwrap_or_default();
        if usize::try_from(announced).map_or(true, |length| length > self.max_body_bytes) {
            return Err(too_large);
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cut_off)? {
            if body.len() + chunk.len() > self.max_body_bytes {
                return Err(too_large);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(HttpAnswer {
            status: response.status().as_u16(),
            headers: std::mem::take(response.headers_mut()),
            body,
            retry_after,
        })
    }
}

/// Judges a call that ended before the head of an answer was read.
fn broken(error: reqwest::Error) -> Reply {
    let error = error.without_url();
    let fault = TlsFault::of(&error);
    if let Some(fault @ TlsFault::Certificate(_)) = fault {
        let cause = chain(&error);
        tracing::warn!(cause, "a gateway is not trusted: {}", fault.advice("http", "the endpoint"));
    } else {
        tracing::debug!(cause = chain(&error), "gateway call broke");
    }
    if error.is_connect() {
        Reply::NotSent(match fault {
            _ if error.is_timeout() => BrokenCall::ConnectTimeout,
            Some(TlsFault::Certificate(fault)) => BrokenCall::Certificate(fault),
            Some(_) => BrokenCall::Tls,
            None if is_tls(&error) => BrokenCall::Tls,
            None => BrokenCall::Connect,
        })
    } else if cause::<hyper::Error>(&error).is_some_and(hyper::Error::is_canceled) {
        Reply::NotSent(BrokenCall::Reset)
    } else if error.is_builder() {
        Reply::NotSent(BrokenCall::Protocol)
    } else {
        Reply::MaybeSent(after_writing(&error))
    }
}

/// Judges an answer that ended before its body did.
fn cut_off(error: reqwest::Error) -> Reply {
    let error = error.without_url();
    tracing::debug!(cause = chain(&error), "gateway answer was cut off");
    Reply::MaybeSent(after_writing(&error))
}

fn after_writing(error: &reqwest::Error) -> BrokenCall {
    let hyper = cause::<hyper::Error>(error);
    if error.is_timeout() {
        BrokenCall::Timeout
    } else if hyper.is_some_and(|e| e.is_incomplete_message() || e.is_closed()) || cause::<io::Error>(error).is_some() {
        BrokenCall::Reset
    } else {
        BrokenCall::Protocol
    }
}

/// hyper-rustls wraps what the handshake met in a second `io::Error`; what TCP met arrives bare. (A test of refused,
/// reset and garbled handshakes holds this.)
fn is_tls(error: &reqwest::Error) -> bool {
    cause::<io::Error>(error)
        .and_then(io::Error::get_ref)
        .is_some_and(<dyn std::error::Error + Send + Sync>::is::<io::Error>)
}

/// Finds the first error of one type among the causes.
fn cause<E: std::error::Error + 'static>(error: &reqwest::Error) -> Option<&E> {
    causes(error).find_map(<dyn std::error::Error>::downcast_ref)
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn std::error::Error + 'static)> {
    std::iter::successors(error.source(), |&cause| cause.source())
}
