//! Known-answer requests over a real socket: every signature that is right passes, in every layout.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use takedown::sandbox::{App, ItemState, MapiPartner, SandboxClock, SandboxSettings};
use takedown::signing::{DsaFormat, SignType};

use super::{Answer, Caller, fixture, signer, verifier};

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn sign_type(value: &Value) -> SignType {
    serde_json::from_value(value["sign_type"].clone()).unwrap()
}

/// The part of a vector's URL after the host's path.
fn query(url: &Value) -> &str {
    text(url).split_once('?').unwrap().1
}

async fn mapi_caller(form: &str, key: &str, sign_type: SignType) -> Caller {
    let format = if form == "DSA-raw" { DsaFormat::Raw } else { DsaFormat::Der };
    let partner = MapiPartner {
        partner: "2088002464631181".into(),
        request_verifier: verifier(key, sign_type, format),
        answer_signer: signer(&key.replace("app_", "gateway_"), sign_type, format),
        administrators: Vec::new(),
    };
    Caller::start(SandboxSettings { partners: vec![partner], ..SandboxSettings::default() }).await
}

/// Puts the item of the last request on sale again, so that each request can succeed.
fn put_back(caller: &Caller) {
    let last = caller.sandbox.seen().pop().unwrap();
    assert!(last.took_effect, "{last:?}");
    caller.sandbox.set_item(&last.item, ItemState::OnSale);
}

#[tokio::test]
async fn every_mapi_vector_passes_in_every_layout() {
    let cases = fixture("mapi_requests.json");
    let cases = cases["cases"].as_array().unwrap();
    let mut ran = 0;
    for form in ["MD5", "RSA-1024", "RSA-2048", "DSA-der", "DSA-raw"] {
        let first = &cases[0]["signed"][form];
        let caller = mapi_caller(form, text(&first["key"]), sign_type(first)).await;
        let url = caller.sandbox.mapi_url();
        for case in cases {
            let (id, signed) = (text(&case["id"]), &case["signed"][form]);
            let requests = [
                caller.http.get(format!("{url}?{}", query(&signed["get_url"]))),
                caller.http.get(format!("{url}?{}", query(&signed["get_url_rfc3986"]))),
                caller.post(&format!("{url}?{}", query(&signed["post_url"])), text(&signed["post_body"]).into()),
            ];
            for request in requests {
                assert_eq!(caller.send(request).await.unwrap().mapi_code(), "T", "{id} {form}");
                put_back(&caller);
                ran += 1;
            }
        }
    }
    assert_eq!(ran, 18 * 5 * 3);
}

#[tokio::test]
async fn one_altered_byte_of_a_mapi_request_is_an_illegal_sign() {
    let cases = fixture("mapi_requests.json");
    let signed = &cases["cases"][0]["signed"]["RSA-1024"];
    let caller = mapi_caller("RSA-1024", "app_rsa1024", SignType::Rsa).await;
    let genuine = query(&signed["get_url"]);
    for (from, to) in [("%E5%81%87", "%E5%81%88"), ("sign=bH", "sign=bI"), ("admin&", "admin+&"), ("douban", "Douban")]
    {
        let altered = genuine.replacen(from, to, 1);
        assert_ne!(altered, genuine);
        let request = caller.http.get(format!("{}?{altered}", caller.sandbox.mapi_url()));
        assert_eq!(caller.send(request).await.unwrap().mapi_code(), "ILLEGAL_SIGN", "{from}");
    }
    assert!(caller.sandbox.seen().iter().all(|seen| !seen.took_effect));
}

/// 2014-07-24 03:07:50 in GMT+8, the moment of the vectors.
fn moment() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_406_142_470)
}

async fn open_platform_caller(key: &str, sign_type: SignType, clock: SandboxClock) -> Caller {
    let app = App {
        app_id: "2014072300007148".into(),
        request_verifier: verifier(key, sign_type, DsaFormat::Der),
        answer_signer: signer(&key.replace("app_", "gateway_"), sign_type, DsaFormat::Der),
        tokens: Vec::new(),
        certificates: None,
        content_key: None,
    };
    Caller::start(SandboxSettings { apps: vec![app], clock, ..SandboxSettings::default() }).await
}

async fn send_layout(caller: &Caller, layout: &Value) -> Answer {
    let url = format!("{}?{}", caller.sandbox.open_platform_url(), query(&layout["url"]));
    let request = caller.http.post(url).header("content-type", text(&layout["content_type"]));
    caller.send(request.body(text(&layout["body"]).to_owned())).await.unwrap()
}

#[tokio::test]
async fn every_open_platform_vector_passes_in_every_layout() {
    let cases = fixture("openapi_requests.json");
    let mut ran = 0;
    for case in cases["cases"].as_array().unwrap() {
        let (id, key, sign_type) = (text(&case["id"]), text(&case["key"]), sign_type(case));
        let caller = open_platform_caller(key, sign_type, SandboxClock::Fixed(moment())).await;
        let answer_verifier = verifier(&key.replace("app_", "gateway_"), sign_type, DsaFormat::Der);
        for layout in ["request_split", "request_split_token_in_body", "request_all_in_body"] {
            let answer = send_layout(&caller, &case[layout]).await;
            // The signature of the encrypted case is right; this app has no content key.
            let is_encrypted = id == "encrypted";
            let expected = if is_encrypted { "isv.decryption-error-not-valid-encrypt-key" } else { "10000" };
            assert_eq!(answer.sub_code(), expected, "{id} {layout}");
            assert!(answer.is_signed_with(&answer_verifier), "{id} {layout}");
            assert_eq!(answer.content_type, format!("text/html;charset={}", text(&case["charset"]).to_lowercase()));
            if !is_encrypted {
                put_back(&caller);
            }
            ran += 1;
        }
    }
    assert_eq!(ran, 15 * 3);
}

#[tokio::test]
async fn one_altered_byte_of_an_open_platform_request_is_an_invalid_signature() {
    let cases = fixture("openapi_requests.json");
    let case = &cases["cases"][0];
    let caller = open_platform_caller("app_rsa2048", SignType::Rsa2, SandboxClock::Fixed(moment())).await;
    let mut layout = case["request_split"].clone();
    layout["body"] = text(&layout["body"]).replacen("33400", "33401", 1).into();
    assert_eq!(send_layout(&caller, &layout).await.sub_code(), "isv.invalid-signature");
    assert!(caller.sandbox.items().is_empty());
}

#[tokio::test]
async fn a_timestamp_of_another_time_or_zone_is_refused() {
    let cases = fixture("openapi_requests.json");
    let layout = &cases["cases"][0]["request_split"];
    let clocks = [
        (SandboxClock::System, "isv.invalid-timestamp"),
        // The caller's clock in UTC, taken for GMT+8.
        (SandboxClock::Fixed(moment() + Duration::from_secs(8 * 3600)), "isv.invalid-timestamp"),
        (SandboxClock::Fixed(moment() + Duration::from_secs(601)), "isv.invalid-timestamp"),
        (SandboxClock::Fixed(moment() - Duration::from_secs(601)), "isv.invalid-timestamp"),
        (SandboxClock::Fixed(moment() + Duration::from_secs(600)), "10000"),
    ];
    for (clock, expected) in clocks {
        let caller = open_platform_caller("app_rsa2048", SignType::Rsa2, clock).await;
        assert_eq!(send_layout(&caller, layout).await.sub_code(), expected, "{clock:?}");
    }
}
