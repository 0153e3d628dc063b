//! TLS: whom to trust, as whom to come, and what a handshake that failed says.
//!
//! Certificates here are those of a connection's ends; those of the Open Platform's certificate mode are
//! [`crate::signing::certificate`]'s. Promise: what is given as a root is trusted instead of the machine's roots, never
//! beside them, and a file of which a part cannot be used is refused whole.

use std::error::Error;
use std::{fmt, io};

use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, CertificateError, RootCertStore};

use crate::domain::reply::CertificateFault;
use crate::domain::secret::Secret;

/// Says why certificates, or a key, for TLS cannot be used; places count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// A text without a certificate in PEM.
    #[error("holds no certificate in PEM")]
    NoCertificate,
    /// One certificate of several cannot be read.
    #[error("holds a certificate that cannot be used (number {place} in it)")]
    Certificate {
        /// Which of them.
        place: usize,
    },
    /// A text without a private key in PEM.
    #[error("holds no private key in PEM that is not encrypted")]
    NoKey,
    /// The key is one of an unknown kind, or of another certificate.
    #[error("holds a private key that is not the first certificate's")]
    NoPair,
}

/// Certificates of authorities, trusted instead of those of the machine; at least one.
#[derive(Clone, PartialEq, Eq)]
pub struct Roots(Vec<CertificateDer<'static>>);

impl Roots {
    /// Reads a text: PEM blocks with anything between them.
    ///
    /// # Errors
    /// [`TlsError::NoCertificate`] or [`TlsError::Certificate`].
    pub fn read(text: &str) -> Result<Self, TlsError> {
        let roots = certificates(text)?;
        let mut store = RootCertStore::empty();
        for (at, root) in roots.iter().enumerate() {
            store.add(root.clone()).map_err(|_| TlsError::Certificate { place: at + 1 })?;
        }
        Ok(Self(roots))
    }

    /// Gives out each as DER.
    pub fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(|root| &**root)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Roots({})", self.0.len())
    }
}

/// A certificate of one's own with its private key, shown to a peer that asks for one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    certificates: String,
    key: Secret,
}

impl Identity {
    /// Reads a certificate, followed by those between it and a root if there are any, and its key; both PEM.
    ///
    /// # Errors
    /// [`TlsError`]; the first two variants are about the certificate, the others about the key.
    pub fn read(certificates: impl Into<String>, key: Secret) -> Result<Self, TlsError> {
        let identity = Self { certificates: certificates.into(), key };
        let (chain, key) = identity.parts()?;
        CertifiedKey::from_der(chain, key, &rustls::crypto::aws_lc_rs::default_provider()).map_err(|error| {
            let is_certificate = matches!(error, rustls::Error::InvalidCertificate(_));
            if is_certificate { TlsError::Certificate { place: 1 } } else { TlsError::NoPair }
        })?;
        Ok(identity)
    }

    /// Gives out the certificates and the key, for a connector.
    ///
    /// # Errors
    /// None, once it was read.
    pub fn parts(&self) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), TlsError> {
        let key = PrivateKeyDer::from_pem_slice(self.key.expose().as_bytes()).map_err(|_| TlsError::NoKey)?;
        Ok((certificates(&self.certificates)?, key))
    }
}

fn certificates(text: &str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let read: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
    read.ok().filter(|found| !found.is_empty()).ok_or(TlsError::NoCertificate)
}

/// What a broken handshake was about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsFault {
    /// The peer's certificate is not accepted.
    Certificate(CertificateFault),
    /// The peer asks for a certificate, and none is given.
    OwnMissing,
    /// The peer does not accept the certificate it was shown.
    OwnRefused,
    /// What answers does not speak TLS.
    NotSpoken,
    /// It broke in another way.
    Broken,
}

impl TlsFault {
    /// Looks for an error of TLS among an error and its causes.
    #[must_use]
    pub fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        std::iter::successors(Some(error), |error| (*error).source()).find_map(judge)
    }
}

