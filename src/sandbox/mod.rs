//! Both gateways on loopback, strict and scriptable, for rehearsals and tests.
//!
//! The Open Platform is played by version 1.0 and by v3, with keys or certificates, in the clear or encrypted. It shares
//! [`signing`](crate::signing) with the worker and nothing else, so that a mistake in building a
//! request or reading an answer cannot cancel itself out. Promise: a request the real gateway would refuse as
//! `ILLEGAL_SIGN` is refused here.
//!
//! # Items
//! Every item is on sale until it is taken down or set otherwise. A mapi item is known by its `goods_id`; calls without
//! one are told apart by a digest of administrator and reason, which then serves as goods id. An Open Platform item is
//! `commodity_id@shop_id`.
//!
//! # For people and scripts
//! On the same port: `GET /healthz`, `GET /sandbox/seen` (JSON lines), `GET /sandbox/items`,
//! `GET` and `PUT /sandbox/items/{item}` (`on_sale`, `off_sale`, `missing`, `forbidden`) and `PUT /sandbox/faults` (the
//! lines of [`faults`]; an empty body ends all faults).

pub mod faults;
pub mod mapi;
pub mod mix;
pub mod open_platform;
pub mod open_platform_v3;
pub mod setup;

mod allowance;
mod control;
mod form;
mod nonces;
mod page;
mod plan;
mod server;
mod state;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::domain::secret::Secret;
use crate::sandbox::faults::Faults;
use crate::sandbox::state::State;
use crate::signing::charset::Charset;
use crate::signing::content::ContentKey;
use crate::signing::{Signer, Verifier};

/// How long a connection is held without an answer when [`faults::Fault::Timeout`] is played; then it is closed.
pub const SILENCE: Duration = Duration::from_secs(60);

/// What the sandbox knows of a mapi partner.
#[derive(Debug)]
pub struct MapiPartner {
    /// Partner id.
    pub partner: String,
    /// Checks the partner's requests.
    pub request_verifier: Verifier,
    /// Signs the answers, same algorithm.
    pub answer_signer: Signer,
    /// Administrators and their binding keys; empty means every one is taken.
    pub administrators: Vec<(String, Secret)>,
}

/// What the sandbox knows of an app.
#[derive(Debug)]
pub struct App {
    /// App id.
    pub app_id: String,
    /// Checks the app's requests.
    pub request_verifier: Verifier,
    /// Signs the answers, same algorithm.
    pub answer_signer: Signer,
    /// Tokens taken as valid; empty means every one is. A call without a token is the app's own and passes.
    pub tokens: Vec<Secret>,
    /// Certificate mode: what requests must name, and answers do.
    pub certificates: Option<AppCertificates>,
    /// Content must be encrypted with it, and answers of the business are.
    pub content_key: Option<ContentKey>,
}

/// Numbers of the certificates of an app in certificate mode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCertificates {
    /// `app_cert_sn` of every request.
    pub app: String,
    /// `alipay_root_cert_sn` of every request.
    pub root: String,
    /// `alipay_cert_sn` of every answer: of the certificate that holds the public half of `answer_signer`.
    pub gateway: String,
}

/// The time the gateways go by when they check a timestamp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxClock {
    /// The machine's.
    #[default]
    System,
    /// Always this moment, for requests recorded earlier.
    Fixed(SystemTime),
}

/// How a sandbox is set up. The default knows nobody, has no faults and takes a free port on 127.0.0.1.
#[derive(Debug)]
pub struct SandboxSettings {
    /// Loopback address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// mapi partners.
    pub partners: Vec<MapiPartner>,
    /// Open Platform apps.
    pub apps: Vec<App>,
    /// What goes wrong, and how often.
    pub faults: Faults,
    /// Seed of every draw.
    pub seed: u64,
    /// Time every answer takes.
    pub latency: Duration,
    /// One call in this time is taken of each partner or app; more are refused as too many. `None` takes all.
    pub period: Option<Duration>,
    /// Declares mapi failures in this charset (the real one often says GBK whatever was asked).
    pub mapi_failure_charset: Charset,
    /// Time that timestamps are checked against, within ten minutes either way.
    pub clock: SandboxClock,
}

