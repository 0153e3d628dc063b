//! The connections of the status server and the desk: few, short, and of one request each.
//!
//! Promise: whoever may connect can neither take the process's descriptors or memory, nor keep a probe waiting: the oldest
//! connection gives way, and that is never one that is being answered at once. Only a request that has shown who it is
//! from may take longer than a probe ([`Patience`]), and gives way to no stranger.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::task::AbortOnDropHandle;

/// Connections at once; one more ends the oldest. A scraper and an orchestrator's probes need a handful, a browser six.
const MOST: usize = 64;

/// Time for a request and its answer together.
const LONGEST: Duration = Duration::from_secs(10);

/// The same for a page of the desk, asked for by somebody known: reading ten thousand dead letters takes a while.
const LONGEST_PAGE: Duration = Duration::from_mins(2);

/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// Wait after the system had no descriptor for a connection.
const PAUSE: Duration = Duration::from_secs(1);

/// The address at the other end of a request's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Lets a request have more time, once it is known who asks.
#[derive(Debug, Clone, Default)]
pub struct Patience(Arc<Known>);

#[derive(Debug, Default)]
struct Known {
    is_known: AtomicBool,
    told: Notify,
}

impl Patience {
    /// Gives this request the time of a page.
    pub fn extend(&self) {
        self.0.is_known.store(true, Ordering::Relaxed);
        self.0.told.notify_one();
    }

    fn is_extended(&self) -> bool {
        self.0.is_known.load(Ordering::Relaxed)
    }
}

/// Answers every connection, until dropped.
pub(super) async fn answer_all(listener: TcpListener, router: Router) {
    let mut open: VecDeque<(AbortOnDropHandle<()>, Patience)> = VecDeque::with_capacity(MOST);
    loop {
        match listener.accept().await {
            Ok((stream, from)) => {
                open.retain(|(connection, _)| !connection.is_finished());
                if open.len() == MOST {
                    let stranger = open.iter().position(|(_, patience)| !patience.is_extended());
                    open.remove(stranger.unwrap_or(0));
                }
                let patience = Patience::default();
                let answer = tokio::spawn(answer(stream, from, router.clone(), patience.clone()));
                open.push_back((AbortOnDropHandle::new(answer), patience));
            }
            Err(error) if is_its_own(&error) => {}
            Err(error) => {
                tracing::warn!(%error, "the status server cannot take a connection");
                sleep(PAUSE).await;
            }
        }
    }
}

/// Says whether an error is the connection's alone, which its other end broke off meanwhile.
fn is_its_own(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::ConnectionRefused)
}

async fn answer(stream: TcpStream, from: SocketAddr, router: Router, patience: Patience) {
    let began = Instant::now();
    let (router, given) = (TowerToHyperService::new(router), patience.clone());
    let service = service_fn(move |mut request: hyper::Request<hyper::body::Incoming>| {
        request.extensions_mut().insert(Peer(from.ip()));
        request.extensions_mut().insert(given.clone());
        router.call(request)
    });
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service);
    let too_long = async {
        tokio::select! {
            () = sleep_until(began + LONGEST) => {}
            () = patience.0.told.notified() => sleep_until(began + LONGEST_PAGE).await,
        }
    };
    tokio::select! {
        ended = connection => if let Err(error) = ended {
            tracing::debug!(%error, "a request to the status server broke off");
        },
        () = too_long => tracing::debug!("a request to the status server took too long"),
    }
}

#[cfg(test)]
mod tests {
    use axum::Extension;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_who_is_known_may_take_longer() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let slow = async || {
            sleep(LONGEST * 3).await;
            "done"
        };
        let known = move |Extension(patience): Extension<Patience>| async move {
            patience.extend();
            slow().await
        };
        let router = Router::new().route("/known", get(known)).route("/stranger", get(slow));
        let _serving = AbortOnDropHandle::new(tokio::spawn(answer_all(listener, router)));
        for (path, is_answered) in [("/known", true), ("/stranger", false)] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            assert_eq!(answer.ends_with("done"), is_answered, "{path}: {answer}");
        }
    }

    #[tokio::test]
    async fn strangers_do_not_end_what_somebody_known_asked_for() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (asked, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (tell, wait) = (asked.clone(), go_on.clone());
        let known = move |Extension(patience): Extension<Patience>| async move {
            patience.extend();
            tell.notify_one();
            wait.notified().await;
            "done"
        };
        let router = Router::new().route("/known", get(known)).route("/probe", get(|| async { "alive" }));
        let _serving = AbortOnDropHandle::new(tokio::spawn(answer_all(listener, router)));
        let ask = async |path: &str| {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").as_bytes()).await.unwrap();
            stream
        };
        let mut page = ask("/known").await;
        asked.notified().await;
        let mut held = Vec::new();
        for _ in 0..MOST * 2 {
            held.push(TcpStream::connect(address).await.unwrap());
        }
        let (mut alive, mut answer) = (String::new(), String::new());
        ask("/probe").await.read_to_string(&mut alive).await.unwrap();
        assert!(alive.ends_with("alive"), "{alive}");
        go_on.notify_one();
        page.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }
}
