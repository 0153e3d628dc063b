//! The connections of the status server: few, short, and of one request each.
//!
//! Promise: whoever may connect can neither take the process's descriptors or memory, nor keep a probe waiting: the oldest
//! connection gives way, and that is never one that is being answered at once.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind};
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

/// Connections at once; one more ends the oldest. A scraper and an orchestrator's probes need a handful.
const MOST: usize = 64;

/// Time for a request and its answer together.
const LONGEST: Duration = Duration::from_secs(10);

/// Largest head of a request, in bytes.
const LARGEST_HEAD: usize = 16 * 1024;

/// Most headers of a request.
const MOST_HEADERS: usize = 64;

/// Wait after the system had no descriptor for a connection.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers every connection, until dropped.
pub(super) async fn answer_all(listener: TcpListener, router: Router) {
    let mut open: VecDeque<AbortOnDropHandle<()>> = VecDeque::with_capacity(MOST);
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() == MOST {
                    open.pop_front();
                }
                open.push_back(AbortOnDropHandle::new(tokio::spawn(answer(stream, router.clone()))));
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

async fn answer(stream: TcpStream, router: Router) {
    let connection = http1::Builder::new()
        .keep_alive(false)
        .max_buf_size(LARGEST_HEAD)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    match timeout(LONGEST, connection).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::debug!(%error, "a request to the status server broke off"),
        Err(_) => tracing::debug!("a request to the status server took too long"),
    }
}
