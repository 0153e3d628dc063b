//! The shared signing code, both directions: canonical bytes, signatures, verification, keys.
//!
//! It knows no gateway, no HTTP and no queue. Promise: the bytes it signs are those of the protocol, or it refuses;
//! it never substitutes a character and never tries another algorithm than the configured one.
//!
//! # One job, one engine
//! RSA2 with keys of 2048 bits and more is signed and verified by aws-lc-rs, content is encrypted by it too; RSA2 with
//! smaller keys, RSA and MD5 by the crates `rsa` and `md-5`. `tests/it/signing_engines.rs` holds the two RSA engines to the
//! same signatures and the same verdicts, over new keys in every run. DSA is ours over `crypto-bigint`, with keys and
//! signatures read and written by the crate `dsa`; `tests/it/dsa_engines.rs` holds it to that crate's, and to OpenSSL's.
//!
//! # What is wiped from memory
//! Read in the sources of rsa 0.10.0, dsa 0.7.0, crypto-bigint 0.7.11, rfc6979 0.6.0, aws-lc-rs 1.19.0 (aws-lc-sys 0.47.0)
//! and md-5 0.11.0.
//!
//! | material | wiped |
//! |---|---|
//! | the configuration file and its values, key files, key texts, their Base64, the DER inside | when they have been read; a buffer for a key has its room at once, so that none leaves a copy behind as it grows |
//! | MD5 secret, content key, merchants' tokens, user keys | on drop ([`crate::domain::secret::Secret`], [`content::ContentKey`]); the MD5 state that took the secret in, too |
//! | RSA keys in aws-lc-rs | on drop: its `OPENSSL_free` clears all it frees; so do AES key schedules |
//! | RSA keys in `rsa` (RSA, and small keys for RSA2) | exponent, primes and CRT exponents on drop. Not: what loading made on the way (Montgomery parameters of both primes), and the CRT coefficient |
//! | DSA keys in `dsa` | x on drop; our copies of x, the nonce and its inverse of every signature made. Not: the libraries' own copies of the nonce and its inverse, and the state of the nonce's generator, which is made of x |
//! | generated key pairs | on drop, as above |
//! | canonical bytes | as soon as they are signed |
//!
//! Never wiped, because others hold it: the environment the process was started with, the broker's address, messages in
//! the hands of the queue, and requests on their way out, in HTTP and TLS.

pub mod canonical;
pub mod certificate;
pub mod charset;
pub mod content;
pub mod generate;
pub mod key;
pub mod recover;

mod dsa;
mod md5;
mod rsa;

use std::fmt;

use serde::{Deserialize, Serialize};
use sha1::Sha1;

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

