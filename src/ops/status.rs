//! `/healthz`, `/readyz` and `/metrics` of a worker, and beside them the pages of the desk.
//!
//! Plain HTTP, on loopback unless configured otherwise; elsewhere a bearer token (RFC 6750) is asked for, of all but
//! `/healthz`: a probe of an orchestrator has no place to keep one, and learns from it only that the process lives.
//! Promise: `/readyz` says 503 with its reason whenever the replica takes no messages; and without the token nothing is
//! told of the accounts.

mod connections;

pub use connections::{Patience, Peer};

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::domain::secret::Secret;
use crate::ops::metrics::Metrics;

/// What a program is told at `/`.
pub(in crate::ops) const HINT: &str = "takedown worker\n\n\
    /healthz  the process lives\n\
    /readyz   it takes messages, or 503 and why not\n\
    /metrics  OpenMetrics text\n";

/// Whether the replica takes messages; an `Err` holds one line for a person.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the status server tells.
#[derive(Clone)]
pub struct Status {
    /// Counters.
    pub metrics: Arc<Metrics>,
    /// Asked at each `/readyz`.
    pub readiness: Readiness,
    /// What whoever asks for more than `/healthz` must know; `None` lets everybody ask.
    pub token: Option<Secret>,
    /// Brings gauges up to date before each `/metrics`.
    pub refresh: Arc<dyn Fn(&Metrics) + Send + Sync>,
    /// The desk's pages, if they are served too; they have a door of their own.
    pub pages: Option<Router>,
}

/// Says why the status server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StatusError {
    /// Another program listens there.
    #[error("{address} is in use by another program")]
    InUse {
        /// The address.
        address: SocketAddr,
    },
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// A bound status server.
#[derive(Debug)]
pub struct StatusServer {
    listener: TcpListener,
}

impl StatusServer {
    /// Takes the address, so that a port in use is told before any message is taken.
    ///
    /// # Errors
    /// [`StatusError`].
    pub async fn bind(address: SocketAddr) -> Result<Self, StatusError> {
        match TcpListener::bind(address).await {
            Ok(listener) => Ok(Self { listener }),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => Err(StatusError::InUse { address }),
            Err(source) => Err(StatusError::Listen { address, source }),
        }
    }

    /// Returns the address it listens on.
    ///
    /// # Errors
    /// The system's, if the socket is gone.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until stopped; open connections do not delay the end.
    pub async fn serve(self, status: Status, stop: CancellationToken) {
        let pages = status.pages.clone();
        let guarded = Router::new().route("/readyz", get(ready)).route("/metrics", get(metrics));
        let guarded = if pages.is_some() { guarded } else { guarded.route("/", get(|| async { HINT })) };
        let router = guarded
            .route_layer(from_fn_with_state(status.token.clone(), admit))
            .route("/healthz", get(|| async { "alive\n" }))
            .with_state(status);
        self.answer(router.merge(pages.unwrap_or_default()), stop).await;
    }

    /// Serves pages alone until stopped.
    pub async fn serve_pages(self, pages: Router, stop: CancellationToken) {
        self.answer(pages, stop).await;
    }

    async fn answer(self, router: Router, stop: CancellationToken) {
        tokio::select! {
            () = connections::answer_all(self.listener, router) => {}
            () = stop.cancelled() => {}
        }
    }
}

/// Lets a request through that shows the token, or all where there is none.
async fn admit(State(token): State<Option<Secret>>, request: Request, next: Next) -> Response {
    let Some(token) = token else { return next.run(request).await };
    if is_shown(&token, request.headers()) { next.run(request).await } else { challenge(request.headers()) }
}

/// Says whether a request shows the token as programs do.
pub(in crate::ops) fn is_shown(token: &Secret, headers: &HeaderMap) -> bool {
    shown(headers).is_some_and(|shown| verify_slices_are_equal(shown, token.expose().as_bytes()).is_ok())
}

/// Asks for the token.
pub(in crate::ops) fn challenge(headers: &HeaderMap) -> Response {
    match shown(headers) {
        Some(_) => refuse("Bearer realm=\"takedown\", error=\"invalid_token\""),
        None => refuse("Bearer realm=\"takedown\""),
    }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    headers.get(header::AUTHORIZATION).and_then(|value| bearer(value.as_bytes()))
}

/// The name of the scheme comes in any letter case (RFC 9110, section 11.1).
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(token.trim_ascii())
}

fn refuse(challenge: &'static str) -> Response {
    let text = "this worker asks for its token: Authorization: Bearer TOKEN (`worker.token_file`)\n";
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, challenge)], text).into_response()
}

