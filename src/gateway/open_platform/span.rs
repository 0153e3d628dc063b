//! Where the members of a JSON object lie, byte for byte: the signature covers a value exactly as it was received.
//!
//! Promise: the spans are those of a document that is complete valid JSON of the charset; a GBK character whose second
//! byte is a backslash or a brace does not lead the scan astray.

use std::ops::Range;

use serde::de::IgnoredAny;

use crate::signing::charset::Charset;

/// One member of the outermost object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name, escapes resolved.
    pub name: String,
    /// Bytes of the value, without the white space around it.
    pub span: Range<usize>,
}

/// Finds the members of the outermost object, repeated names included.
///
/// # Errors
/// Why the body is no JSON object of the charset, in words safe to log.
pub fn members(body: &[u8], charset: Charset) -> Result<Vec<Member>, &'static str> {
    let text = charset.read(body).ok_or("the bytes are not of the charset asked for")?;
    serde_json::from_str::<IgnoredAny>(&text).map_err(|_| "the answer is not JSON")?;
    let mut scan = Scan { body, charset, at: 0 };
    scan.space();
    if !scan.is_at(b'{') {
        return Err("the answer is not a JSON object");
    }
    scan.at += 1;
    let mut members = Vec::new();
    loop {
        scan.space();
        if !scan.is_at(b'"') {
            // The document is valid JSON, so this is the closing brace of an object that is empty.
            return Ok(members);
        }
        let name = scan.value();
        let name = charset.read(&body[name]).and_then(|name| serde_json::from_str(&name).ok());
        let name = name.ok_or("a member's name is not a text")?;
        scan.space();
        scan.at += 1; // the colon
        scan.space();
        members.push(Member { name, span: scan.value() });
        scan.space();
        if !scan.is_at(b',') {
            return Ok(members);
        }
        scan.at += 1;
    }
}

/// Walks over bytes already known to be valid JSON.
struct Scan<'a> {
    body: &'a [u8],
    charset: Charset,
    at: usize,
}

impl Scan<'_> {
    fn is_at(&self, byte: u8) -> bool {
        self.body.get(self.at) == Some(&byte)
    }

    fn space(&mut self) {
        while self.body.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// Steps over one value of any kind.
    fn value(&mut self) -> Range<usize> {
        let start = self.at;
        let mut depth = 0_usize;
        while let Some(byte) = self.body.get(self.at) {
            match byte {
                b'"' => self.string(),
                b'{' | b'[' => {
                    depth += 1;
                    self.at += 1;
                }
                b'}' | b']' if depth == 0 => break,
                b'}' | b']' => {
                    depth -= 1;
                    self.at += 1;
                }
                b',' | b':' if depth == 0 => break,
                byte if depth == 0 && byte.is_ascii_whitespace() => break,
                _ => self.at += 1,
            }
            let is_closed = matches!(self.body[self.at - 1], b'"' | b'}' | b']');
            if depth == 0 && is_closed {
                break;
            }
        }
        start..self.at
    }

    fn string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.body.get(self.at) {
            self.at += match byte {
                b'"' => break,
                b'\\' => 2,
                // The second byte of a GBK character may be a backslash or a brace, never a quote. A character of four
                // bytes (GB 18030) is two such pairs.
                0x81..=0xFE if self.charset != Charset::Utf8 => 2,
                _ => 1,
            };
        }
        self.at += 1;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn spans(body: &[u8], charset: Charset) -> Vec<(String, Vec<u8>)> {
        members(body, charset).unwrap().into_iter().map(|m| (m.name, body[m.span].to_vec())).collect()
    }

    #[test]
    fn values_are_cut_out_as_they_were_written() {
        let body = br#" { "a" : { "x" : "}\"," } , "\u0062":"y\\" ,"c":[1,{"d":"]"}],"e":-1.5e3 , "f":null,"a":true}"#;
        let expected = [
            ("a", r#"{ "x" : "}\"," }"#),
            ("b", r#""y\\""#),
            ("c", r#"[1,{"d":"]"}]"#),
            ("e", "-1.5e3"),
            ("f", "null"),
            ("a", "true"),
        ];
        let expected: Vec<_> = expected.map(|(n, v)| (n.to_owned(), v.as_bytes().to_vec())).into();
        assert_eq!(spans(body, Charset::Utf8), expected);
    }

    #[test]
    fn gbk_second_bytes_do_not_lead_astray() {
        let text = "{\"乗\":\"亄亇乕乚嘰坿祡乗\",\"b\":{\"乗\":1}}";
        let body = Charset::Gbk.encode(text).unwrap();
        let found = spans(&body, Charset::Gbk);
        assert_eq!(found[0].0, "乗");
        assert_eq!(found[1], ("b".to_owned(), Charset::Gbk.encode("{\"乗\":1}").unwrap()));
    }

    #[test]
    fn what_is_not_an_object_has_no_members() {
        for body in ["", "[]", "{", "{}x", "{\"a\":1,}", "null", "<html>"] {
            assert!(members(body.as_bytes(), Charset::Utf8).is_err(), "{body}");
        }
        assert_eq!(members(b" {} ", Charset::Utf8), Ok(Vec::new()));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[ -~乗亄假]{0,8}".prop_map(Value::from)
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[ -~乗]{0,4}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_span_holds_the_value_a_parser_finds(
            object in proptest::collection::btree_map("[ -~乗]{0,4}", json(), 0..5),
            pretty: bool,
            charset in prop_oneof![Just(Charset::Utf8), Just(Charset::Gbk)],
        ) {
            let text = if pretty { serde_json::to_string_pretty(&object) } else { serde_json::to_string(&object) }.unwrap();
            let body = charset.encode(&text).unwrap();
            let found: Vec<(String, Value)> = spans(&body, charset)
                .into_iter()
                .map(|(name, bytes)| (name, serde_json::from_str(&charset.decode(&bytes).unwrap()).unwrap()))
                .collect();
            prop_assert_eq!(found, object.into_iter().collect::<Vec<_>>());
        }
    }
}
