//! Answers that do not verify, each for a reason that is named; and answers that do.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encoding_rs::GBK;
use serde_json::Value;
use takedown::domain::ids::AccountId;
use takedown::gateway::GatewayAccount;
use takedown::gateway::diagnosis::answer;
use takedown::gateway::diagnosis::keyring::Keyring;
use takedown::gateway::http::Endpoint;
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::charset::Charset;
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use super::fixture::{USER_KEY, causes, directory, escape, judged, key, sign, tell};

const NODE: &str = "alipay_open_servicemarket_commodity_shop_offline_response";
const REFUSED: &str = r#"{"code":"40004","msg":"Business Failed","sub_code":"PARAMS_ERROR","sub_msg":"参数 a\/b"}"#;
const DONE: &str = r#"{"code":"10000","msg":"Success"}"#;

fn gbk(text: &str) -> Vec<u8> {
    GBK.encode(text).0.into_owned()
}

fn by(name: &str, sign_type: SignType, bytes: &[u8]) -> String {
    sign(sign_type, name, DsaFormat::Der, bytes)
}

/// An answer with this node's text and this signature.
fn wrap(node: &str, sign: &str) -> String {
    format!("{{\"{NODE}\":{node},\"sign\":\"{sign}\"}}")
}

/// An answer whose node is shown and whose signature covers what was signed.
fn over(signed: &[u8], shown: &str) -> Vec<u8> {
    wrap(shown, &by("gateway_rsa2048", SignType::Rsa2, signed)).into_bytes()
}

fn hold(what: &str, account: &str, extra: &str, table: Vec<(&str, Vec<u8>)>, arguments: &[&str]) {
    let directory = directory(extra);
    let mut missed = Vec::new();
    let count = table.len();
    for (expected, text) in table {
        let mut all = vec!["--account", account];
        all.extend(arguments);
        let value = judged(directory.path(), "--answer", &text, &all);
        let found = causes(&value);
        let expected: Vec<&str> = expected.split(' ').filter(|name| !name.is_empty()).collect();
        if found != expected {
            missed.push(format!("expected {expected:?}, found {found:?}: {value}"));
        }
        assert_eq!(value["signature"] == "valid", found.is_empty() || found == ["answer_of_another_item"], "{value}");
    }
    tell(&format!("{count} answers, {what}"));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn answers_of_the_open_platform_are_told_apart() {
    let genuine = over(REFUSED.as_bytes(), REFUSED);
    let signature = by("gateway_rsa2048", SignType::Rsa2, REFUSED.as_bytes());
    let stranger = key_pair(SignType::Rsa2).unwrap();
    let stranger = Signer::load(SignType::Rsa2, stranger.private.expose(), DsaFormat::Der).unwrap();
    let spaced = REFUSED.replace("\",\"", "\", \"").replace("\":\"", "\": \"");
    let reordered = r#"{"sub_msg":"参数 a\/b","sub_code":"PARAMS_ERROR","msg":"Business Failed","code":"40004"}"#;
    let as_text = String::from_utf8(genuine.clone()).unwrap();
    let wrapped: Vec<String> =
        as_text.chars().collect::<Vec<_>>().chunks(80).map(|line| line.iter().collect()).collect();
    let other_node = as_text.replace(NODE, "alipay_trade_pay_response");
    let repeated = as_text.replace(",\"sign\"", &format!(",\"{NODE}\":{{}},\"sign\""));
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("", genuine.clone()),
        ("", [b"\xEF\xBB\xBF".as_slice(), &genuine, b"\r\n"].concat()),
        ("answer_resaved_in_another_charset", over(&gbk(REFUSED), REFUSED)),
        ("answer_resaved_in_another_charset", gbk(&as_text)),
        ("answer_rewritten", over(REFUSED.as_bytes(), &REFUSED.replace("\\/", "/"))),
        ("answer_rewritten", over(REFUSED.replace("参数", "\\u53c2\\u6570").as_bytes(), REFUSED)),
        ("answer_rewritten", over(REFUSED.replace("\\/", "/").as_bytes(), &spaced.replace("\\/", "/"))),
        ("answer_rewritten", over(REFUSED.replace("\\/", "/").as_bytes(), &reordered.replace("\\/", "/"))),
        (
            "own_key_instead_of_the_gateways",
            wrap(REFUSED, &by("app_rsa2048", SignType::Rsa2, REFUSED.as_bytes())).into_bytes(),
        ),
        (
            "key_of_another_account",
            wrap(REFUSED, &by("other_rsa2048", SignType::Rsa2, REFUSED.as_bytes())).into_bytes(),
        ),
        ("key_of_a_stranger", wrap(REFUSED, &stranger.sign(REFUSED.as_bytes()).unwrap()).into_bytes()),
        ("wrong_hash", wrap(REFUSED, &by("gateway_rsa2048", SignType::Rsa, REFUSED.as_bytes())).into_bytes()),
        ("sign_encoded_twice", wrap(REFUSED, &escape(signature.as_bytes())).into_bytes()),
        ("sign_url_safe_base64", wrap(REFUSED, &signature.replace('+', "-").replace('/', "_")).into_bytes()),
        ("answer_json_escaped", Value::from(as_text.as_str()).to_string().into_bytes()),
        ("answer_wrapped", wrapped.join("\n").into_bytes()),
        ("answer_html_escaped", as_text.replace('"', "&quot;").into_bytes()),
        ("ambiguous_envelope", other_node.into_bytes()),
        ("ambiguous_envelope", repeated.into_bytes()),
        ("not_an_answer", b"<html><body>502 Bad Gateway</body></html>".to_vec()),
        ("unsigned_success", format!("{{\"{NODE}\":{DONE}}}").into_bytes()),
    ];
    hold("Open Platform 1.0", "shops", "", table, &[]);
}

