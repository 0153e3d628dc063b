//! Certificates as a peer over TLS shows them: an authority of the test's own, and what it issues; and a server that
//! shows them.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// A certificate and its key, both PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// When a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dates {
    Past,
    Now,
    Future,
}

/// An authority; each is another, whatever its name.
pub(crate) struct Pki(CertifiedIssuer<'static, KeyPair>);

impl Pki {
    pub(crate) fn new() -> Self {
        Self(CertifiedIssuer::self_signed(of_authority("Test Authority"), KeyPair::generate().unwrap()).unwrap())
    }

    /// Returns the authority's own certificate.
    pub(crate) fn root(&self) -> String {
        self.0.pem()
    }

    /// Issues a certificate for names (or addresses); the first is the common name, too.
    pub(crate) fn issue(&self, names: &[&str], dates: Dates) -> Pair {
        let key = KeyPair::generate().unwrap();
        let params = of_server(names, dates);
        Pair { certificate: params.signed_by(&key, &self.0).unwrap().pem(), key: key.serialize_pem() }
    }
}

/// A certificate that issued itself for a name: a plain one, or one of an authority, as `openssl req -x509` makes them.
pub(crate) fn self_signed(name: &str, is_ca: IsCa) -> Pair {
    let key = KeyPair::generate().unwrap();
    let mut params = of_server(&[name], Dates::Now);
    params.is_ca = is_ca;
    Pair { certificate: params.self_signed(&key).unwrap().pem(), key: key.serialize_pem() }
}

fn of_server(names: &[&str], dates: Dates) -> CertificateParams {
    let mut params = CertificateParams::new(names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()).unwrap();
    params.distinguished_name.push(DnType::CommonName, names[0]);
    let (from, until) = match dates {
        Dates::Past => (2020, 2021),
        Dates::Now => (2020, 2049),
        Dates::Future => (2048, 2049),
    };
    (params.not_before, params.not_after) = (date_time_ymd(from, 1, 1), date_time_ymd(until, 1, 1));
    params
}

fn of_authority(name: &str) -> CertificateParams {
    let mut params = of_server(&[name], Dates::Now);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// A server that shows a certificate and passes what comes through it on, as a load balancer in front of a gateway does.
pub(crate) struct Front {
    /// Where it listens.
    pub(crate) address: SocketAddr,
    acceptor: Arc<Mutex<TlsAcceptor>>,
    task: JoinHandle<()>,
}

impl Front {
    /// Starts it in front of a plain server.
    pub(crate) async fn start(pair: &Pair, behind: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let acceptor = Arc::new(Mutex::new(acceptor(pair)));
        let shown = Arc::clone(&acceptor);
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let acceptor = shown.lock().unwrap().clone();
                connections.spawn(async move {
                    // A client that trusts nobody here ends the handshake: that is what it is for.
                    let Ok(mut outside) = acceptor.accept(stream).await else { return };
                    let mut inside = TcpStream::connect(behind).await.unwrap();
                    drop(copy_bidirectional(&mut outside, &mut inside).await);
                });
            }
        });
        Self { address, acceptor, task }
    }

    /// Shows another certificate from the next connection on.
    pub(crate) fn show(&self, pair: &Pair) {
        *self.acceptor.lock().unwrap() = acceptor(pair);
    }
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn acceptor(pair: &Pair) -> TlsAcceptor {
    let certificates = CertificateDer::pem_slice_iter(pair.certificate.as_bytes()).map(Result::unwrap).collect();
    let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
    let provider = Arc::new(tokio_rustls::rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_single_cert(certificates, key).unwrap()))
}
