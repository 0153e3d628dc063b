//! The text of a signature as it was pasted: what happened to it on its way, and the bytes it stands for.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::percent_decode_str;

use crate::gateway::diagnosis::Cause;

/// A signature, and what had to be undone to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignText {
    pub(super) bytes: Vec<u8>,
    pub(super) causes: Vec<Cause>,
}

/// Undoes one thing, if it was done.
type Undo = fn(&str) -> Option<String>;

/// Reads a `sign` value.
///
/// # Errors
/// The cause: it stands for no bytes, whatever is undone.
pub(super) fn read(sign: &str) -> Result<SignText, Cause> {
    let mut text = sign.to_owned();
    let mut causes = Vec::new();
    let steps: [(Undo, Cause); 8] = [
        (quotes, named("sign_quoted", "`sign` stands in quotes, which are sent as part of it", "send the bare value")),
        (
            json_escapes,
            named(
                "sign_json_escaped",
                "`sign` is still escaped as in a JSON text",
                "decode the JSON before using the value",
            ),
        ),
        (
            html_entities,
            named("sign_html_escaped", "`sign` holds HTML entities", "take it from the raw text, not from a page"),
        ),
        (
            percent,
            named(
                "sign_encoded_twice",
                "`sign` is percent-encoded twice: after decoding once it still holds %XX",
                "encode it once; an HTTP library that encodes parameters by itself must be given the plain Base64",
            ),
        ),
        (
            line_breaks,
            named(
                "sign_has_line_breaks",
                "`sign` has line breaks, as Base64 made for MIME has",
                "encode the signature as Base64 on one line (Java: getEncoder, not getMimeEncoder; openssl base64 -A)",
            ),
        ),
        (
            spaces,
            named(
                "sign_plus_became_space",
                "`sign` has spaces where Base64 has `+`: the `+` travelled unescaped and was decoded as a space",
                "write `+` in a query or form as %2B",
            ),
        ),
        (
            url_safe,
            named(
                "sign_url_safe_base64",
                "`sign` is URL-safe Base64 (`-` and `_` for `+` and `/`)",
                "use the standard alphabet with `+` and `/`, then percent-encode it",
            ),
        ),
        (
            padding,
            named(
                "sign_padding_missing",
                "`sign` lacks the `=` at its end",
                "keep the padding; percent-encoded it is %3D",
            ),
        ),
    ];
    // What a value went through it may have gone through twice.
    for _ in 0..2 {
        for (undo, cause) in &steps {
            if is_plain(&text) {
                break;
            }
            if let Some(undone) = undo(&text) {
                text = undone;
                if !causes.contains(cause) {
                    causes.push(cause.clone());
                }
            }
        }
    }
    bytes(&text, &mut causes).map(|bytes| SignText { bytes, causes }).ok_or_else(|| {
        named(
            "sign_unreadable",
            &format!("`sign` is neither Base64 nor hex ({} characters); it may be cut off", sign.chars().count()),
            "send the signature whole, as standard Base64 (MD5: as 32 lower-case hex digits)",
        )
    })
}

fn named(name: &'static str, what: &str, remedy: &str) -> Cause {
    Cause::new(name, what, remedy)
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.len().is_multiple_of(2) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn is_plain(text: &str) -> bool {
    is_hex(text) || BASE64_STANDARD.decode(text).is_ok()
}

fn bytes(text: &str, causes: &mut Vec<Cause>) -> Option<Vec<u8>> {
    if text.len() == 32 && is_hex(text) {
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            let remedy = "write the MD5 in lower case";
            causes.push(named("md5_upper_case", "the MD5 is written in upper case", remedy));
        }
        return Some(unhex(text));
    }
    // 40 bytes of DSA come to 80 hex digits; real Base64 of that length has other letters.
    if text.len() >= 80 && is_hex(text) {
        let remedy = "encode the signature's bytes as Base64";
        causes.push(named("sign_in_hex", "`sign` is written in hex instead of Base64", remedy));
        return Some(unhex(text));
    }
    let bytes = BASE64_STANDARD.decode(text).ok().filter(|bytes| !bytes.is_empty())?;
    match std::str::from_utf8(&bytes) {
        Ok(inner) if inner.len() >= 32 && is_hex(inner) => {
            let remedy = if inner.len() == 32 {
                "send an MD5 as its 32 hex digits, without Base64"
            } else {
                "encode the signature's bytes as Base64, not their hex"
            };
            causes.push(named("sign_base64_of_hex", "`sign` is the Base64 of hex digits", remedy));
            Some(unhex(inner))
        }
        Ok(inner) if inner.len() >= 40 && BASE64_STANDARD.decode(inner).is_ok() => {
            let what = "`sign` is the Base64 of Base64";
            causes.push(named("sign_base64_twice", what, "encode the signature's bytes as Base64 once"));
            BASE64_STANDARD.decode(inner).ok()
        }
        _ => {
            if bytes.len() == 16 {
                let what = "the MD5 is written as Base64 instead of hex";
                causes.push(named("md5_in_base64", what, "write the MD5 as 32 lower-case hex digits"));
            }
            Some(bytes)
        }
    }
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok()).unwrap_or_default();
    text.as_bytes().chunks(2).map(|pair| pair.iter().fold(0, |byte, half| byte << 4 | digit(*half))).collect()
}

