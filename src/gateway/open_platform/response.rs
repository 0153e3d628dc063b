//! Reading and verifying the JSON answer (protocol page: Open Platform, Answer).
//!
//! The signature covers the response node's value byte for byte as received. The span that was verified is the span that
//! is parsed, and an envelope that two parsers could read differently is refused although its bytes may verify.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::domain::reply::{Answer, Claim, ItemMatch, Refusals, Signature, certificate_number};
use crate::domain::takedown::{Gateway, OpenPlatformItem};
use crate::gateway::echo;
use crate::gateway::http::HttpAnswer;
use crate::gateway::open_platform::span::{self, Member};
use crate::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, request};
use crate::gateway::page;
use crate::signing::charset::without_mark;

/// Reads one answer to a call about `item`.
#[must_use]
pub fn parse(account: &OpenPlatformAccount, item: &OpenPlatformItem, answer: &HttpAnswer) -> Answer {
    let body = without_mark(&answer.body);
    let (signature, claim, unknown_certificate) = match span::members(body, account.charset) {
        Ok(members) => {
            let (signature, claim) = read(account, item, body, &members);
            let number = if signature == Signature::Unverifiable { certificate(body, &members) } else { None };
            (signature, claim, number)
        }
        Err(problem) => (Signature::Malformed, page::unreadable(Gateway::OpenPlatform, body, problem), None),
    };
    let refusals = if answer.status == 200 { Refusals::Signed } else { Refusals::Foreign };
    let unknown_certificate = unknown_certificate.map(|number| shown_number(account, item, number));
    Answer {
        http_status: answer.status,
        signature,
        refusals,
        claim,
        retry_after: answer.retry_after,
        unknown_certificate,
    }
}

/// Which envelope an answer came in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Envelope {
    /// The method's own node.
    Own,
    /// `error_response`, for refusals only.
    Error,
    /// Another method's.
    Other,
}

fn read(account: &OpenPlatformAccount, item: &OpenPlatformItem, body: &[u8], members: &[Member]) -> (Signature, Claim) {
    let mut nodes = members.iter().filter(|member| member.name.ends_with("_response"));
    let (Some(node), None) = (nodes.next(), nodes.next()) else {
        return (Signature::Structure, unreadable("the answer has no response node, or several"));
    };
    let envelope = match node.name.as_str() {
        OWN_NODE => Envelope::Own,
        "error_response" => Envelope::Error,
        _ => Envelope::Other,
    };
    let span = &body[node.span.clone()];
    let claim = claim(account, item, span).unwrap_or_else(unreadable);
    let is_success = matches!(claim, Claim::Success { .. });
    let mut names = HashSet::new();
    let is_repeated = !members.iter().all(|member| names.insert(member.name.as_str()));
    let is_misplaced = envelope == Envelope::Other || (envelope == Envelope::Error && is_success);
    let signature =
        if is_repeated || is_misplaced { Signature::Structure } else { verdict(account, body, span, members) };
    (signature, claim)
}

/// The node of the method: its name with `_` for `.`.
pub(in crate::gateway) const OWN_NODE: &str = "alipay_open_servicemarket_commodity_shop_offline_response";

fn verdict(account: &OpenPlatformAccount, body: &[u8], span: &[u8], members: &[Member]) -> Signature {
    let sign = match value(body, members, "sign") {
        None | Some(Value::Null) => return Signature::Unsigned,
        Some(Value::String(sign)) if sign.is_empty() => return Signature::Unsigned,
        Some(Value::String(sign)) => sign,
        Some(_) => return Signature::Invalid,
    };
    let verifier = match &account.keys {
        GatewayKeys::Single(verifier) => Some(verifier),
        GatewayKeys::ByCertificate(keys) => certificate(body, members).and_then(|number| keys.get(&number)),
    };
    match verifier {
        None => Signature::Unverifiable,
        Some(verifier) if verifier.is_valid(span, &sign) => Signature::Valid,
        Some(_) => Signature::Invalid,
    }
}

/// Returns the number of the certificate the answer says it was signed with.
fn certificate(body: &[u8], members: &[Member]) -> Option<String> {
    match value(body, members, "alipay_cert_sn")? {
        Value::String(number) => Some(number),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn value(body: &[u8], members: &[Member], name: &str) -> Option<Value> {
    let member = members.iter().find(|member| member.name == name)?;
    Some(serde_json::from_slice(&body[member.span.clone()]).unwrap_or(Value::Bool(false)))
}

/// The fields of a response node; a repeated one is an error of the parser.
#[derive(Deserialize)]
struct Node {
    code: Option<Value>,
    msg: Option<Value>,
    sub_code: Option<Value>,
    sub_msg: Option<Value>,
}

fn claim(account: &OpenPlatformAccount, item: &OpenPlatformItem, span: &[u8]) -> Result<Claim, &'static str> {
    let text = account.charset.read(span).ok_or("the bytes are not of the charset asked for")?;
    let text = if span.starts_with(b"\"") { decrypt(account, &text)?.into() } else { text };
    const NO_OBJECT: &str = "the response node is not an object with single fields";
    // A derived reader takes a list for an object.
    if !text.trim_start().starts_with('{') {
        return Err(NO_OBJECT);
    }
    let node: Node = serde_json::from_str(&text).map_err(|_| NO_OBJECT)?;
    let code = word(node.code).ok_or("the response node has no code")?;
    let sub_code = word(node.sub_code);
    if code == "10000" && sub_code.is_none() {
        return Ok(Claim::Success { goods_id: None, item: ItemMatch::Same });
    }
    let message = word(node.sub_msg).or(word(node.msg));
    Ok(masked(account, item, Claim::failure(Some(&code), sub_code.as_deref(), message.as_deref())))
}

/// `isv.invalid-signature` may quote the canonical string (protocol page: Open Platform, Verification), and
/// the merchant's token with it.
pub(super) fn masked(account: &OpenPlatformAccount, item: &OpenPlatformItem, claim: Claim) -> Claim {
    let token = request::token(account, item).ok().flatten();
    echo::mask(Gateway::OpenPlatform, claim, token.as_slice())
}

/// A number goes into logs and alarms, and whoever answers may write the merchant's token in its place.
pub(super) fn shown_number(account: &OpenPlatformAccount, item: &OpenPlatformItem, number: String) -> String {
    let token = request::token(account, item).ok().flatten();
    certificate_number(&echo::mask_text(number, token.as_slice()))
}

/// Opens an encrypted node: its value is a string (protocol page: Content encryption).
fn decrypt(account: &OpenPlatformAccount, text: &str) -> Result<String, &'static str> {
    let key = account.content_key.as_ref().ok_or("the answer is encrypted and the account has no content key")?;
    let cipher: String = serde_json::from_str(text).map_err(|_| "the encrypted answer is not a text")?;
    let plain = key.decrypt(&cipher).ok_or("the encrypted answer does not open with the account's content key")?;
    account.charset.decode(&plain).ok_or("the bytes are not of the charset asked for")
}

/// A text, or a number as its decimal text; empty is none.
pub(super) fn word(value: Option<Value>) -> Option<String> {
    match value? {
        Value::String(text) => Some(text),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
    .filter(|text| !text.is_empty())
}

fn unreadable(problem: &str) -> Claim {
    Claim::Unreadable { problem: problem.to_owned(), named_code: None }
}
