//! Both gateways on loopback, strict and scriptable, for rehearsals and tests.
//!
//! It shares the signing code with the worker and nothing else, so that a mistake in building a request or reading an
//! answer cannot cancel itself out. Promise: a request the real gateway would refuse as ILLEGAL_SIGN is refused here.

pub mod faults;
pub mod mapi;
pub mod open_platform;

use std::net::SocketAddr;
use std::time::Duration;

use crate::sandbox::faults::Faults;
use crate::signing::charset::Charset;
use crate::signing::{Signer, Verifier};

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
    pub administrators: Vec<(String, String)>,
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
    /// Tokens taken as valid; empty means that none is asked for.
    pub tokens: Vec<String>,
}

/// How a sandbox is set up.
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
    /// Declares mapi failures in this charset (the real one often says GBK whatever was asked).
    pub mapi_failure_charset: Charset,
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ItemState {
    /// On sale; every item nobody has named otherwise.
    OnSale,
    /// Off sale, by a call or from the start.
    OffSale,
    /// No such item.
    Missing,
    /// Exists, but the caller has no right to it.
    Forbidden,
}

/// One request as the sandbox saw it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seen {
    /// Milliseconds since 1970 at arrival.
    pub at_ms: u64,
    /// `goods_id`, or `commodity_id@shop_id`.
    pub item: String,
    /// Fault that was played, if any.
    pub fault: Option<String>,
    /// Code answered, as far as an answer was made.
    pub answered: String,
    /// Whether this call took the item off sale.
    pub took_effect: bool,
}

/// A running sandbox.
pub struct Sandbox {}

impl Sandbox {
    /// Starts listening.
    ///
    /// # Errors
    /// [`SandboxError`].
    pub async fn start(settings: SandboxSettings) -> Result<Self, SandboxError> {
        todo!("{settings:?}")
    }

    /// Returns the address it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        todo!()
    }

    /// Returns the gateway URL of mapi.
    #[must_use]
    pub fn mapi_url(&self) -> String {
        format!("http://{}/cooperate/gateway.do", self.address())
    }

    /// Returns the gateway URL of the Open Platform.
    #[must_use]
    pub fn open_platform_url(&self) -> String {
        format!("http://{}/gateway.do", self.address())
    }

    /// Sets one item's state.
    pub fn set_item(&self, item: &str, state: ItemState) {
        todo!("{item} {state:?}")
    }

    /// Returns one item's state.
    #[must_use]
    pub fn item(&self, item: &str) -> ItemState {
        todo!("{item}")
    }

    /// Returns every request seen so far, oldest first.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        todo!()
    }

    /// Changes what goes wrong.
    pub fn set_faults(&self, faults: Faults) {
        todo!("{faults:?}")
    }

    /// Stops listening and cuts what is open.
    pub async fn stop(self) {
        todo!()
    }
}
