//! What a signature gives away to whoever holds the key that verifies it: for `takedown explain`.
//!
//! An RSA signature opened with the public key shows the hash and the digest that were signed, so that "wrong key",
//! "wrong hash" and "other bytes" can be told apart for sure. DSA shows nothing and must be tried; so must MD5, whose
//! secret may stand in the wrong place. Promise: nothing here accepts a signature; [`Verifier::is_valid`] alone does.

use md5::Md5;
use rsa::signature::hazmat::PrehashVerifier;
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PublicKey, pss};
use sha1::{Digest, Sha1};
use sha2::{Sha256, Sha384, Sha512};

use crate::signing::{DsaFormat, SignType, Verifier, VerifierKey, dsa, md5 as shared};

/// A hash that may be inside a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Hash {
    /// MD5.
    Md5,
    /// SHA-1.
    Sha1,
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
    /// SHA-512.
    Sha512,
}

impl Hash {
    const ALL: [Self; 5] = [Self::Md5, Self::Sha1, Self::Sha256, Self::Sha384, Self::Sha512];

    /// Returns its usual name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha1 => "SHA-1",
            Self::Sha256 => "SHA-256",
            Self::Sha384 => "SHA-384",
            Self::Sha512 => "SHA-512",
        }
    }

    /// Computes the digest.
    #[must_use]
    pub fn digest(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::Md5 => Md5::digest(bytes).to_vec(),
            Self::Sha1 => Sha1::digest(bytes).to_vec(),
            Self::Sha256 => Sha256::digest(bytes).to_vec(),
            Self::Sha384 => Sha384::digest(bytes).to_vec(),
            Self::Sha512 => Sha512::digest(bytes).to_vec(),
        }
    }

    /// Returns the hash a sign type prescribes.
    #[must_use]
    pub fn of(sign_type: SignType) -> Self {
        match sign_type {
            SignType::Md5 => Self::Md5,
            SignType::Dsa | SignType::Rsa => Self::Sha1,
            SignType::Rsa2 => Self::Sha256,
        }
    }

    /// DER of `DigestInfo` up to the digest (RFC 8017 section 9.2, note 1).
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Md5 => b"\x30\x20\x30\x0c\x06\x08\x2a\x86\x48\x86\xf7\x0d\x02\x05\x05\x00\x04\x10",
            Self::Sha1 => b"\x30\x21\x30\x09\x06\x05\x2b\x0e\x03\x02\x1a\x05\x00\x04\x14",
            Self::Sha256 => b"\x30\x31\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x01\x05\x00\x04\x20",
            Self::Sha384 => b"\x30\x41\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x02\x05\x00\x04\x30",
            Self::Sha512 => b"\x30\x51\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03\x05\x00\x04\x40",
        }
    }
}

/// What an RSA signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// A digest, as the protocol wants it.
    Digest {
        /// The hash.
        hash: Hash,
        /// Its value.
        digest: Vec<u8>,
    },
    /// Something padded, without the name of a hash before it.
    Bare(Vec<u8>),
}

/// Where the MD5 secret may stand; the first is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Placement {
    /// Directly behind the canonical bytes.
    Behind,
    /// Behind them, after `&`.
    Ampersand,
    /// Behind them, after `&key=`.
    AmpersandKey,
    /// Before them.
    Before,
    /// As the key of HMAC-MD5.
    Hmac,
    /// Behind them, with a line feed of its own.
    LineFeed,
    /// Nowhere.
    Absent,
}

impl Placement {
    /// Every placement, the right one first.
    pub const ALL: [Self; 7] =
        [Self::Behind, Self::Ampersand, Self::AmpersandKey, Self::Before, Self::Hmac, Self::LineFeed, Self::Absent];
}

/// One key, for looking into signatures.
pub struct Inspector(Key);

enum Key {
    Md5(shared::Secret),
    Dsa(dsa::Public),
    Rsa(PublicKey),
}

impl Verifier {
    /// Returns the key for looking into signatures that do not verify.
    #[must_use]
    pub fn inspector(&self) -> Inspector {
        Inspector(match &self.inner {
            VerifierKey::Md5(secret) => Key::Md5(secret.clone()),
            VerifierKey::Dsa(key) => Key::Dsa(key.clone()),
            VerifierKey::Rsa(key) => Key::Rsa(key.key()),
            VerifierKey::Rsa2(key) => Key::Rsa(key.key()),
        })
    }
}

