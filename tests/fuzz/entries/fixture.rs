//! Keys of the test vectors, what was signed with them, and secrets that must not show.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde_json::Value;
use takedown::domain::classify::{Effect, History, Outcome, Redelivery, classify};
use takedown::domain::reply::{Answer, Claim, Reply};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::http::{Endpoint, HttpAnswer};
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

const KEYS: &str = include_str!("../../fixtures/vectors/keys.json");
const MAPI_ANSWERS: &str = include_str!("../../fixtures/vectors/mapi_responses.json");
const OPEN_PLATFORM_ANSWERS: &str = include_str!("../../fixtures/vectors/openapi_responses.json");
const V3_ANSWERS: &str = include_str!("../../fixtures/vectors/openapi_v3.json");
const NOTIFICATIONS: &str = include_str!("../../fixtures/vectors/notifications.json");

/// The administrator's key of every mapi item; the vectors' answers echo it.
pub const USER_KEY: &str = "2011041704C579B6A4F446E7AA4421BC4CD218D7";

/// The merchant's token of every item of the Open Platform.
pub const TOKEN: &str = "201509BBeff9351ad1874306903e96b91d248A36";

/// Serial number of the certificate that holds the stand-in gateway's key.
const CERTIFICATE: &str = "b312d858289ee12e5b9d1792a40a2f5a";

static PARSED_KEYS: LazyLock<Value> = LazyLock::new(|| serde_json::from_str(KEYS).unwrap());

/// Reads one form of one key.
pub fn key(name: &str, form: &str) -> String {
    PARSED_KEYS[name][form].as_str().unwrap().to_owned()
}

/// The key contents are encrypted with.
pub fn content_key() -> ContentKey {
    ContentKey::load(&key("openapi_aes_key", "base64")).unwrap()
}

/// The stand-in gateway's key, alone or by the number of its certificate.
pub fn gateway_keys(sign_type: SignType, is_by_certificate: bool) -> GatewayKeys {
    let name = if sign_type == SignType::Rsa { "gateway_rsa1024" } else { "gateway_rsa2048" };
    let verifier = verifier(sign_type, name, DsaFormat::Der);
    if is_by_certificate {
        GatewayKeys::ByCertificate(BTreeMap::from([(CERTIFICATE.to_owned(), verifier)]))
    } else {
        GatewayKeys::Single(verifier)
    }
}

/// An account of the Open Platform.
pub fn open_platform(protocol: Protocol, charset: Charset, keys: GatewayKeys) -> OpenPlatformAccount {
    OpenPlatformAccount {
        endpoint: Endpoint::new("https://gateway.example/gateway.do").unwrap(),
        protocol,
        app_id: "2014072300007148".to_owned(),
        charset,
        signer: signer(),
        keys,
        merchants: BTreeMap::new(),
        content_key: None,
        certificates: None,
    }
}

/// An item with a token of its own.
pub fn open_platform_item() -> OpenPlatformItem {
    OpenPlatformItem {
        commodity_id: "20160010200000000033400".to_owned(),
        shop_id: "2015052000077000000000182140".to_owned(),
        merchant: None,
        app_auth_token: Some(Secret::new(TOKEN)),
    }
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
    signed(MAPI_ANSWERS, "cases")
}

/// The same for answers of the Open Platform.
pub fn signed_open_platform_answers() -> BTreeSet<Vec<u8>> {
    signed(OPEN_PLATFORM_ANSWERS, "cases")
}

/// The same for answers of protocol v3: timestamp, nonce and body.
pub fn signed_v3_answers() -> BTreeSet<Vec<u8>> {
    signed(V3_ANSWERS, "responses")
}

/// The same for notifications.
pub fn signed_notifications() -> BTreeSet<Vec<u8>> {
    signed(NOTIFICATIONS, "cases")
}

fn signed(vectors: &str, kind: &str) -> BTreeSet<Vec<u8>> {
    let vectors: Value = serde_json::from_str(vectors).unwrap();
    let texts = vectors[kind].as_array().unwrap().iter().filter_map(|case| case["signed_hex"].as_str());
    texts.map(unhex).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    text.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

/// A body as the HTTP client hands it over.
pub fn answer(body: &[u8]) -> HttpAnswer {
    HttpAnswer { status: 200, headers: hyper::header::HeaderMap::new(), body: body.to_vec(), retry_after: None }
}

/// Says whether an answer to a first attempt ends its item as taken down.
pub fn is_success(gateway: Gateway, answer: &Answer) -> bool {
    let first = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };
    matches!(classify(gateway, &Reply::Answered(answer.clone()), first), Outcome::Success(_))
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
