//! The shared signing code, both directions: canonical bytes, signatures, verification, keys.
//!
//! It knows no gateway, no HTTP and no queue. Promise: the bytes it signs are those of the protocol, or it refuses;
//! it never substitutes a character and never tries another algorithm than the configured one.

pub mod canonical;
pub mod charset;
pub mod generate;
pub mod key;

mod dsa;
mod md5;
mod rsa;

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::signing::key::KeyError;

/// The signature algorithms of both gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SignType {
    /// MD5 over the canonical bytes followed by a shared secret (mapi).
    Md5,
    /// DSA with SHA-1 (mapi).
    Dsa,
    /// RSASSA-PKCS1-v1_5 with SHA-1 (both gateways).
    Rsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256 (Open Platform).
    Rsa2,
}

impl SignType {
    /// Returns the value of the `sign_type` parameter.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Dsa => "DSA",
            Self::Rsa => "RSA",
            Self::Rsa2 => "RSA2",
        }
    }
}

impl fmt::Display for SignType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How a DSA signature is written before Base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DsaFormat {
    /// DER `SEQUENCE(r, s)`, what the vendor's own demo sends.
    #[default]
    Der,
    /// r and s as 20 bytes each, big-endian.
    Raw,
}

/// Signs with one private key (or shared secret) and one algorithm.
pub struct Signer {
    inner: SignerKey,
}

enum SignerKey {
    Md5(md5::Secret),
    Dsa(dsa::Private),
    Rsa(rsa::Private),
    Rsa2(rsa::Private2),
}

/// Verifies with one public key (or shared secret) and one algorithm; never any other.
pub struct Verifier {
    inner: VerifierKey,
}

enum VerifierKey {
    Md5(md5::Secret),
    Dsa(dsa::Public),
    Rsa(rsa::Public),
    Rsa2(rsa::Public),
}

/// Says that the crypto library refused to sign; with a key that loaded, a broken random source is the one known cause.
#[derive(Debug, thiserror::Error)]
#[error("signing with {sign_type} failed")]
pub struct SigningError {
    /// The algorithm.
    pub sign_type: SignType,
}

impl Signer {
    /// Loads a private key text (PEM or bare Base64; PKCS#8, PKCS#1, traditional DSA), or the MD5 secret.
    ///
    /// # Errors
    /// [`KeyError`] naming what is wrong with the key and what was expected.
    pub fn load(sign_type: SignType, key: &str, format: DsaFormat) -> Result<Self, KeyError> {
        todo!("{sign_type:?} {key} {format:?}")
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn sign_type(&self) -> SignType {
        todo!()
    }

    /// Signs bytes; returns the `sign` value (lower-case hex for MD5, else one line of Base64).
    ///
    /// # Errors
    /// [`SigningError`] when the crypto library fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SigningError> {
        todo!("{bytes:?}")
    }

    /// Returns the verifier for this signer's own public half (for probes, and for the sandbox).
    #[must_use]
    pub fn own_verifier(&self) -> Verifier {
        todo!()
    }
}

impl Verifier {
    /// Loads a public key text (PEM or bare Base64; SPKI, PKCS#1), or the MD5 secret.
    ///
    /// # Errors
    /// [`KeyError`] naming what is wrong with the key and what was expected.
    pub fn load(sign_type: SignType, key: &str, format: DsaFormat) -> Result<Self, KeyError> {
        todo!("{sign_type:?} {key} {format:?}")
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn sign_type(&self) -> SignType {
        todo!()
    }

    /// Says whether `sign` (as on the wire) is a signature of exactly these bytes; garbage is simply not.
    #[must_use]
    pub fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        todo!("{bytes:?} {sign}")
    }
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({}, ***)", self.sign_type())
    }
}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Verifier({}, ***)", self.sign_type())
    }
}
