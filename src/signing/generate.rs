//! New key pairs, for rehearsals and tests; real keys are made and kept by their owners.

use crate::domain::secret::Secret;
use crate::signing::SignType;

/// A new pair, as key texts that [`crate::signing::Signer::load`] and [`crate::signing::Verifier::load`] take.
#[derive(Debug)]
pub struct KeyPair {
    /// PKCS#8 PEM, or the MD5 secret.
    pub private: Secret,
    /// SubjectPublicKeyInfo PEM, or the same MD5 secret.
    pub public: Secret,
}

/// Says that the crypto library could not make a key.
#[derive(Debug, thiserror::Error)]
#[error("no {sign_type} key pair could be made")]
pub struct GenerateError {
    /// The algorithm.
    pub sign_type: SignType,
}

/// Makes a pair: RSA of 2048 bits, DSA of 1024/160, or 32 random hex digits for MD5.
///
/// # Errors
/// [`GenerateError`] when the random source fails.
pub fn key_pair(sign_type: SignType) -> Result<KeyPair, GenerateError> {
    todo!("{sign_type}")
}
