//! Keys and tokens in what is shown: found wherever they stand, and covered.
//!
//! A secret is known by its value (the item's, the configuration's, the pasted request's) in every way it is written, and
//! by the name before it. Control characters are shown as escapes. Promise: what comes out of here can be printed.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::domain::ids::AccountId;
use crate::domain::takedown::Item;
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::pasted::Pasted;
use crate::signing::charset::Charset;

/// Names whose values are secret.
const NAMES: [&str; 5] = ["key", "app_auth_token", "auth_token", "alipay-app-auth-token", "app-auth-token"];

/// A shorter value is covered behind its name alone: everywhere else it would cover half of the text.
const SHORTEST: usize = 4;

/// Covers secrets, unless they are to be shown.
pub(super) struct Veil {
    is_lifted: bool,
    /// Every way a secret may be written, by the bytes it begins with.
    secrets: BTreeMap<[u8; SHORTEST], BTreeSet<Vec<u8>>>,
}

impl Veil {
    pub(super) fn new(
        is_lifted: bool,
        item: Option<&Item>,
        accounts: &BTreeMap<&AccountId, &GatewayAccount>,
        pasted: Option<&Pasted>,
        keyring: &Keyring,
    ) -> Self {
        let mut veil = Self { is_lifted, secrets: BTreeMap::new() };
        // No request holds one, but a string that was to be signed may have been pasted with it.
        keyring.secrets().for_each(|secret| veil.add(secret.as_bytes()));
        match item {
            Some(Item::Mapi(item)) => veil.add(item.key.expose().as_bytes()),
            Some(Item::OpenPlatform(item)) => {
                item.app_auth_token.iter().for_each(|token| veil.add(token.expose().as_bytes()));
            }
            None => {}
        }
        for account in accounts.values() {
            if let GatewayAccount::OpenPlatform(account) = account {
                account.merchants.values().for_each(|token| veil.add(token.expose().as_bytes()));
            }
        }
        if let Some(pasted) = pasted {
            for field in pasted.fields().iter().filter(|field| is_secret(&field.name)) {
                veil.add(&field.value);
                veil.add(&field.raw);
            }
            for (_, value) in pasted.headers.iter().filter(|(name, _)| is_secret(name.as_bytes())) {
                veil.add(value.as_bytes());
            }
        }
        veil
    }

    fn add(&mut self, secret: &[u8]) {
        let mut written = vec![secret.to_vec()];
        if let Ok(text) = std::str::from_utf8(secret) {
            written.extend(Charset::Gbk.encode(text));
            let json = serde_json::Value::from(text).to_string();
            written.push(json.as_bytes()[1..json.len() - 1].to_vec());
            written.push(text.replace('/', "\\/").into_bytes());
        }
        for plain in written.clone() {
            for bare in [b"*-._".as_slice(), b"-._~", b"-_.!~*'()"] {
                let upper = escaped(&plain, bare);
                written.push(upper.replace("%20", "+").into_bytes());
                written.push(upper.to_ascii_lowercase().into_bytes());
                written.push(upper.into_bytes());
            }
        }
        for before in 0..3 {
            let encoded = BASE64_STANDARD.encode([&b"\0\0"[..before], secret].concat());
            // The first and the last group mix in what stands beside the secret.
            written.extend(encoded.get(if before == 0 { 0 } else { 4 }..encoded.len() - 4).map(|text| text.into()));
        }
        for secret in written {
            if let Some(begin) = secret.first_chunk() {
                self.secrets.entry(*begin).or_default().insert(secret);
            }
        }
    }

    /// Says whether secrets are covered.
    pub(super) fn covers(&self) -> bool {
        !self.is_lifted
    }

    /// Says of each byte whether it is covered.
    fn cover(&self, bytes: &[u8]) -> Vec<bool> {
        let mut covered = vec![false; bytes.len()];
        if self.is_lifted {
            return covered;
        }
        for (at, begin) in bytes.windows(SHORTEST).enumerate() {
            let known = <[u8; SHORTEST]>::try_from(begin).ok().and_then(|begin| self.secrets.get(&begin));
            for secret in known.into_iter().flatten().filter(|secret| bytes[at..].starts_with(secret)) {
                covered[at..at + secret.len()].fill(true);
            }
        }
        for name in NAMES {
            let mut from = 0;
            while let Some(at) = find(&bytes[from..], name.as_bytes()) {
                let start = from + at;
                from = start + name.len();
                let is_word =
                    start.checked_sub(1).and_then(|before| bytes.get(before)).is_some_and(|b| is_word_byte(*b));
                if !is_word && let Some((value, end)) = value_behind(bytes, from) {
                    covered[value..end].fill(true);
                    from = end;
                }
            }
        }
        covered
    }

    /// Writes bytes as text: secrets as `***`, control characters and what is no UTF-8 as escapes.
    pub(super) fn text(&self, bytes: &[u8]) -> String {
        self.window(bytes, 0, bytes.len(), Charset::Utf8)
    }

    /// Writes a text of a charset.
    pub(super) fn text_of(&self, bytes: &[u8], charset: Charset) -> String {
        match charset.decode(bytes).filter(|_| charset != Charset::Utf8) {
            Some(text) => self.text(text.as_bytes()),
            None => self.text(bytes),
        }
    }

    /// Writes part of a text, covered by what stands around it.
    pub(super) fn window(&self, bytes: &[u8], from: usize, to: usize, charset: Charset) -> String {
        write(bytes, &self.cover(bytes), from, to, charset)
    }

