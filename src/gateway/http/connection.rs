//! One HTTP/1.1 connection to a gateway, which carries one call at a time.
//!
//! hyper's half that reads and writes is polled by the call itself, not by a task of its own: nothing has to be woken to
//! write a request, and the answer is read where it is wanted. Promise: a connection is used again only after a whole
//! answer, and only while the gateway keeps it open.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, Response, Uri};
use tokio::task::unconstrained;

use crate::gateway::http::connector::{Connector, Stream};

/// What goes over a connection.
pub(super) type Outgoing = Request<Full<Bytes>>;

/// Reads and writes; a future that ends with the connection.
type Link = http1::Connection<Stream, Full<Bytes>>;

/// A connection.
pub(super) struct Connection {
    requests: http1::SendRequest<Full<Bytes>>,
    /// Nothing once it has ended.
    link: Option<Link>,
}

/// Says why a call has no answer.
#[derive(thiserror::Error)]
pub(super) enum Broken {
    /// There was no connection to send it over.
    #[error("no connection")]
    Connect(#[source] Box<dyn Error + Send + Sync>),
    /// The connection ended before the first byte of the request was written.
    #[error("the connection closed before the request")]
    Unsent(#[source] hyper::Error, Box<Outgoing>),
    /// Some of the request may have been written.
    #[error("the connection broke")]
    MaybeSent(#[from] hyper::Error),
    /// The answer is larger than is read.
    #[error("the answer is too large")]
    TooLarge,
}

/// A request that came back holds keys, tokens and the signature.
impl fmt::Debug for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Broken({self})")
    }
}

impl Connection {
    /// Connects to a host.
    pub(super) async fn establish(connector: &Connector, to: Uri) -> Result<Box<Self>, Broken> {
        let stream = connector.connect(to).await.map_err(Broken::Connect)?;
        let (requests, link) = http1::handshake(stream).await.map_err(|error| Broken::Connect(error.into()))?;
        Ok(Box::new(Self { requests, link: Some(link) }))
    }

    /// Sends a request and has what reads the answer do so.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the request written; the connection is to be dropped then too.
    pub(super) async fn exchange<T>(
        &mut self,
        request: Outgoing,
        read: impl AsyncFnOnce(Response<Incoming>) -> Result<T, Broken>,
    ) -> Result<T, Broken> {
        let answering = self.requests.try_send_request(request);
        let call = async {
            match answering.await {
                Ok(answer) => read(answer).await,
                Err(mut error) => Err(match error.take_message() {
                    Some(request) => Broken::Unsent(error.into_error(), Box::new(request)),
                    None => Broken::MaybeSent(error.into_error()),
                }),
            }
        };
        drive(&mut self.link, call).await
    }

    /// Says whether it can take another request, as far as is known here.
    pub(super) fn is_open(&mut self) -> bool {
        turn(&mut self.link, &mut Context::from_waker(Waker::noop()));
        self.link.is_some() && self.requests.is_ready()
    }
}

/// Does a call while its link reads and writes.
///
/// The call waits for nothing but what its link hands over, and so is looked at whenever the link was, and is woken by
/// nobody. (Unconstrained, since one that had used its turn up would wait to be woken.) The link is woken by the network
/// and by the call; what it does before the last look needs no wake-up, and then gives none.
async fn drive<T>(link: &mut Option<Link>, call: impl Future<Output = T>) -> T {
    let mut call = pin!(unconstrained(call));
    poll_fn(|cx| {
        let mut nobody = Context::from_waker(Waker::noop());
        // The head of an answer, and its body.
        for _ in 0..2 {
            turn(link, &mut nobody);
            if let Poll::Ready(done) = call.as_mut().poll(&mut nobody) {
                return Poll::Ready(done);
            }
        }
        turn(link, cx);
        call.as_mut().poll(&mut nobody)
    })
    .await
}

/// Lets a link read and write what it can; one that ends is dropped, which whoever waits for it learns.
fn turn(link: &mut Option<Link>, cx: &mut Context<'_>) {
    if let Some(open) = link
        && Pin::new(open).poll(cx).is_ready()
    {
        *link = None;
    }
}
