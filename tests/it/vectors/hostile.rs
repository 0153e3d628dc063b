//! Hostile answers: forged, bloated or odd in ways no damage by chance would be.

use hyper::header::HeaderMap;
use takedown::domain::classify::{Effect, History, Outcome, Redelivery, classify};
use takedown::domain::codes::{Certainty, Scope};
use takedown::domain::reply::{Answer, Claim, Reply, Signature};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::mapi::Method;
use takedown::gateway::mapi::request::build;
use takedown::gateway::mapi::response::parse;
use takedown::gateway::open_platform::v3;
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{self, signer, verifier};
use super::{cases, mapi_responses, openapi_responses, openapi_v3, text};

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
    signed_node_about(accounts::open_platform_item(), node)
}

fn signed_node_about(item: OpenPlatformItem, node: &str) -> Answer {
    let case = &cases("openapi_responses.json")[0];
    let sign = signer(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der).sign(node.as_bytes()).unwrap();
    let name = "alipay_open_servicemarket_commodity_shop_offline_response";
    openapi_responses::item_reader(case, item)(format!("{{\"{name}\":{node},\"sign\":\"{sign}\"}}").into_bytes())
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

/// Whoever could tell a padding that fits from one that does not would read the content without its key.
#[test]
fn whether_the_padding_fits_changes_nothing_of_what_is_done() {
    let case = &cases("openapi_responses.json")[0];
    let key = || ContentKey::load(&super::key("openapi_aes_key", "base64")).unwrap();
    let mut account = openapi_v3::account("gateway_rsa2048");
    account.content_key = Some(key());
    for cipher in [key().encrypt(b"x").unwrap().as_str(), "AAAAAAAAAAAAAAAAAAAAAA=="] {
        let node = format!("\"alipay_open_servicemarket_commodity_shop_offline_response\":\"{cipher}\"");
        for sign in ["", ",\"sign\":\"AAAA\""] {
            let answer = openapi_responses::reader(case)(format!("{{{node}{sign}}}").into_bytes());
            assert_eq!(super::class_of(Gateway::OpenPlatform, answer), "ambiguous", "{cipher}{sign}");
        }
        let answer = openapi_v3::bare(200, cipher.as_bytes());
        let answer = v3::response::parse(&account, &accounts::open_platform_item(), &answer);
        assert_eq!(super::class_of(Gateway::OpenPlatform, answer), "ambiguous", "{cipher}");
    }
}

/// Codes are public: a producer that chose one for its key would change what an answer means.
#[test]
fn a_key_or_token_that_is_a_code_hides_no_code() {
    let case = cases("mapi_responses.json").into_iter().find(|case| case["id"] == "success-md5").unwrap();
    let secret = text(&case["verify_key"]);
    let side = || signer(SignType::Md5, secret, DsaFormat::Der);
    let account = accounts::mapi(Charset::Utf8, Method::Get, side(), verifier(SignType::Md5, secret, DsaFormat::Der));
    for key in ["ILLEGAL_SIGN", "ILLEGAL_", "SIGN-and-more", "illegal_sign"] {
        let mut item = accounts::mapi_item(None);
        item.key = Secret::new(key);
        let body = b"<alipay><is_success>F</is_success><error>ILLEGAL_SIGN</error></alipay>".to_vec();
        let answer = HttpAnswer { status: 200, headers: HeaderMap::new(), body, retry_after: None };
        let answer = parse(&account, &item, &answer);
        assert_eq!(super::class_of(Gateway::Mapi, answer), "config_fault", "{key}");
    }
    for token in ["isv.invalid-parameter", "parameter-x", "0004-and-more"] {
        let mut item = accounts::open_platform_item();
        item.app_auth_token = Some(Secret::new(token));
        let node = "{\"code\":\"40004\",\"sub_code\":\"isv.invalid-parameter\"}";
        assert_eq!(super::class_of(Gateway::OpenPlatform, signed_node_about(item, node)), "terminal_item", "{token}");
    }
}

/// What a proxy would have to say with its own status to end an item or to stop an account.
#[test]
fn an_unsigned_refusal_under_a_status_of_somebody_else_ends_no_item() {
    for (http_status, class) in [(200, "terminal_item"), (302, "ambiguous"), (404, "ambiguous"), (502, "ambiguous")] {
        let mut case = cases("mapi_responses.json").swap_remove(0);
        case["http_status"] = http_status.into();
        let body = b"<alipay><is_success>F</is_success><error>GOODS_NOT_EXIST</error></alipay>".to_vec();
        let answer = mapi_responses::reader(&case, DsaFormat::Der)(body);
        assert_eq!(super::class_of(Gateway::Mapi, answer), class, "mapi {http_status}");
    }
    for (http_status, class) in [(302, "ambiguous"), (400, "terminal_item"), (404, "terminal_item"), (502, "ambiguous")]
    {
        let body = b"{\"code\":\"COMMODITY_SHOP_NOT_EXIST\"}";
        let answer = openapi_v3::read(&openapi_v3::bare(http_status, body));
        assert_eq!(super::class_of(Gateway::OpenPlatform, answer), class, "v3 {http_status}");
    }
    for (http_status, certainty) in [(200, Certainty::Certain), (302, Certainty::Doubtful), (502, Certainty::Doubtful)]
    {
        let mut case = cases("openapi_responses.json").swap_remove(0);
        case["http_status"] = http_status.into();
        let body = b"{\"error_response\":{\"code\":\"40002\",\"sub_code\":\"isv.invalid-app-id\"}}".to_vec();
        let reply = Reply::Answered(openapi_responses::reader(&case)(body));
        let history = History { effect: Effect::None, redelivery: Redelivery::First, replays: 0 };
        let outcome = classify(Gateway::OpenPlatform, &reply, history);
        assert_eq!(outcome, Outcome::AccountFault(Scope::App, certainty), "v1 {http_status}");
    }
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
    let sent: Vec<_> = url::Url::parse(&request.url).unwrap().query_pairs().into_owned().collect();
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
