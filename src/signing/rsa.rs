//! RSASSA-PKCS1-v1_5 with SHA-1 (`RSA`) and SHA-256 (`RSA2`); the hash is the configured one, never the signature's own.
//!
//! RSA2 is the signature of every Open Platform call and the cost of a takedown, so keys of 2048 bits and more sign it
//! with aws-lc-rs, four times as fast as the `rsa` crate, which does everything else.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::RSA_PKCS1_SHA256;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use rsa::pkcs1::{RsaPrivateKeyRef, RsaPublicKeyRef};
use rsa::pkcs1v15::{Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::der::Decode;
use rsa::signature::{Keypair, SignatureEncoding, Signer, Verifier};
use rsa::{PrivateKey, PublicKey};
use sha1::digest::const_oid::AssociatedOid;
use sha1::{Digest, Sha1};
use sha2::Sha256;

use crate::signing::key::{self, Half, KeyError, Material};

/// Own key for SHA-1.
pub(super) struct Private(SigningKey<Sha1>);

/// Own key for SHA-256.
pub(super) struct Private2 {
    /// Keys of 2048 bits and more.
    fast: Option<aws_lc_rs::rsa::KeyPair>,
    plain: SigningKey<Sha256>,
}

/// The other side's key, bound to one hash.
pub(super) struct Public<D: Digest>(VerifyingKey<D>);

impl Private {
    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Private)?;
        Ok(Self(SigningKey::new(private(pkcs1(&der)?)?)))
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Option<String> {
        self.0.try_sign(bytes).ok().map(|signature| encode(&signature))
    }

    pub(super) fn public(&self) -> Public<Sha1> {
        Public(self.0.verifying_key())
    }
}

impl Private2 {
    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Private)?;
        let pkcs1 = pkcs1(&der)?;
        let plain = SigningKey::new(private(pkcs1)?);
        // A key that is a key but not to its taste (1024 bits) is no fault: the other library signs with it.
        Ok(Self { fast: aws_lc_rs::rsa::KeyPair::from_der(pkcs1).ok(), plain })
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Option<String> {
        let Some(fast) = &self.fast else {
            return self.plain.try_sign(bytes).ok().map(|signature| encode(&signature));
        };
        let mut signature = vec![0; fast.public_modulus_len()];
        fast.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).ok()?;
        Some(BASE64_STANDARD.encode(signature))
    }

    pub(super) fn public(&self) -> Public<Sha256> {
        Public(self.plain.verifying_key())
    }
}

impl<D: Digest> Public<D> {
    /// Returns the bare key, for [`crate::signing::recover`].
    pub(super) fn key(&self) -> PublicKey {
        AsRef::<PublicKey>::as_ref(&self.0).clone()
    }
}

impl<D: Digest + AssociatedOid> Public<D> {
    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Public)?;
        let pkcs1 = match key::recognise(&der) {
            Material::RsaPublic(pkcs1) => pkcs1,
            other => return Err(other.refuse("an RSA public key (SubjectPublicKeyInfo or PKCS#1)")),
        };
        let numbers = RsaPublicKeyRef::from_der(pkcs1).map_err(|_| damaged())?;
        size(numbers.modulus.as_bytes())?;
        PublicKey::try_from(numbers).map(|key| Self(VerifyingKey::new(key))).map_err(|_| damaged())
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        let Ok(sign) = BASE64_STANDARD.decode(sign) else { return false };
        Signature::try_from(sign.as_slice()).is_ok_and(|signature| self.0.verify(bytes, &signature).is_ok())
    }
}

fn encode(signature: &Signature) -> String {
    BASE64_STANDARD.encode(signature.to_bytes())
}

fn pkcs1(der: &[u8]) -> Result<&[u8], KeyError> {
    match key::recognise(der) {
        Material::RsaPrivate(pkcs1) => Ok(pkcs1),
        other => Err(other.refuse("an RSA private key (PKCS#8 or PKCS#1)")),
    }
}

fn private(pkcs1: &[u8]) -> Result<PrivateKey, KeyError> {
    let numbers = RsaPrivateKeyRef::from_der(pkcs1).map_err(|_| damaged())?;
    size(numbers.modulus.as_bytes())?;
    PrivateKey::try_from(numbers).map_err(|_| damaged())
}

fn size(modulus: &[u8]) -> Result<(), KeyError> {
    match key::bits(modulus) {
        PublicKey::MIN_SIZE..=PublicKey::MAX_SIZE => Ok(()),
        bits => Err(KeyError::numbers(format!("RSA keys of 1024 to 8192 bits are taken, found {bits}"))),
    }
}

fn damaged() -> KeyError {
    KeyError::numbers("its numbers do not belong together; the text may be cut off or altered")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing::SignType;
    use crate::signing::generate::key_pair;

    #[test]
    fn both_libraries_write_the_same_signature() {
        let pair = key_pair(SignType::Rsa2).unwrap();
        let fast = Private2::load(pair.private.expose()).unwrap();
        assert!(fast.fast.is_some());
        let plain = Private2 { fast: None, plain: fast.plain.clone() };
        proptest!(ProptestConfig::with_cases(32), |(message: Vec<u8>)| {
            prop_assert_eq!(fast.sign(&message), plain.sign(&message));
        });
    }

    #[test]
    fn a_signature_of_the_other_hash_is_refused() {
        let pair = key_pair(SignType::Rsa2).unwrap();
        let (sha1, sha256) =
            (Private::load(pair.private.expose()).unwrap(), Private2::load(pair.private.expose()).unwrap());
        let (old, new) = (sha1.sign(b"x").unwrap(), sha256.sign(b"x").unwrap());
        assert!(sha1.public().is_valid(b"x", &old) && sha256.public().is_valid(b"x", &new));
        assert!(!sha1.public().is_valid(b"x", &new) && !sha256.public().is_valid(b"x", &old));
    }

    #[test]
    fn a_signature_is_one_line_of_base64_and_nothing_else() {
        let pair = key_pair(SignType::Rsa2).unwrap();
        let signer = Private2::load(pair.private.expose()).unwrap();
        let sign = signer.sign(b"x").unwrap();
        let public = signer.public();
        assert!(public.is_valid(b"x", &sign));
        for odd in
            [format!("{sign}\n"), format!(" {sign}"), sign.replacen('=', "", 1), sign[4..].to_owned(), String::new()]
        {
            assert!(!public.is_valid(b"x", &odd), "{odd:?}");
        }
    }

    #[test]
    fn sizes_outside_the_range_are_told() {
        let error = size(&[0xFF; 64]).unwrap_err().to_string();
        assert_eq!(error, "the key is not usable: RSA keys of 1024 to 8192 bits are taken, found 512");
    }
}
