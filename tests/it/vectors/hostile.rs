//! Hostile answers: forged, bloated or odd in ways no damage by chance would be.

use reqwest::header::HeaderMap;
use takedown::domain::reply::{Answer, Claim, Signature};
use takedown::domain::secret::Secret;
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::mapi::Method;
use takedown::gateway::mapi::request::build;
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{self, signer, verifier};
use super::{cases, mapi_responses, openapi_responses, text};

/// A head, as many numbered parts as anybody could send, and a tail.
fn many(head: &str, part: impl Fn(usize) -> String, tail: &str) -> Vec<u8> {
    let parts: String = (0..60_000).map(part).collect();
    format!("{head}{parts}{tail}").into_bytes()
}

#[test]
fn a_repeat_among_sixty_thousand_members_is_seen() {
    let case = &cases("openapi_responses.json")[0];
    let verdict = |tail: &str| {
        let body = many("{\"error_response\":{\"code\":\"20000\"}", |n| format!(",\"{n:x}\":0"), tail);
        openapi_responses::reader(case)(body).signature
    };
    assert_eq!(verdict("}"), Signature::Unsigned);
    assert_eq!(verdict(",\"0\":0}"), Signature::Structure);
}

#[test]
fn a_repeat_among_sixty_thousand_elements_is_seen() {
    let case = &cases("mapi_responses.json")[0];
    let verdict = |tail: &str| {
        let head = "<alipay><is_success>T</is_success><response><goods>";
        let body = many(head, |n| format!("<a{n:x}/>"), &format!("{tail}</goods></response></alipay>"));
        mapi_responses::reader(case, DsaFormat::Der)(body).signature
    };
    assert_eq!(verdict(""), Signature::Unsigned);
    assert_eq!(verdict("<a0/>"), Signature::Malformed);
}

/// Signs a node as the gateway of a case does, and reads it as that case's answer.
fn signed_node(node: &str) -> Answer {
    let case = &cases("openapi_responses.json")[0];
    let sign = signer(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der).sign(node.as_bytes()).unwrap();
    let name = "alipay_open_servicemarket_commodity_shop_offline_response";
    openapi_responses::reader(case)(format!("{{\"{name}\":{node},\"sign\":\"{sign}\"}}").into_bytes())
}

#[test]
fn a_node_that_is_a_list_is_no_answer_however_well_it_fits() {
    let answer = signed_node("[\"10000\",\"Success\",null,null]");
    assert!(matches!(answer.claim, Claim::Unreadable { .. }), "{answer:?}");
    assert!(matches!(signed_node("{\"code\":\"10000\"}").claim, Claim::Success { .. }));
}

#[test]
fn codes_and_wording_are_cut_to_what_a_log_line_and_a_header_can_bear() {
    let long = "真".repeat(5000);
    let open = signed_node(&format!("{{\"code\":\"4{long}\",\"sub_code\":\"{long}\",\"sub_msg\":\"{long}\"}}"));
    let case = &cases("mapi_responses.json")[0];
    let body = format!("<alipay><is_success>F</is_success><error>{long}</error></alipay>");
    let mapi = mapi_responses::reader(case, DsaFormat::Der)(body.into_bytes());
    for answer in [open, mapi] {
        let Claim::Failure { code, sub_code, message } = answer.claim else { panic!("{answer:?}") };
        for (text, longest) in [(code, 128), (sub_code, 128), (message, 256)] {
            assert!(text.is_none_or(|text| text.chars().count() == longest));
        }
    }
}

#[test]
fn a_token_that_the_gateway_quotes_is_masked() {
    let token = "201509BBeff9351ad1874306903e96b91d248A36";
    let mut item = accounts::open_platform_item();
    item.app_auth_token = Some(Secret::new(token));
    let quoted = format!("网关生成的验签字符串为：app_auth_token={token}&app_id=2014072300007148");
    let body = format!(
        "{{\"error_response\":{{\"code\":\"40002\",\"sub_code\":\"isv.invalid-signature\",\"sub_msg\":\"{quoted}\"}}}}"
    );
    let case = &cases("openapi_responses.json")[0];
    let answer = openapi_responses::item_reader(case, item)(body.into_bytes());
    let Claim::Failure { message, .. } = answer.claim else { panic!("no refusal") };
    assert_eq!(message.as_deref(), Some("网关生成的验签字符串为：***"));
}

#[test]
fn debug_shows_nothing_of_an_answers_body() {
    let answer = HttpAnswer {
        status: 200,
        headers: HeaderMap::new(),
        body: b"<param name=\"key\">k3y</param>".to_vec(),
        retry_after: None,
    };
    assert_eq!(format!("{answer:?}"), "HttpAnswer(200, 29 bytes)");
}

/// With MD5 both sides hold one secret: what signs a request would sign an answer.
#[test]
fn a_request_sent_back_as_an_answer_is_not_the_gateways() {
    let case = cases("mapi_responses.json").into_iter().find(|case| case["id"] == "success-md5").unwrap();
    let account = accounts::mapi(
        Charset::Utf8,
        Method::Get,
        signer(SignType::Md5, text(&case["verify_key"]), DsaFormat::Der),
        verifier(SignType::Md5, text(&case["verify_key"]), DsaFormat::Der),
    );
    let item = accounts::mapi_item(case["requested_goods_id"].as_str());
    let request = build(&account, &item).unwrap();
    let sent: Vec<_> = request.url.query_pairs().into_owned().collect();
    let sign = &sent.iter().find(|(name, _)| name == "sign").unwrap().1;
    let leaves: String = sent.iter().map(|(name, value)| format!("<{name}>{value}</{name}>")).collect();
    let body = format!(
        "<alipay><is_success>T</is_success><response><goods>{leaves}</goods></response><sign>{sign}</sign></alipay>"
    );
    let answer = mapi_responses::reader(&case, DsaFormat::Der)(body.into_bytes());
    assert_eq!(answer.signature, Signature::Invalid, "{answer:?}");
}

#[test]
fn a_signature_over_nothing_proves_nothing() {
    let mut case = cases("mapi_responses.json").into_iter().find(|case| case["id"] == "success-md5").unwrap();
    case["requested_goods_id"] = serde_json::Value::Null;
    let sign = signer(SignType::Md5, text(&case["verify_key"]), DsaFormat::Der).sign(b"").unwrap();
    let body = format!("<alipay><is_success>T</is_success><response/><sign>{sign}</sign></alipay>");
    let answer = mapi_responses::reader(&case, DsaFormat::Der)(body.into_bytes());
    assert_eq!(answer.signature, Signature::Invalid, "{answer:?}");
}
