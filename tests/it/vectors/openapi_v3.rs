//! Protocol v3 of the Open Platform: signed text, headers and signatures of requests; verdict, code and class of answers.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use takedown::domain::reply::{Answer, Claim};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::Gateway;
use takedown::gateway::http::{Endpoint, HttpAnswer, HttpRequest};
use takedown::gateway::open_platform::v3::request::{Lines, Stamp, auth, build, seal, signed_text, target};
use takedown::gateway::open_platform::v3::response::{parse, signed_bytes};
use takedown::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};
use url::Url;

use super::accounts::{open_platform, open_platform_item, signer, verifier};
use super::{body, class_of, hex, load, params, tell, text};

const HOST: &str = "https://openapi.alipay.com";

/// Serial number of the certificate that holds the stand-in gateway's key.
const CERTIFICATE: &str = "b312d858289ee12e5b9d1792a40a2f5a";

/// The account of the vectors, in key mode.
pub(super) fn account(gateway: &str) -> OpenPlatformAccount {
    let keys = GatewayKeys::Single(verifier(SignType::Rsa2, gateway, DsaFormat::Der));
    let signer = signer(SignType::Rsa2, "app_rsa2048", DsaFormat::Der);
    let address = format!("{HOST}{}", text(&load("openapi_v3.json")["path"]));
    let endpoint = Endpoint::new(&address).unwrap();
    OpenPlatformAccount { endpoint, protocol: Protocol::V3, ..open_platform(Charset::Utf8, signer, keys) }
}

fn cases(kind: &str) -> Vec<Value> {
    load("openapi_v3.json")[kind].as_array().unwrap().clone()
}

fn answer(case: &Value) -> HttpAnswer {
    let header =
        |(name, value): (String, String)| (name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(&value).unwrap());
    HttpAnswer {
        status: case["http_status"].as_u64().unwrap() as u16,
        headers: params(&case["headers"]).into_iter().map(header).collect(),
        body: body(case),
        retry_after: None,
    }
}

/// The moment of the vectors' timestamps.
fn stamp(case: &Value) -> Stamp {
    let auth = text(&case["auth_string"]);
    let after = |name: &str| auth.split(name).nth(1).unwrap().split(',').next().unwrap();
    let millis = Duration::from_millis(after("timestamp=").parse().unwrap());
    Stamp {
        now: SystemTime::UNIX_EPOCH + millis,
        nonce: after("nonce=").to_owned(),
        request_id: text(&case["headers"]["alipay-request-id"]).to_owned(),
    }
}

/// The headers of a request, the content type among them.
fn headers(request: &HttpRequest) -> BTreeMap<String, String> {
    let content_type = request.body.as_ref().unwrap().content_type;
    let mut headers = BTreeMap::from([("content-type".to_owned(), content_type.to_owned())]);
    for (name, value) in &request.headers {
        assert_eq!(headers.insert((*name).to_owned(), value.clone()), None, "{name} twice");
    }
    headers
}

fn requests() -> usize {
    let mut ran = 0;
    for case in cases("requests") {
        let id = text(&case["id"]);
        let stamp = stamp(&case);
        let wanted: BTreeMap<_, _> = params(&case["headers"]).into_iter().collect();
        let mut account = account("gateway_rsa2048");
        account.certificates = wanted.get("alipay-root-cert-sn").map(|root| CertificateNumbers {
            app: text(&case["auth_string"]).split("app_cert_sn=").nth(1).unwrap()[..32].to_owned(),
            root: root.clone(),
        });
        let token = wanted.get("alipay-app-auth-token").map(Secret::new);
        let url = Url::parse(&format!("{HOST}{}", text(&case["path_and_query"]))).unwrap();
        assert_eq!(auth(&account, &stamp), text(&case["auth_string"]), "{id}");
        let lines = Lines {
            auth: text(&case["auth_string"]),
            method: text(&case["http_method"]),
            target: target(&url),
            body: text(&case["body"]),
            token: token.as_ref().map(Secret::expose),
        };
        let signed = signed_text(lines);
        assert_eq!(signed, text(&case["signed_text"]), "{id}");
        assert_eq!(signed.as_bytes(), hex(text(&case["signed_hex"])), "{id}");

        let sealed = seal(&account, &url, text(&case["body"]), token.as_ref(), &stamp).unwrap();
        let mut sent = headers(&sealed);
        assert_eq!(sent.remove("accept").as_deref(), Some("application/json"), "{id}");
        assert_eq!(sent, wanted, "{id}");
        assert_eq!(sealed.url.as_str(), format!("{HOST}{}", text(&case["path_and_query"])), "{id}");
        assert_eq!(sealed.body.as_ref().unwrap().text, text(&case["body"]), "{id}");
        assert!(wanted["authorization"].ends_with(&format!(",sign={}", text(&case["sign"]))), "{id}");
        if !["with-query", "empty-body"].contains(&id) {
            let mut item = open_platform_item();
            item.app_auth_token = token;
            assert_eq!(build(&account, &item, &stamp).unwrap(), sealed, "{id}");
        }
        ran += 1;
    }
    ran
}

