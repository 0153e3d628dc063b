//! Why a signature does not verify: the engine of `takedown explain`.
//!
//! Pure: requests and answers come in as text, keys are those of the configuration, nothing is sent. It is for people who
//! look for a mistake and has no part in judging answers at work. The way it goes: read the text tolerantly, open the
//! signature with the keys there are, then try known mistakes on the signed bytes until they are the ones the signature
//! really is one of. Promise: a cause that is named was proved by the signature itself; what is only likely is called so.

pub mod answer;
pub mod keyring;
pub mod own;
pub mod pasted;
pub mod request;

mod draft;
mod proof;
mod rest;
mod search;
mod sign_text;
mod slips;
mod verdict;

/// Longest text mistakes are tried on, in bytes: what is longer is no takedown and no answer to one.
const LONGEST: usize = 64 * 1024;

/// One thing that is wrong, in a plain sentence, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Its name for programs, such as `sign_type_signed`.
    pub name: &'static str,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

impl Cause {
    fn new(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, what: what.into(), remedy: remedy.into() }
    }
}

/// How a signature stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It verifies as it is.
    Right,
    /// It does not, and the causes say why.
    Wrong,
    /// It does not, and not all of why could be found out.
    Unexplained,
    /// There is none.
    Unsigned,
}

impl Verdict {
    /// Returns the word for programs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Right => "right",
            Self::Wrong => "wrong",
            Self::Unexplained => "unexplained",
            Self::Unsigned => "unsigned",
        }
    }
}

/// What to try where the causes are not all known; words for it have those who know how they are asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Compare the digest of the string one signs with the one inside the signature.
    CompareDigest,
    /// Compare the bytes one signs with the canonical string.
    CompareBytes,
    /// Give the item too, so that values can be compared.
    GiveItem,
    /// Give the refusal too: the Open Platform quotes the string it verified.
    GiveRefusal,
    /// Check key or secret, which show nothing of themselves in the signature.
    CheckKey,
    /// Take the answer as bytes, before any program prints it.
    SaveBytes,
}

/// What was found out about one signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// How it stands.
    pub verdict: Verdict,
    /// Why it does not verify; empty if it does.
    pub causes: Vec<Cause>,
    /// What is certain although it is no cause, such as whose key it was made with.
    pub certain: Vec<String>,
    /// What to try where the causes are not all known.
    pub next: Vec<Next>,
    /// The bytes the signature is one of, where they were found.
    pub signed: Option<Vec<u8>>,
}
