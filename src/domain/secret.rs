//! A text that must never be printed: user keys, merchant tokens, shared secrets.
//!
//! Its promise: `Debug` shows `***`, there is no `Display` and no `Serialize`, and the memory is wiped on drop.

use std::fmt;

use zeroize::Zeroizing;

/// Shortest secret that [`Secret::mask`] looks for, in bytes: a shorter one would be found inside words that mean
/// something, such as a code. The gateways' keys and tokens have 40 characters.
const SHORTEST_MASKED: usize = 8;

/// Holds a secret text; only [`Secret::expose`] gives it out.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// Wraps a text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(Zeroizing::new(text.into()))
    }

    /// Returns the text, for signing and sending only.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// Writes `***` wherever a text of somebody else's quotes this secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        if self.0.len() < SHORTEST_MASKED { text.to_owned() } else { text.replace(self.0.as_str(), "***") }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_text() {
        assert_eq!(format!("{:?}", Some(Secret::new("k3y"))), "Some(***)");
    }

    #[test]
    fn a_quoted_secret_is_masked_and_a_short_one_eats_no_code() {
        assert_eq!(Secret::new("2011041704C5").mask("bad key 2011041704C5, 2011041704C5"), "bad key ***, ***");
        assert_eq!(Secret::new("SIGN").mask("ILLEGAL_SIGN"), "ILLEGAL_SIGN");
        assert_eq!(Secret::new("").mask("40004"), "40004");
    }
}
