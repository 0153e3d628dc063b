//! What people paste, keep in files, or receive over protocol v3: the readers of it, and the search for a mistake.

use std::collections::BTreeMap;
use std::time::SystemTime;

use hyper::header::{HeaderName, HeaderValue};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use takedown::domain::ids::AccountId;
use takedown::domain::reply::Signature;
use takedown::gateway::GatewayAccount;
use takedown::gateway::diagnosis::keyring::Keyring;
use takedown::gateway::diagnosis::pasted::{self, Pasted};
use takedown::gateway::diagnosis::{Verdict, answer, request};
use takedown::gateway::mapi::Method;
use takedown::gateway::open_platform::{GatewayKeys, Protocol};
use takedown::signing::certificate::Bundle;
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::super::accounts::{mapi, open_platform, signer, verifier};
use super::super::{load, openapi_v3, text};
use super::{LONGEST, MEBIBYTE, Shape, all_grow_with_length, filled, grows_with_length, work};

#[test]
fn pasted_requests() {
    let shapes: &[Shape<'_>] = &[
        ("curl ", "-", ""),
        ("curl ", "-s ", "http://x/"),
        ("curl ", "-sS", ""),
        ("curl ", "-d a=b ", "http://x/"),
        ("curl ", "-H a:b ", "http://x/"),
        ("curl '", "\\", "'"),
        ("curl ", "'' ", "http://x/"),
        ("curl $'", "\\u4e0b", "'"),
        ("curl \"", "\\\"", ""),
        ("curl ", "\\\n", "http://x/"),
        ("curl --data-urlencode a=", "&", " http://x/"),
        ("POST / HTTP/1.1\n", "a#:b\n", "\n{}"),
        ("POST / HTTP/1.1\n\n", "a#=b&", ""),
        ("GET /?", "%", " HTTP/1.1\n"),
        ("http://x/?", "a=b&", ""),
        ("http://x/?", "&", ""),
        ("http://x/?a=", "#", ""),
        ("a=", "%41", ""),
        ("a=", "=", ""),
        ("{\"sign\":1", ",\"a#\":\"下\"", "}"),
        ("", "{\"sign\":", ""),
        ("\"", "\"", "a=b"),
        ("", "$ ", "a=b"),
        ("", "\n", "a=b"),
    ];
    all_grow_with_length(pasted::MAX_BYTES, shapes, &|bytes| {
        if let Ok(pasted) = Pasted::read(bytes) {
            assert!(pasted.fields().len() <= 200 && !pasted.names(("app_id", "x")));
        }
    });
    assert!(Pasted::read(&vec![b'a'; pasted::MAX_BYTES + 1]).is_err());
}

/// An account with a keyring of its own.
struct Judge {
    account: GatewayAccount,
    keyring: Keyring,
    /// Signatures by the account's own key and by the gateway's, over other bytes than are judged: what is searched for
    /// in vain costs most.
    own: String,
    gateway: String,
}

/// One judge of each protocol.
fn judges() -> [Judge; 3] {
    let signer = |sign_type, name| signer(sign_type, name, DsaFormat::Der);
    let verifier = |sign_type, name| verifier(sign_type, name, DsaFormat::Der);
    let (md5, rsa2) = (SignType::Md5, SignType::Rsa2);
    let mapi = mapi(Charset::Utf8, Method::Get, signer(md5, "mapi_md5_key"), verifier(md5, "mapi_md5_key"));
    let keys = GatewayKeys::Single(verifier(rsa2, "gateway_rsa2048"));
    let v1 = open_platform(Charset::Utf8, signer(rsa2, "app_rsa2048"), keys);
    let v3 = openapi_v3::account("gateway_rsa2048");
    assert!(v1.protocol == Protocol::V1 && v3.protocol == Protocol::V3);
    let id = AccountId::new("a").unwrap();
    let judge = |(account, sign_type, own, gateway)| {
        let keyring = Keyring::new(&id, &BTreeMap::from([(&id, &account)]));
        let sign = |name| signer(sign_type, name).sign(b"none of these").unwrap();
        Judge { account, keyring, own: sign(own), gateway: sign(gateway) }
    };
    [
        (GatewayAccount::Mapi(mapi), md5, "mapi_md5_key", "mapi_md5_key"),
        (GatewayAccount::OpenPlatform(v1), rsa2, "app_rsa2048", "gateway_rsa2048"),
        (GatewayAccount::OpenPlatform(v3), rsa2, "app_rsa2048", "gateway_rsa2048"),
    ]
    .map(judge)
}

impl Judge {
    fn request(&self, text: &[u8]) {
        let pasted = Pasted::read(text).unwrap();
        let judge = |_: &[u8]| {
            let judged = request::judge(&self.account, &self.keyring, &pasted, None, SystemTime::UNIX_EPOCH);
            assert_ne!(judged.ok().unwrap().diagnosis.verdict, Verdict::Right);
        };
        let spent = work(&judge, &[], 1);
        assert!(spent < LONGEST, "{:.80}: {spent:?}", String::from_utf8_lossy(text));
    }