impl Inspector {
    /// Opens an RSA signature. `None`: this is no RSA key, or not the one it was made with.
    #[must_use]
    pub fn open(&self, signature: &[u8]) -> Option<Opened> {
        let Key::Rsa(key) = &self.0 else { return None };
        if signature.len() != key.size() {
            return None;
        }
        let number = BoxedUint::from_be_slice(signature, key.n_bits_precision()).ok()?;
        if number >= **key.n() {
            return None;
        }
        let message = rsa::hazmat::rsa_encrypt(key, &number).ok()?.to_be_bytes();
        // The number is stored in whole machine words.
        let message = &message[message.len().checked_sub(key.size())?..];
        let padded = message.strip_prefix(b"\x00\x01")?;
        let end = padded.iter().position(|byte| *byte != 0xFF)?;
        // RFC 8017 section 9.2: at least eight bytes of padding.
        let payload = padded[end..].strip_prefix(b"\x00").filter(|_| end >= 8)?;
        let named = Hash::ALL.into_iter().find_map(|hash| {
            let digest = payload.strip_prefix(hash.prefix())?;
            (digest.len() == hash.digest(b"").len()).then(|| Opened::Digest { hash, digest: digest.to_vec() })
        });
        Some(named.unwrap_or_else(|| Opened::Bare(payload.to_vec())))
    }

    /// Says with which hash an RSA signature is one of bytes by PSS padding (RFC 8017 section 8.1), whatever its salt:
    /// some libraries' default, and not what these protocols mean by RSA.
    #[must_use]
    pub fn pss_of(&self, bytes: &[u8], signature: &[u8]) -> Option<Hash> {
        let Key::Rsa(key) = &self.0 else { return None };
        let signature = pss::Signature::try_from(signature).ok()?;
        let sha1 = pss::VerifyingKey::<Sha1>::new_with_auto_salt_len(key.clone());
        let sha256 = pss::VerifyingKey::<Sha256>::new_with_auto_salt_len(key.clone());
        let tests: [(Hash, &dyn PrehashVerifier<pss::Signature>); 2] = [(Hash::Sha256, &sha256), (Hash::Sha1, &sha1)];
        let is_valid = |(hash, key): &(Hash, &dyn PrehashVerifier<pss::Signature>)| {
            key.verify_prehash(&hash.digest(bytes), &signature).is_ok()
        };
        tests.iter().find(|test| is_valid(test)).map(|(hash, _)| *hash)
    }

    /// Returns the length of this key's RSA signatures, in bytes.
    #[must_use]
    pub fn rsa_bytes(&self) -> Option<usize> {
        match &self.0 {
            Key::Rsa(key) => Some(key.size()),
            Key::Md5(_) | Key::Dsa(_) => None,
        }
    }

    /// Says whether this is a DSA signature, of a format, over a digest.
    #[must_use]
    pub fn is_dsa_of(&self, digest: &[u8], signature: &[u8], format: DsaFormat) -> bool {
        match &self.0 {
            Key::Dsa(key) => key.signs(digest, signature, format),
            Key::Md5(_) | Key::Rsa(_) => false,
        }
    }

    /// Returns the format this key's signatures are configured to have, if it is one of DSA.
    #[must_use]
    pub fn dsa_format(&self) -> Option<DsaFormat> {
        match &self.0 {
            Key::Dsa(key) => Some(key.format()),
            Key::Md5(_) | Key::Rsa(_) => None,
        }
    }

    /// Returns the MD5 secret, if the key is one: it must be known to be covered.
    #[must_use]
    pub fn secret(&self) -> Option<&str> {
        match &self.0 {
            Key::Md5(secret) => Some(secret.expose()),
            Key::Dsa(_) | Key::Rsa(_) => None,
        }
    }

