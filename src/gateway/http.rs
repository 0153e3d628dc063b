//! The HTTP client both gateways share: rustls, reused connections, time-outs, a body cap, no redirects.

use std::time::Duration;

/// Settings of the HTTP client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSettings {
    /// Time allowed for name resolution, TCP and TLS together. Default 3 s.
    pub connect_timeout: Duration,
    /// Time allowed for a whole call. Default 10 s.
    pub total_timeout: Duration,
    /// Largest answer read, in bytes. Default 1 MiB.
    pub max_body_bytes: usize,
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(3),
            total_timeout: Duration::from_secs(10),
            max_body_bytes: 1024 * 1024,
        }
    }
}

/// Says why a client or an address cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The TLS set-up of the machine is unusable.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The address breaks a rule.
    #[error("gateway URL {url:?} {problem}")]
    Url {
        /// The address as configured.
        url: String,
        /// What is wrong and what would do.
        problem: String,
    },
}

/// A gateway address that passed the rules: https, or http to a loopback address; no query, no user, no fragment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(url::Url);

impl Endpoint {
    /// Checks an address.
    ///
    /// # Errors
    /// [`GatewayError::Url`] naming the rule it breaks.
    pub fn new(text: &str) -> Result<Self, GatewayError> {
        todo!("{text}")
    }

    /// Returns the address.
    #[must_use]
    pub fn url(&self) -> &url::Url {
        &self.0
    }
}

/// The client; cheap to clone, one connection pool.
#[derive(Debug, Clone)]
pub struct HttpClient {}

impl HttpClient {
    /// Builds the client.
    ///
    /// # Errors
    /// [`GatewayError::Client`] when TLS cannot be set up.
    pub fn new(settings: &HttpSettings) -> Result<Self, GatewayError> {
        todo!("{settings:?}")
    }
}