impl TlsFault {
    /// Says what is wrong and what to do; `section` is that of the configuration, `address` the setting with the name that
    /// was called.
    #[must_use]
    pub fn advice(self, section: &str, address: &str) -> String {
        match self {
            Self::Certificate(CertificateFault::Expired) => {
                "its certificate is out of date: have it renewed, or set this machine's clock".to_owned()
            }
            Self::Certificate(CertificateFault::NotYetValid) => {
                "its certificate begins later: set this machine's clock".to_owned()
            }
            Self::Certificate(CertificateFault::WrongName) => {
                format!(
                    "its certificate is another name's: write the right one in {address}, or look who answers there"
                )
            }
            Self::Certificate(CertificateFault::UnknownIssuer) => format!(
                "nobody trusted here issued its certificate: if the authority is your own, give its certificate as \
                 `{section}.ca_file`; if not, look who answers there"
            ),
            Self::Certificate(CertificateFault::Authority) => format!(
                "its certificate is an authority's (made by itself?) and may not serve: issue one for the server, and give \
                 the authority's as `{section}.ca_file`"
            ),
            Self::Certificate(CertificateFault::Refused) => {
                "its certificate cannot be accepted: have one issued that is meant for a server".to_owned()
            }
            Self::OwnMissing => format!(
                "it asks for a certificate of ours: give `{section}.client_cert_file` and `{section}.client_key_file`"
            ),
            Self::OwnRefused => format!(
                "it does not accept our certificate: `{section}.client_cert_file` must be in date, and issued by an \
                 authority that the other end knows"
            ),
            Self::NotSpoken => {
                format!("what answers there does not speak TLS: is the port in {address} the one for it?")
            }
            Self::Broken => "the other end broke it off, or speaks no TLS that is safe (1.2 or 1.3)".to_owned(),
        }
    }
}

/// An `io::Error` is its cause's twin: it gives out what the cause was caused by, not the cause.
fn judge(error: &(dyn Error + 'static)) -> Option<TlsFault> {
    if let Some(error) = error.downcast_ref::<rustls::Error>() {
        return Some(said(error));
    }
    let within = error.downcast_ref::<io::Error>()?.get_ref()?;
    judge(within)
}

fn said(error: &rustls::Error) -> TlsFault {
    match error {
        rustls::Error::InvalidCertificate(error) => TlsFault::Certificate(refused(error)),
        rustls::Error::NoCertificatesPresented => TlsFault::Certificate(CertificateFault::Refused),
        rustls::Error::InvalidMessage(_) => TlsFault::NotSpoken,
        // RFC 8446, section 6.2; TLS 1.2 has `handshake_failure` for a certificate that was asked for and not given, and
        // for much else.
        rustls::Error::AlertReceived(alert) => match alert {
            AlertDescription::CertificateRequired => TlsFault::OwnMissing,
            AlertDescription::BadCertificate
            | AlertDescription::UnsupportedCertificate
            | AlertDescription::CertificateRevoked
            | AlertDescription::CertificateExpired
            | AlertDescription::CertificateUnknown
            | AlertDescription::UnknownCA
            | AlertDescription::AccessDenied => TlsFault::OwnRefused,
            _ => TlsFault::Broken,
        },
        _ => TlsFault::Broken,
    }
}

fn refused(error: &CertificateError) -> CertificateFault {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => CertificateFault::Expired,
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => CertificateFault::NotYetValid,
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            CertificateFault::WrongName
        }
        CertificateError::UnknownIssuer | CertificateError::BadSignature => CertificateFault::UnknownIssuer,
        CertificateError::Other(error) => match error.0.downcast_ref() {
            Some(webpki::Error::CaUsedAsEndEntity) => CertificateFault::Authority,
            _ => CertificateFault::Refused,
        },
        _ => CertificateFault::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_found_however_deep_it_lies() {
        let expired = || rustls::Error::InvalidCertificate(CertificateError::Expired);
        let fault = Some(TlsFault::Certificate(CertificateFault::Expired));
        assert_eq!(TlsFault::of(&expired()), fault);
        let wrapped = io::Error::other(io::Error::new(io::ErrorKind::InvalidData, expired()));
        assert_eq!(TlsFault::of(&wrapped), fault);
        assert_eq!(TlsFault::of(&io::Error::from(io::ErrorKind::ConnectionReset)), None);
        assert_eq!(TlsFault::of(&io::Error::other("certificate expired")), None, "words are not believed");
    }

    #[test]
    fn what_the_other_end_says_of_our_certificate_is_told_apart() {
        let alert = |alert| TlsFault::of(&rustls::Error::AlertReceived(alert));
        assert_eq!(alert(AlertDescription::CertificateRequired), Some(TlsFault::OwnMissing));
        assert_eq!(alert(AlertDescription::UnknownCA), Some(TlsFault::OwnRefused));
        assert_eq!(alert(AlertDescription::ProtocolVersion), Some(TlsFault::Broken));
    }

    #[test]
    fn advice_names_the_setting() {
        let unknown = TlsFault::Certificate(CertificateFault::UnknownIssuer).advice("http", "`endpoint`");
        assert!(unknown.contains("`http.ca_file`"), "{unknown}");
        let wrong = TlsFault::Certificate(CertificateFault::WrongName).advice("amqp", "`amqp.url`");
        assert!(wrong.contains("in `amqp.url`"), "{wrong}");
    }
}
