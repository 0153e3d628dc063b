//! RSASSA-PKCS1-v1_5 with SHA-1 (`RSA`) and SHA-256 (`RSA2`); the hash is the configured one, never the signature's own.
//!
//! RSA2 is the signature of every Open Platform call and the cost of a takedown, so keys of 2048 bits and more sign and
//! verify it with aws-lc-rs, several times as fast as the `rsa` crate, which does everything else. Promise: no one could
//! tell by a signature or a verdict which of the two was at work.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeyPair;
use aws_lc_rs::signature::{KeyPair as _, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256};
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
pub(super) enum Private2 {
    /// 2048 bits and more. The `rsa` crate, whose working copies of the primes are not wiped, never sees this key.
    Fast(KeyPair),
    /// Smaller ones, and what else is a key but not to the other library's taste.
    Plain(Box<SigningKey<Sha256>>),
}

/// The other side's key, bound to one hash.
pub(super) struct Public<D: Digest>(VerifyingKey<D>);

/// The other side's key for SHA-256.
pub(super) enum Public2 {
    /// 2048 bits and more.
    Fast(ParsedPublicKey),
    /// As [`Private2::Plain`].
    Plain(Public<Sha256>),
}

impl Private {
    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Private)?;
        Ok(Self(SigningKey::new(private(numbers(own(&der)?)?)?)))
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
        let pkcs1 = own(&der)?;
        // Both read the same documents: aws-lc-rs would overlook bytes behind the numbers.
        let numbers = numbers(pkcs1)?;
        match KeyPair::from_der(pkcs1) {
            Ok(fast) => Ok(Self::Fast(fast)),
            Err(_) => Ok(Self::Plain(Box::new(SigningKey::new(private(numbers)?)))),
        }
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> Option<String> {
        match self {
            Self::Fast(key) => {
                let mut signature = vec![0; key.public_modulus_len()];
                key.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), bytes, &mut signature).ok()?;
                Some(BASE64_STANDARD.encode(signature))
            }
            Self::Plain(key) => key.try_sign(bytes).ok().map(|signature| encode(&signature)),
        }
    }

    pub(super) fn public(&self) -> Public2 {
        match self {
            Self::Fast(key) => Public2::Fast(
                fast(key.public_key().as_ref()).expect("invariant: the public half of a key that loaded loads too"),
            ),
            Self::Plain(key) => Public2::Plain(Public(key.verifying_key())),
        }
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
        Self::from_der(&key::read(text, Half::Public)?)
    }

    pub(super) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        Ok(Self(VerifyingKey::new(public(other(der)?)?)))
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        let Ok(sign) = BASE64_STANDARD.decode(sign) else { return false };
        Signature::try_from(sign.as_slice()).is_ok_and(|signature| self.0.verify(bytes, &signature).is_ok())
    }
}

impl Public2 {
    /// Returns the bare key, for [`crate::signing::recover`].
    pub(super) fn key(&self) -> PublicKey {
        match self {
            Self::Fast(key) => public(key.as_ref()).expect("invariant: a key that loaded has the numbers of one"),
            Self::Plain(key) => key.key(),
        }
    }

    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        Self::from_der(&key::read(text, Half::Public)?)
    }

    pub(super) fn from_der(der: &[u8]) -> Result<Self, KeyError> {
        let pkcs1 = other(der)?;
        // Which keys are taken is for one of the two to say, and this one names the sizes.
        let plain = public(pkcs1)?;
        Ok(fast(pkcs1).map_or_else(|| Self::Plain(Public(VerifyingKey::new(plain))), Self::Fast))
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        match self {
            Self::Fast(key) => BASE64_STANDARD.decode(sign).is_ok_and(|sign| key.verify_sig(bytes, &sign).is_ok()),
            Self::Plain(key) => key.is_valid(bytes, sign),
        }
    }
}

/// Loads a public key for aws-lc-rs, unless it is smaller than the 2048 bits from which that verifies.
fn fast(pkcs1: &[u8]) -> Option<ParsedPublicKey> {
    let numbers = RsaPublicKeyRef::from_der(pkcs1).ok()?;
    if key::bits(numbers.modulus.as_bytes()) < 2048 {
        return None;
    }
    ParsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pkcs1).ok()
}

fn encode(signature: &Signature) -> String {
    BASE64_STANDARD.encode(signature.to_bytes())
}

/// Returns the PKCS#1 structure of one's own key.
fn own(der: &[u8]) -> Result<&[u8], KeyError> {
    match key::recognise(der) {
        Material::RsaPrivate(pkcs1) => Ok(pkcs1),
        other => Err(other.refuse("an RSA private key (PKCS#8 or PKCS#1)")),
    }
}

/// Returns the PKCS#1 structure of the other side's key.
fn other(der: &[u8]) -> Result<&[u8], KeyError> {
    match key::recognise(der) {
        Material::RsaPublic(pkcs1) => Ok(pkcs1),
        other => Err(other.refuse("an RSA public key (SubjectPublicKeyInfo or PKCS#1)")),
    }
}

/// Finds the numbers of a private key where they lie; nothing is copied.
fn numbers(pkcs1: &[u8]) -> Result<RsaPrivateKeyRef<'_>, KeyError> {
    let numbers = RsaPrivateKeyRef::from_der(pkcs1).map_err(|_| damaged())?;
    size(numbers.modulus.as_bytes())?;
    Ok(numbers)
}

fn private(numbers: RsaPrivateKeyRef<'_>) -> Result<PrivateKey, KeyError> {
    PrivateKey::try_from(numbers).map_err(|_| damaged())
}

fn public(pkcs1: &[u8]) -> Result<PublicKey, KeyError> {
    let numbers = RsaPublicKeyRef::from_der(pkcs1).map_err(|_| damaged())?;
    size(numbers.modulus.as_bytes())?;
    PublicKey::try_from(numbers).map_err(|_| damaged())
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
    use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};

    use super::*;
    use crate::signing::SignType;
    use crate::signing::generate::key_pair;

    #[test]
    fn the_fast_library_has_the_keys_it_can_take_and_no_smaller_one() {
        let large = key_pair(SignType::Rsa2).unwrap();
        let private = Private2::load(large.private.expose()).unwrap();
        assert!(matches!(private, Private2::Fast(_)) && matches!(private.public(), Public2::Fast(_)));
        assert!(matches!(Public2::load(large.public.expose()).unwrap(), Public2::Fast(_)));

        let small = PrivateKey::new(&mut rand::rng(), 1024).unwrap();
        let private = Private2::load(&small.to_pkcs8_pem(LineEnding::LF).unwrap()).unwrap();
        assert!(matches!(private, Private2::Plain(_)) && matches!(private.public(), Public2::Plain(_)));
        let public = small.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        assert!(matches!(Public2::load(&public).unwrap(), Public2::Plain(_)));
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