/// As `curl -i`, `curl --raw`, a proxy and an editor leave it.
#[test]
fn an_answer_is_read_however_it_was_saved() {
    let body = over(REFUSED.as_bytes(), REFUSED);
    let chunk = |part: &[u8]| [format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat();
    let chunks = [chunk(&body[..20]), chunk(&body[20..]), b"0\r\n\r\n".to_vec()].concat();
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/html;charset=utf-8\r\n";
    let with = |head: String, body: &[u8]| [head.as_bytes(), body].concat();
    let table = vec![
        ("", with(format!("{head}\r\n"), &body)),
        ("", with(format!("\u{feff}{head}\r\n"), &body)),
        ("", with(format!("HTTP/1.1 100 Continue\r\n\r\n{head}\r\n"), &body)),
        ("", with(format!("HTTP/1.1 200 Connection established\r\n\r\n{head}\r\n"), &body)),
        ("", with(format!("{head}Transfer-Encoding: chunked\r\n\r\n"), &chunks)),
        ("", with(format!("{head}Transfer-Encoding: chunked\r\n\r\n"), &body)),
        ("", with(format!("{head}Content-Length: {}\r\n\r\n", body.len()), &[&body[..], b"\n$ "].concat())),
    ];
    hold("saved in many ways", "shops", "", table, &[]);
    let ended = super::fixture::paste(directory("").path(), "--answer", b"\x1F\x8B\x08\0", &["--account", "shops"]);
    assert!(ended.code == Some(2) && ended.stderr.contains("curl --compressed"), "{ended:?}");
}

#[test]
fn an_encrypted_answer_is_signed_with_its_quotes() {
    let content = format!("\"{}\"", encrypted(DONE));
    let table = vec![
        ("", over(content.as_bytes(), &content)),
        ("quotes_not_signed", over(content.trim_matches('"').as_bytes(), &content)),
    ];
    let extra = format!(
        "[accounts.secret]\ngateway = \"open_platform\"\napp_id = \"2014072300008888\"\nsign_type = \"RSA2\"\n\
         content_key = \"{CONTENT_KEY}\"\nprivate_key_file = \"app_rsa2048.pem\"\ngateway_key_file = \"gateway_rsa2048.pub\"\n"
    );
    hold("encrypted", "secret", &extra, table, &[]);

    // A request that was signed before it was encrypted.
    let directory = directory(&extra);
    let plain = r#"{"commodity_id":"1","shop_id":"2"}"#;
    let text = |content: &str| format!("app_id=2014072300008888&biz_content={content}&charset=utf-8&encrypt_type=AES");
    let sign = by("app_rsa2048", SignType::Rsa2, text(plain).as_bytes());
    let sent = text(&escape(encrypted(plain).as_bytes()));
    let request = format!("https://g/?{sent}&sign={}", escape(sign.as_bytes()));
    let value = judged(directory.path(), "--request", request.as_bytes(), &["--account", "secret"]);
    assert_eq!(causes(&value), ["signed_before_encryption"], "{value}");
}

const CONTENT_KEY: &str = "AAECAwQFBgcICQoLDA0ODw==";

fn encrypted(text: &str) -> String {
    takedown::signing::content::ContentKey::load(CONTENT_KEY).unwrap().encrypt(text.as_bytes()).unwrap()
}

#[test]
fn the_own_public_key_in_the_place_of_the_gateways_is_named() {
    let extra = "[accounts.mixed]\ngateway = \"open_platform\"\napp_id = \"2014072300007777\"\nsign_type = \"RSA2\"\n\
         private_key_file = \"other_rsa2048.pem\"\ngateway_key_file = \"other_rsa2048.pub\"\n";
    let stranger = key_pair(SignType::Rsa2).unwrap();
    let stranger = Signer::load(SignType::Rsa2, stranger.private.expose(), DsaFormat::Der).unwrap();
    let answer = wrap(DONE, &stranger.sign(DONE.as_bytes()).unwrap()).into_bytes();
    hold("own key configured", "mixed", extra, vec![("own_key_instead_of_the_gateways", answer)], &[]);
}

/// By the library: the configuration takes certificates, and the vectors hold the key of one alone.
#[test]
fn certificate_numbers_choose_the_key() {
    let [right, other, unknown] = ["0a", "0b", "0c"].map(|byte| byte.repeat(16));
    let load = |name: &str| Verifier::load(SignType::Rsa2, &key(name, "public_spki_pem"), DsaFormat::Der).unwrap();
    let keys = [(right.clone(), load("gateway_rsa2048")), (other.clone(), load("other_rsa2048"))];
    let account = GatewayAccount::OpenPlatform(OpenPlatformAccount {
        endpoint: Endpoint::new("https://openapi.alipay.com/gateway.do").unwrap(),
        protocol: Protocol::V1,
        app_id: "2014072300006666".to_owned(),
        charset: Charset::Utf8,
        signer: Signer::load(SignType::Rsa2, &key("app_rsa2048", "private_pkcs8_pem"), DsaFormat::Der).unwrap(),
        keys: GatewayKeys::ByCertificate(BTreeMap::from(keys)),
        merchants: BTreeMap::new(),
        content_key: None,
        certificates: None,
    });
    let id = AccountId::new("certified").unwrap();
    let keyring = Keyring::new(&id, &BTreeMap::from([(&id, &account)]));
    let judge = |number: &str| {
        let signed = wrap(DONE, &by("gateway_rsa2048", SignType::Rsa2, DONE.as_bytes()));
        let text = signed.replace(",\"sign\"", &format!(",\"alipay_cert_sn\":\"{number}\",\"sign\""));
        let judged = answer::judge(&account, &keyring, &answer::read(text.as_bytes()).unwrap(), None);
        judged.diagnosis.causes.iter().map(|cause| cause.name).collect::<Vec<_>>()
    };
    assert_eq!(judge(&right), [""; 0]);
    assert_eq!(judge(&other), ["key_of_another_certificate"]);
    assert_eq!(judge(&unknown), ["key_of_another_certificate", "certificate_unknown"]);
}

/// An answer of mapi whose `<goods>` holds this, with what was signed.
fn xml(encoding: &str, inner: &str, signed: &[u8], sign_type: SignType, name: &str) -> String {
    let sign = by(name, sign_type, signed);
    format!(
        "<?xml version=\"1.0\" encoding=\"{encoding}\"?><alipay><is_success>T</is_success><request>\
         <param name=\"key\">{USER_KEY}</param></request><response><goods>{inner}</goods></response>\
         <sign>{sign}</sign><sign_type>{sign_type}</sign_type></alipay>"
    )
}

const GOODS: &str = "<goods_id>2011063000011840</goods_id><title>夏装 A&amp;B</title>";
const SIGNED: &str = "goods_id=2011063000011840&title=夏装 A&B";

#[test]
fn answers_of_mapi_are_told_apart() {
    let rsa =
        |encoding: &str, inner: &str, signed: &[u8]| xml(encoding, inner, signed, SignType::Rsa, "gateway_rsa1024");
    let genuine = rsa("GBK", GOODS, &gbk(SIGNED));
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("", gbk(&genuine)),
        ("", rsa("utf-8", GOODS, SIGNED.as_bytes()).into_bytes()),
        // Saved in UTF-8 by a terminal, the declaration untouched.
        ("answer_resaved_in_another_charset", genuine.clone().into_bytes()),
        // By a browser, which mends the declaration too.
        ("signed_in_another_charset", genuine.replace("GBK", "UTF-8").into_bytes()),
        (
            "own_key_instead_of_the_gateways",
            xml("utf-8", GOODS, SIGNED.as_bytes(), SignType::Rsa, "app_rsa1024").into_bytes(),
        ),
        (
            "key_of_another_account",
            xml("utf-8", GOODS, SIGNED.as_bytes(), SignType::Rsa, "gateway_rsa2048").into_bytes(),
        ),
        (
            "wrong_hash",
            xml("utf-8", GOODS, SIGNED.as_bytes(), SignType::Rsa2, "gateway_rsa1024")
                .replace(">RSA2<", ">RSA<")
                .into_bytes(),
        ),
        (
            "answer_names_another_sign_type",
            rsa("utf-8", GOODS, SIGNED.as_bytes()).replace(">RSA<", ">DSA<").into_bytes(),
        ),
        (
            "values_html_escaped",
            rsa("utf-8", GOODS, SIGNED.replace('&', "&amp;").replace("&amp;title", "&title").as_bytes()).into_bytes(),
        ),
        (
            "unsigned_part_signed",
            rsa("utf-8", GOODS, "goods_id=2011063000011840&is_success=T&title=夏装 A&B".as_bytes()).into_bytes(),
        ),
        (
            "refusal_with_signed_success",
            rsa("utf-8", GOODS, SIGNED.as_bytes())
                .replace(">T</is_success>", ">F</is_success><error>SYSTEM_ERROR</error>")
                .into_bytes(),
        ),
        (
            "not_an_answer",
            rsa("utf-8", GOODS, SIGNED.as_bytes()).replace("<alipay>", "<!DOCTYPE alipay><alipay>").into_bytes(),
        ),
        ("not_an_answer", rsa("utf-8", &format!("{GOODS}{GOODS}"), SIGNED.as_bytes()).into_bytes()),
        ("not_an_answer", gbk("<html><body>错误代码 ILLEGAL_SIGN</body></html>")),
        ("unsigned", b"<alipay><is_success>F</is_success><error>ILLEGAL_SIGN</error></alipay>".to_vec()),
    ];
    hold("mapi with RSA", "rsa", "", table, &[]);

    let directory = directory("");
    let altered = rsa("utf-8", &GOODS.replace("11840", "11841"), SIGNED.as_bytes());
    let value = judged(directory.path(), "--answer", altered.as_bytes(), &["--account", "rsa"]);
    assert_eq!(value["verdict"], "unexplained", "a signed part was altered: {value}");
    assert!(value["certain"].to_string().contains("the gateway's key"), "{value}");
    assert!(!value.to_string().contains(USER_KEY), "{value}");

    let item = format!("{{\"sns_user_id\":\"u\",\"key\":\"{USER_KEY}\",\"goods_id\":\"77\"}}");
    let answer = rsa("utf-8", GOODS, SIGNED.as_bytes()).into_bytes();
    hold("mapi, another item", "rsa", "", vec![("answer_of_another_item", answer)], &["--item", &item]);

    let echoed = "<goods_id>1</goods_id><service>sns.admin.close.goods</service>";
    let signed = b"goods_id=1&service=sns.admin.close.goods";
    let echoed = xml("utf-8", echoed, signed, SignType::Md5, "mapi_md5_key").into_bytes();
    let notification = "<goods_id>1</goods_id><notify_id>7</notify_id>";
    let notification =
        xml("utf-8", notification, b"goods_id=1&notify_id=7", SignType::Md5, "mapi_md5_key").into_bytes();
    let uncut = "<a>1&amp;goods_id=2</a>";
    let uncut = xml("utf-8", uncut, b"a=1&goods_id=2", SignType::Md5, "mapi_md5_key").into_bytes();
    let foreign =
        vec![("request_echoed", echoed), ("notification_as_answer", notification), ("ambiguous_envelope", uncut)];
    hold("mapi with MD5", "desk", "", foreign, &[]);

    let raw = BASE64_STANDARD.encode(super::fixture::raw(&sign(
        SignType::Dsa,
        "gateway_dsa1024",
        DsaFormat::Raw,
        SIGNED.as_bytes(),
    )));
    let der = xml("utf-8", GOODS, SIGNED.as_bytes(), SignType::Dsa, "gateway_dsa1024");
    let start = der.find("<sign>").unwrap() + 6;
    let end = der.find("</sign>").unwrap();
    let table = vec![
        ("", der.clone().into_bytes()),
        ("dsa_raw_instead_of_der", der.replace(&der[start..end], &raw).into_bytes()),
    ];
    hold("mapi with DSA", "dsa", "", table, &[]);
}

