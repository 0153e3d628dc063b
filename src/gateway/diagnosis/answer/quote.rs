//! The canonical string the gateway quotes in a refusal: nothing says better what it verified.
//!
//! Seen in signed answers of the Open Platform (`isv.invalid-signature`, protocol page: Open Platform, Verification):
//! the wording, then the string up to the end of the text, HTML-escaped.

use serde_json::Value;

use crate::gateway::diagnosis::answer::rewritten::unescaped;
use crate::signing::charset::Charset;

/// Words in front of the string ("the string to verify that the gateway made is").
const MARK: &str = "验签字符串为";

/// Finds the quoted string in an answer, as the bytes of the charset it was made in.
pub(super) fn find(body: &[u8], charset: Charset) -> Option<Vec<u8>> {
    let other = if charset == Charset::Utf8 { Charset::Gbk } else { Charset::Utf8 };
    let text = charset.decode(body).or_else(|| other.decode(body))?;
    let value: Value = serde_json::from_str(text.trim_start_matches('\u{feff}')).ok()?;
    let message = message(&value)?;
    let (_, quoted) = message.split_once(MARK)?;
    let quoted = quoted.trim_matches(['：', ':', ' ', '[', ']', '"', '【', '】', '。']);
    charset.encode(&unescaped(quoted)).ok().filter(|quoted| !quoted.is_empty())
}

fn message(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => text.contains(MARK).then_some(text),
        Value::Array(values) => values.iter().find_map(message),
        Value::Object(members) => members.values().find_map(message),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_string_is_found_unescaped() {
        let body = r#"{"x_response":{"sub_msg":"验签出错，网关生成的验签字符串为：app_id=1&amp;biz_content={&quot;a&quot;:1}"},"sign":"s"}"#;
        assert_eq!(find(body.as_bytes(), Charset::Utf8), Some(b"app_id=1&biz_content={\"a\":1}".to_vec()));
        let gbk = Charset::Gbk.encode(body).unwrap();
        assert_eq!(find(&gbk, Charset::Gbk), Some(b"app_id=1&biz_content={\"a\":1}".to_vec()));
        assert_eq!(find(b"{\"x\":\"y\"}", Charset::Utf8), None);
    }
}
