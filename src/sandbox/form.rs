//! The parameters of one request: query and form body, decoded as the gateways decode them, and the bytes they sign.
//!
//! Written apart from the worker's request building on purpose: nothing here encodes, and nothing there decodes.
//! Promise: a request that two readers could understand differently is refused.

use std::collections::BTreeMap;

use crate::signing::charset::Charset;

/// A request as it came off the wire, not yet decoded.
#[derive(Debug, Clone)]
pub(super) struct RawForm {
    /// After the `?`.
    pub(super) query: String,
    /// The body, if it declared itself a form.
    pub(super) body: Vec<u8>,
}

/// Decoded parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Form {
    fields: BTreeMap<Vec<u8>, Field>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Field {
    value: String,
    bytes: Vec<u8>,
}

/// Says why parameters cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum FormError {
    /// A `%` without two hex digits, a byte that had to be escaped, or bytes that are not of the charset or about which
    /// its tables disagree.
    Undecodable,
    /// A parameter appears twice.
    Repeated,
}

impl RawForm {
    /// Returns a parameter of the query that must be known before the charset is, such as the charset's own name.
    pub(super) fn in_query(&self, name: &str) -> Option<String> {
        let ascii = |text| decode(text, Charset::Utf8).ok().map(|field| field.value);
        let (_, value) = pairs(self.query.as_bytes()).find(|(n, _)| ascii(n).as_deref() == Some(name))?;
        ascii(value)
    }

    /// Decodes query and body.
    ///
    /// The charset's own parameter may stand in both, if they agree: that is how vendor code posts.
    pub(super) fn read(&self, charset: Charset, charset_field: &str) -> Result<Form, FormError> {
        let mut fields = BTreeMap::new();
        let in_query = pairs(self.query.as_bytes()).map(|pair| (pair, false));
        let in_body = pairs(&self.body).map(|pair| (pair, true));
        for ((name, value), is_body) in in_query.chain(in_body) {
            let name = decode(name, charset)?;
            let value = decode(value, charset)?;
            let may_repeat = is_body && name.value == charset_field && self.in_query(charset_field).is_some();
            match fields.get(&name.bytes) {
                None => drop(fields.insert(name.bytes, value)),
                Some(first) if may_repeat && *first == value => {}
                Some(_) => return Err(FormError::Repeated),
            }
        }
        Ok(Form { fields })
    }
}

impl Form {
    /// Returns a parameter's value; an empty one counts as absent.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.fields.get(name.as_bytes()).map(|field| field.value.as_str()).filter(|value| !value.is_empty())
    }

    /// Says whether a parameter was sent without a value (vendor code differs about signing those: section 7.1).
    pub(super) fn has_empty(&self) -> bool {
        self.fields.values().any(|field| field.bytes.is_empty())
    }

    /// Returns every parameter, by name.
    pub(super) fn iter(&self) -> impl Iterator<Item = (String, &str)> {
        self.fields.iter().map(|(name, field)| (String::from_utf8_lossy(name).into_owned(), field.value.as_str()))
    }

    /// Returns the bytes that were signed: sorted by name, without empties and the fields named, values as they came.
    pub(super) fn canonical(&self, left_out: &[&str]) -> Vec<u8> {
        let signed = self
            .fields
            .iter()
            .filter(|(name, field)| !field.bytes.is_empty() && !left_out.iter().any(|out| out.as_bytes() == *name));
        let joined: Vec<Vec<u8>> = signed.map(|(name, field)| [name, b"=".as_slice(), &field.bytes].concat()).collect();
        joined.join(&b'&')
    }
}

fn pairs(text: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(|pair| {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        (&pair[..end], pair.get(end + 1..).unwrap_or_default())
    })
}

