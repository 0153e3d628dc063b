//! `application/x-www-form-urlencoded` over the bytes of a charset (protocol page: On the wire).

use crate::signing::charset::{Charset, NotEncodable};

const DIGITS: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];

/// Writes `name=value` pairs joined by `&`. Letters, digits and `*-._` stay, a space becomes `+`, and of every other
/// character each byte is escaped: a GBK second byte may be an ASCII letter, and a reader that works by characters would
/// take it for one if it stood bare.
///
/// # Errors
/// [`NotEncodable`] naming the parameter and the character the charset cannot hold.
pub(super) fn encode<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    charset: Charset,
) -> Result<String, NotEncodable> {
    let mut text = String::with_capacity(512);
    for (name, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        let refuse = |character| NotEncodable { field: name.to_owned(), character, charset };
        escape(name, charset, &mut text).map_err(refuse)?;
        text.push('=');
        escape(value, charset, &mut text).map_err(refuse)?;
    }
    Ok(text)
}

fn escape(text: &str, charset: Charset, out: &mut String) -> Result<(), char> {
    let mut utf8 = [0; 4];
    let mut bytes = Vec::new();
    for character in text.chars() {
        match character {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '*' | '-' | '.' | '_' => out.push(character),
            ' ' => out.push('+'),
            other => {
                bytes.clear();
                charset.encode_to(other.encode_utf8(&mut utf8), &mut bytes)?;
                for byte in &bytes {
                    out.push('%');
                    out.push(DIGITS[usize::from(byte >> 4)]);
                    out.push(DIGITS[usize::from(byte & 15)]);
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn both_bytes_of_a_gbk_character_are_escaped() {
        assert_eq!(encode([("a", "镕|")], Charset::Gbk), Ok("a=%E9%46%7C".to_owned()));
    }

    #[test]
    fn what_the_charset_cannot_hold_is_refused_by_name() {
        let error = encode([("a", "x"), ("reason", "😀")], Charset::Gbk).unwrap_err();
        assert_eq!((error.field.as_str(), error.character), ("reason", '😀'));
    }

    proptest! {
        #[test]
        fn a_decoder_gives_back_what_was_encoded(pairs in proptest::collection::vec((".{1,8}", ".{0,16}"), 0..5)) {
            let text = encode(pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())), Charset::Utf8).unwrap();
            prop_assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"*-._+%&=".contains(&b)));
            let decoded: Vec<_> = url::form_urlencoded::parse(text.as_bytes()).into_owned().collect();
            prop_assert_eq!(decoded, pairs);
        }
    }
}
