//! Showing a message without its secrets.
//!
//! The administrator's `key` and the merchant's `app_auth_token` are replaced wherever they stand in the JSON, whatever
//! their type. A body that is no JSON is shown cautiously: only its size and the names of fields that can be seen in it,
//! for a secret in a broken document cannot be found reliably. Promise: no value of a secret field comes out.

use serde_json::Value;

const SECRET_FIELDS: [&str; 5] = ["key", "app_auth_token", "private_key", "secret", "sign"];
const MASK: &str = "***";
/// Values of undecodable bodies are not shown; names are, up to this many.
const MAX_NAMES: usize = 20;

/// A message body as an operator may see it.
#[must_use]
pub fn body(bytes: &[u8]) -> Value {
    if let Ok(mut value @ (Value::Object(_) | Value::Array(_))) = serde_json::from_slice(bytes) {
        mask(&mut value);
        return value;
    }
    serde_json::json!({
        "unreadable": "not a JSON object; its values are not shown, they may hold a secret",
        "bytes": bytes.len(),
        "is_utf8": std::str::from_utf8(bytes).is_ok(),
        "names_seen": names(&String::from_utf8_lossy(bytes)),
    })
}

fn mask(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (name, value) in map.iter_mut() {
                if is_secret(name) { *value = Value::String(MASK.to_owned()) } else { mask(value) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(mask),
        // Some producers put JSON into a text.
        Value::String(text) if text.trim_start().starts_with(['{', '[']) => {
            *text = match serde_json::from_str::<Value>(text) {
                Ok(mut inner) => {
                    mask(&mut inner);
                    inner.to_string()
                }
                Err(_) => MASK.to_owned(),
            };
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.trim().to_ascii_lowercase().replace('-', "_");
    SECRET_FIELDS.contains(&name.as_str()) || name.ends_with("_token") || name.ends_with("password")
}

/// Words in quotes directly before a colon: names of fields in a broken document.
fn names(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let pieces: Vec<&str> = text.split('"').collect();
    for pair in pieces.windows(2) {
        let (name, after) = (pair[0], pair[1]);
        let is_name = !name.is_empty()
            && name.len() <= 32
            && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
            && after.trim_start().starts_with(':');
        if is_name && !found.iter().any(|known| known == name) && found.len() < MAX_NAMES {
            found.push(name.to_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_at_every_depth_and_whatever_their_type() {
        let bytes =
            br#"{"id":"t-1","takedown":{"gateway":"mapi","key":"k3y","goods_id":"7","list":[{"app_auth_token":12}]}}"#;
        let shown = body(bytes).to_string();
        assert!(!shown.contains("k3y") && !shown.contains("12"), "{shown}");
        assert!(shown.contains(r#""goods_id":"7""#) && shown.contains(r#""key":"***""#), "{shown}");
    }

    #[test]
    fn other_spellings_and_texts_holding_json_do_not_leak() {
        let bytes = br#"{"Key":"aaa","App-Auth-Token":"bbb","inner":"{\"key\":\"ccc\"}","broken":"{\"key\":\"ddd"}"#;
        let shown = body(bytes).to_string();
        for secret in ["aaa", "bbb", "ccc", "ddd"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_broken_document_shows_names_and_no_values() {
        let shown = body(br#"{"id":"t-1","takedown":{"key":"k3y","sns_user_id":"u1""#).to_string();
        assert!(!shown.contains("k3y") && !shown.contains("u1"), "{shown}");
        assert!(shown.contains("sns_user_id"), "{shown}");
        assert!(!body(b"\xff\xfekey=k3y").to_string().contains("k3y"));
        assert!(!body(br#""k3y""#).to_string().contains("k3y"));
    }
}
