//! Requests of `alipay.open.servicemarket.commodity.shop.offline`: canonical bytes, signatures, URLs and bodies.

use std::time::{Duration, SystemTime};

use serde_json::Value;
use takedown::domain::ids::MerchantId;
use takedown::domain::reply::Reply;
use takedown::domain::secret::Secret;
use takedown::gateway::open_platform::request::{build, seal};
use takedown::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount};
use takedown::signing::canonical::{SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{open_platform, open_platform_item, signer, verifier};
use super::{cases, decode, hex, key, params, tell, text};

fn account(case: &Value) -> OpenPlatformAccount {
    let sign_type: SignType = serde_json::from_value(case["sign_type"].clone()).unwrap();
    let name = text(&case["key"]);
    let charset = Charset::from_label(text(&case["charset"])).unwrap();
    let gateway = GatewayKeys::Single(verifier(sign_type, "gateway_rsa2048", DsaFormat::Der));
    open_platform(charset, signer(sign_type, name, DsaFormat::Der), gateway)
}

fn case(id: &str) -> Value {
    cases("openapi_requests.json").into_iter().find(|case| case["id"] == id).unwrap()
}

/// 2014-07-24 03:07:50 in GMT+8.
fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_406_142_470)
}

#[test]
fn every_canonical_string_signature_url_and_body_is_reproduced() {
    let mut ran = 0;
    for case in cases("openapi_requests.json") {
        let id = text(&case["id"]);
        let account = account(&case);
        let wanted = params(&case["params"]);
        let bytes = canonical(&wanted, SignTypeField::Included, account.charset).unwrap();
        assert_eq!(bytes, hex(text(&case["canonical_hex"])), "{id}");
        assert_eq!(account.signer.sign(&bytes).unwrap(), text(&case["sign"]), "{id}");
        let request = seal(&account, &wanted).unwrap();
        let form = request.body.unwrap();
        let split = &case["request_split"];
        assert_eq!(request.url.as_str(), text(&split["url"]), "{id}");
        assert_eq!(form.text, text(&split["body"]), "{id}");
        assert!(form.content_type.eq_ignore_ascii_case(text(&split["content_type"])), "{id}");
        let mut found = decode(request.url.split_once('?').unwrap().1, account.charset);
        found.extend(decode(&form.text, account.charset));
        found.sort();
        let mut expected: Vec<_> = wanted.into_iter().filter(|(n, v)| !v.is_empty() && n != "sign").collect();
        expected.push(("sign".to_owned(), text(&case["sign"]).to_owned()));
        expected.sort();
        assert_eq!(found, expected, "{id}");
        ran += 1;
    }
    tell("openapi_requests.json", ran, 15);
}

#[test]
fn the_account_and_the_item_give_the_requests_of_the_document() {
    let token = Secret::new("201509BBeff9351ad1874306903e96b91d248A36");
    let mut ran = 0;
    for id in ["minimal-rsa2", "minimal-rsa", "minimal-rsa-1024", "auth-token", "cert-mode", "encrypted"] {
        let case = case(id);
        let mut account = account(&case);
        let mut item = open_platform_item();
        let wanted = params(&case["params"]);
        let get = |name: &str| wanted.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        item.app_auth_token = get("app_auth_token").map(|_| token.clone());
        let numbers = get("app_cert_sn").zip(get("alipay_root_cert_sn"));
        account.certificates = numbers.map(|(app, root)| CertificateNumbers { app, root });
        account.content_key = get("encrypt_type").map(|_| ContentKey::load(&key("openapi_aes_key", "base64")).unwrap());
        let request = build(&account, &item, now()).unwrap();
        assert_eq!(request.url.as_str(), text(&case["request_split"]["url"]), "{id}");
        assert_eq!(request.body.unwrap().text, text(&case["request_split"]["body"]), "{id}");
        ran += 1;
    }
    assert_eq!(ran, 6);
}

#[test]
fn a_merchant_is_called_for_with_the_token_of_the_configuration_or_not_at_all() {
    let case = case("auth-token");
    let mut account = account(&case);
    let mut item = open_platform_item();
    item.merchant = Some(MerchantId::new("m-1").unwrap());
    assert_eq!(build(&account, &item, now()), Err(Reply::NoToken { merchant: "m-1".to_owned() }));
    account.merchants.insert(MerchantId::new("m-1").unwrap(), Secret::new("201509BBeff9351ad1874306903e96b91d248A36"));
    let request = build(&account, &item, now()).unwrap();
    assert_eq!(request.url.as_str(), text(&case["request_split"]["url"]));
}
