//! Content encryption of the Open Platform (protocol page: Content encryption): AES-128-CBC, an IV of zeros, PKCS#7,
//! Base64.
//!
//! It hides the content from whoever reads traffic or logs on the way; it proves nothing, that is the signature's work.
//! With a fixed IV equal beginnings encrypt equally; the protocol has it so.

use std::fmt;

use aws_lc_rs::cipher::{
    AES_128, DecryptionContext, EncryptionContext, PaddedBlockDecryptingKey, PaddedBlockEncryptingKey, UnboundCipherKey,
};
use aws_lc_rs::iv::{FixedLength, IV_LEN_128_BIT};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use zeroize::Zeroizing;

use crate::signing::key::{self, KeyError};

/// The AES key both sides hold.
pub struct ContentKey(Zeroizing<[u8; 16]>);

impl ContentKey {
    /// Loads the Base64 of 16 bytes, as the platform's console shows it.
    ///
    /// # Errors
    /// [`KeyError::Text`] where it is not Base64, [`KeyError::Numbers`] where it is not 16 bytes.
    pub fn load(text: &str) -> Result<Self, KeyError> {
        let mut bare = key::room_for(text);
        bare.extend(text.chars().filter(|c| !c.is_whitespace()));
        let text = bare;
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        let bytes = BASE64_STANDARD
            .decode(text.as_bytes())
            .map(Zeroizing::new)
            .map_err(|_| KeyError::Text { problem: "the content key must be Base64".to_owned() })?;
        let key = <[u8; 16]>::try_from(bytes.as_slice()).map_err(|_| KeyError::Numbers {
            problem: format!("the content key has {} bytes, AES-128 needs 16", bytes.len()),
        })?;
        Ok(Self(Zeroizing::new(key)))
    }

    /// Encrypts a text; `None` only where the crypto library fails.
    #[must_use]
    pub fn encrypt(&self, text: &[u8]) -> Option<String> {
        let key =
            UnboundCipherKey::new(&AES_128, self.0.as_slice()).and_then(PaddedBlockEncryptingKey::cbc_pkcs7).ok()?;
        let mut bytes = text.to_vec();
        key.less_safe_encrypt(&mut bytes, EncryptionContext::Iv128(zeros())).ok()?;
        Some(BASE64_STANDARD.encode(bytes))
    }

    /// Decrypts a text; `None` where it was not encrypted with this key.
    #[must_use]
    pub fn decrypt(&self, text: &str) -> Option<Vec<u8>> {
        let mut bytes = BASE64_STANDARD.decode(text).ok()?;
        let key =
            UnboundCipherKey::new(&AES_128, self.0.as_slice()).and_then(PaddedBlockDecryptingKey::cbc_pkcs7).ok()?;
        let plain = key.decrypt(&mut bytes, DecryptionContext::Iv128(zeros())).ok()?;
        Some(plain.to_vec())
    }
}

fn zeros() -> FixedLength<IV_LEN_128_BIT> {
    FixedLength::from([0; IV_LEN_128_BIT])
}

impl fmt::Debug for ContentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ContentKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> ContentKey {
        ContentKey::load("AAECAwQFBgcICQoLDA0ODw==\n").unwrap()
    }

    #[test]
    fn what_is_encrypted_comes_back() {
        for length in 0..40 {
            let text = vec![b'x'; length];
            assert_eq!(key().decrypt(&key().encrypt(&text).unwrap()), Some(text));
        }
    }

    #[test]
    fn what_is_not_ours_is_refused() {
        for text in ["", "AAAA", "***", "AAAAAAAAAAAAAAAAAAAAAA=="] {
            assert_eq!(key().decrypt(text), None, "{text}");
        }
    }

    #[test]
    fn a_key_of_another_length_is_told() {
        let error = ContentKey::load("AAECAw==").unwrap_err().to_string();
        assert_eq!(error, "the key is not usable: the content key has 4 bytes, AES-128 needs 16");
        assert_eq!(format!("{:?}", key()), "ContentKey(***)");
    }
}