    /// Writes the begin of a text line by line, each with its line end.
    pub(super) fn lines(&self, bytes: &[u8], to: usize, charset: Charset) -> Vec<String> {
        let covered = self.cover(bytes);
        let mut from = 0;
        let line = |line: &[u8]| {
            from += line.len();
            write(bytes, &covered, from - line.len(), from, charset)
        };
        bytes[..to].split_inclusive(|byte| *byte == b'\n').map(line).collect()
    }

    /// Writes bytes in hex, covered ones as `**`.
    pub(super) fn hex(&self, bytes: &[u8], from: usize, to: usize) -> Vec<String> {
        let covered = self.cover(bytes);
        (from..to).map(|at| if covered[at] { "**".to_owned() } else { format!("{:02x}", bytes[at]) }).collect()
    }

    /// Writes the value of a parameter, covered if its name says so.
    pub(super) fn value(&self, name: &str, value: &[u8], charset: Charset) -> String {
        if !self.is_lifted && is_secret(name.as_bytes()) && !value.is_empty() {
            return "***".to_owned();
        }
        self.text_of(value, charset)
    }

    /// Says whether the byte at a position is covered.
    pub(super) fn is_covered(&self, name: &str, value: &[u8], at: usize) -> bool {
        !self.is_lifted && (is_secret(name.as_bytes()) || self.cover(value).get(at).copied().unwrap_or(false))
    }
}

fn write(bytes: &[u8], covered: &[bool], from: usize, to: usize, charset: Charset) -> String {
    let mut text = String::new();
    let mut at = from;
    while at < to {
        let end = (at..to).find(|end| covered[*end] != covered[at]).unwrap_or(to);
        if covered[at] {
            text.push_str("***");
        } else {
            match charset.decode(&bytes[at..end]) {
                Some(decoded) => text.push_str(&visible(&decoded)),
                None => text.push_str(&visible(&lossless(&bytes[at..end]))),
            }
        }
        at = end;
    }
    text
}

fn is_secret(name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name).to_ascii_lowercase();
    let name = name.trim().trim_start_matches("amp;");
    NAMES.contains(&name) || name.ends_with("_token")
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"_-".contains(&byte)
}

/// Finds the value behind a name, written as a parameter, a JSON member or a header.
fn value_behind(bytes: &[u8], from: usize) -> Option<(usize, usize)> {
    let mut at = from;
    let skip = |at: &mut usize, set: &[u8]| {
        while bytes.get(*at).is_some_and(|byte| set.contains(byte)) {
            *at += 1;
        }
    };
    let is_percent = bytes[at..].starts_with(b"%3D") || bytes[at..].starts_with(b"%3d");
    skip(&mut at, b"\"\\' ");
    match bytes.get(at) {
        Some(b'=' | b':') => at += 1,
        Some(b'%') if is_percent => at += 3,
        _ => return None,
    }
    skip(&mut at, b"\"\\' ");
    let end = bytes[at..].iter().position(|byte| b"&\"'\\ \r\n,}<".contains(byte)).map_or(bytes.len(), |end| at + end);
    (end > at).then_some((at, end))
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

fn escaped(bytes: &[u8], bare: &[u8]) -> String {
    let escape = |byte: &u8| match byte {
        byte if byte.is_ascii_alphanumeric() || bare.contains(byte) => char::from(*byte).to_string(),
        byte => format!("%{byte:02X}"),
    };
    bytes.iter().map(escape).collect()
}

/// Shows bytes that are no UTF-8 as `\xFF`.
fn lossless(bytes: &[u8]) -> String {
    let mut text = String::new();
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        chunk.invalid().iter().for_each(|byte| text.push_str(&format!("\\x{byte:02X}")));
    }
    text
}

/// Shows characters that move the cursor or turn the direction of writing as escapes.
pub(super) fn visible(text: &str) -> String {
    let is_odd = |c: char| {
        c.is_control()
            || matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{2069}' | '\u{FEFF}')
    };
    let shown = |c: char| if is_odd(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn veil(secret: &str) -> Veil {
        let mut veil = Veil { is_lifted: false, secrets: BTreeMap::new() };
        veil.add(secret.as_bytes());
        veil
    }

    #[test]
    fn a_secret_is_covered_however_it_is_written_and_wherever_it_stands() {
        let veil = veil("to/ken+1 下");
        for text in [
            "a=to/ken+1 下&b=2",
            "a=to%2Fken%2B1+%E4%B8%8B&b=2",
            "a=to%2fken%2b1%20%e4%b8%8b&b=2",
            "{\"x\":\"to\\/ken+1 下\"}",
            &BASE64_STANDARD.encode("x=to/ken+1 下&y"),
        ] {
            let shown = veil.text(text.as_bytes());
            assert!(shown.contains("***") && !shown.contains("ken") && !shown.contains("9rZW4"), "{shown}");
        }
        assert!(!veil.hex(b"to/ken+1 \xE4\xB8\x8B", 0, 12).iter().any(|byte| byte != "**"));
    }

    #[test]
    fn a_value_is_covered_behind_its_name_however_short() {
        let veil = veil("unrelated");
        for text in ["goods=1&key=7&z=3", "{\"key\": \"7\"}", "key%3D7&z", "app_auth_token=7", "Alipay: key: 7"] {
            assert!(!veil.text(text.as_bytes()).contains('7'), "{}", veil.text(text.as_bytes()));
        }
        assert_eq!(veil.text(b"monkey=7&key=&a=1"), "monkey=7&key=&a=1");
    }

    #[test]
    fn nothing_that_moves_the_cursor_comes_out() {
        assert_eq!(veil("none").text("a\u{1b}[2J\n\u{202e}\u{9b}".as_bytes()), "a\\u{1b}[2J\\n\\u{202e}\\u{9b}");
        assert_eq!(veil("none").text(b"\xFFa"), "\\xFFa");
    }
}
