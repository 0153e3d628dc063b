//! Answers of protocol v3 that are damaged, forged or odd, and tokens no header can carry.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use takedown::domain::classify::{Outcome, classify};
use takedown::domain::ids::MerchantId;
use takedown::domain::reply::{Answer, Claim, Reply, Signature};
use takedown::domain::secret::Secret;
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::open_platform::GatewayKeys;
use takedown::gateway::open_platform::v3::request::{Stamp, build};
use takedown::gateway::open_platform::v3::response::parse;
use takedown::signing::charset::Charset;
use takedown::signing::content::ContentKey;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{open_platform_item, verifier};
use super::openapi_v3::{account, bare, read, sealed};
use super::{CLEAN, class_of, key};

const SIGNATURE: &str = "alipay-signature";

fn is_success(answer: Answer) -> bool {
    matches!(classify(Gateway::OpenPlatform, &Reply::Answered(answer), CLEAN), Outcome::Success(_))
}

fn class(answer: &HttpAnswer) -> (&'static str, &'static str) {
    let answer = read(answer);
    (answer.signature.as_str(), class_of(Gateway::OpenPlatform, answer))
}

fn changed(mut answer: HttpAnswer, change: impl FnOnce(&mut HeaderMap)) -> HttpAnswer {
    change(&mut answer.headers);
    answer
}

#[test]
fn a_damaged_answer_is_never_a_success() {
    let mut ran = 0;
    for body in ["{}", "", "{ \"note\" : \"假\" }"] {
        let whole = sealed(200, body.as_bytes());
        assert!(is_success(read(&whole)), "{body}");
        for at in 0..body.len() {
            for flip in [0x01, 0x20, 0x80] {
                let mut damaged = whole.clone();
                damaged.body[at] ^= flip;
                assert!(!is_success(read(&damaged)), "{body} changed at {at} by {flip:#x}");
                ran += 1;
            }
            let cut = HttpAnswer { body: whole.body[..at].to_vec(), ..whole.clone() };
            assert!(!is_success(read(&cut)), "{body} cut at {at}");
        }
        for name in [SIGNATURE, "alipay-timestamp", "alipay-nonce"] {
            let value = whole.headers[name].as_bytes().to_vec();
            for at in 0..value.len() {
                let mut other = value.clone();
                // Into another letter or digit that a header may hold.
                other[at] = if other[at] == b'A' { b'B' } else { b'A' };
                let damaged = changed(whole.clone(), |headers| {
                    headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_bytes(&other).unwrap());
                });
                assert!(!is_success(read(&damaged)), "{name} changed at {at}");
                ran += 1;
            }
            let without = changed(whole.clone(), |headers| drop(headers.remove(name)));
            assert!(!is_success(read(&without)), "without {name}");
        }
    }
    assert!(ran > 3 * 344, "{ran}");
}

#[test]
fn a_header_that_stands_there_twice_is_refused() {
    for name in [SIGNATURE, "alipay-timestamp", "alipay-nonce", "alipay-sn"] {
        let twice = changed(sealed(200, b"{}"), |headers| {
            let name: HeaderName = name.parse().unwrap();
            let value = headers.get(&name).cloned().unwrap_or(HeaderValue::from_static("x"));
            headers.append(&name, value.clone());
            if headers.get_all(&name).iter().count() < 2 {
                headers.append(&name, value);
            }
        });
        assert_eq!(class(&twice), ("structure", "ambiguous"), "{name}");
    }
}

#[test]
fn in_certificate_mode_the_number_names_the_key_or_nothing_does() {
    let mut account = account("gateway_rsa2048");
    let key = verifier(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der);
    account.keys = GatewayKeys::ByCertificate(BTreeMap::from([("b312".to_owned(), key)]));
    let judge = |number: Option<&'static str>| {
        let answer = changed(sealed(200, b"{}"), |headers| {
            headers.extend(number.map(|n| (HeaderName::from_static("alipay-sn"), HeaderValue::from_static(n))));
        });
        let answer = parse(&account, &open_platform_item(), &answer);
        (answer.signature, class_of(Gateway::OpenPlatform, answer))
    };
    assert_eq!(judge(Some("b312")), (Signature::Valid, "success"));
    for number in [None, Some("b313"), Some(""), Some("null")] {
        assert_eq!(judge(number), (Signature::Unverifiable, "ambiguous"), "{number:?}");
    }
}

