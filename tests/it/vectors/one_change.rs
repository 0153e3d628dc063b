//! Answers built and signed as the gateway does, changed in one place by structure: what no blind fuzzer can make.
//!
//! A fuzzer cannot sign, so behind the signature it sees nothing. Here every answer is genuine, of random shape, and then
//! ONE thing is done to it that two readers could read differently. Promise held: such an answer is never a success
//! unless it still says, in the signed bytes, what the gateway signed.

mod xml;

use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use takedown::domain::classify::{Outcome, classify};
use takedown::domain::reply::{Answer, Reply, Signature};
use takedown::domain::takedown::Gateway;
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, response, span};
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType, Signer};

use super::accounts::{open_platform, open_platform_item, signer, verifier};
use super::openapi_v3::{bare, read, sealed};
use super::{CLEAN, key};

const NODE: &str = "alipay_open_servicemarket_commodity_shop_offline_response";

/// Characters whose second byte in GBK is a backslash, a bracket, a brace or a bar, and plain ones.
const TRAIL: &str = "[ -~乗亄亇乕乚嘰坿祡誠假下]{0,8}";

fn is_success(gateway: Gateway, answer: &Answer) -> bool {
    matches!(classify(gateway, &Reply::Answered(answer.clone()), CLEAN), Outcome::Success(_))
}

static ACCOUNTS: LazyLock<[OpenPlatformAccount; 2]> = LazyLock::new(|| CHARSETS.map(new_account));

const CHARSETS: [Charset; 2] = [Charset::Utf8, Charset::Gbk];

fn account(charset: Charset) -> &'static OpenPlatformAccount {
    &ACCOUNTS[usize::from(charset != Charset::Utf8)]
}

static GATEWAY: LazyLock<Signer> = LazyLock::new(|| signer(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der));

fn new_account(charset: Charset) -> OpenPlatformAccount {
    let keys = GatewayKeys::Single(verifier(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der));
    let own = signer(SignType::Rsa2, "app_rsa2048", DsaFormat::Der);
    let content_key = Some(ContentKey::load(&key("openapi_aes_key", "base64")).unwrap());
    OpenPlatformAccount { content_key, ..open_platform(charset, own, keys) }
}

/// What a gateway may write beside what is read: the members of a node, each with a comma behind it.
fn members() -> impl Strategy<Value = Vec<String>> {
    let text = |text: String| serde_json::Value::from(text).to_string();
    let value = prop_oneof![
        TRAIL.prop_map(text),
        Just("{\"code\":\"40004\",\"sub_code\":\"x\"}".to_owned()),
        Just("[{\"sign\":\"x\"},\"}\"]".to_owned()),
        Just("-0.0e-7".to_owned()),
        Just("null".to_owned()),
    ];
    let member = (TRAIL, value).prop_map(move |(name, value)| format!("{}:{value}", text(format!("x{name}"))));
    proptest::collection::vec(member, 0..4)
}

/// White space as JSON has it.
fn space() -> impl Strategy<Value = &'static str> {
    select(vec!["", "", " ", "\n", "\r\n\t"])
}

/// A node of code 10000 or of a refusal, bare or encrypted, as the bytes that are signed.
fn node(charset: Charset) -> impl Strategy<Value = (bool, Vec<u8>)> {
    let code = prop_oneof![Just("\"10000\""), Just("10000"), Just("\"\\u0031000\\u0030\"")];
    let refusal = select(vec!["", "\"sub_code\":\"isv.x\"", "\"sub_code\":7"]);
    (code, refusal, members(), space(), any::<Index>(), any::<bool>()).prop_map(
        move |(code, refusal, mut members, space, at, is_encrypted)| {
            if !refusal.is_empty() {
                members.insert(at.index(members.len() + 1), refusal.to_owned());
            }
            members.insert(at.index(members.len() + 1), format!("\"code\":{space}{code}"));
            let node = charset.encode(&format!("{{{space}{}{space}}}", members.join(","))).unwrap();
            let node = if is_encrypted {
                format!("\"{}\"", account(charset).content_key.as_ref().unwrap().encrypt(&node).unwrap()).into_bytes()
            } else {
                node
            };
            (refusal.is_empty(), node)
        },
    )
}

