//! XML answers: verdict on the signature, code, goods and class.

use hyper::header::HeaderMap;
use serde_json::Value;
use takedown::domain::reply::{Answer, Claim, Signature};
use takedown::domain::takedown::Gateway;
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::mapi::Method;
use takedown::gateway::mapi::response::parse;
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{mapi, mapi_item, signer, verifier};
use super::{body, cases, class_of, tell, text};

/// Returns what reads a body as the answer of one case.
pub(super) fn reader(case: &Value, format: DsaFormat) -> impl Fn(Vec<u8>) -> Answer {
    let sign_type: SignType = serde_json::from_value(case["configured_sign_type"].clone()).unwrap();
    let gateway = verifier(sign_type, text(&case["verify_key"]), format);
    let account = mapi(Charset::Utf8, Method::Get, signer(SignType::Md5, "mapi_md5_key", format), gateway);
    let status = case["http_status"].as_u64().unwrap() as u16;
    let item = mapi_item(case["requested_goods_id"].as_str());
    move |body| parse(&account, &item, &HttpAnswer { status, headers: HeaderMap::new(), body, retry_after: None })
}

#[test]
fn every_answer_has_its_verdict_its_code_and_its_class() {
    let (mut ran, mut raw) = (0, 0);
    for case in cases("mapi_responses.json") {
        let id = text(&case["id"]);
        let expect = &case["expect"];
        let answer = reader(&case, DsaFormat::Der)(body(&case));
        assert_eq!(answer.signature.as_str(), text(&expect["signature"]), "{id}");
        let (goods_id, error) = match &answer.claim {
            Claim::Success { goods_id, .. } => (goods_id.as_deref(), None),
            Claim::Failure { code, .. } => (None, code.as_deref()),
            Claim::Unreadable { .. } => (None, None),
        };
        assert_eq!(goods_id, expect["goods_id"].as_str(), "{id}");
        assert_eq!(error, expect["error"].as_str(), "{id}");
        assert_eq!(class_of(Gateway::Mapi, answer), text(&expect["class"]), "{id}");
        if let Some(expected) = expect["signature_if_raw_dsa_accepted"].as_str() {
            assert_eq!(reader(&case, DsaFormat::Raw)(body(&case)).signature.as_str(), expected, "{id}");
            raw += 1;
        }
        ran += 1;
    }
    assert_eq!(raw, 1);
    tell("mapi_responses.json", ran, 46);
}

#[test]
fn an_html_page_is_recognised_and_its_code_shown_but_not_believed() {
    let case = cases("mapi_responses.json").into_iter().find(|case| case["id"] == "html-error-page").unwrap();
    let answer = reader(&case, DsaFormat::Der)(body(&case));
    assert_eq!(answer.signature, Signature::Malformed);
    let expected = Claim::Unreadable {
        problem: "an HTML page came instead of an answer".to_owned(),
        named_code: Some("ILLEGAL_SIGN".to_owned()),
    };
    assert_eq!(answer.claim, expected);
}
