//! `application/x-www-form-urlencoded` over the bytes of a charset (protocol page: On the wire).

use url::Url;

use crate::signing::charset::{Charset, NotEncodable};

/// Bytes that hold a form as a rule; with an address before it still below a kilobyte, up to which memory is had fastest.
const ROOM: usize = 896;

const DIGITS: &[u8; 16] = b"0123456789ABCDEF";

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
    let mut text = String::with_capacity(ROOM);
    write(pairs, charset, &mut text)?;
    Ok(text)
}

/// Returns an address with pairs as its query; it has none before. As text: nobody reads it again but the gateway, and to
/// parse it would cost more than to write it.
///
/// # Errors
/// As [`encode`].
pub(super) fn address<'a>(
    url: &Url,
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    charset: Charset,
) -> Result<String, NotEncodable> {
    let mut text = String::with_capacity(url.as_str().len() + ROOM);
    text.push_str(url.as_str());
    text.push('?');
    write(pairs, charset, &mut text)?;
    Ok(text)
}

fn write<'a>(
    pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
    charset: Charset,
    text: &mut String,
) -> Result<(), NotEncodable> {
    for (number, (name, value)) in pairs.into_iter().enumerate() {
        if number > 0 {
            text.push('&');
        }
        let refuse = |character| NotEncodable { field: name.to_owned(), character, charset };
        escape(name, charset, text).map_err(refuse)?;
        text.push('=');
        escape(value, charset, text).map_err(refuse)?;
    }
    Ok(())
}

/// Returns the `Content-Type` of a form in a charset.
pub(super) fn content_type(charset: Charset) -> &'static str {
    match charset {
        Charset::Utf8 => "application/x-www-form-urlencoded;charset=utf-8",
        Charset::Gbk => "application/x-www-form-urlencoded;charset=gbk",
        Charset::Gb2312 => "application/x-www-form-urlencoded;charset=gb2312",
    }
}

fn escape(text: &str, charset: Charset, out: &mut String) -> Result<(), char> {
    let mut rest = text;
    loop {
        // Most of what is sent stays as it is.
        let (bare, other) =
            rest.split_at(rest.bytes().position(|byte| !STAYS[usize::from(byte)]).unwrap_or(rest.len()));
        out.push_str(bare);
        let mut characters = other.chars();
        match characters.next() {
            None => return Ok(()),
            Some(' ') => out.push('+'),
            Some(character) if character.is_ascii() => escape_byte(character as u8, out),
            Some(character) => {
                let mut bytes = Vec::with_capacity(character.len_utf8());
                charset.encode_to(character.encode_utf8(&mut [0; 4]), &mut bytes)?;
                bytes.into_iter().for_each(|byte| escape_byte(byte, out));
            }
        }
        rest = characters.as_str();
    }
}

/// Looked up, since it is asked of every byte that is sent.
static STAYS: [bool; 256] = {
    let mut stays = [false; 256];
    let mut byte = 0;
    while byte < 128 {
        stays[byte] = (byte as u8).is_ascii_alphanumeric() || matches!(byte as u8, b'*' | b'-' | b'.' | b'_');
        byte += 1;
    }
    stays
};

fn escape_byte(byte: u8, out: &mut String) {
    out.extend(['%', DIGITS[usize::from(byte >> 4)] as char, DIGITS[usize::from(byte & 15)] as char]);
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
            prop_assert_eq!(&decoded, &pairs);
            let pairs = || pairs.iter().map(|(n, v)| (n.as_str(), v.as_str()));
            let mut url = Url::parse("https://example.com/").unwrap();
            let address = address(&url, pairs(), Charset::Utf8).unwrap();
            url.query_pairs_mut().extend_pairs(pairs());
            prop_assert_eq!(url.query(), Some(text.as_str()));
            prop_assert_eq!(address, url.as_str());
        }
    }
}
