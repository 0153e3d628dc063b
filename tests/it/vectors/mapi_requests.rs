//! Requests of `sns.admin.close.goods`: canonical bytes, signatures, URLs and bodies.

use serde_json::Value;
use takedown::domain::reply::Reply;
use takedown::gateway::http::HttpRequest;
use takedown::gateway::mapi::request::{build, params as params_of, seal};
use takedown::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use takedown::signing::canonical::{SignTypeField, canonical, signed};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{mapi, mapi_item, signer, verifier};
use super::{cases, decode, hex, params, tell, text};

/// The account that signs one variant of one case.
fn account(case: &Value, name: &str, method: Method) -> MapiAccount {
    let variant = &case["signed"][name];
    let sign_type: SignType = serde_json::from_value(variant["sign_type"].clone()).unwrap();
    let format = if name == "DSA-raw" { DsaFormat::Raw } else { DsaFormat::Der };
    let key = text(&variant["key"]);
    let charset = Charset::from_label(text(&case["charset"])).unwrap();
    mapi(charset, method, signer(sign_type, key, format), verifier(sign_type, key, format))
}

fn variants(case: &Value) -> Vec<String> {
    case["signed"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn every_canonical_string_and_signature_is_reproduced() {
    let mut ran = 0;
    for case in cases("mapi_requests.json") {
        let id = text(&case["id"]);
        let charset = Charset::from_label(text(&case["charset"])).unwrap();
        let bytes = canonical(&params(&case["params"]), SignTypeField::Excluded, charset).unwrap();
        assert_eq!(bytes, hex(text(&case["canonical_hex"])), "{id}");
        for name in variants(&case) {
            let account = account(&case, &name, Method::Get);
            let sign = text(&case["signed"][&name]["sign"]);
            // DSA too: the vectors were made with the nonce of RFC 6979.
            assert_eq!(account.signer.sign(&bytes).unwrap(), sign, "{id} {name}");
            assert!(account.verifier.is_valid(&bytes, sign), "{id} {name}");
            assert!(!account.verifier.is_valid(&bytes[1..], sign), "{id} {name}");
            ran += 1;
        }
    }
    tell("mapi_requests.json (18 requests signed five ways)", ran, 90);
}

#[test]
fn every_url_and_body_is_reproduced_by_get_and_by_post() {
    let mut ran = 0;
    for case in cases("mapi_requests.json") {
        for name in variants(&case) {
            let variant = &case["signed"][&name];
            let params = params(&case["params"]);
            let label = format!("{} {name}", text(&case["id"]));
            let get = seal(&account(&case, &name, Method::Get), &params).unwrap();
            assert_eq!(get.url.as_str(), text(&variant["get_url"]), "{label}");
            assert_eq!(get.body, None);
            let post = seal(&account(&case, &name, Method::Post), &params).unwrap();
            assert_eq!(post.url.as_str(), text(&variant["post_url"]), "{label}");
            assert_eq!(post.body.as_ref().unwrap().text, text(&variant["post_body"]), "{label}");
            read_back(&case, &get, &post, text(&variant["sign"]));
            ran += 1;
        }
    }
    assert_eq!(ran, 90);
}

fn query(request: &HttpRequest) -> &str {
    request.url.split_once('?').unwrap().1
}

/// What a server decodes from either is what was meant.
fn read_back(case: &Value, get: &HttpRequest, post: &HttpRequest, sign: &str) {
    let charset = Charset::from_label(text(&case["charset"])).unwrap();
    let params = params(&case["params"]);
    let mut expected: Vec<(String, String)> =
        signed(&params, SignTypeField::Excluded).iter().map(|(n, v)| (n.to_string(), v.to_string())).collect();
    expected.push(("sign".to_owned(), sign.to_owned()));
    for found in [decode(query(get), charset), decode(&post.body.as_ref().unwrap().text, charset)] {
        let (sign_type, found) = found.split_last().unwrap();
        assert_eq!(found, expected);
        assert_eq!(sign_type.0, "sign_type");
    }
    assert_eq!(decode(query(post), charset).len(), 1);
}

#[test]
fn the_account_and_the_item_give_the_parameters_of_the_document() {
    let mut ran = 0;
    for case in cases("mapi_requests.json") {
        let wanted = params(&case["params"]);
        let get = |name: &str| wanted.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone());
        // Cases with invented parameters or spellings are not what an item can ask for.
        if wanted.len() > 7 || text(&case["charset"]) == "UTF-8" || get("sign").is_some() {
            continue;
        }
        let mut item = mapi_item(get("goods_id").as_deref());
        item.close_reason = get("close_reason");
        let request = build(&account(&case, "MD5", Method::Get), &item).unwrap();
        assert_eq!(request.url.as_str(), text(&case["signed"]["MD5"]["get_url"]), "{}", text(&case["id"]));
        ran += 1;
    }
    assert_eq!(ran, 15);
}

#[test]
fn goods_id_is_sent_only_where_the_account_says_so() {
    let case = &cases("mapi_requests.json")[0];
    let mut account = account(case, "MD5", Method::Get);
    account.goods_id = GoodsIdField::NotSent;
    let item = mapi_item(Some("2011063000011840"));
    assert!(params_of(&account, &item).iter().all(|(name, _)| *name != "goods_id"));
}

#[test]
fn a_reason_the_charset_cannot_hold_is_refused_before_anything_is_signed() {
    let gbk = &cases("mapi_requests.json")[1];
    let mut item = mapi_item(None);
    item.close_reason = Some("假货😀".to_owned());
    let reply = build(&account(gbk, "MD5", Method::Get), &item).unwrap_err();
    assert_eq!(reply, Reply::NotEncodable { field: "close_reason".to_owned(), character: '😀' });
}

#[test]
fn debug_shows_neither_key_nor_signature() {
    let case = &cases("mapi_requests.json")[0];
    for method in [Method::Get, Method::Post] {
        let request = seal(&account(case, "MD5", method), &params(&case["params"])).unwrap();
        let shown = format!("{request:?} {:?}", request.body);
        assert!(shown.contains("https://www.alipay.com/cooperate/gateway.do"), "{shown}");
        assert!(!shown.contains("C579B6A4") && !shown.contains("c214f74a"), "{shown}");
    }
}
