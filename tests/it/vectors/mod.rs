//! Known answers: every case of `tests/fixtures/vectors` against the code, one file a family.
//!
//! Each test counts the cases it ran and asserts the number, so that a file that shrinks or a filter that skips cannot
//! pass in silence. A fixture's own README says how the vectors were made and checked.

mod charset;
mod keys;
mod mapi_requests;

use std::path::Path;

use serde_json::Value;

/// Reads one vector file.
fn load(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors").join(name);
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Reads the cases of one vector file.
fn cases(name: &str) -> Vec<Value> {
    load(name)["cases"].as_array().unwrap().clone()
}

/// Reads one form of one key, such as `app_rsa2048`, `private_pkcs8_pem`.
fn key(name: &str, form: &str) -> String {
    text(&load("keys.json")[name][form]).to_owned()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Reads a JSON object of strings, in the file's order.
fn params(value: &Value) -> Vec<(String, String)> {
    value.as_object().unwrap().iter().map(|(name, value)| (name.clone(), text(value).to_owned())).collect()
}
