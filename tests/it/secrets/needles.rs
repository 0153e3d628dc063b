//! Finding secrets in what was printed: whole or in part, plain or encoded.

use std::collections::HashMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// A part of a secret this long is a leak.
const PART: usize = 12;
/// Of a list of bytes, as `Debug` shows them, this many.
const BYTES: usize = 8;

/// Every part of every secret, in every form it might be printed in.
#[derive(Default)]
pub(super) struct Needles {
    parts: HashMap<Vec<u8>, &'static str>,
    lists: Vec<(String, &'static str)>,
}

impl Needles {
    /// Looks for a text: as it is, percent-encoded, in hex, in Base64 wherever it may begin there, as a list of bytes.
    pub(super) fn text(&mut self, name: &'static str, text: &str) {
        assert!(text.len() >= PART, "{name} is too short to be found in parts");
        let bytes = text.as_bytes();
        self.add(name, text);
        self.add(name, &percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string());
        self.add(name, &bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.add(name, &bytes.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
        for before in 0..3 {
            let encoded = BASE64_STANDARD.encode([&b"\0\0"[..before], bytes].concat());
            // The first and the last group mix in what stands beside the text.
            self.add(name, &encoded[if before == 0 { 0 } else { 4 }..encoded.len() - 4]);
        }
        for window in bytes.windows(BYTES).step_by(BYTES / 2) {
            self.lists.push((window.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "), name));
        }
    }

    /// Looks for a private key: its Base64, whatever the lines, and the numbers behind the structure's first bytes.
    pub(super) fn key(&mut self, name: &'static str, pem: &str) {
        let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
        // What says "a private key of this kind and size" is the same in all of them.
        const STRUCTURE: usize = 48;
        self.text(name, &base64[STRUCTURE..]);
        let der = BASE64_STANDARD.decode(base64).unwrap();
        let hex: String = der[STRUCTURE..].iter().map(|byte| format!("{byte:02x}")).collect();
        self.add(name, &hex);
    }

    /// Looks for what was made of secrets, in parts long enough not to be met by chance, such as `&charset=`.
    pub(super) fn derived(&mut self, name: &'static str, text: &str) {
        assert!(text.len() >= PART, "{name}: {text}");
        self.add(name, text);
    }

    fn add(&mut self, name: &'static str, text: &str) {
        self.parts.extend(text.as_bytes().windows(PART).map(|part| (part.to_vec(), name)));
    }

    /// Panics if any part of any secret is in a text.
    pub(super) fn must_not_be_in(&self, source: &str, text: &str) {
        let found = text.as_bytes().windows(PART).enumerate().find_map(|(at, part)| Some((at, self.parts.get(part)?)));
        if let Some((at, name)) = found {
            panic!("{source} shows {name}: …{}…", around(text, at));
        }
        for (list, name) in &self.lists {
            if let Some(at) = text.find(list.as_str()) {
                panic!("{source} shows the bytes of {name}: …{}…", around(text, at));
            }
        }
    }
}

fn around(text: &str, at: usize) -> String {
    let (from, to) = (at.saturating_sub(300), (at + 120).min(text.len()));
    String::from_utf8_lossy(&text.as_bytes()[from..to]).into_owned()
}

#[test]
fn every_form_of_a_secret_is_found() {
    let secret = "pl4nted+secret/of-no-worth=";
    let mut needles = Needles::default();
    needles.text("it", secret);
    let forms = [
        format!("x{}y", &secret[3..15]),
        secret.as_bytes().iter().map(|byte| format!("{byte:02X}")).collect(),
        BASE64_STANDARD.encode(format!("a{secret}b")),
        BASE64_STANDARD.encode(format!("ab{secret}")),
        "pl4nted%2Bsecret%2Fof%2Dno".to_owned(),
        format!("{:?}", secret.as_bytes()),
    ];
    for form in forms {
        let found = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| needles.must_not_be_in("a log", &form)));
        assert!(found.is_err(), "{form}");
    }
    needles.must_not_be_in("a log", "pl4nted+sec, and nothing more");
}
