//! Validated identifiers, one newtype each, so that a batch can never be passed where an account is meant.
//!
//! Not a place for secrets. Its promise: a value of one of these types is safe in a log, a queue name and a routing key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Says why a text is not the identifier it was meant to be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// The text is empty.
    #[error("is empty")]
    Empty,
    /// The text is longer than the identifier allows; lengths in characters.
    #[error("has {length} characters, at most {max} are allowed")]
    TooLong {
        /// Length found.
        length: usize,
        /// Length allowed.
        max: usize,
    },
    /// A character outside the allowed set.
    #[error("contains {character:?}, only {allowed} are allowed")]
    Character {
        /// First offending character.
        character: char,
        /// The allowed set, as a person would write it.
        allowed: &'static str,
    },
}

fn check(text: &str, max: usize, extra: &str, allowed: &'static str) -> Result<(), IdError> {
    if text.is_empty() {
        return Err(IdError::Empty);
    }
    let length = text.chars().count();
    if length > max {
        return Err(IdError::TooLong { length, max });
    }
    match text.chars().find(|c| !(c.is_ascii_alphanumeric() || extra.contains(*c))) {
        Some(character) => Err(IdError::Character { character, allowed }),
        None => Ok(()),
    }
}

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $max:literal, $extra:literal, $allowed:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(String);

        impl $name {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`IdError`] when the text is empty, too long, or holds a character outside the set.
            pub fn new(text: impl Into<String>) -> Result<Self, IdError> {
                let text = text.into();
                check(&text, $max, $extra, $allowed)?;
                Ok(Self(text))
            }

            /// Returns the text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl TryFrom<String> for $name {
            type Error = IdError;
            fn try_from(text: String) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(text)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }
    };
}

identifier!(
    /// Identifies one takedown for life: 1..128 of `A-Za-z0-9._:-`; the idempotency key.
    RequestId, 128, "._:-", "A-Z a-z 0-9 . _ : -"
);
identifier!(
    /// Names an account of the configuration: 1..64 of `A-Za-z0-9_-`.
    ///
    /// No dot: the account is one word of the topic routing key `<status>.<gateway>.<account>`.
    AccountId, 64, "_-", "A-Z a-z 0-9 _ -"
);
identifier!(
    /// Groups takedowns for progress and cancelling: 1..128 of `A-Za-z0-9._:-`.
    BatchId, 128, "._:-", "A-Z a-z 0-9 . _ : -"
);
identifier!(
    /// Names a merchant whose token the configuration holds: 1..64 of `A-Za-z0-9._-`.
    MerchantId, 64, "._-", "A-Z a-z 0-9 . _ -"
);
identifier!(
    /// Names a worker replica in outcomes and logs: 1..64 of `A-Za-z0-9._-`.
    WorkerId, 64, "._-", "A-Z a-z 0-9 . _ -"
);
identifier!(
    /// Names a plan of an operator: 1..32 of `A-Za-z0-9-`, short enough to be typed.
    PlanId, 32, "-", "A-Z a-z 0-9 -"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identifier_names_the_first_bad_character() {
        let error = RequestId::new("item 7").unwrap_err();
        assert_eq!(error.to_string(), "contains ' ', only A-Z a-z 0-9 . _ : - are allowed");
    }

    #[test]
    fn lengths_are_bounded_on_both_sides() {
        assert_eq!(RequestId::new(""), Err(IdError::Empty));
        assert!(RequestId::new("x".repeat(128)).is_ok());
        assert_eq!(RequestId::new("x".repeat(129)), Err(IdError::TooLong { length: 129, max: 128 }));
    }

    #[test]
    fn an_account_has_no_dot() {
        assert!(AccountId::new("shop-1").is_ok());
        assert!(AccountId::new("shop.1").is_err());
    }
}
