//! Keys of the test vectors, what was signed with them, and secrets that must not show.

use std::collections::BTreeSet;

use serde_json::Value;
use takedown::domain::reply::{Answer, Claim};
use takedown::gateway::http::HttpAnswer;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

const KEYS: &str = include_str!("../../fixtures/vectors/keys.json");
const MAPI_ANSWERS: &str = include_str!("../../fixtures/vectors/mapi_responses.json");
const OPEN_PLATFORM_ANSWERS: &str = include_str!("../../fixtures/vectors/openapi_responses.json");
const NOTIFICATIONS: &str = include_str!("../../fixtures/vectors/notifications.json");

/// The administrator's key of every mapi item; the vectors' answers echo it.
pub const USER_KEY: &str = "2011041704C579B6A4F446E7AA4421BC4CD218D7";

/// The merchant's token of every item of the Open Platform.
pub const TOKEN: &str = "201509BBeff9351ad1874306903e96b91d248A36";

/// Reads one form of one key.
pub fn key(name: &str, form: &str) -> String {
    let keys: Value = serde_json::from_str(KEYS).unwrap();
    keys[name][form].as_str().unwrap().to_owned()
}

/// The stand-in gateway's key.
pub fn verifier(sign_type: SignType, name: &str, format: DsaFormat) -> Verifier {
    let form = if sign_type == SignType::Md5 { "value" } else { "public_spki_pem" };
    Verifier::load(sign_type, &key(name, form), format).unwrap()
}

/// A key to call with, which reading an answer does not use.
pub fn signer() -> Signer {
    Signer::load(SignType::Md5, "0123456789abcdef0123456789abcdef", DsaFormat::Der).unwrap()
}

/// Everything that was ever signed with the stand-in gateway's keys, mapi answers.
pub fn signed_mapi_answers() -> BTreeSet<Vec<u8>> {
    signed(MAPI_ANSWERS)
}

/// The same for answers of the Open Platform.
pub fn signed_open_platform_answers() -> BTreeSet<Vec<u8>> {
    signed(OPEN_PLATFORM_ANSWERS)
}

/// The same for notifications.
pub fn signed_notifications() -> BTreeSet<Vec<u8>> {
    signed(NOTIFICATIONS)
}

fn signed(vectors: &str) -> BTreeSet<Vec<u8>> {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let texts = vectors["cases"].as_array().unwrap().iter().filter_map(|case| case["signed_hex"].as_str());
    texts.map(unhex).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// A body as the HTTP client hands it over.
pub fn answer(body: &[u8]) -> HttpAnswer {
    HttpAnswer { status: 200, headers: reqwest::header::HeaderMap::new(), body: body.to_vec(), retry_after: None }
}

/// What holds of every answer read from any gateway.
pub fn hold(answer: &Answer) {
    let texts = match &answer.claim {
        Claim::Success { goods_id: _, item: _ } => [None, None, None],
        Claim::Failure { code, sub_code, message } => {
            [code, sub_code, message].map(|text| text.as_ref().map(|text| (text, 256)))
        }
        Claim::Unreadable { problem, named_code } => [Some((problem, 128)), named_code.as_ref().map(|c| (c, 64)), None],
    };
    for (text, longest) in texts.into_iter().flatten() {
        assert!(text.chars().count() <= longest, "a text is cut to what a log line can bear: {text:?}");
    }
    let shown = format!("{answer:?}");
    assert!(!shown.contains(USER_KEY) && !shown.contains(TOKEN), "no secret shows: {shown}");
}