/// What is done to a whole answer. `success` is another node that was never signed.
#[derive(Debug, Clone, Copy)]
enum Envelope {
    NodeAgain,
    UnsignedNodeBefore,
    UnsignedNodeBehind,
    EscapedNodeBefore,
    ErrorNodeBefore,
    OtherMethod,
    AsError,
    SignAgain,
    SignAgainFirst,
    SignNested,
    InsideAnother,
    InsideText,
    SpaceInside,
    KeyInCapitals,
    Garbage,
    OtherBytesOfTheSameText,
}

const ENVELOPES: [Envelope; 16] = [
    Envelope::NodeAgain,
    Envelope::UnsignedNodeBefore,
    Envelope::UnsignedNodeBehind,
    Envelope::EscapedNodeBefore,
    Envelope::ErrorNodeBefore,
    Envelope::OtherMethod,
    Envelope::AsError,
    Envelope::SignAgain,
    Envelope::SignAgainFirst,
    Envelope::SignNested,
    Envelope::InsideAnother,
    Envelope::InsideText,
    Envelope::SpaceInside,
    Envelope::KeyInCapitals,
    Envelope::Garbage,
    Envelope::OtherBytesOfTheSameText,
];

impl Envelope {
    /// Writes an answer with the one change.
    fn write(self, node: &[u8], sign: &str) -> Vec<u8> {
        let success = br#"{"code":"10000","msg":"Success"}"#;
        let member = |name: &str, value: &[u8]| [b"\"", name.as_bytes(), b"\":", value].concat();
        let own = member(NODE, node);
        let sign_value = format!("\"{sign}\"").into_bytes();
        let sign = member("sign", &sign_value);
        let escaped = member(&NODE.replace('_', "\\u005f"), success);
        let parts = match self {
            Self::NodeAgain => vec![own.clone(), own, sign],
            Self::UnsignedNodeBefore => vec![member(NODE, success), own, sign],
            Self::UnsignedNodeBehind => vec![own, sign, member(NODE, success)],
            Self::EscapedNodeBefore => vec![escaped, own, sign],
            Self::ErrorNodeBefore => vec![member("error_response", success), own, sign],
            Self::OtherMethod => vec![member("alipay_trade_pay_response", node), sign],
            Self::AsError => vec![member("error_response", node), sign],
            Self::SignAgain => vec![own, sign.clone(), sign],
            Self::SignAgainFirst => vec![member("sign", b"\"x\""), own, sign],
            Self::SignNested => vec![own, member("sign", &[b"[", sign_value.as_slice(), b"]"].concat())],
            Self::InsideAnother => vec![member("a", &[b"{", own.as_slice(), b"}"].concat()), sign],
            Self::InsideText => {
                let text = serde_json::Value::from(String::from_utf8_lossy(&own)).to_string();
                vec![member("a", text.as_bytes()), sign]
            }
            Self::SpaceInside => {
                let end = node.len() - 1;
                vec![member(NODE, &[&node[..end], b" ", &node[end..]].concat()), sign]
            }
            Self::KeyInCapitals => vec![member(&NODE.to_uppercase(), node), sign],
            Self::Garbage => return [b"{", [own, sign].join(&b',').as_slice(), b"}{}"].concat(),
            Self::OtherBytesOfTheSameText => {
                let text =
                    [br#"{"\u0063ode":"10000""#.as_slice(), &[if node.len() > 2 { b',' } else { b' ' }]].concat();
                vec![member(NODE, &[&text, &node[1..]].concat()), sign]
            }
        };
        [b"{", parts.join(&b',').as_slice(), b"}"].concat()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn a_genuine_json_answer_is_read_as_it_was_signed_and_any_other_envelope_is_refused(
        (charset, (says_success, node)) in select(vec![Charset::Utf8, Charset::Gbk])
            .prop_flat_map(|charset| (Just(charset), node(charset))),
        before in members(),
        behind in members(),
        space in space(),
    ) {
        let account = account(charset);
        let judge = |body: Vec<u8>| response::parse(account, &open_platform_item(), &bare(200, &body));
        let sign = GATEWAY.sign(&node).unwrap();

        // As the gateway may write it: other members, white space, a mark, either order.
        let encode = |member: &String| charset.encode(member).unwrap();
        let mut parts: Vec<Vec<u8>> = before.iter().map(encode).collect();
        parts.push([b"\"", NODE.as_bytes(), b"\"", space.as_bytes(), b":", space.as_bytes(), &node, space.as_bytes()].concat());
        parts.push(format!("\"sign\":\"{sign}\"").into_bytes());
        parts.extend(behind.iter().map(encode));
        let body = [b"{", parts.join(&b',').as_slice(), b"}"].concat();
        let names = span::members(&body, charset).unwrap();
        let is_repeated = (1..names.len()).any(|at| names[..at].iter().any(|one| one.name == names[at].name));
        let answer = judge(body);
        if is_repeated {
            prop_assert_eq!(answer.signature, Signature::Structure);
        } else {
            prop_assert_eq!(answer.signature, Signature::Valid);
            prop_assert_eq!(is_success(Gateway::OpenPlatform, &answer), says_success, "{:?}", answer);
        }

        for envelope in ENVELOPES {
            let answer = judge(envelope.write(&node, &sign));
            prop_assert!(!is_success(Gateway::OpenPlatform, &answer), "{:?} {:?}", envelope, answer);
            let refuses = matches!(envelope, Envelope::AsError) && !says_success;
            prop_assert!(refuses || answer.signature != Signature::Valid, "{:?} {:?}", envelope, answer);
        }
    }

    #[test]
    fn a_genuine_node_is_no_success_in_the_other_charset_unless_it_reads_the_same(
        (_, node) in node(Charset::Gbk),
    ) {
        let sign = GATEWAY.sign(&node).unwrap();
        let body = [b"{\"", NODE.as_bytes(), b"\":", &node, format!(",\"sign\":\"{sign}\"}}").as_bytes()].concat();
        let [as_gbk, as_utf8] = [Charset::Gbk, Charset::Utf8]
            .map(|charset| response::parse(account(charset), &open_platform_item(), &bare(200, &body)));
        let successes = [&as_gbk, &as_utf8].map(|answer| is_success(Gateway::OpenPlatform, answer));
        prop_assert!(!successes[1] || successes[0], "{:?} {:?}", as_gbk, as_utf8);
    }

    #[test]
    fn a_v3_answer_with_one_thing_changed_is_no_success(
        names in proptest::collection::vec("[a-z]{1,3}", 0..3),
        space in space(),
        at in any::<Index>(),
    ) {
        let members: Vec<String> = names.iter().enumerate().map(|(at, name)| format!("\"{name}{at}\":{{\"code\":1}}")).collect();
        let body = format!("{{{space}{}{space}}}", members.join(","));
        let genuine = sealed(200, body.as_bytes());
        prop_assert!(is_success(Gateway::OpenPlatform, &read(&genuine)));
        let with = |change: &dyn Fn(&mut HttpAnswer)| {
            let mut answer = genuine.clone();
            change(&mut answer);
            answer
        };
        let line = |headers: &HeaderMap, name: &str| headers[name].clone();
        let name = |text: &'static str| HeaderName::from_static(text);
        let signed = ["alipay-timestamp", "alipay-nonce", "alipay-signature"];
        let chosen = signed[at.index(3)];
        let refusal = br#"{"code":"COMMODITY_SHOP_NOT_EXIST"}"#;
        let changed: [(&str, HttpAnswer); 11] = [
            ("a header again", with(&|a| { let value = line(&a.headers, chosen); a.headers.append(name(chosen), value); })),
            ("a header away", with(&|a| drop(a.headers.remove(chosen)))),
            ("a header empty", with(&|a| drop(a.headers.insert(name(chosen), HeaderValue::from_static(""))))),
            ("two headers swapped", with(&|a| {
                let (time, nonce) = (line(&a.headers, signed[0]), line(&a.headers, signed[1]));
                a.headers.insert(name(signed[0]), nonce);
                a.headers.insert(name(signed[1]), time);
            })),
            ("the status a refusal's", with(&|a| a.status = 400)),
            ("the status one of doubt", with(&|a| a.status = 202)),
            ("the status of a redirection", with(&|a| a.status = 302)),
            ("the body another", with(&|a| a.body = b"{ }  ".to_vec())),
            ("the body cut", with(&|a| a.body.truncate(a.body.len() - 1))),
            ("the body with a line feed", with(&|a| a.body.push(b'\n'))),
            ("a refusal under a status of success", sealed(200, refusal)),
        ];
        for (what, answer) in changed {
            prop_assert!(!is_success(Gateway::OpenPlatform, &read(&answer)), "{}: {:?}", what, read(&answer));
        }
    }
}
