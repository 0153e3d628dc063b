//! JSON answers: the span scanner agrees with a parser, and what was not signed never passes for the gateway's word.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::LazyLock;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use takedown::domain::reply::{Answer, Claim, Refusals, Signature};
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::open_platform::response::parse;
use takedown::gateway::open_platform::span::{self, Member};
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::SignType;
use takedown::signing::charset::Charset;

use super::fixture;

const NODE: &str = "alipay_open_servicemarket_commodity_shop_offline_response";

const MARK: &[u8] = b"\xEF\xBB\xBF";

static ACCOUNTS: LazyLock<Vec<OpenPlatformAccount>> = LazyLock::new(|| {
    let kinds = [
        (Charset::Utf8, SignType::Rsa2, false),
        (Charset::Utf8, SignType::Rsa, false),
        (Charset::Utf8, SignType::Rsa2, true),
        (Charset::Gbk, SignType::Rsa2, false),
        (Charset::Gb2312, SignType::Rsa2, false),
    ];
    let account = |(charset, sign_type, is_by_certificate)| OpenPlatformAccount {
        content_key: Some(fixture::content_key()),
        ..fixture::open_platform(Protocol::V1, charset, fixture::gateway_keys(sign_type, is_by_certificate))
    };
    kinds.map(account).into()
});

static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(fixture::signed_open_platform_answers);

static ITEM: LazyLock<OpenPlatformItem> = LazyLock::new(fixture::open_platform_item);

/// Reads the bytes as the answer of each kind of account, and as the content of an encrypted one.
pub fn run(body: &[u8]) {
    for account in &*ACCOUNTS {
        let answer = parse(account, &ITEM, &fixture::answer(body));
        fixture::hold(&answer);
        let text = body.strip_prefix(MARK).unwrap_or(body);
        let members = span::members(text, account.charset);
        if let Ok(members) = &members {
            are_spans_of_the_parser(text, members, account.charset);
        } else {
            assert_eq!(answer.signature, Signature::Malformed, "what has no members has no verdict");
        }
        is_told_where_unverifiable(&answer, account);
        if answer.signature == Signature::Valid || fixture::is_success(Gateway::OpenPlatform, &answer) {
            let members = members.unwrap_or_default();
            let is_known = members.iter().any(|member| SIGNED.contains(&text[member.span.clone()]));
            assert!(is_known, "only what the gateway signed verifies: {answer:?}");
        }
    }
    is_the_same_encrypted(&ACCOUNTS[0], body);
}

/// The number of a certificate is passed on where its key is wanting, and nowhere else.
fn is_told_where_unverifiable(answer: &Answer, account: &OpenPlatformAccount) {
    assert_eq!(answer.refusals, Refusals::Signed, "refusals of this protocol are signed");
    let is_by_certificate = matches!(account.keys, GatewayKeys::ByCertificate(_));
    assert!(is_by_certificate || answer.signature != Signature::Unverifiable, "one key verifies every answer");
    assert!(
        answer.unknown_certificate.is_none() || answer.signature == Signature::Unverifiable,
        "a number is told where its key is wanting: {answer:?}"
    );
}

/// An object says the same whether it comes bare or encrypted.
fn is_the_same_encrypted(account: &OpenPlatformAccount, node: &[u8]) {
    let is_object = node.starts_with(b"{") && node.ends_with(b"}") && span::members(node, account.charset).is_ok();
    if !is_object {
        return;
    }
    let claim = |value: &[u8]| {
        let body = [b"{\"", NODE.as_bytes(), b"\":", value, b"}"].concat();
        let Answer { claim, signature, .. } = parse(account, &ITEM, &fixture::answer(&body));
        assert_eq!(signature, Signature::Unsigned, "nothing is signed here");
        claim
    };
    let cipher = account.content_key.as_ref().and_then(|key| key.encrypt(node)).unwrap();
    let (bare, encrypted) = (claim(node), claim(format!("\"{cipher}\"").as_bytes()));
    assert_eq!(bare, encrypted, "encryption changes nothing of what is said");
    assert!(!matches!(&bare, Claim::Unreadable { named_code: Some(_), .. }), "an object is no page");
}

/// Spans lie in the body, one after the other, and hold what another reader finds, repeated names included.
fn are_spans_of_the_parser(body: &[u8], members: &[Member], charset: Charset) {
    let text = charset.decode(body).unwrap();
    let expected: Object<'_> = serde_json::from_str(&text).unwrap();
    let mut end = 0;
    for (member, (name, value)) in members.iter().zip(&expected.0) {
        assert!(end < member.span.start && member.span.end <= body.len(), "spans are disjoint and in order");
        end = member.span.end;
        assert_eq!(member.name, *name, "names are those of the parser");
        let found = charset.decode(&body[member.span.clone()]);
        assert_eq!(found.as_deref(), Some(value.get()), "a span holds the value the parser finds");
    }
    assert_eq!(members.len(), expected.0.len(), "no member is lost");
}

/// The members of an object as a parser finds them, repeats and all.
struct Object<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
