//! Showing a message without its secrets.
//!
//! Only the fields known to hold no secret are shown: the administrator's `key`, the merchant's `app_auth_token`, and
//! whatever a producer called them by mistake, are replaced, whatever their type. A body that is no JSON is shown
//! cautiously: only its size and the names of fields that can be seen in it, for a secret in a broken document cannot be
//! found reliably. Promise: no value of another field comes out.

use serde_json::Value;

/// Fields of `schemas/takedown.v1.json` that hold no secret, and the longest text each may hold, in characters. A longer
/// one does not belong there, and may be a key: those have 40.
const SHOWN: [(&str, usize); 13] = [
    ("version", 8),
    ("id", 128),
    ("account", 64),
    ("batch", 64),
    ("deadline", 36),
    ("priority", 8),
    ("gateway", 16),
    ("sns_user_id", 50),
    ("close_reason", 250),
    ("goods_id", 25),
    ("commodity_id", 32),
    ("shop_id", 32),
    ("merchant", 64),
];
const MASK: &str = "***";
/// Longest name of an unknown field shown, in bytes; a user key has 40.
const MAX_NAME: usize = 32;
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
            let shown = std::mem::take(map).into_iter().map(|(name, mut value)| {
                let longest = SHOWN.iter().find(|(known, _)| *known == name).map(|(_, longest)| *longest);
                let fits = |longest| value.as_str().is_none_or(|text| text.chars().count() <= longest);
                if (name == "takedown" && value.is_object()) || longest.is_some_and(fits) {
                    mask(&mut value);
                    return (name, value);
                }
                // Where name and value were mixed up, the name is the secret.
                let name = if name.len() <= MAX_NAME { name } else { MASK.to_owned() };
                (name, Value::String(MASK.to_owned()))
            });
            *map = shown.collect();
        }
        // Without a name of its own, a text may be any of the fields.
        Value::Array(items) => items.iter_mut().for_each(|item| match item {
            Value::String(text) => MASK.clone_into(text),
            other => mask(other),
        }),
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

/// Words in quotes directly before a colon: names of fields in a broken document.
fn names(text: &str) -> Vec<String> {
    let mut found: Vec<String> = Vec::new();
    let pieces: Vec<&str> = text.split('"').collect();
    for pair in pieces.windows(2) {
        let (name, after) = (pair[0], pair[1]);
        let is_name = !name.is_empty()
            && name.len() <= MAX_NAME
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
        let bytes =
            br#"{"Key":"aaa","App-Auth-Token":"bbb","id":"{\"key\":\"ccc\"}","batch":"{\"key\":\"ddd","kee":"eee",
            "takedown":{"goods_id":{"key":"fff"},"token":"ggg","2011041704C579B6A4F446E7AA4421BC4CD218D7":"key"},"account":["{\"key\":\"hhh\"}"]}"#;
        let shown = body(bytes).to_string();
        for secret in ["aaa", "bbb", "ccc", "ddd", "eee", "fff", "ggg", "hhh", "2011041704C5"] {
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_text_in_a_list_is_not_shown() {
        for bytes in [r#"["mapi","u-1","k3y"]"#, r#"{"takedown":{"goods_id":["k3y"]}}"#, r#"[["k3y"],{"id":"t-1"}]"#] {
            assert!(!body(bytes.as_bytes()).to_string().contains("k3y"), "{bytes}");
        }
    }

    #[test]
    fn a_text_too_long_for_its_field_is_not_shown() {
        let key = "2011041704C579B6A4F446E7AA4421BC4CD218D7";
        let bytes = format!(r#"{{"deadline":"{key}","takedown":{{"goods_id":"{key}","shop_id":"77"}}}}"#);
        let shown = body(bytes.as_bytes()).to_string();
        assert!(!shown.contains(key) && shown.contains(r#""shop_id":"77""#), "{shown}");
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
