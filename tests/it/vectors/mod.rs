//! Known answers: every case of `tests/fixtures/vectors` against the code, one file a family.
//!
//! Each test counts the cases it ran and asserts the number, so that a file that shrinks or a filter that skips cannot
//! pass in silence. A fixture's own README says how the vectors were made and checked.

pub(crate) mod accounts;
mod aes;
mod cert_sn;
mod charset;
mod damage;
mod growth;
mod hostile;
mod keys;
mod mapi_requests;
mod mapi_responses;
mod notifications;
mod one_change;
mod openapi_requests;
mod openapi_responses;
mod openapi_v3;
mod openapi_v3_hostile;
mod result_codes;

use std::io::Write;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use takedown::domain::classify::{Cause, Effect, History, Outcome, Redelivery, classify};
use takedown::domain::reply::{Answer, Reply};
use takedown::domain::takedown::Gateway;
use takedown::signing::charset::Charset;

/// A first attempt.
const CLEAN: History = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };

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
pub(crate) fn key(name: &str, form: &str) -> String {
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

/// Reads the exact body of an answer.
fn body(case: &Value) -> Vec<u8> {
    BASE64_STANDARD.decode(text(&case["body_base64"])).unwrap()
}

/// Decodes a query or a form body as a server does: percent-encoding first, then the charset.
fn decode(form: &str, charset: Charset) -> Vec<(String, String)> {
    let part = |text: &str| {
        let spaced = text.replace('+', " ");
        charset.decode(&percent_encoding::percent_decode_str(&spaced).collect::<Vec<u8>>()).unwrap()
    };
    form.split('&').map(|pair| pair.split_once('=').unwrap()).map(|(name, value)| (part(name), part(value))).collect()
}

/// Says by the vectors' word what an answer to a first attempt comes to.
fn class_of(gateway: Gateway, answer: Answer) -> &'static str {
    class_of_reply(gateway, &Reply::Answered(answer))
}

/// The same for a call that may have brought no answer.
fn class_of_reply(gateway: Gateway, reply: &Reply) -> &'static str {
    match classify(gateway, reply, CLEAN) {
        Outcome::Success(_) => "success",
        Outcome::Retryable(Cause::Throttled(_), _) => "rate_limited",
        Outcome::Retryable(Cause::UnlistedCode, _) => "unknown",
        Outcome::Retryable(_, Effect::Possible) => "ambiguous",
        Outcome::Retryable(_, Effect::None) => "retryable",
        Outcome::Terminal(_) => "terminal_item",
        Outcome::AccountFault(..) => "config_fault",
    }
}

/// Tells how many cases of a file ran, past the runner's capture of what passing tests print, and holds the number.
fn tell(file: &str, ran: usize, expected: usize) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "vectors: {ran} cases of {file}").unwrap();
    assert_eq!(ran, expected, "{file}");
}
