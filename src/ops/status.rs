//! `/healthz`, `/readyz` and `/metrics` of a worker.
//!
//! Plain HTTP without a password: meant for loopback or a private network, and nothing it shows is secret. Promise:
//! `/readyz` says 503 with its reason whenever the replica takes no messages.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::ops::metrics::Metrics;

const HINT: &str = "takedown worker\n\n\
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
    /// Brings gauges up to date before each `/metrics`.
    pub refresh: Arc<dyn Fn(&Metrics) + Send + Sync>,
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
    ///
    /// # Errors
    /// The system's, when the socket fails.
    pub async fn serve(self, status: Status, stop: CancellationToken) -> std::io::Result<()> {
        let router = Router::new()
            .route("/", get(|| async { HINT }))
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
            .route("/metrics", get(metrics))
            .with_state(status);
        let serve = axum::serve(self.listener, router);
        tokio::select! {
            served = serve.into_future() => served,
            () = stop.cancelled() => Ok(()),
        }
    }
}

async fn ready(State(status): State<Status>) -> Response {
    match (status.readiness)() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(status): State<Status>) -> Response {
    (status.refresh)(&status.metrics);
    status.metrics.look_at_process();
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
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: worker\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn readiness_follows_the_worker_and_metrics_are_refreshed() {
        let server = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = server.address().unwrap();
        let why: Arc<Mutex<Result<(), String>>> = Arc::new(Mutex::new(Err("draining".to_owned())));
        let asked = why.clone();
        let status = Status {
            metrics: Arc::new(Metrics::new()),
            readiness: Arc::new(move || asked.lock().unwrap().clone()),
            refresh: Arc::new(|metrics| {
                let standing = Standing { share: 0.25, factor: 0.7, is_held: true, bound: Bound::Paused };
                metrics.set_account("shops", "600/min".parse().unwrap(), standing, 7);
            }),
        };
        let stop = CancellationToken::new();
        let serving = tokio::spawn(server.serve(status, stop.clone()));
        let refused = get(address, "/readyz").await;
        assert!(refused.starts_with("HTTP/1.1 503") && refused.ends_with("draining\n"), "{refused}");
        *why.lock().unwrap() = Ok(());
        assert!(get(address, "/readyz").await.starts_with("HTTP/1.1 200"));
        assert!(get(address, "/healthz").await.starts_with("HTTP/1.1 200"));
        let metrics = get(address, "/metrics").await;
        assert!(metrics.contains("application/openmetrics-text; version=1.0.0"), "{metrics}");
        for line in [
            r#"takedown_in_flight{account="shops"} 7"#,
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
        serving.await.unwrap().unwrap();
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_port_in_use_is_told_before_anything_starts() {
        let first = StatusServer::bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let address = first.address().unwrap();
        assert!(matches!(StatusServer::bind(address).await, Err(StatusError::InUse { .. })));
    }
}