fn responses() -> usize {
    let mut ran = 0;
    for case in cases("responses") {
        let (id, expect) = (text(&case["id"]), &case["expect"]);
        let mut account = account(text(&case["verify_key"]));
        if case["headers"]["alipay-sn"].is_string() {
            let key = verifier(SignType::Rsa2, text(&case["verify_key"]), DsaFormat::Der);
            account.keys = GatewayKeys::ByCertificate(BTreeMap::from([(CERTIFICATE.to_owned(), key)]));
        }
        let header = |name: &str| text(&case["headers"][name]).as_bytes();
        let signed = signed_bytes(header("alipay-timestamp"), header("alipay-nonce"), &body(&case));
        assert_eq!(signed, hex(text(&case["signed_hex"])), "{id}");
        let answer: Answer = parse(&account, &open_platform_item(), &answer(&case));
        assert_eq!(answer.signature.as_str(), text(&expect["signature"]), "{id}");
        let code = match &answer.claim {
            Claim::Failure { code, sub_code: None, .. } => code.as_deref().filter(|code| *code != "202"),
            Claim::Success { .. } => None,
            Claim::Failure { .. } | Claim::Unreadable { .. } => panic!("{id}: {answer:?}"),
        };
        assert_eq!(code, expect["code"].as_str(), "{id}");
        assert_eq!(class_of(Gateway::OpenPlatform, answer), text(&expect["class"]), "{id}");
        ran += 1;
    }
    ran
}

/// Signs a body as the gateway of the vectors does.
pub(super) fn sealed(status: u16, body: &[u8]) -> HttpAnswer {
    let signer = signer(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der);
    let sign = signer.sign(&signed_bytes(b"1700000000456", b"0a1b2c3d4e5f", body)).unwrap();
    let mut answer = bare(status, body);
    for (name, value) in
        [("alipay-timestamp", "1700000000456"), ("alipay-nonce", "0a1b2c3d4e5f"), ("alipay-signature", &sign)]
    {
        answer.headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
    }
    answer
}

/// An answer without headers.
pub(super) fn bare(status: u16, body: &[u8]) -> HttpAnswer {
    HttpAnswer { status, headers: HeaderMap::new(), body: body.to_vec(), retry_after: None }
}

/// Reads an answer as the account of the vectors does.
pub(super) fn read(answer: &HttpAnswer) -> Answer {
    parse(&account("gateway_rsa2048"), &open_platform_item(), answer)
}

#[test]
fn every_request_is_reproduced_and_every_answer_is_judged() {
    tell("openapi_v3.json", requests() + responses(), 19);
}

#[test]
fn a_fresh_stamp_is_like_no_other_and_fit_for_a_header() {
    let now = SystemTime::now();
    let (first, second) = (Stamp::fresh(now), Stamp::fresh(now));
    let drawn = [&first.nonce, &first.request_id, &second.nonce, &second.request_id];
    assert_eq!(drawn.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{drawn:?}");
    assert!(drawn.iter().all(|text| text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit())), "{drawn:?}");
    assert_eq!(first.now, now);
}
