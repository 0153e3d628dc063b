//! The signature inside the JSON answer of the Open Platform, version 1.0.

use std::collections::HashSet;

use serde_json::Value;

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::Verdict;
use crate::gateway::diagnosis::answer::Reading;
use crate::gateway::diagnosis::answer::rewritten::{self, TextDraft};
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::search::{Draft, search};
use crate::gateway::diagnosis::verdict::{Expected, Signer, diagnose};
use crate::gateway::open_platform::span::{self, Member};
use crate::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, response};
use crate::signing::charset::{Charset, without_mark};

/// Reads the body in the account's charset, else in the other one.
pub(super) fn reading(account: &OpenPlatformAccount, keyring: &Keyring, body: &[u8]) -> Option<Reading> {
    let body = without_mark(body);
    if let Ok(members) = span::members(body, account.charset) {
        return in_charset(account, keyring, body, &members, account.charset);
    }
    let other = if account.charset == Charset::Utf8 { Charset::Gbk } else { Charset::Utf8 };
    let members = span::members(body, other).ok()?;
    let mut reading = in_charset(account, keyring, body, &members, other)?;
    if reading.diagnosis.signed.is_some() && reading.diagnosis.causes.is_empty() {
        let what = format!(
            "the answer is genuine and in {}, the account is configured for {}",
            other.as_str(),
            account.charset.as_str()
        );
        let remedy = format!(
            "set charset = {:?} for the account, or find out why the gateway answers in another one than was asked for",
            other.as_str()
        );
        reading.diagnosis.causes.push(Cause::new("answer_in_another_charset", what, remedy));
        reading.diagnosis.verdict = Verdict::Wrong;
    }
    Some(reading)
}

fn in_charset(
    account: &OpenPlatformAccount,
    keyring: &Keyring,
    body: &[u8],
    members: &[Member],
    charset: Charset,
) -> Option<Reading> {
    let find = |name: &str| members.iter().find(|member| member.name == name);
    let text = |name: &str| match serde_json::from_slice(&body[find(name)?.span.clone()]) {
        Ok(Value::String(text)) => Some(text),
        Ok(_) | Err(_) => None,
    };
    let own = find(response::OWN_NODE);
    let node = own.or_else(|| members.iter().find(|member| member.name.ends_with("_response")))?;
    let sign = text("sign")?;
    let span = body[node.span.clone()].to_vec();
    let draft = TextDraft { before: Vec::new(), text: span.clone(), after: Vec::new() };
    let slips = rewritten::slips(&span, charset);
    let number = text("alipay_cert_sn");
    let named = match account.keys {
        GatewayKeys::Single(_) => None,
        GatewayKeys::ByCertificate(_) => number.as_deref(),
    };
    let expected = Expected { sign_type: account.signer.sign_type(), signer: Signer::Gateway(named) };
    let diagnosis = diagnose(&sign, keyring, expected, |proof, budget| search(&draft, &slips, proof, budget));
    Some(Reading { diagnosis, covered: draft.bytes() })
}

/// Says what is wrong with an envelope that is refused.
pub(super) fn fault(body: &[u8], charset: Charset) -> String {
    let body = without_mark(body);
    let Ok(members) = span::members(body, charset) else { return "its structure is refused".to_owned() };
    let mut names = HashSet::new();
    if let Some(member) = members.iter().find(|member| !names.insert(member.name.as_str())) {
        return format!("the member {:?} stands there twice", member.name);
    }
    let nodes: Vec<&str> = members.iter().map(|m| m.name.as_str()).filter(|name| name.ends_with("_response")).collect();
    match nodes.as_slice() {
        [] => "it has no response node".to_owned(),
        ["error_response"] => "a success came in `error_response`".to_owned(),
        [node] => format!("its response node {node:?} is that of another method, not {:?}", response::OWN_NODE),
        several => format!("it has several response nodes: {}", several.join(", ")),
    }
}
