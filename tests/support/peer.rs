//! The other end of a TCP connection, written by hand: it does exactly what a script says, and counts.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// What a peer does with one connection, step by step. After the last step it closes.
#[derive(Debug, Clone)]
pub(crate) enum Step {
    /// Reads one whole request and keeps it.
    Read,
    /// Writes bytes.
    Write(Vec<u8>),
    /// Does nothing until the test ends.
    Stall,
    /// Resets the connection.
    Reset,
}

/// A listener on loopback; its tasks end with it.
pub(crate) struct Peer {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    seen: Arc<Seen>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Seen {
    accepts: AtomicUsize,
    requests: Mutex<Vec<String>>,
    closed: Notify,
}

impl Peer {
    /// Listens, and gives each connection the next script. Connections beyond the last script are closed at once.
    pub(crate) async fn start(scripts: Vec<Vec<Step>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Seen::default());
        let task = tokio::spawn(accept(listener, scripts, Arc::clone(&seen)));
        Self { address, seen, task }
    }

    /// Returns how many connections were accepted.
    pub(crate) fn accepts(&self) -> usize {
        self.seen.accepts.load(Ordering::SeqCst)
    }

    /// Returns every request read so far, head and body.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// Waits until a connection has been closed by this end.
    pub(crate) async fn closed(&self) {
        tokio::time::timeout(Duration::from_secs(10), self.seen.closed.notified()).await.unwrap();
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, scripts: Vec<Vec<Step>>, seen: Arc<Seen>) {
    let mut scripts = scripts.into_iter();
    let mut connections = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        seen.accepts.fetch_add(1, Ordering::SeqCst);
        connections.spawn(play(stream, scripts.next().unwrap_or_default(), Arc::clone(&seen)));
    }
}

async fn play(mut stream: TcpStream, script: Vec<Step>, seen: Arc<Seen>) {
    for step in script {
        match step {
            Step::Read => match read(&mut stream).await {
                Some(request) => seen.requests.lock().unwrap().push(request),
                None => break,
            },
            // The other side may be gone already; that is for its own test to notice.
            Step::Write(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    break;
                }
            }
            Step::Stall => std::future::pending().await,
            Step::Reset => SockRef::from(&stream).set_linger(Some(Duration::ZERO)).unwrap(),
        }
    }
    drop(stream);
    seen.closed.notify_one();
}

async fn read(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8(bytes.clone()).unwrap();
            let length = text[..head].lines().find_map(|line| line.strip_prefix("content-length: "));
            if bytes.len() >= head + 4 + length.map_or(0, |length| length.parse().unwrap()) {
                return Some(text);
            }
        }
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            return None;
        }
    }
}