impl Default for SandboxSettings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            partners: Vec::new(),
            apps: Vec::new(),
            faults: Faults::default(),
            seed: 0,
            latency: Duration::ZERO,
            period: None,
            mapi_failure_charset: Charset::Gbk,
            clock: SandboxClock::System,
        }
    }
}

/// Says why a sandbox cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// The address is not loopback.
    #[error("the sandbox listens on loopback only, not on {0}; use 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}; choose another port, or end the program that has it")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Whether the sandbox shows an item on sale.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// On sale; every item nobody has named otherwise.
    OnSale,
    /// Off sale, by a call or from the start.
    OffSale,
    /// No such item.
    Missing,
    /// Exists, but the caller has no right to it (mapi, which has no code for this, says `ILLEGAL_ARGUMENT`).
    Forbidden,
}

/// One request as the sandbox saw it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Milliseconds since 1970 at arrival.
    pub at_ms: u64,
    /// `goods_id`, or `commodity_id@shop_id`; empty where a refused request names none that can be read.
    pub item: String,
    /// Fault that was played, if any.
    pub fault: Option<String>,
    /// Code answered: `T`, `10000`, `200` (v3), the error or sub-code, `429`, `garbage`; empty where nothing was answered.
    pub answered: String,
    /// Whether this call took the item off sale.
    pub took_effect: bool,
    /// Header `traceparent`, if there was one; nothing hangs on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traceparent: Option<String>,
}

/// A running sandbox; dropped, it stops by itself.
#[derive(Debug)]
pub struct Sandbox {
    address: SocketAddr,
    state: Arc<State>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl Sandbox {
    /// Starts listening.
    ///
    /// # Errors
    /// [`SandboxError`] when the address is not loopback or is taken.
    pub async fn start(settings: SandboxSettings) -> Result<Self, SandboxError> {
        let address = settings.listen;
        if !address.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(address));
        }
        let refused = |source| SandboxError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let state = Arc::new(State::new(settings));
        let stop = CancellationToken::new();
        let server = tokio::spawn(server::serve(listener, Arc::clone(&state), stop.clone()));
        Ok(Self { address, state, stop, server })
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the gateway URL of mapi.
    #[must_use]
    pub fn mapi_url(&self) -> String {
        format!("http://{}{}", self.address, mapi::PATH)
    }

    /// Returns the gateway URL of the Open Platform.
    #[must_use]
    pub fn open_platform_url(&self) -> String {
        format!("http://{}{}", self.address, open_platform::PATH)
    }

    /// Returns the address of the operation by protocol v3 of the Open Platform.
    #[must_use]
    pub fn open_platform_v3_url(&self) -> String {
        format!("http://{}{}", self.address, open_platform_v3::PATH)
    }

    /// Sets one item's state.
    pub fn set_item(&self, item: &str, state: ItemState) {
        self.state.set_item(item, state);
    }

    /// Returns one item's state.
    #[must_use]
    pub fn item(&self, item: &str) -> ItemState {
        self.state.item(item)
    }

    /// Returns every item that was set or called.
    #[must_use]
    pub fn items(&self) -> BTreeMap<String, ItemState> {
        self.state.items()
    }

    /// Returns the requests seen so far, oldest first: the first million of them, which is what memory is kept for.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state.seen()
    }

    /// Changes what goes wrong; what is left of the old script is forgotten.
    pub fn set_faults(&self, faults: Faults) {
        self.state.set_faults(faults);
    }

    /// Stops listening and cuts what is open, answers on their way included.
    pub async fn stop(mut self) {
        self.stop.cancel();
        if let Err(error) = (&mut self.server).await {
            tracing::error!(%error, "the sandbox ended badly");
        }
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
