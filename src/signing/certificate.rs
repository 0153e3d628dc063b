//! X.509 certificates of the Open Platform's certificate mode (protocol page: Certificate mode): numbers, dates, keys,
//! chains.
//!
//! A file may hold several: the platform's own comes with the intermediate that issued it, its roots come as a bundle.
//! Promise: a certificate's number is the one the vendor's Java SDK computes, or it is refused; what is refused is told
//! by its place in the file and no part of it is quoted.

mod chain;
mod number;

use std::fmt;
use std::time::SystemTime;

use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::BasicConstraints;

pub use crate::signing::certificate::chain::ChainError;

use crate::signing::key::{self, KeyError};
use crate::signing::{SignType, Verifier};

/// Says why a file of certificates cannot be used; places count from 1.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// The text is empty.
    #[error("there is no certificate in it")]
    Empty,
    /// Neither PEM nor Base64.
    #[error("certificate {place} is neither PEM nor Base64: {problem}")]
    Text {
        /// Which certificate of the file.
        place: usize,
        /// What the reader met.
        problem: String,
    },
    /// Something else, by name.
    #[error("expected X.509 certificates, found {found}")]
    Other {
        /// What it seems to be, such as `an RSA private key`.
        found: &'static str,
    },
    /// Base64, but no certificate.
    #[error("certificate {place} is damaged, or no X.509 certificate")]
    Damaged {
        /// Which certificate of the file.
        place: usize,
    },
    /// A certificate whose number the SDKs would not agree about.
    #[error("certificate {place} has no certain number: its issuer's name holds {problem}")]
    Number {
        /// Which certificate of the file.
        place: usize,
        /// What of the name, such as `a BMPString`.
        problem: String,
    },
    /// A certificate whose key does not fit the sign type.
    #[error("the key of certificate {place} is not usable")]
    Key {
        /// Which certificate of the file.
        place: usize,
        /// Why.
        #[source]
        source: KeyError,
    },
}

/// One certificate.
#[derive(Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its place in the file, from 1.
    place: usize,
    der: Vec<u8>,
    content: x509_cert::Certificate,
}

/// The certificates of one file, in its order; at least one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle(Vec<Certificate>);

/// `AlgorithmIdentifier`s below this arc are RSA's (RFC 8017 appendix C: `pkcs-1`).
const PKCS_1: &str = "1.2.840.113549.1.1.";

impl Bundle {
    /// Reads a text: PEM blocks with anything between them, or the bare Base64 of one certificate.
    ///
    /// # Errors
    /// [`CertificateError`], naming which certificate and what is wrong with it.
    pub fn read(text: &str) -> Result<Self, CertificateError> {
        let text = key::plain(text);
        if text.trim().is_empty() {
            return Err(CertificateError::Empty);
        }
        let bodies = if text.contains("-----BEGIN ") { blocks(&text)? } else { vec![text.as_str()] };
        let certificates = bodies.into_iter().zip(1..).map(|(body, place)| Certificate::read(body, place));
        certificates.collect::<Result<_, _>>().map(Self)
    }

    /// Returns the certificate the file is about: the first that issued no other one of the file, and may issue none if
    /// there is such a one.
    ///
    /// The platform writes it first, its issuers behind it, and SDKs take the first; a file put together the other way
    /// round means the same one.
    #[must_use]
    pub fn leaf(&self) -> &Certificate {
        self.leaves().first().copied().unwrap_or(&self.0[0])
    }

    /// Returns a second certificate that the file could be about as well as about its [`leaf`](Self::leaf); no authority
    /// is one.
    #[must_use]
    pub fn other_leaf(&self) -> Option<&Certificate> {
        self.leaves().into_iter().find(|other| other.der != self.leaf().der && !other.is_authority())
    }

    fn leaves(&self) -> Vec<&Certificate> {
        let issued_another = |one: &Certificate| self.0.iter().any(|other| other != one && other.is_by(one));
        let last: Vec<_> = self.0.iter().filter(|one| !issued_another(one)).collect();
        let plain: Vec<_> = last.iter().copied().filter(|one| !one.is_authority()).collect();
        if plain.is_empty() { last } else { plain }
    }

    /// Iterates over the certificates, in the file's order.
    pub fn iter(&self) -> impl Iterator<Item = &Certificate> {
        self.0.iter()
    }

    /// Returns `alipay_root_cert_sn`: the numbers of the certificates signed with RSA, in the file's order, joined by
    /// `_`; `None` where there is no such certificate.
    ///
    /// # Errors
    /// [`CertificateError::Number`].
    pub fn root_number(&self) -> Result<Option<String>, CertificateError> {
        let numbers = self.0.iter().filter(|one| one.is_signed_with_rsa()).map(Certificate::number);
        let numbers = numbers.collect::<Result<Vec<_>, _>>()?;
        Ok((!numbers.is_empty()).then(|| numbers.join("_")))
    }
}

