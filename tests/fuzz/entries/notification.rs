//! Notifications: what was not signed never verifies, and what is read is what another reader finds.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use takedown::domain::reply::Signature;
use takedown::gateway::mapi::notification::{Notification, NotificationError, read};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType, Verifier};

use super::fixture;

static VERIFIERS: LazyLock<Vec<Verifier>> = LazyLock::new(|| {
    let keys =
        [(SignType::Md5, "mapi_md5_key"), (SignType::Rsa, "gateway_rsa1024"), (SignType::Dsa, "gateway_dsa1024")];
    keys.map(|(sign_type, key)| fixture::verifier(sign_type, key, DsaFormat::Der)).into()
});

static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(fixture::signed_notifications);

/// Reads the bytes with each key in each charset.
pub fn run(body: &[u8]) {
    for verifier in &*VERIFIERS {
        for charset in [Charset::Utf8, Charset::Gbk] {
            match read(verifier, charset, body) {
                Ok(notification) => hold(&notification, verifier, body),
                Err(error) => is_short(&error),
            }
        }
    }
}

fn hold(found: &Notification, verifier: &Verifier, body: &[u8]) {
    let pairs = decoded(body);
    if matches!(found.signature, Signature::Valid | Signature::Structure) {
        assert!(SIGNED.contains(&canonical(pairs.clone())), "only what the gateway signed verifies");
    }
    let is_shown = |(name, _): &&(Vec<u8>, Vec<u8>)| name != b"sign" && name != b"sign_type";
    let expected: Vec<_> = pairs.iter().filter(is_shown).collect();
    assert_eq!(found.fields.len(), expected.len(), "no field is lost");
    let mut names = BTreeSet::new();
    for ((name, value), (bytes_of_name, bytes)) in found.fields.iter().zip(expected) {
        assert_eq!(name.as_bytes(), bytes_of_name, "fields keep their order");
        assert_eq!(found.charset.decode(bytes).as_ref(), Some(value), "a value is that of another reader");
        assert!(names.insert(name), "no name stands twice");
    }
    let written: Vec<String> = pairs
        .iter()
        .map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), percent_encode(value, NON_ALPHANUMERIC)))
        .collect();
    assert_eq!(
        read(verifier, found.charset, written.join("&").as_bytes()).as_ref(),
        Ok(found),
        "escaping is no content"
    );
    let shown = format!("{found:?}");
    assert!(shown.len() < 64 && shown.ends_with("***)"), "no field shows: {shown}");
}

fn is_short(error: &NotificationError) {
    let told = error.to_string();
    assert!(told.len() < 256 && !told.chars().any(char::is_control), "a fault is one short line: {told:?}");
}

fn decoded(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let part = |text: &[u8]| {
        let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
        percent_decode(&spaced).collect::<Vec<u8>>()
    };
    let pairs = body.split(|byte| *byte == b'&');
    pairs
        .map(|pair| {
            let mut halves = pair.splitn(2, |byte| *byte == b'=');
            (part(halves.next().unwrap_or_default()), part(halves.next().unwrap_or_default()))
        })
        .collect()
}

fn canonical(mut pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    pairs.retain(|(name, value)| name != b"sign" && name != b"sign_type" && !value.is_empty());
    pairs.sort();
    let lines: Vec<_> = pairs.into_iter().map(|(name, value)| [name.as_slice(), b"=", &value].concat()).collect();
    lines.join(&b'&')
}