async fn ready(State(status): State<Status>) -> Response {
    match (status.readiness)() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

/// `OpenMetrics`, but for whoever asks for plain text and not for that, as scrapers before Prometheus 2.5 and some tools do
/// (<https://prometheus.io/docs/instrumenting/content_negotiation/>).
async fn metrics(State(status): State<Status>, headers: HeaderMap) -> Response {
    (status.refresh)(&status.metrics);
    status.metrics.look_at_process();
    status.metrics.set_ready((status.readiness)().is_ok());
    let accepts = |kind| {
        let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
        accepted.any(|value| value.contains(kind))
    };
    if accepts("text/plain") && !accepts("application/openmetrics-text") {
        let kind = "text/plain; version=0.0.4; charset=utf-8";
        return ([(header::CONTENT_TYPE, kind)], status.metrics.classic_text()).into_response();
    }
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], status.metrics.text()).into_response()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;
    use crate::limits::standing::{Bound, Standing};

    async fn get(address: SocketAddr, path: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: worker\r\n\r\n")).await
    }

    async fn get_with(address: SocketAddr, path: &str, authorization: &str) -> String {
        ask(address, &format!("GET {path} HTTP/1.1\r\nHost: worker\r\nAuthorization: {authorization}\r\n\r\n")).await
    }

    /// The server closes after each answer.
    async fn ask(address: SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    async fn serve(status: Status) -> (SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let server = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.address().unwrap();
        let stop = CancellationToken::new();
        (address, stop.clone(), tokio::spawn(server.serve(status, stop)))
    }

    fn guarded(token: Option<&str>) -> Status {
        Status {
            metrics: Arc::new(Metrics::new()),
            readiness: Arc::new(|| Ok(())),
            token: token.map(Secret::new),
            refresh: Arc::new(|_| ()),
            pages: None,
        }
    }

    #[tokio::test]
    async fn readiness_follows_the_worker_and_metrics_are_refreshed() {
        let why: Arc<Mutex<Result<(), String>>> = Arc::new(Mutex::new(Err("draining".to_owned())));
        let asked = why.clone();
        let status = Status {
            metrics: Arc::new(Metrics::new()),
            readiness: Arc::new(move || asked.lock().unwrap().clone()),
            token: None,
            refresh: Arc::new(|metrics| {
                let standing = Standing { share: 0.25, factor: 0.7, is_held: true, bound: Bound::Paused };
                metrics.set_account("shops", "600/min".parse().unwrap(), standing, 7);
            }),
            pages: None,
        };
        let (address, stop, serving) = serve(status).await;
        let refused = get(address, "/readyz").await;
        assert!(refused.starts_with("HTTP/1.1 503") && refused.ends_with("draining\n"), "{refused}");
        *why.lock().unwrap() = Ok(());
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let plain = "GET /metrics HTTP/1.1\r\nHost: worker\r\nAccept: text/plain;version=0.0.4\r\n\r\n";
        let classic = ask(address, plain).await;
        assert!(classic.contains("content-type: text/plain; version=0.0.4") && !classic.contains("# EOF"), "{classic}");
        assert!(classic.contains("# TYPE takedown_panics_total counter\n"), "{classic}");
        let metrics = get(address, "/metrics").await;
        assert!(metrics.contains("application/openmetrics-text; version=1.0.0"), "{metrics}");
        for line in [
            r#"takedown_in_flight{account="shops"} 7"#,
            "takedown_ready 1",
            r#"takedown_account_rate{account="shops"} 10.0"#,
            r#"takedown_account_share{account="shops"} 0.25"#,
            r#"takedown_account_rate_factor{account="shops"} 0.7"#,
            r#"takedown_account_held{account="shops"} 1"#,
            r#"takedown_account_bound{account="shops",bound="paused"} 1"#,
            r#"takedown_account_bound{account="shops",bound="rate"} 0"#,
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}: {metrics}");
        }
        for name in ["takedown_tasks", "takedown_resident_memory_bytes", "takedown_open_descriptors"] {
            let told =
                metrics.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().parse::<u64>());
            assert!(told.is_some_and(|value| value.is_ok_and(|value| value > 0)), "{name}: {metrics}");
        }
        stop.cancel();
        serving.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_token_is_asked_for_by_everything_but_healthz() {
        const TOKEN: &str = "0123456789abcdef";
        let (address, _stop, _serving) = serve(guarded(Some(TOKEN))).await;
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        for path in ["/", "/readyz", "/metrics"] {
            let challenged = get(address, path).await;
            assert!(challenged.starts_with("HTTP/1.1 401"), "{challenged}");
            assert!(challenged.contains("\r\nwww-authenticate: Bearer realm=\"takedown\"\r\n"), "{challenged}");
            for wrong in
                ["Bearer", "Bearer ", "Bearer 0123456789abcdeF", "Bearer 0123456789abcdef0", "Basic 0123456789abcdef"]
            {
                let refused = get_with(address, path, wrong).await;
                assert!(refused.starts_with("HTTP/1.1 401") && !refused.contains("takedown_"), "{wrong}: {refused}");
            }
            for right in [format!("Bearer {TOKEN}"), format!("bearer  {TOKEN}")] {
                assert!(get_with(address, path, &right).await.starts_with("HTTP/1.1 200"), "{right}");
            }
        }
    }

    #[tokio::test]
    async fn a_request_too_large_or_without_end_is_not_heard_out() {
        let (address, _stop, _serving) = serve(guarded(None)).await;
        let filler = format!("X: {}\r\n", "x".repeat(1000));
        let answer = ask(address, &format!("GET /healthz HTTP/1.1\r\n{}", filler.repeat(17))).await;
        assert!(answer.starts_with("HTTP/1.1 431"), "{answer}");
        let many = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(100));
        assert!(ask(address, &many).await.starts_with("HTTP/1.1 431"));
    }

    #[tokio::test]
    async fn strangers_who_hold_connections_open_do_not_keep_a_probe_waiting() {
        let (address, _stop, _serving) = serve(guarded(None)).await;
        let mut held = Vec::new();
        for _ in 0..200 {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\nX: ").await.unwrap();
            held.push(stream);
        }
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        // The first had to give way long ago; an end or a reset, as the system likes.
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_secs(5), held[0].read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "the oldest connection is still open");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_dawdles_is_ended() {
        let (address, _stop, _serving) = serve(guarded(None)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /healthz HTTP/1.1\r\n").await.unwrap();
        let mut answer = Vec::new();
        let ended = tokio::time::timeout(std::time::Duration::from_mins(1), stream.read_to_end(&mut answer)).await;
        assert!(ended.is_ok(), "it may dawdle for ever");
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_before_anything_starts() {
        let first = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.address().unwrap();
        assert!(matches!(StatusServer::bind(address).await, Err(StatusError::InUse { .. })));
    }
}
