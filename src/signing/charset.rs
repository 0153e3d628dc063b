//! utf-8, gbk and gb2312, strictly: what a charset cannot hold is refused, never replaced.

use serde::{Deserialize, Serialize};

/// A charset of the gateways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Charset {
    /// UTF-8, the default.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// GBK without the euro sign, about which encoders disagree.
    Gbk,
    /// The part of GBK with lead bytes A1..F7 and trail bytes A1..FE.
    Gb2312,
}

/// Says which character of which parameter has no bytes in the charset.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` holds {character:?}, which {} has no bytes for", .charset.as_str())]
pub struct NotEncodable {
    /// The parameter.
    pub field: String,
    /// The first such character.
    pub character: char,
    /// The charset.
    pub charset: Charset,
}

impl Charset {
    /// Returns the name sent to the gateways.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Utf8 => "utf-8",
            Self::Gbk => "gbk",
            Self::Gb2312 => "gb2312",
        }
    }

    /// Finds a charset by its name in any letter case.
    #[must_use]
    pub fn from_label(label: &str) -> Option<Self> {
        todo!("{label}")
    }

    /// Encodes a text, or gives the first character that cannot be encoded.
    ///
    /// # Errors
    /// The character.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        todo!("{text}")
    }

    /// Decodes bytes; `None` where they are not of this charset.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        todo!("{bytes:?}")
    }
}