impl Certificate {
    fn read(body: &str, place: usize) -> Result<Self, CertificateError> {
        let der = key::base64(body).map_err(|error| match error {
            KeyError::Text { problem } => CertificateError::Text { place, problem },
            KeyError::Empty | KeyError::Structure { .. } | KeyError::Numbers { .. } => {
                CertificateError::Damaged { place }
            }
        })?;
        let Ok(content) = x509_cert::Certificate::from_der(&der) else {
            return Err(match key::recognise(&der).key() {
                Some(found) => CertificateError::Other { found },
                None => CertificateError::Damaged { place },
            });
        };
        Ok(Self { place, der: der.to_vec(), content })
    }

    /// Returns the number it is known by: the lower-case hex MD5 of its issuer's name and its serial number.
    ///
    /// # Errors
    /// [`CertificateError::Number`] where the name holds text whose bytes SDKs read differently.
    pub fn number(&self) -> Result<String, CertificateError> {
        let tbs = self.content.tbs_certificate();
        let number = number::of(tbs.issuer(), tbs.serial_number().as_bytes());
        number.map_err(|problem| CertificateError::Number { place: self.place, problem })
    }

    /// Returns what its key verifies with.
    ///
    /// # Errors
    /// [`CertificateError::Key`] where the key is none of RSA.
    pub fn verifier(&self, sign_type: SignType) -> Result<Verifier, CertificateError> {
        let key = self.content.tbs_certificate().subject_public_key_info().to_der();
        let verifier = key.map_err(|_| KeyError::numbers("it cannot be written as DER"));
        let verifier = verifier.and_then(|der| Verifier::from_certificate(sign_type, &der));
        verifier.map_err(|source| CertificateError::Key { place: self.place, source })
    }

    /// Returns the first moment it is valid.
    #[must_use]
    pub fn not_before(&self) -> SystemTime {
        self.content.tbs_certificate().validity().not_before.to_system_time()
    }

    /// Returns the last moment it is valid.
    #[must_use]
    pub fn not_after(&self) -> SystemTime {
        self.content.tbs_certificate().validity().not_after.to_system_time()
    }

    /// Returns whom it is about, for people: its common name, or the whole name where it has none.
    #[must_use]
    pub fn subject(&self) -> String {
        shown(self.content.tbs_certificate().subject())
    }

    /// Returns who issued it, for people.
    #[must_use]
    pub fn issuer(&self) -> String {
        shown(self.content.tbs_certificate().issuer())
    }

    /// Says whether it bears its own issuer's name, as a root does.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.is_by(self)
    }

    /// Says whether it was signed with RSA: the only ones a root bundle's number counts.
    #[must_use]
    pub fn is_signed_with_rsa(&self) -> bool {
        self.algorithm().to_string().starts_with(PKCS_1)
    }

    /// Says by the names alone whether `issuer` issued it.
    fn is_by(&self, issuer: &Self) -> bool {
        self.content.tbs_certificate().issuer() == issuer.content.tbs_certificate().subject()
    }

    fn algorithm(&self) -> ObjectIdentifier {
        self.content.signature_algorithm().oid
    }

    /// Says whether it may issue others (RFC 5280 section 4.2.1.9).
    fn is_authority(&self) -> bool {
        let constraints = self.content.tbs_certificate().get_extension::<BasicConstraints>();
        matches!(constraints, Ok(Some((_, BasicConstraints { ca: true, .. }))))
    }
}

/// It is public, and long.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({})", self.subject())
    }
}

/// Returns the bodies of the certificates among PEM blocks; what else the file holds does not matter if there is one.
fn blocks(text: &str) -> Result<Vec<&str>, CertificateError> {
    let mut bodies = Vec::new();
    let mut other = None;
    for text in text.split("-----BEGIN ").skip(1) {
        let place = bodies.len() + 1;
        let (label, body) = key::block(text).map_err(|error| match error {
            KeyError::Text { problem } => CertificateError::Text { place, problem },
            KeyError::Empty | KeyError::Structure { .. } | KeyError::Numbers { .. } => {
                CertificateError::Damaged { place }
            }
        })?;
        match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => bodies.push(body),
            "CERTIFICATE REQUEST" | "NEW CERTIFICATE REQUEST" => {
                other = Some("a request for a certificate; upload it to the platform and download the certificate");
            }
            _ if label.ends_with("PRIVATE KEY") => other = Some("a private key"),
            _ if label.ends_with("PUBLIC KEY") => other = Some("a public key"),
            _ => other = Some("PEM of another kind"),
        }
    }
    match other {
        Some(found) if bodies.is_empty() => Err(CertificateError::Other { found }),
        _ => Ok(bodies),
    }
}

/// A name may hold anything; what is shown is one short line.
fn shown(name: &x509_cert::name::Name) -> String {
    let common = name.common_name().ok().flatten().map(|common| common.value().into_owned());
    let text = common.filter(|common| !common.is_empty()).unwrap_or_else(|| name.to_string());
    text.chars().filter(|c| !c.is_control()).take(80).collect()
}