fn quotes(text: &str) -> Option<String> {
    let inner = ['"', '\''].into_iter().find_map(|quote| text.strip_prefix(quote)?.strip_suffix(quote));
    inner.map(str::to_owned)
}

fn json_escapes(text: &str) -> Option<String> {
    text.contains('\\').then(|| {
        let plain = text.replace("\\/", "/").replace("\\n", "").replace("\\r", "");
        ["\\u002b", "\\u002B"].iter().fold(plain, |text, plus| text.replace(plus, "+")).replace("\\u003d", "=")
    })
}

fn html_entities(text: &str) -> Option<String> {
    text.contains('&').then(|| {
        let pairs = [
            ("&#43;", "+"),
            ("&#x2B;", "+"),
            ("&#x2b;", "+"),
            ("&#61;", "="),
            ("&#x3D;", "="),
            ("&#x3d;", "="),
            ("&#47;", "/"),
        ];
        pairs.iter().fold(text.to_owned(), |text, (entity, plain)| text.replace(entity, plain))
    })
}

fn percent(text: &str) -> Option<String> {
    text.contains('%').then(|| percent_decode_str(text).decode_utf8_lossy().into_owned())
}

fn line_breaks(text: &str) -> Option<String> {
    text.contains(['\n', '\r']).then(|| text.replace(['\n', '\r'], ""))
}

fn spaces(text: &str) -> Option<String> {
    text.contains(' ').then(|| text.replace(' ', "+"))
}

fn url_safe(text: &str) -> Option<String> {
    text.contains(['-', '_']).then(|| text.replace('-', "+").replace('_', "/"))
}

fn padding(text: &str) -> Option<String> {
    let missing = text.len().next_multiple_of(4) - text.len();
    (1..=2).contains(&missing).then(|| format!("{text}{}", &"=="[..missing]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(sign: &str) -> Vec<&'static str> {
        read(sign).map_or_else(|cause| vec![cause.name], |read| read.causes.iter().map(|cause| cause.name).collect())
    }

    #[test]
    fn what_happened_to_a_signature_is_told() {
        let sign = BASE64_STANDARD.encode([0xFB; 128]);
        assert!(sign.contains('+') && sign.ends_with('='));
        let bytes = |sign: &str| read(sign).unwrap().bytes;
        for (text, expected) in [
            (sign.clone(), vec![]),
            (sign.replace('+', " "), vec!["sign_plus_became_space"]),
            (sign.replace('+', "%2B"), vec!["sign_encoded_twice"]),
            (
                sign.replace('+', "-").trim_end_matches('=').to_owned(),
                vec!["sign_url_safe_base64", "sign_padding_missing"],
            ),
            (format!("{}\n{}", &sign[..76], &sign[76..]), vec!["sign_has_line_breaks"]),
            ("fb".repeat(128), vec!["sign_in_hex"]),
            (BASE64_STANDARD.encode("fb".repeat(128)), vec!["sign_base64_of_hex"]),
            (BASE64_STANDARD.encode(&sign), vec!["sign_base64_twice"]),
            (format!("\"{sign}\""), vec!["sign_quoted"]),
            (sign.replace('+', "\\u002b"), vec!["sign_json_escaped"]),
            (sign.replace('+', "&#43;"), vec!["sign_html_escaped"]),
        ] {
            assert_eq!(names(&text), expected, "{text}");
            assert_eq!(bytes(&text), [0xFB; 128], "{text}");
        }
        assert_eq!(names("0123456789ABCDEF0123456789ABCDEF"), ["md5_upper_case"]);
        assert_eq!(names("0123456789abcdef0123456789abcdef"), [""; 0]);
        for text in ["", "***", "abcde", "签名"] {
            assert_eq!(names(text), ["sign_unreadable"], "{text}");
        }
    }
}
