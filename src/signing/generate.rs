//! New key pairs and certificates, for rehearsals and tests; real ones are made and kept by their owners.

pub mod authority;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize as RsaSize;
use aws_lc_rs::signature::KeyPair as _;
use dsa::{Components, KeySize as DsaSize, SigningKey};
use pkcs8::{Document, EncodePrivateKey, EncodePublicKey, LineEnding, SecretDocument};
use rand::RngExt;

use crate::domain::secret::Secret;
use crate::signing::SignType;

/// A new pair, as key texts that [`crate::signing::Signer::load`] and [`crate::signing::Verifier::load`] take.
#[derive(Debug)]
pub struct KeyPair {
    /// PKCS#8 PEM, or the MD5 secret.
    pub private: Secret,
    /// `SubjectPublicKeyInfo` PEM, or the same MD5 secret.
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
    let pair = match sign_type {
        SignType::Md5 => Some(md5()),
        SignType::Dsa => dsa(),
        SignType::Rsa | SignType::Rsa2 => rsa(),
    };
    pair.ok_or(GenerateError { sign_type })
}

fn md5() -> KeyPair {
    let secret = Secret::new(format!("{:032x}", rand::rng().random::<u128>()));
    KeyPair { private: secret.clone(), public: secret }
}

fn rsa() -> Option<KeyPair> {
    let pair = aws_lc_rs::rsa::KeyPair::generate(RsaSize::Rsa2048).ok()?;
    let private: Pkcs8V1Der<'_> = pair.as_der().ok()?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().ok()?;
    let private = SecretDocument::try_from(private.as_ref()).ok()?;
    let public = Document::try_from(public.as_ref()).ok()?;
    Some(KeyPair {
        private: Secret::new(private.to_pem("PRIVATE KEY", LineEnding::LF).ok()?.as_str()),
        public: Secret::new(public.to_pem("PUBLIC KEY", LineEnding::LF).ok()?),
    })
}

#[expect(deprecated, reason = "weak by today's measure, and the only size mapi knows (protocol page: mapi, Signature)")]
const DSA_SIZE: DsaSize = DsaSize::DSA_1024_160;

fn dsa() -> Option<KeyPair> {
    let mut rng = rand::rng();
    let Ok(components) = Components::try_generate_from_rng_with_key_size(&mut rng, DSA_SIZE);
    let Ok(key) = SigningKey::try_generate_from_rng_with_components(&mut rng, components);
    Some(KeyPair {
        private: Secret::new(key.to_pkcs8_pem(LineEnding::LF).ok()?.as_str()),
        public: Secret::new(key.verifying_key().to_public_key_pem(LineEnding::LF).ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::{DsaFormat, Signer, Verifier};

    #[test]
    fn a_new_pair_loads_signs_and_verifies() {
        for sign_type in [SignType::Md5, SignType::Dsa, SignType::Rsa, SignType::Rsa2] {
            let pair = key_pair(sign_type).unwrap();
            let signer = Signer::load(sign_type, pair.private.expose(), DsaFormat::Der).unwrap();
            let verifier = Verifier::load(sign_type, pair.public.expose(), DsaFormat::Der).unwrap();
            let sign = signer.sign(b"probe").unwrap();
            assert!(verifier.is_valid(b"probe", &sign), "{sign_type}");
            assert!(!verifier.is_valid(b"other", &sign), "{sign_type}");
        }
    }
}
