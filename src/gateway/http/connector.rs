//! Connecting to a gateway: name, TCP and TLS, within one time-out.
//!
//! rustls with aws-lc-rs; roots are those of the settings, else of the machine (package `ca-certificates` on Debian).
//! Promise: a certificate that is not accepted, or a time-out, ends before one byte of a request is written.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::{ClientConfig, RootCertStore};
use rustls_platform_verifier::BuilderVerifierExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tower_service::Service as _;

use crate::tls::Roots;

/// How often TCP asks whether an idle peer is still there; after three questions without an answer it is not.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A peer that acknowledges nothing for so long is gone.
#[cfg(target_os = "linux")]
const UNACKNOWLEDGED: Duration = Duration::from_secs(30);

/// Whose certificates are believed.
pub(super) enum Trust<'a> {
    /// Those the machine's authorities issued.
    Machine,
    /// Those these issued.
    Roots(&'a Roots),
    /// None at all.
    Nobody,
}

/// What a request is written into.
pub(super) type Stream = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Connects to a gateway's host.
pub(super) struct Connector {
    https: HttpsConnector<HttpConnector>,
    within: Duration,
}

impl Connector {
    /// Fails where the machine has no authorities and none are given, or one of those given cannot be used.
    pub(super) fn new(trust: Trust<'_>, within: Duration) -> Result<Self, rustls::Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let mut roots = RootCertStore::empty();
        let builder = match trust {
            Trust::Machine => builder.with_platform_verifier()?,
            Trust::Nobody => builder.with_root_certificates(roots),
            Trust::Roots(given) => {
                for root in given.iter() {
                    roots.add(root.into())?;
                }
                builder.with_root_certificates(roots)
            }
        };
        let mut tls = builder.with_no_client_auth();
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];

        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_keepalive(Some(KEEPALIVE));
        tcp.set_keepalive_interval(Some(KEEPALIVE));
        tcp.set_keepalive_retries(Some(3));
        // Shared out among the addresses of a name: one that takes no connections leaves time for the next.
        tcp.set_connect_timeout(Some(within));
        #[cfg(target_os = "linux")]
        tcp.set_tcp_user_timeout(Some(UNACKNOWLEDGED));
        Ok(Self { https: HttpsConnector::from((tcp, tls)), within })
    }
    /// Connects to the host of an address.
    pub(super) async fn connect(&self, to: Uri) -> Result<Stream, Box<dyn Error + Send + Sync>> {
        let mut https = self.https.clone();
        let connecting = async {
            poll_fn(|cx| https.poll_ready(cx)).await?;
            https.call(to).await
        };
        let connected = timeout(self.within, connecting).await;
        connected.unwrap_or_else(|_elapsed| Err(io::Error::from(io::ErrorKind::TimedOut).into()))
    }
}
