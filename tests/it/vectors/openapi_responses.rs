//! JSON answers: verdict on the signature, code, sub-code and class.

use std::collections::BTreeMap;

use hyper::header::HeaderMap;
use serde_json::Value;
use takedown::domain::classify::{History, Outcome, Redelivery, classify};
use takedown::domain::outcome::Reason;
use takedown::domain::reply::{Answer, Claim, Reply};
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::open_platform::GatewayKeys;
use takedown::gateway::open_platform::response::parse;
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{open_platform, open_platform_item, signer, verifier};
use super::{body, cases, class_of, key, tell, text};

/// Serial number of the certificate that holds the stand-in gateway's key.
const CERTIFICATE: &str = "b312d858289ee12e5b9d1792a40a2f5a";

/// Returns what reads a body as the answer of one case.
pub(super) fn reader(case: &Value) -> impl Fn(Vec<u8>) -> Answer {
    item_reader(case, open_platform_item())
}

/// The same for an item of the test's own.
pub(super) fn item_reader(case: &Value, item: OpenPlatformItem) -> impl Fn(Vec<u8>) -> Answer {
    let sign_type: SignType = serde_json::from_value(case["sign_type"].clone()).unwrap();
    let gateway = verifier(sign_type, text(&case["verify_key"]), DsaFormat::Der);
    let keys = if case["expect"]["alipay_cert_sn"].is_string() {
        GatewayKeys::ByCertificate(BTreeMap::from([(CERTIFICATE.to_owned(), gateway)]))
    } else {
        GatewayKeys::Single(gateway)
    };
    let charset = Charset::from_label(text(&case["charset"])).unwrap();
    let mut account = open_platform(charset, signer(SignType::Rsa2, "app_rsa2048", DsaFormat::Der), keys);
    account.content_key = Some(ContentKey::load(&key("openapi_aes_key", "base64")).unwrap());
    let status = case["http_status"].as_u64().unwrap() as u16;
    move |body| parse(&account, &item, &HttpAnswer { status, headers: HeaderMap::new(), body, retry_after: None })
}

#[test]
fn every_answer_has_its_verdict_its_code_and_its_class() {
    let (mut ran, mut goal) = (0, 0);
    for case in cases("openapi_responses.json") {
        let id = text(&case["id"]);
        let expect = &case["expect"];
        let answer = reader(&case)(body(&case));
        assert_eq!(answer.signature.as_str(), text(&expect["signature"]), "{id}");
        let (code, sub_code) = match &answer.claim {
            Claim::Success { .. } => (Some("10000"), None),
            Claim::Failure { code, sub_code, .. } => (code.as_deref(), sub_code.as_deref()),
            Claim::Unreadable { .. } => (None, None),
        };
        assert_eq!(code, expect["code"].as_str(), "{id}");
        assert_eq!(sub_code, expect["sub_code"].as_str(), "{id}");
        if expect["already_in_goal_state"] == true {
            let again = History { redelivery: Redelivery::Again, ..super::CLEAN };
            let outcome = classify(Gateway::OpenPlatform, &Reply::Answered(answer.clone()), again);
            assert_eq!(outcome, Outcome::Success(Reason::TakenDownEarlier), "{id}");
            goal += 1;
        }
        assert_eq!(class_of(Gateway::OpenPlatform, answer), text(&expect["class"]), "{id}");
        ran += 1;
    }
    assert_eq!(goal, 6);
    tell("openapi_responses.json", ran, 66);
}