#[test]
fn what_an_answer_means_is_told() {
    let directory = directory("");
    let value = judged(directory.path(), "--answer", &over(REFUSED.as_bytes(), REFUSED), &["--account", "shops"]);
    assert_eq!(value["code"]["sub_code"], "PARAMS_ERROR");
    assert!(value["code"]["source"].as_str().is_some_and(|source| !source.is_empty()), "{value}");
    assert!(value["worker"].as_str().unwrap().starts_with("the item ends as terminal/"), "{value}");

    let limited = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n{{\"{NODE}\":{{\"code\":\"40005\",\"msg\":\"x\",\"sub_code\":\"isv.app-call-limited\"}}}}"
    );
    let value = judged(directory.path(), "--answer", limited.as_bytes(), &["--account", "shops"]);
    assert!(value["worker"].as_str().unwrap().contains("slowed down"), "{value}");
}

#[test]
fn the_string_the_gateway_quotes_is_compared_with_what_was_signed() {
    let directory = directory("");
    let quoted = "app_auth_token=&amp;app_id=2014072300007148&amp;biz_content={&quot;a&quot;:1}&amp;charset=utf-8";
    let node = format!(
        "{{\"code\":\"40002\",\"msg\":\"Invalid Arguments\",\"sub_code\":\"isv.invalid-signature\",\
         \"sub_msg\":\"验签出错，建议检查签名字符串或签名私钥与应用公钥是否匹配，网关生成的验签字符串为：{quoted}\"}}"
    );
    let answer = over(node.as_bytes(), &node);
    let signed = r#"app_id=2014072300007148&biz_content={"a":1}&charset=utf-8"#;
    let sign = by("app_rsa2048", SignType::Rsa2, signed.as_bytes());
    let request =
        format!("app_id=2014072300007148&charset=utf-8&biz_content=%7B%22a%22%3A1%7D&sign={}", escape(sign.as_bytes()));
    std::fs::write(directory.path().join("request"), request).unwrap();
    let value = judged(directory.path(), "--answer", &answer, &["--account", "shops", "--request", "request"]);
    assert_eq!(value["quoted"]["first_differing_byte"], 5, "app_a… against app_i…: {value}");
    let node = node.replace("app_auth_token=&amp;", "");
    let answer = over(node.as_bytes(), &node);
    let value = judged(directory.path(), "--answer", &answer, &["--account", "shops", "--request", "request"]);
    assert_eq!(value["quoted"]["first_differing_byte"], Value::Null, "{value}");
    assert!(value["quoted"]["text"].as_str().unwrap().contains("biz_content={\"a\":1}"), "{value}");
}
