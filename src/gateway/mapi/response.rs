//! Reading and verifying the XML answer (protocol page: mapi, Verification).
//!
//! Only the leaves inside `<response>` are signed; `is_success`, `error` and `request` are not, which is why a signed
//! answer about another item, or a refusal with a signed success inside, is possible and must be told apart.

use std::collections::HashSet;

use crate::domain::reply::{Answer, Claim, ItemMatch, Refusals, Signature};
use crate::domain::takedown::{Gateway, MapiItem};
use crate::gateway::echo;
use crate::gateway::http::HttpAnswer;
use crate::gateway::mapi::MapiAccount;
use crate::gateway::mapi::xml::{self, Element};
use crate::gateway::page;
use crate::signing::canonical::{Params, SignTypeField, canonical};
use crate::signing::charset::Charset;

/// Reads one answer to a call about `item`.
#[must_use]
pub fn parse(account: &MapiAccount, item: &MapiItem, answer: &HttpAnswer) -> Answer {
    let (signature, claim) = read(account, item, &answer.body)
        .unwrap_or_else(|problem| (Signature::Malformed, page::unreadable(Gateway::Mapi, &answer.body, problem)));
    let refusals = if answer.status == 200 { Refusals::Unsigned } else { Refusals::Foreign };
    Answer {
        http_status: answer.status,
        signature,
        refusals,
        claim,
        retry_after: answer.retry_after,
        unknown_certificate: None,
    }
}

/// The parts of an answer that mean something.
struct Parts<'a> {
    flag: &'a str,
    error: Option<&'a str>,
    sign: Option<&'a str>,
    sign_type: Option<&'a str>,
    signed: Params,
}

fn read(account: &MapiAccount, item: &MapiItem, body: &[u8]) -> Result<(Signature, Claim), &'static str> {
    let (root, charset) = xml::parse(body)?;
    let parts = Parts::of(&root)?;
    let signature = verdict(account, &parts, charset);
    Ok(match (parts.flag, parts.error) {
        ("T", None) => (signature, success(item, &parts.signed, signature)),
        // Unsigned parts that contradict each other.
        ("T", Some(_)) => {
            (Signature::Structure, page::unreadable(Gateway::Mapi, body, "a success that names an error"))
        }
        ("F", Some(code)) => {
            let signature = if signature == Signature::Valid { Signature::Contradictory } else { signature };
            (signature, echo::mask(Gateway::Mapi, Claim::failure(Some(code), None, None), &[&item.key]))
        }
        ("F", None) => (signature, page::unreadable(Gateway::Mapi, body, "a refusal that names no error")),
        _ => return Err("is_success is neither T nor F"),
    })
}

impl<'a> Parts<'a> {
    fn of(root: &'a Element) -> Result<Self, &'static str> {
        if root.name != "alipay" {
            return Err("the root element is not <alipay>");
        }
        root.child("request")?;
        let leaf = |name: &str| {
            let text = root.child(name)?.map(|element| {
                if element.children.is_empty() { Ok(element.text.trim()) } else { Err("an element is nested too deep") }
            });
            Ok::<_, &'static str>(text.transpose()?.filter(|text| !text.is_empty()))
        };
        Ok(Self {
            flag: leaf("is_success")?.ok_or("is_success is missing")?,
            error: leaf("error")?,
            sign: leaf("sign")?,
            sign_type: leaf("sign_type")?,
            signed: root.child("response")?.map_or(Ok(Vec::new()), signed)?,
        })
    }
}

/// Returns the leaves of the one element inside `<response>`.
pub(in crate::gateway) fn signed(response: &Element) -> Result<Params, &'static str> {
    let group = match response.children.as_slice() {
        [group] => group,
        [] if response.text.trim().is_empty() => return Ok(Vec::new()),
        _ => return Err("<response> holds something other than one element"),
    };
    if group.children.is_empty() && !group.text.trim().is_empty() {
        return Err("<response> holds a value without a name");
    }
    let mut params = Params::new();
    let mut names = HashSet::new();
    for leaf in &group.children {
        if !leaf.children.is_empty() {
            return Err("a signed element is nested too deep");
        }
        if !names.insert(&leaf.name) {
            return Err("a signed element is repeated");
        }
        params.push((leaf.name.clone(), leaf.text.clone()));
    }
    Ok(params)
}

fn verdict(account: &MapiAccount, parts: &Parts<'_>, charset: Charset) -> Signature {
    let Some(sign) = parts.sign else { return Signature::Unsigned };
    // The configured algorithm decides; an answer that names another is refused, not followed.
    if parts.sign_type.is_some_and(|named| !named.eq_ignore_ascii_case(account.verifier.sign_type().as_str())) {
        return Signature::Invalid;
    }
    if parts.signed.iter().any(|(name, _)| FOREIGN.contains(&name.as_str())) {
        return Signature::Invalid;
    }
    let is_ambiguous = parts.signed.iter().any(|(_, value)| holds_a_field(value));
    match canonical(&parts.signed, SignTypeField::Excluded, charset) {
        // A signature over nothing proves nothing.
        Ok(bytes) if bytes.is_empty() || !account.verifier.is_valid(&bytes, sign) => Signature::Invalid,
        Ok(_) if is_ambiguous => Signature::Structure,
        Ok(_) => Signature::Valid,
        Err(_) => Signature::Invalid,
    }
}

/// Names that no answer has among its signed elements, and other texts under the same key always have.
///
/// With MD5 both sides hold one secret, so a request of ours that is sent back verifies as well; every request carries the
/// name of its service (protocol page: mapi, Verification). Notifications are signed with the gateway's key, and name goods.
const FOREIGN: [&str; 2] = ["service", "notify_id"];

/// Says whether a value holds what could be a field that decides: what is signed is joined by `&` with nothing escaped, so
/// that whoever holds the text could cut it into other elements, and name other goods.
fn holds_a_field(value: &str) -> bool {
    let name =
        |piece: &str| piece.split_once('=').is_some_and(|(name, _)| name == "goods_id" || FOREIGN.contains(&name));
    value.split('&').skip(1).any(name)
}

/// An unverified goods id is not passed on. A verified answer that names no goods proves nothing about goods we can name.
fn success(item: &MapiItem, signed: &Params, signature: Signature) -> Claim {
    let goods_id = signed.iter().find(|(name, _)| name == "goods_id").map(|(_, value)| value.clone());
    let goods_id = goods_id.filter(|_| signature == Signature::Valid);
    let is_same = item.goods_id.is_none() || item.goods_id == goods_id;
    Claim::Success { goods_id, item: if is_same { ItemMatch::Same } else { ItemMatch::Other } }
}