    fn answers(&self, shapes: &[Shape<'_>]) {
        all_grow_with_length(MEBIBYTE, shapes, &|bytes| {
            let found = answer::read(bytes).unwrap();
            let judged = answer::judge(&self.account, &self.keyring, &found, None);
            assert_ne!(judged.diagnosis.verdict, Verdict::Right);
        });
    }
}

#[test]
fn the_search_for_a_mistake_ends_however_much_was_pasted() {
    let shapes: &[Shape<'_>] =
        &[("x=", "a", ""), ("x=", "%E4%B8%8B", ""), ("biz_content={\"a\":\"", "/", "\"}"), ("timestamp=", "1", "")];
    let [mapi, v1, v3] = judges();
    for judge in [&mapi, &v1] {
        let sign = utf8_percent_encode(&judge.own, NON_ALPHANUMERIC).to_string();
        for shape in shapes {
            let long = filled(*shape, pasted::MAX_BYTES - 1024);
            judge.request(&[b"sign=", sign.as_bytes(), b"&", &long].concat());
        }
        let many: String = (0..190).map(|number| format!("&name{number}=value%20{number}")).collect();
        judge.request(format!("sign={sign}{many}").as_bytes());
    }
    let auth = ["app_id=1"; 5].join(",");
    let head = format!("POST /v3 HTTP/1.1\nAuthorization: ALIPAY-SHA256withRSA {auth},sign={}\n\n", v3.own);
    for (begin, part, end) in [("{\"a\":\"", "/", "\"}"), ("{", " ", "}"), ("", "\n", "")] {
        v3.request(&filled((&format!("{head}{begin}"), part, end), pasted::MAX_BYTES));
    }
}

#[test]
fn pasted_answers() {
    let heads: &[Shape<'_>] = &[
        ("HTTP/1.1 200 OK\n", "x#:\n", "\n{}"),
        ("HTTP/1.1 200 OK\n", "x:\n", "\n{}"),
        ("HTTP/1.1 200 OK\n", "\t:\n", "\n{}"),
    ];
    all_grow_with_length(MEBIBYTE, heads, &|bytes| assert!(answer::read(bytes).is_err()));
    let [mapi, v1, v3] = judges();
    let xml = format!("<alipay><is_success>T</is_success><sign>{}</sign><response><a>", mapi.gateway);
    mapi.answers(&[
        (&xml, "<b#>x</b#>", "</a></response></alipay>"),
        (&xml, "<b#/>", "</a></response></alipay>"),
        ("<html>", "&lt;", ""),
    ]);
    let json = format!("{{\"sign\":\"{}\",\"a_response\":{{\"a\":\"", v1.gateway);
    v1.answers(&[
        (&json, " ", "\"}}"),
        (&json, "/", "\"}}"),
        (&json, "下", "\"}}"),
        (&json, "&quot;", "\"}}"),
        (&json, "\\\"", "\"}}"),
        ("HTTP/1.1 200 ", "x", ""),
    ]);
    let head = format!("alipay-timestamp: 1\nalipay-nonce: 2\nalipay-signature: {}\n\n", v3.gateway);
    let object = format!("{head}{{}}");
    v3.answers(&[(&object, " ", ""), (&object, "\n", ""), (&head, "\"", ""), (&head, "AAAA", "")]);
}

#[test]
fn v3_answers() {
    let shapes: &[Shape<'_>] = &[
        ("{\"code\":\"x\"", ",\"#\":0", "}"),
        ("{\"code\":\"x\"", ",\"#\":0", ",\"0\":0}"),
        ("{\"code\":\"x\",\"message\":\"", "下", "\"}"),
        ("{\"code\":\"x\",\"message\":\"", "a=b&", "\"}"),
        ("{\"code\":\"", "\\u4e0b", "\"}"),
        ("{\"code\":", "[", ""),
        ("{\"code\":", "9", "}"),
        ("", " ", "{}"),
        ("{}", " ", ""),
        ("", "\u{feff}", "{}"),
        ("", "AAAA", ""),
        ("<html>", "not_it ", ""),
    ];
    let name = |number: usize| HeaderName::try_from(format!("x-{number}")).unwrap();
    for status in [200, 400] {
        all_grow_with_length(MEBIBYTE, shapes, &|bytes| {
            let mut answer = openapi_v3::bare(status, bytes);
            answer.headers.extend((0..1000).map(|number| (name(number), HeaderValue::from_static("x"))));
            answer.headers.insert("alipay-signature", HeaderValue::from_static("AAAA"));
            answer.headers.insert("alipay-timestamp", HeaderValue::from_static("1"));
            for _ in 0..1000 {
                answer.headers.append("alipay-nonce", HeaderValue::from_static("2"));
            }
            assert_eq!(openapi_v3::read(&answer).signature, Signature::Structure);
        });
    }
}

#[test]
fn files_of_certificates() {
    let certs = load("keys.json")["certs"].clone();
    let pem = |name: &str| text(&certs[name]).to_owned();
    let (app, root) = (pem("app_cert_pem"), pem("root_bundle_pem"));
    let roots = Bundle::read(&root).unwrap();
    let shapes: &[Shape<'_>] = &[
        ("", &app, ""),
        ("", &root, ""),
        (&app, &root, ""),
        ("", "-----BEGIN ", ""),
        ("", "-----BEGIN CERTIFICATE-----", "-----END"),
        ("", "-----BEGIN X-----\n-----END X-----\n", &app),
        ("", "\\n", &app),
        ("", "\\", &app),
        ("", "A", ""),
        ("", "MIID", ""),
        ("", "\u{3000}", &app),
        ("-----BEGIN CERTIFICATE-----", "\n", "MIID-----END CERTIFICATE-----"),
    ];
    all_grow_with_length(MEBIBYTE, shapes, &|bytes| {
        if let Ok(bundle) = Bundle::read(std::str::from_utf8(bytes).unwrap()) {
            assert_eq!(bundle.root_number().unwrap().is_some(), bundle.iter().any(|one| one.is_signed_with_rsa()));
            assert_eq!(bundle.chain_to(&roots).is_ok(), bundle.leaf().is_root());
        }
    });
    grows_with_length("two of each", MEBIBYTE, &|length| filled(("", &format!("{app}{root}"), ""), length), &|bytes| {
        let bundle = Bundle::read(std::str::from_utf8(bytes).unwrap()).unwrap();
        assert!(bundle.chain_to(&bundle).is_ok());
    });
}
