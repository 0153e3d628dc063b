//! MD5 over the canonical bytes followed directly by a shared secret, in hex (protocol page: mapi, Signature).

use aws_lc_rs::constant_time::verify_slices_are_equal;
use md5::{Digest, Md5};

use crate::domain::hex::hex;
use crate::domain::secret;
use crate::signing::key::KeyError;

/// The secret both sides append.
#[derive(Clone)]
pub(super) struct Secret(secret::Secret);

impl Secret {
    pub(super) fn load(text: &str) -> Result<Self, KeyError> {
        let text = text.trim_start_matches('\u{feff}').trim();
        if text.is_empty() {
            return Err(KeyError::Empty);
        }
        if text.contains("-----BEGIN ") {
            return Err(KeyError::Structure {
                expected: "the MD5 secret (32 characters, no PEM)",
                found: "a PEM key".to_owned(),
            });
        }
        if let Some(odd) = text.chars().find(|c| !c.is_ascii_graphic()) {
            return Err(KeyError::numbers(format!("an MD5 secret is plain ASCII without spaces, found {odd:?}")));
        }
        Ok(Self(secret::Secret::new(text)))
    }

    pub(super) fn sign(&self, bytes: &[u8]) -> String {
        hex(&Md5::new().chain_update(bytes).chain_update(self.0.expose()).finalize())
    }

    /// Returns the secret, for [`crate::signing::recover`].
    pub(super) fn expose(&self) -> &str {
        self.0.expose()
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        // Whoever can read how far a comparison got could forge a signature digit by digit.
        verify_slices_are_equal(self.sign(bytes).as_bytes(), sign.as_bytes()).is_ok()
    }
}