#[test]
fn odd_headers_are_judged_and_not_choked_on() {
    let with = |value: &[u8]| {
        let value = HeaderValue::from_bytes(value).unwrap();
        changed(sealed(200, b"{}"), |headers| drop(headers.insert(SIGNATURE, value)))
    };
    for (value, verdict) in [
        (b"\xFF\xFE".to_vec(), "invalid"),
        ("签名".as_bytes().to_vec(), "invalid"),
        (vec![b'A'; 1024 * 1024], "invalid"),
        (b"NULL".to_vec(), "invalid"),
        (b"null".to_vec(), "unsigned"),
        (b"".to_vec(), "unsigned"),
    ] {
        assert_eq!(class(&with(&value)), (verdict, "ambiguous"));
    }
    let huge = HeaderValue::from_bytes(&vec![0xE9; 1024 * 1024]).unwrap();
    for name in ["alipay-timestamp", "alipay-nonce", "alipay-sn"] {
        let odd = changed(sealed(400, b"{\"code\":\"PARAMS_ERROR\"}"), |headers| {
            drop(headers.insert(name, huge.clone()));
        });
        let expected = if name == "alipay-sn" { ("valid", "terminal_item") } else { ("invalid", "ambiguous") };
        assert_eq!(class(&odd), expected, "{name}");
    }
}

#[test]
fn a_refusal_under_a_status_of_success_is_contradictory() {
    let body = b"{\"code\":\"COMMODITY_SHOP_NOT_EXIST\",\"message\":\"no\"}";
    assert_eq!(class(&sealed(400, body)), ("valid", "terminal_item"));
    assert_eq!(class(&sealed(200, body)), ("contradictory", "ambiguous"));
    assert_eq!(class(&bare(200, body)), ("contradictory", "ambiguous"));
    assert_eq!(class(&sealed(200, b"{\"code\":null}")).1, "success");
    // A success under a status of refusal names no code: nobody ends by it.
    assert_eq!(class(&sealed(400, b"{}")), ("valid", "config_fault"));
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for body in [
        "{\"code\":\"PARAMS_ERROR\",\"code\":\"SHOP_STATUS_NOT_SUPPORT\"}",
        "{\"c\\u006fde\":\"PARAMS_ERROR\",\"code\":\"app-call-limited\"}",
        "{\"code\":\"PARAMS_ERROR\",\"links\":1,\"links\":2}",
    ] {
        assert_eq!(class(&bare(400, body.as_bytes())), ("structure", "ambiguous"), "{body}");
        assert_eq!(class(&sealed(200, body.as_bytes())), ("structure", "ambiguous"), "{body}");
    }
    for body in ["[]", "null", "\"{}\"", "{}{}", "{", "x", "\u{feff}\u{feff}{}"] {
        assert_eq!(class(&sealed(200, body.as_bytes())), ("valid", "ambiguous"), "{body}");
        assert_eq!(class(&bare(200, body.as_bytes())), ("malformed", "ambiguous"), "{body}");
    }
    assert_eq!(class(&sealed(200, "\u{feff}{}".as_bytes())), ("valid", "success"));
    assert_eq!(class(&sealed(201, b"{}")), ("valid", "ambiguous"));
}

#[test]
fn a_page_and_another_charset_are_told_for_what_they_are() {
    let page = Charset::Gbk.encode("<html>错误 SHOP_STATUS_NOT_SUPPORT</html>").unwrap();
    let answer = read(&bare(502, &page));
    let Claim::Unreadable { problem, named_code } = &answer.claim else { panic!("{answer:?}") };
    assert_eq!(
        (problem.as_str(), named_code.as_deref()),
        ("an HTML page came instead of an answer", Some("SHOP_STATUS_NOT_SUPPORT"))
    );
    assert_eq!(
        (answer.signature, class_of(Gateway::OpenPlatform, answer.clone())),
        (Signature::Malformed, "ambiguous")
    );
    let gbk = Charset::Gbk.encode("{\"code\":\"PARAMS_ERROR\",\"message\":\"参数\"}").unwrap();
    assert_eq!(class(&bare(200, &gbk)), ("malformed", "ambiguous"));
}

#[test]
fn a_token_that_the_gateway_quotes_is_masked_and_long_texts_are_cut() {
    let mut item = open_platform_item();
    item.app_auth_token = Some(Secret::new("201509BBeff9351ad1874306903e96b91d248A36"));
    let body = format!(
        "{{\"code\":\"invalid-signature\",\"message\":\"POST\\n{{}}\\n{}\\n{}\"}}",
        item.app_auth_token.as_ref().unwrap().expose(),
        "真".repeat(5000)
    );
    let answer = parse(&account("gateway_rsa2048"), &item, &bare(400, body.as_bytes()));
    let Claim::Failure { code, sub_code: None, message: Some(message) } = answer.claim else { panic!("{answer:?}") };
    assert!(message.starts_with("POST\n{}\n***\n真"), "{message}");
    // Cut first, at 256 characters, and masked then: 40 became 3.
    assert_eq!((code.as_deref(), message.chars().count()), (Some("invalid-signature"), 219));
}