    /// Computes the MD5 of bytes and the secret, put somewhere; `None` where the key is no secret.
    #[must_use]
    pub fn md5(&self, bytes: &[u8], placement: Placement) -> Option<Vec<u8>> {
        let Key::Md5(secret) = &self.0 else { return None };
        let secret = secret.expose().as_bytes();
        let hash =
            |parts: &[&[u8]]| parts.iter().fold(Md5::new(), |md5, part| md5.chain_update(part)).finalize().to_vec();
        Some(match placement {
            Placement::Behind => hash(&[bytes, secret]),
            Placement::Ampersand => hash(&[bytes, b"&", secret]),
            Placement::AmpersandKey => hash(&[bytes, b"&key=", secret]),
            Placement::Before => hash(&[secret, bytes]),
            Placement::Hmac => {
                let [inner, outer] = [0x36, 0x5C].map(|pad| hmac_pad(secret, pad));
                hash(&[&outer, &hash(&[&inner, bytes])])
            }
            Placement::LineFeed => hash(&[bytes, secret, b"\n"]),
            Placement::Absent => hash(&[bytes]),
        })
    }
}

/// RFC 2104: the key filled up to a block of 64 bytes, each byte crossed with the pad.
fn hmac_pad(secret: &[u8], pad: u8) -> [u8; 64] {
    let mut block = [pad; 64];
    let hashed;
    let key = if secret.len() > block.len() {
        hashed = Md5::digest(secret);
        &hashed[..]
    } else {
        secret
    };
    block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
    block
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::prelude::BASE64_STANDARD;

    use super::*;
    use crate::domain::hex::hex;
    use crate::signing::Signer;
    use crate::signing::generate::key_pair;

    fn signed(signer: &Signer, bytes: &[u8]) -> Vec<u8> {
        BASE64_STANDARD.decode(signer.sign(bytes).unwrap()).unwrap()
    }

    #[test]
    fn an_rsa_signature_shows_its_hash_and_digest_to_its_own_key_alone() {
        let [pair, other] = [(); 2].map(|()| key_pair(SignType::Rsa2).unwrap());
        let stranger = Verifier::load(SignType::Rsa2, other.public.expose(), DsaFormat::Der).unwrap().inspector();
        for (sign_type, hash) in [(SignType::Rsa, Hash::Sha1), (SignType::Rsa2, Hash::Sha256)] {
            let signer = Signer::load(sign_type, pair.private.expose(), DsaFormat::Der).unwrap();
            let signature = signed(&signer, b"text");
            let opened = signer.own_verifier().inspector().open(&signature);
            assert_eq!(opened, Some(Opened::Digest { hash, digest: hash.digest(b"text") }));
            assert_eq!(stranger.open(&signature), None);
            assert_eq!(signer.own_verifier().inspector().open(&signature[1..]), None);
            assert_eq!(signer.own_verifier().inspector().open(&[0xFF; 256]), None);
        }
    }

    #[test]
    fn the_secret_behind_the_bytes_is_what_the_signer_does() {
        let signer = Signer::load(SignType::Md5, "s3cret", DsaFormat::Der).unwrap();
        let inspector = signer.own_verifier().inspector();
        assert_eq!(hex(&inspector.md5(b"a=1", Placement::Behind).unwrap()), signer.sign(b"a=1").unwrap());
        assert_eq!(inspector.md5(b"a=1", Placement::AmpersandKey), Some(Hash::Md5.digest(b"a=1&key=s3cret")),);
    }

    #[test]
    fn hmac_is_that_of_rfc_2202() {
        let signer = Signer::load(SignType::Md5, "Jefe", DsaFormat::Der).unwrap();
        let digest = signer.own_verifier().inspector().md5(b"what do ya want for nothing?", Placement::Hmac).unwrap();
        assert_eq!(digest, 0x750c_783e_6ab0_b503_eaa8_6e31_0a5d_b738_u128.to_be_bytes());
    }

    #[test]
    fn a_dsa_signature_is_tried_in_either_format() {
        let pair = key_pair(SignType::Dsa).unwrap();
        for format in [DsaFormat::Der, DsaFormat::Raw] {
            let signer = Signer::load(SignType::Dsa, pair.private.expose(), format).unwrap();
            let signature = signed(&signer, b"x");
            let inspector = signer.own_verifier().inspector();
            assert!(
                inspector.dsa_format() == Some(format)
                    && inspector.is_dsa_of(&Hash::Sha1.digest(b"x"), &signature, format)
            );
            assert!(!inspector.is_dsa_of(&Hash::Sha1.digest(b"y"), &signature, format));
        }
    }
}
