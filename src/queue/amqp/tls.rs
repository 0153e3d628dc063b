//! TLS to the broker: whom to believe, and as whom to come.
//!
//! Promise: an address of `amqps://` is spoken to over TLS or not at all, and a certificate that does not hold ends the
//! attempt before user and password are told.

use std::io;

use lapin::tcp::{AMQPUriTcpExt, RustlsConnector, RustlsConnectorConfig, TLSConfig};
use lapin::uri::{AMQPScheme, AMQPUri};
use lapin::{Connection, ConnectionProperties};

use crate::tls::{Identity, Roots};

/// Settings of TLS to the broker; the default trusts the machine's roots and shows no certificate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Whom the broker's certificate is believed from, instead of the machine's roots.
    pub roots: Option<Roots>,
    /// What is shown to a broker that asks for a certificate (`verify_peer`).
    pub identity: Option<Identity>,
}

impl TlsSettings {
    /// Builds what every connection to one broker shares; it takes reading the machine's roots.
    ///
    /// # Errors
    /// The machine's, when its roots are needed and cannot be read.
    pub(super) fn connector(&self) -> io::Result<RustlsConnector> {
        let config = match &self.roots {
            Some(roots) => RustlsConnectorConfig::default()
                .with_parsable_certificates(roots.iter().map(|root| root.to_vec().into()).collect()),
            None => RustlsConnectorConfig::new_with_native_certs()?,
        };
        match &self.identity {
            Some(identity) => {
                let (certificates, key) = identity.parts().map_err(io::Error::other)?;
                config.connector_with_single_cert(certificates, key)
            }
            None => config.connector_with_no_client_auth(),
        }
    }
}

/// Connects once, over TLS where there is a connector for it: lapin's own way would trust the machine's roots too.
///
/// # Errors
/// lapin's.
pub(super) async fn connect(
    uri: AMQPUri,
    tls: Option<RustlsConnector>,
    properties: ConnectionProperties,
) -> lapin::Result<Connection> {
    let dial = async move |uri: AMQPUri, runtime| {
        let host = uri.authority.host.clone();
        let plain = AMQPUri { scheme: AMQPScheme::AMQP, ..uri };
        let stream = plain.connect_with_config_async(TLSConfig::default(), &runtime).await?;
        match &tls {
            Some(connector) => Ok(stream.into_rustls(connector, &host).await?),
            None => Ok(stream),
        }
    };
    Connection::connector(uri, lapin::runtime::default_runtime()?, dial, properties).await
}