/// How long a signature holds up the thread that makes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Microseconds (MD5, and verifying RSA) or some tenths of a millisecond (RSA2 by aws-lc-rs, DSA of 1024 bits).
    Quick,
    /// Half a millisecond and more: signatures of the crate `rsa`, and DSA of larger keys.
    Slow,
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
    Rsa(rsa::Public<Sha1>),
    Rsa2(rsa::Public2),
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
        let inner = match sign_type {
            SignType::Md5 => SignerKey::Md5(md5::Secret::load(key)?),
            SignType::Dsa => SignerKey::Dsa(dsa::Private::load(key, format)?),
            SignType::Rsa => SignerKey::Rsa(rsa::Private::load(key)?),
            SignType::Rsa2 => SignerKey::Rsa2(rsa::Private2::load(key)?),
        };
        Ok(Self { inner })
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn sign_type(&self) -> SignType {
        match self.inner {
            SignerKey::Md5(_) => SignType::Md5,
            SignerKey::Dsa(_) => SignType::Dsa,
            SignerKey::Rsa(_) => SignType::Rsa,
            SignerKey::Rsa2(_) => SignType::Rsa2,
        }
    }

    /// Returns how long a signature takes.
    #[must_use]
    pub fn effort(&self) -> Effort {
        match &self.inner {
            SignerKey::Md5(_) | SignerKey::Rsa2(rsa::Private2::Fast(_)) => Effort::Quick,
            SignerKey::Dsa(key) => key.effort(),
            SignerKey::Rsa(_) | SignerKey::Rsa2(rsa::Private2::Plain(_)) => Effort::Slow,
        }
    }

    /// Signs bytes; returns the `sign` value (lower-case hex for MD5, else one line of Base64).
    ///
    /// # Errors
    /// [`SigningError`] when the crypto library fails.
    pub fn sign(&self, bytes: &[u8]) -> Result<String, SigningError> {
        let sign = match &self.inner {
            SignerKey::Md5(key) => Some(key.sign(bytes)),
            SignerKey::Dsa(key) => key.sign(bytes),
            SignerKey::Rsa(key) => key.sign(bytes),
            SignerKey::Rsa2(key) => key.sign(bytes),
        };
        sign.ok_or_else(|| SigningError { sign_type: self.sign_type() })
    }

    /// Returns the verifier for this signer's own public half (for probes, and for the sandbox).
    #[must_use]
    pub fn own_verifier(&self) -> Verifier {
        let inner = match &self.inner {
            SignerKey::Md5(key) => VerifierKey::Md5(key.clone()),
            SignerKey::Dsa(key) => VerifierKey::Dsa(key.public()),
            SignerKey::Rsa(key) => VerifierKey::Rsa(key.public()),
            SignerKey::Rsa2(key) => VerifierKey::Rsa2(key.public()),
        };
        Verifier { inner }
    }
}

impl Verifier {
    /// Loads a public key text (PEM or bare Base64; SPKI, PKCS#1), or the MD5 secret.
    ///
    /// # Errors
    /// [`KeyError`] naming what is wrong with the key and what was expected.
    pub fn load(sign_type: SignType, key: &str, format: DsaFormat) -> Result<Self, KeyError> {
        let inner = match sign_type {
            SignType::Md5 => VerifierKey::Md5(md5::Secret::load(key)?),
            SignType::Dsa => VerifierKey::Dsa(dsa::Public::load(key, format)?),
            SignType::Rsa => VerifierKey::Rsa(rsa::Public::load(key)?),
            SignType::Rsa2 => VerifierKey::Rsa2(rsa::Public2::load(key)?),
        };
        Ok(Self { inner })
    }

    /// Takes the public key of a certificate, which for the Open Platform is one of RSA.
    fn from_certificate(sign_type: SignType, public_key: &[u8]) -> Result<Self, KeyError> {
        let inner = match sign_type {
            SignType::Rsa => VerifierKey::Rsa(rsa::Public::from_der(public_key)?),
            SignType::Rsa2 => VerifierKey::Rsa2(rsa::Public2::from_der(public_key)?),
            SignType::Md5 | SignType::Dsa => {
                return Err(KeyError::numbers(format!("certificates go with RSA and RSA2, not with {sign_type}")));
            }
        };
        Ok(Self { inner })
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn sign_type(&self) -> SignType {
        match self.inner {
            VerifierKey::Md5(_) => SignType::Md5,
            VerifierKey::Dsa(_) => SignType::Dsa,
            VerifierKey::Rsa(_) => SignType::Rsa,
            VerifierKey::Rsa2(_) => SignType::Rsa2,
        }
    }

    /// Returns how long verifying takes.
    #[must_use]
    pub fn effort(&self) -> Effort {
        match &self.inner {
            VerifierKey::Dsa(key) => key.effort(),
            VerifierKey::Md5(_) | VerifierKey::Rsa(_) | VerifierKey::Rsa2(_) => Effort::Quick,
        }
    }

    /// Says whether `sign` (as on the wire) is a signature of exactly these bytes; garbage is simply not.
    #[must_use]
    pub fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        match &self.inner {
            VerifierKey::Md5(key) => key.is_valid(bytes, sign),
            VerifierKey::Dsa(key) => key.is_valid(bytes, sign),
            VerifierKey::Rsa(key) => key.is_valid(bytes, sign),
            VerifierKey::Rsa2(key) => key.is_valid(bytes, sign),
        }
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
