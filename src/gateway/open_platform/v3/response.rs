//! Reading and verifying the answer of protocol v3.
//!
//! The signature stands in headers and covers the whole body, but neither the HTTP status nor the request: a signed
//! refusal under a status of success is therefore refused. Errors come unsigned as a rule. Promise: what is read is what
//! was verified, and a header or a member that stands there twice is refused.

use std::borrow::Cow;
use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::reply::{Answer, Claim, ItemMatch, Refusals, Signature};
use crate::domain::takedown::{Gateway, OpenPlatformItem};
use crate::gateway::http::HttpAnswer;
use crate::gateway::open_platform::response::{masked, shown_number, word};
use crate::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, span};
use crate::gateway::page;
use crate::signing::charset::{Charset, without_mark};

/// Accepted, not processed: to be repeated with the same parameters (docs open-v3/054fcv, 054oog).
const ACCEPTED: u16 = 202;

/// Reads one answer to a call about `item`.
#[must_use]
pub fn parse(account: &OpenPlatformAccount, item: &OpenPlatformItem, answer: &HttpAnswer) -> Answer {
    let signature = verdict(account, answer);
    let (signature, claim) = match (read(account, item, answer), signature) {
        (Ok(Said { claim, shape: Shape::Sound }), _) => (signature, claim),
        (Ok(Said { claim, shape: Shape::Repeated }), _) => (Signature::Structure, claim),
        // The status is not signed: one of the two was altered.
        (Ok(Said { claim, shape: Shape::Contradictory }), Signature::Valid | Signature::Unsigned) => {
            (Signature::Contradictory, claim)
        }
        (Ok(Said { claim, shape: Shape::Contradictory }), _) => (signature, claim),
        (Err(problem), _) => {
            let signature = if signature == Signature::Unsigned { Signature::Malformed } else { signature };
            (signature, page::unreadable(Gateway::OpenPlatform, without_mark(&answer.body), problem))
        }
    };
    // Documented beyond those are 500 and 502, for failures of the system.
    let refusals = if (400..=499).contains(&answer.status) { Refusals::Unsigned } else { Refusals::Foreign };
    let number = if signature == Signature::Unverifiable { header(answer, "alipay-sn").flatten() } else { None };
    let number = number.map(|number| String::from_utf8_lossy(number).into_owned());
    let unknown_certificate = number.map(|number| shown_number(account, item, number));
    Answer {
        http_status: answer.status,
        signature,
        refusals,
        claim,
        retry_after: answer.retry_after,
        unknown_certificate,
    }
}

/// Judges the signature in an answer's headers. Without one, or with the text `null` for one, it is unsigned.
#[must_use]
pub fn verdict(account: &OpenPlatformAccount, answer: &HttpAnswer) -> Signature {
    signature(account, answer).unwrap_or(Signature::Structure)
}

/// Returns the bytes a signature covers: timestamp, nonce and body, each with a LF behind it.
#[must_use]
pub fn signed_bytes(timestamp: &[u8], nonce: &[u8], body: &[u8]) -> Vec<u8> {
    [timestamp, b"\n", nonce, b"\n", body, b"\n"].concat()
}

/// `None` where a header the verdict rests on is repeated.
fn signature(account: &OpenPlatformAccount, answer: &HttpAnswer) -> Option<Signature> {
    let sign = match header(answer, "alipay-signature")? {
        None | Some(b"" | b"null") => return Some(Signature::Unsigned),
        Some(sign) => std::str::from_utf8(sign).unwrap_or_default(),
    };
    let (timestamp, nonce) = (header(answer, "alipay-timestamp")?, header(answer, "alipay-nonce")?);
    let number = header(answer, "alipay-sn")?.unwrap_or_default();
    let verifier = match &account.keys {
        GatewayKeys::Single(verifier) => Some(verifier),
        GatewayKeys::ByCertificate(keys) => std::str::from_utf8(number).ok().and_then(|number| keys.get(number)),
    };
    let (Some(timestamp), Some(nonce)) = (timestamp, nonce) else { return Some(Signature::Invalid) };
    Some(match verifier {
        None => Signature::Unverifiable,
        Some(verifier) if verifier.is_valid(&signed_bytes(timestamp, nonce, &answer.body), sign) => Signature::Valid,
        Some(_) => Signature::Invalid,
    })
}

/// Finds a header; `None` where it is repeated.
fn header<'a>(answer: &'a HttpAnswer, name: &str) -> Option<Option<&'a [u8]>> {
    let mut values = answer.headers.get_all(name).iter();
    let first = values.next();
    values.next().is_none().then(|| first.map(|value| value.as_bytes()))
}

/// What a body says, and whether it can be said in this way.
struct Said {
    claim: Claim,
    shape: Shape,
}

enum Shape {
    Sound,
    /// A member stands there twice.
    Repeated,
    /// A refusal under a status of success.
    Contradictory,
}

/// The members of an error body that mean something; `links` (a text in the schema, a list on the wire) is for people
/// in front of a browser.
#[derive(Deserialize)]
struct Refusal {
    code: Option<Value>,
    message: Option<Value>,
}

fn read(account: &OpenPlatformAccount, item: &OpenPlatformItem, answer: &HttpAnswer) -> Result<Said, &'static str> {
    let sound = |claim| Ok(Said { claim, shape: Shape::Sound });
    let is_success = match answer.status {
        200 | 204 => true,
        ACCEPTED => return sound(Claim::failure(Some("202"), None, Some("accepted, not processed yet"))),
        201..=299 => return Err("the HTTP status is none of the protocol's"),
        _ => false,
    };
    let success = Claim::Success { goods_id: None, item: ItemMatch::Same };
    let body = without_mark(&answer.body);
    if is_success && body.trim_ascii().is_empty() {
        return sound(success);
    }
    let body = open(account, body)?;
    let members = span::members(&body, Charset::Utf8)?;
    let mut names = HashSet::new();
    if !members.iter().all(|member| names.insert(member.name.as_str())) {
        let claim = Claim::Unreadable { problem: "a member of the answer is repeated".to_owned(), named_code: None };
        return Ok(Said { claim, shape: Shape::Repeated });
    }
    let refusal: Refusal = serde_json::from_slice(&body).map_err(|_| "the answer is not an object")?;
    match (refusal.code, is_success) {
        (None, true) => sound(success),
        (code, _) => {
            let code = word(code).ok_or("the error names no code")?;
            let message = word(refusal.message);
            let shape = if is_success { Shape::Contradictory } else { Shape::Sound };
            let claim = masked(account, item, Claim::failure(Some(&code), None, message.as_deref()));
            Ok(Said { claim, shape })
        }
    }
}

/// Opens an encrypted body: all of it is the Base64 of the ciphertext.
fn open<'a>(account: &OpenPlatformAccount, body: &'a [u8]) -> Result<Cow<'a, [u8]>, &'static str> {
    let Some(key) = &account.content_key else { return Ok(Cow::Borrowed(body)) };
    if body.trim_ascii_start().starts_with(b"{") {
        return Ok(Cow::Borrowed(body));
    }
    let plain = std::str::from_utf8(body.trim_ascii()).ok().and_then(|cipher| key.decrypt(cipher));
    plain.map(Cow::Owned).ok_or("the encrypted answer does not open with the account's content key")
}