#[test]
fn an_encrypted_answer_is_verified_as_it_came_and_then_opened() {
    let load = || ContentKey::load(&key("openapi_aes_key", "base64")).unwrap();
    let mut encrypting = account("gateway_rsa2048");
    encrypting.content_key = Some(load());
    let read = |status, plain: &str| {
        let answer = sealed(status, load().encrypt(plain.as_bytes()).unwrap().as_bytes());
        let answer = parse(&encrypting, &open_platform_item(), &answer);
        (answer.signature, class_of(Gateway::OpenPlatform, answer))
    };
    assert_eq!(read(200, "{}"), (Signature::Valid, "success"));
    assert_eq!(read(400, "{\"code\":\"COMMODITY_SHOP_NOT_EXIST\"}"), (Signature::Valid, "terminal_item"));
    assert_eq!(read(200, "{\"code\":\"COMMODITY_SHOP_NOT_EXIST\"}"), (Signature::Contradictory, "ambiguous"));
    let plain = parse(&encrypting, &open_platform_item(), &sealed(200, b"{}"));
    assert!(is_success(plain));
    let foreign = parse(&encrypting, &open_platform_item(), &sealed(200, b"AAAAAAAAAAAAAAAAAAAAAA=="));
    assert_eq!(class_of(Gateway::OpenPlatform, foreign), "ambiguous");
    let without_key = parse(&account("gateway_rsa2048"), &open_platform_item(), &sealed(200, b"AAAA"));
    assert_eq!(class_of(Gateway::OpenPlatform, without_key), "ambiguous");
}

#[test]
fn the_body_that_is_sent_encrypted_is_the_one_that_is_signed() {
    let stamp = Stamp { now: SystemTime::UNIX_EPOCH, nonce: "n".into(), request_id: "r".into() };
    let mut account = account("gateway_rsa2048");
    let plain = build(&account, &open_platform_item(), &stamp).unwrap();
    account.content_key = Some(ContentKey::load(&key("openapi_aes_key", "base64")).unwrap());
    let sent = build(&account, &open_platform_item(), &stamp).unwrap();
    let body = sent.body.unwrap();
    assert_eq!(body.content_type, "text/plain");
    let opened = account.content_key.as_ref().unwrap().decrypt(&body.text).unwrap();
    assert_eq!(String::from_utf8(opened).unwrap(), plain.body.unwrap().text);
    let header = |name| sent.headers.iter().find(|(n, _)| *n == name).map(|(_, value)| value.as_str());
    assert_eq!(header("alipay-encrypt-type"), Some("AES"));
    let auth = "app_id=2014072300007148,nonce=n,timestamp=0";
    assert_eq!(sent.url, account.endpoint.url().as_str());
    let text = format!("{auth}\nPOST\n{}\n{}\n", account.endpoint.url().path(), body.text);
    let sign = account.signer.sign(text.as_bytes()).unwrap();
    assert_eq!(header("authorization"), Some(format!("ALIPAY-SHA256withRSA {auth},sign={sign}").as_str()));
}

#[test]
fn a_token_no_header_can_carry_is_not_sent() {
    let stamp = Stamp::fresh(SystemTime::now());
    let mut account = account("gateway_rsa2048");
    for (token, character) in [("to\r\nx-evil: 1", '\r'), ("tök", 'ö'), (" token", ' '), ("token\u{7f}", '\u{7f}')] {
        let mut item = open_platform_item();
        item.app_auth_token = Some(Secret::new(token));
        let refused = Reply::NotEncodable { field: "app_auth_token".into(), character };
        assert_eq!(build(&account, &item, &stamp), Err(refused));
        // One of the configuration is its merchant's fault, not the item's.
        let merchant = MerchantId::new("m-1").unwrap();
        account.merchants.insert(merchant.clone(), Secret::new(token));
        let item = OpenPlatformItem { merchant: Some(merchant), ..open_platform_item() };
        assert_eq!(build(&account, &item, &stamp), Err(Reply::NoToken { merchant: "m-1".into() }));
    }
}

#[test]
fn the_largest_answer_is_judged_in_time() {
    let mut body = b"{\"code\":\"PARAMS_ERROR\"".to_vec();
    for number in 0.. {
        let member = format!(",\"{number:x}\":0");
        if body.len() + member.len() + 1 > 1024 * 1024 {
            break;
        }
        body.extend_from_slice(member.as_bytes());
    }
    body.push(b'}');
    let begin = Instant::now();
    assert_eq!(class(&bare(400, &body)), ("unsigned", "terminal_item"));
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
}
