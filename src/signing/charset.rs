//! utf-8, gbk and gb2312, strictly: what a charset cannot hold is refused, never replaced.

use std::borrow::Cow;

use encoding_rs::GBK;
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

/// Returns a text without the byte order mark some programs put before UTF-8.
#[must_use]
pub fn without_mark(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text)
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
        match label.trim().to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Self::Utf8),
            "gbk" => Some(Self::Gbk),
            "gb2312" => Some(Self::Gb2312),
            _ => None,
        }
    }

    /// Encodes a text, or gives the first character that cannot be encoded.
    ///
    /// # Errors
    /// The character.
    pub fn encode(self, text: &str) -> Result<Vec<u8>, char> {
        let mut bytes = Vec::with_capacity(text.len());
        self.encode_to(text, &mut bytes)?;
        Ok(bytes)
    }

    /// Encodes a text behind what is there, never into more bytes than it has in UTF-8.
    ///
    /// # Errors
    /// The first character that cannot be encoded; what stands before it has been written.
    pub fn encode_to(self, text: &str, bytes: &mut Vec<u8>) -> Result<(), char> {
        if self == Self::Utf8 || text.is_ascii() {
            bytes.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        for character in text.chars() {
            if character.is_ascii() {
                bytes.push(character as u8);
            } else {
                bytes.extend(self.pair(character).ok_or(character)?);
            }
        }
        Ok(())
    }

    /// Decodes bytes; `None` where they are malformed.
    ///
    /// More is read than may be written: the whole of GB 18030 for `gbk` and `gb2312` alike, because a message for
    /// people should not make an answer unreadable. What is then signed or verified passes through
    /// [`Charset::encode`], which is strict.
    #[must_use]
    pub fn decode(self, bytes: &[u8]) -> Option<String> {
        self.read(bytes).map(Cow::into_owned)
    }

    /// As [`Charset::decode`]; bytes that are a text as they stand are not copied.
    #[must_use]
    pub fn read(self, bytes: &[u8]) -> Option<Cow<'_, str>> {
        match self {
            Self::Utf8 => std::str::from_utf8(bytes).ok().map(Cow::Borrowed),
            Self::Gbk | Self::Gb2312 => GBK.decode_without_bom_handling_and_without_replacement(bytes),
        }
    }

    /// Returns the two bytes of one character beyond ASCII.
    fn pair(self, character: char) -> Option<[u8; 2]> {
        let is_private_use = ('\u{E000}'..='\u{F8FF}').contains(&character);
        let mut utf8 = [0; 4];
        let (bytes, _, had_errors) = GBK.encode(character.encode_utf8(&mut utf8));
        // The euro sign comes out as one byte, 80, and so is refused here.
        let pair = <[u8; 2]>::try_from(bytes.as_ref()).ok()?;
        let is_held = !had_errors && !is_private_use && !is_disputed(pair);
        let is_in_range = self != Self::Gb2312 || ((0xA1..=0xF7).contains(&pair[0]) && pair[1] >= 0xA1);
        (is_held && is_in_range).then_some(pair)
    }
}

/// Code points that the tables of the WHATWG, of `CPython` 3.11 and of JDK 17 do not all give the same character: later
/// additions of GB 18030, and A892. A signature over one of them would verify or not by the other side's table.
fn is_disputed(pair: [u8; 2]) -> bool {
    matches!(
        pair,
        [0xA6, 0xD9..=0xDF | 0xEC | 0xED | 0xF3]
            | [0xA8, 0x92 | 0xBC | 0xBF]
            | [0xA9, 0x89..=0x95]
            | [0xFE, 0x50..=0xA0]
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_encoders_disagree_about_is_refused() {
        for character in ['€', '\u{2E81}', '\u{1E3F}', '\u{FE10}', '\u{2295}', '\u{E000}', '\u{E7C7}', '\u{A0}', '𠮷']
        {
            assert_eq!(Charset::Gbk.encode(&format!("a{character}b")), Err(character));
        }
    }

    #[test]
    fn every_gbk_character_survives_the_way_out_and_back() {
        let mut count = 0;
        for character in ('\u{80}'..='\u{FFFF}').filter(|c| Charset::Gbk.encode(&c.to_string()).is_ok()) {
            let bytes = Charset::Gbk.encode(&character.to_string()).unwrap();
            assert_eq!(Charset::Gbk.decode(&bytes), Some(character.to_string()));
            count += 1;
        }
        // The 21,791 of CPython's table but for U+2295.
        assert_eq!(count, 21_790);
    }

    #[test]
    fn malformed_bytes_are_not_decoded() {
        for bytes in [&b"\xBC"[..], b"\xBC\x20", b"\xFF\xFF"] {
            assert_eq!(Charset::Gbk.decode(bytes), None);
            assert_eq!(Charset::Utf8.decode(bytes), None);
        }
    }

    #[test]
    fn names_are_found_in_any_letter_case() {
        assert_eq!(Charset::from_label("UTF-8"), Some(Charset::Utf8));
        assert_eq!(Charset::from_label(" Gb2312 "), Some(Charset::Gb2312));
        assert_eq!(Charset::from_label("big5"), None);
    }
}
