//! Key texts: PEM or bare Base64; PKCS#8, PKCS#1, traditional DSA and SubjectPublicKeyInfo.

/// Says why a key text cannot be used, and what would do; never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty.
    #[error("the key is empty")]
    Empty,
    /// Neither PEM nor Base64.
    #[error("the key is neither PEM nor Base64: {problem}")]
    Text {
        /// What the reader met.
        problem: String,
    },
    /// Readable, but not the structure expected.
    #[error("expected {expected}, found {found}")]
    Structure {
        /// What is wanted here, such as `an RSA private key (PKCS#8 or PKCS#1)`.
        expected: &'static str,
        /// What it seems to be, such as `an RSA public key`.
        found: String,
    },
    /// The numbers are not a usable key.
    #[error("the key is not usable: {problem}")]
    Numbers {
        /// Why, such as `DSA with p of 1024 bits needs q of 160 bits, found 256`.
        problem: String,
    },
}