/// Decodes like the JDK's `URLDecoder`, which the gateways are taken to use: each run of escapes is decoded by itself,
/// so a two-byte character of which only the first byte is escaped is broken (protocol page: On the wire).
fn decode(text: &[u8], charset: Charset) -> Result<Field, FormError> {
    let mut field = Field { value: String::new(), bytes: Vec::new() };
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        match first {
            b'%' => {
                let mut run = Vec::new();
                while let [b'%', high, low, tail @ ..] = rest {
                    run.push(hex(*high)? << 4 | hex(*low)?);
                    rest = tail;
                }
                if run.is_empty() {
                    return Err(FormError::Undecodable);
                }
                // Written back it must be the same bytes: more can be read than may be written.
                let text = charset.decode(&run).filter(|text| charset.encode(text).as_ref() == Ok(&run));
                field.value.push_str(&text.ok_or(FormError::Undecodable)?);
                field.bytes.extend_from_slice(&run);
                continue;
            }
            b'+' => push_ascii(&mut field, b' '),
            literal if literal.is_ascii_graphic() => push_ascii(&mut field, *literal),
            _ => return Err(FormError::Undecodable),
        }
        rest = tail;
    }
    Ok(field)
}

fn push_ascii(field: &mut Field, byte: u8) {
    field.value.push(char::from(byte));
    field.bytes.push(byte);
}

fn hex(digit: u8) -> Result<u8, FormError> {
    let value = char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
    value.ok_or(FormError::Undecodable)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, body: &str) -> Result<Form, FormError> {
        RawForm { query: query.into(), body: body.into() }.read(Charset::Utf8, "charset")
    }

    #[test]
    fn canonical_bytes_are_sorted_and_unescaped() {
        let form = read("b=1+1%26&_x=2&A=3&sign=s&e=&ab=%E5%81%87", "a=4").unwrap();
        assert_eq!(form.canonical(&["sign"]), "A=3&_x=2&a=4&ab=假&b=1 1&".as_bytes());
        assert!(form.has_empty());
        assert_eq!(form.get("e"), None);
    }

    #[test]
    fn the_charset_is_found_however_its_name_is_escaped() {
        let form = RawForm { query: "a=%E9%46&%5Finput%5fcharset=gb%6B".into(), body: Vec::new() };
        assert_eq!(form.in_query("_input_charset").as_deref(), Some("gbk"));
        assert_eq!(form.in_query("charset"), None);
    }

    #[test]
    fn only_the_charset_may_stand_in_query_and_body() {
        assert!(read("charset=utf-8", "charset=utf-8&a=1").is_ok());
        for (query, body) in
            [("charset=utf-8", "charset=gbk"), ("a=1", "a=1"), ("a=1&a=1", ""), ("", "charset=x&charset=x")]
        {
            assert_eq!(read(query, body), Err(FormError::Repeated), "{query} {body}");
        }
    }

    #[test]
    fn what_is_not_escaped_as_it_must_be_is_undecodable() {
        for query in ["a=%", "a=%4", "a=%zz", "a=%+1", "a=%C3", "a=\u{e9}", "a=%FF"] {
            assert_eq!(read(query, ""), Err(FormError::Undecodable), "{query}");
        }
    }

    #[test]
    fn a_two_byte_character_is_escaped_whole_or_refused() {
        let read = |query: &str| RawForm { query: query.into(), body: Vec::new() }.read(Charset::Gbk, "charset");
        assert_eq!(read("a=%E9%46").unwrap().get("a"), Some("镕"));
        assert_eq!(read("a=%E9F"), Err(FormError::Undecodable));
    }

    #[test]
    fn bytes_that_no_caller_may_write_are_undecodable() {
        let read = |charset, query: &str| RawForm { query: query.into(), body: Vec::new() }.read(charset, "charset");
        // The euro sign, four bytes of GB 18030, and a character of GBK that GB 2312 does not have.
        for (charset, query) in [
            (Charset::Gbk, "a=%80"),
            (Charset::Gbk, "a=%A2%E3"),
            (Charset::Gbk, "a=%95%32%82%36"),
            (Charset::Gb2312, "a=%E9%46"),
        ] {
            assert_eq!(read(charset, query), Err(FormError::Undecodable), "{query}");
        }
    }
}
