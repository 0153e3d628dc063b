//! Ways to get the signature of a form wrong, each named.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use encoding_rs::GBK;
use sha2::{Digest, Sha256};
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer};

use super::fixture::{APP_ID, PARTNER, TOKEN, USER_KEY, causes, directory, escape, hex, judged, key, raw, sign, tell};

type Pairs = Vec<(&'static str, String)>;

fn pairs(pairs: &[(&'static str, &str)]) -> Pairs {
    pairs.iter().map(|(name, value)| (*name, (*value).to_owned())).collect()
}

/// Joins pairs that are sorted already, or are not meant to be.
fn join(pairs: &[(&'static str, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
}

/// The right order by hand: it must not depend on the code under test.
fn sorted(mut pairs: Pairs) -> Pairs {
    pairs.sort_by(|a, b| a.0.as_bytes().cmp(b.0.as_bytes()));
    pairs
}

fn without(pairs: &Pairs, names: &[&str]) -> Pairs {
    pairs.iter().filter(|(name, _)| !names.contains(name)).cloned().collect()
}

fn query(pairs: &[(&'static str, String)]) -> String {
    pairs.iter().map(|(name, value)| format!("{name}={}", escape(value.as_bytes()))).collect::<Vec<_>>().join("&")
}

fn gbk(text: &str) -> Vec<u8> {
    GBK.encode(text).0.into_owned()
}

/// Parameters of mapi in the order of its document.
fn goods() -> Pairs {
    pairs(&[
        ("service", "sns.admin.close.goods"),
        ("partner", PARTNER),
        ("_input_charset", "utf-8"),
        ("sns_user_id", "douban_admin"),
        ("key", USER_KEY),
        ("close_reason", "违规 A&B/ <1>"),
        ("goods_id", "2011063000011840"),
    ])
}

const CONTENT: &str = r#"{"commodity_id":"2016/001下","shop_id":"2015052000077"}"#;

/// Parameters of the Open Platform in the order of its document.
fn shop() -> Pairs {
    pairs(&[
        ("app_id", APP_ID),
        ("method", "alipay.open.servicemarket.commodity.shop.offline"),
        ("format", "json"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("timestamp", "2026-11-24 22:00:00"),
        ("version", "1.0"),
        ("app_auth_token", TOKEN),
        ("biz_content", CONTENT),
    ])
}

/// A request of the shops' account that was signed over these bytes, `biz_content` in the body.
fn posted(signed: &[u8]) -> String {
    posted_with(&sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, signed))
}

fn posted_with(sign: &str) -> String {
    sent(&shop(), sign)
}

fn sent(pairs: &Pairs, sign: &str) -> String {
    let mut in_query = without(pairs, &["biz_content"]);
    in_query.push(("sign", sign.to_owned()));
    let body: Pairs = pairs.iter().filter(|(name, _)| *name == "biz_content").cloned().collect();
    format!("POST /gateway.do?{} HTTP/1.1\r\nHost: openapi.alipay.com\r\n\r\n{}", query(&in_query), query(&body))
}

/// A request of a mapi account with this signature.
fn got(pairs: &Pairs, sign_type: &str, sign: &str) -> String {
    let mut all = pairs.clone();
    all.push(("sign", sign.to_owned()));
    all.push(("sign_type", sign_type.to_owned()));
    format!("https://www.alipay.com/cooperate/gateway.do?{}", query(&all))
}

fn md5(bytes: &[u8]) -> String {
    sign(SignType::Md5, "mapi_md5_key", DsaFormat::Der, bytes)
}

/// The MD5 of any bytes, without the program's own secret.
fn bare_md5(text: &str) -> String {
    use md5::Md5;
    hex(&Md5::digest(text.as_bytes()))
}

/// Signs with the padding that the gateways do not take.
fn pss(bytes: &[u8]) -> String {
    use rsa::pkcs8::DecodePrivateKey;
    let key = rsa::PrivateKey::from_pkcs8_pem(&key("app_rsa2048", "private_pkcs8_pem")).unwrap();
    BASE64_STANDARD.encode(key.pss_sign::<Sha256>(bytes).unwrap())
}

/// Pads and raises to the private exponent, as `openssl pkeyutl -sign` without a digest does.
fn bare(digest: &[u8]) -> String {
    use rsa::pkcs8::DecodePrivateKey;
    let key = rsa::PrivateKey::from_pkcs8_pem(&key("app_rsa2048", "private_pkcs8_pem")).unwrap();
    BASE64_STANDARD.encode(key.sign(rsa::Pkcs1v15Sign::new_unprefixed(), digest).unwrap())
}

/// RFC 2104, by hand: it must not depend on the code under test.
fn hmac_md5(secret: &[u8], text: &[u8]) -> Vec<u8> {
    use md5::Md5;
    let pad = |with: u8| {
        let mut block = [with; 64];
        block.iter_mut().zip(secret).for_each(|(byte, key)| *byte ^= key);
        block
    };
    let inner = Md5::digest([&pad(0x36)[..], text].concat());
    Md5::digest([&pad(0x5C)[..], &inner].concat()).to_vec()
}

/// Runs a table and says how many causes were named.
fn hold(what: &str, account: &str, table: Vec<(&str, Vec<u8>)>, arguments: &[&str]) {
    let directory = directory("");
    let mut missed = Vec::new();
    let count = table.len();
    for (expected, text) in table {
        let mut all = vec!["--account", account];
        all.extend(arguments);
        let value = judged(directory.path(), "--request", &text, &all);
        let found = causes(&value);
        let expected: Vec<&str> = expected.split(' ').filter(|name| !name.is_empty()).collect();
        if found != expected {
            missed.push(format!("expected {expected:?}, found {found:?}: {}", value["causes"]));
        }
        let is_right = expected.is_empty();
        assert_eq!(value["verdict"] == "right", is_right, "{value}");
    }
    tell(&format!("{count} requests, {what}"));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn the_form_protocols_selection_order_and_values_are_told_apart() {
    let all = sorted(shop());
    let right = join(&all);
    let changed = |name: &str, value: &str| {
        let change = |(n, v): &(&'static str, String)| (*n, if *n == name { value.to_owned() } else { v.clone() });
        join(&all.iter().map(change).collect::<Vec<_>>())
    };
    let each = |change: &dyn Fn(&str) -> String| join(&all.iter().map(|(n, v)| (*n, change(v))).collect::<Vec<_>>());
    let plus = |text: &str| {
        escape(text.as_bytes()).replace("%20", "+").replace("%2E", ".").replace("%2D", "-").replace("%5F", "_")
    };
    let mut by_query = without(&shop(), &["biz_content"]);
    by_query.push(("biz_content", CONTENT.to_owned()));
    let table: Vec<(&str, String)> = vec![
        ("", right.clone()),
        ("sign_type_left_out", join(&without(&all, &["sign_type"]))),
        ("not_sorted", join(&by_query)),
        ("values_percent_encoded", each(&plus)),
        ("app_auth_token_left_out", join(&without(&all, &["app_auth_token"]))),
        ("charset_left_out", join(&without(&all, &["charset"]))),
        ("sent_but_not_signed", join(&without(&all, &["version"]))),
        ("only_query_signed", join(&without(&all, &["biz_content"]))),
        ("only_body_signed", join(&all.iter().filter(|(n, _)| *n == "biz_content").cloned().collect::<Vec<_>>())),
        ("newline_appended", format!("{right}\n")),
        ("newline_appended", format!("{right}\r\n")),
        ("url_signed", format!("/gateway.do?{right}")),
        ("leading_question_mark", format!("?{right}")),
        ("trailing_ampersand", format!("{right}&")),
        ("joined_by_html_ampersand", right.replace('&', "&amp;")),
        ("values_html_escaped", each(&|v| v.replace('"', "&quot;"))),
        ("values_quoted", all.iter().map(|(n, v)| format!("{n}=\"{v}\"")).collect::<Vec<_>>().join("&")),
        ("joined_without_separators", all.iter().map(|(n, v)| format!("{n}{v}")).collect()),
        ("whole_percent_encoded", escape(right.as_bytes()).replace("%2E", ".").replace("%2D", "-").replace("%5F", "_")),
        ("hashed_before_signing", hex(&Sha256::digest(right.as_bytes()))),
        ("timestamp_of_another_zone", changed("timestamp", "2026-11-24 14:00:00")),
        ("timestamp_made_anew", changed("timestamp", "2026-11-24 21:59:57")),
        ("value_changed_after_signing", changed("format", "JSON")),
        ("value_changed_after_signing", changed("charset", "UTF-8")),
        ("value_changed_after_signing", changed("app_auth_token", &format!("{TOKEN} "))),
        ("value_percent_encoded", changed("biz_content", &plus(CONTENT))),
        ("space_signed_as_plus", changed("timestamp", "2026-11-24+22:00:00")),
        ("empty_signed_but_not_sent", right.replace("&format", "&encrypt_type=&format")),
        ("empty_signed_but_not_sent", right.replace("&format", "&encrypt_type=null&format")),
        ("empty_signed_but_not_sent", right.replace("&sign_type", "&sign=&sign_type")),
        ("biz_content_rewritten", changed("biz_content", &CONTENT.replace(':', ": "))),
        (
            "biz_content_rewritten",
            changed("biz_content", &CONTENT.replace(':', ": ").replace(',', ", ").replace('"', "'")),
        ),
        ("biz_content_rewritten", changed("biz_content", &serde_json::Value::from(CONTENT).to_string())),
        ("biz_content_rewritten", changed("biz_content", r#"{"shop_id":"2015052000077","commodity_id":"2016/001下"}"#)),
        (
            "biz_content_rewritten",
            changed("biz_content", r#"{"commodity_id": "2016/001下", "shop_id": "2015052000077"}"#),
        ),
        (
            "biz_content_rewritten",
            changed("biz_content", r#"{"commodity_id":"2016\/001下","shop_id":"2015052000077"}"#),
        ),
        (
            "biz_content_rewritten",
            changed("biz_content", r#"{"commodity_id":"2016/001\u4e0b","shop_id":"2015052000077"}"#),
        ),
        (
            "biz_content_rewritten",
            changed("biz_content", r#"{"commodity_id":"2016\/001\u4e0b","shop_id":"2015052000077"}"#),
        ),
        (
            "biz_content_rewritten",
            changed("biz_content", "{\n  \"commodity_id\" : \"2016/001下\",\n  \"shop_id\" : \"2015052000077\"\n}"),
        ),
        // Two at once.
        ("sign_type_left_out newline_appended", format!("{}\n", join(&without(&all, &["sign_type"])))),
        (
            "sign_type_left_out biz_content_rewritten",
            join(&without(&all, &["sign_type"])).replace("\",\"", "\", \"").replace("\":\"", "\": \""),
        ),
    ];
    let table = table.into_iter().map(|(cause, signed)| (cause, posted(signed.as_bytes()).into_bytes())).collect();
    hold("Open Platform 1.0, over what", "shops", table, &[]);
}

#[test]
fn charsets_of_the_signed_and_of_the_sent_bytes_are_told_apart() {
    let right = join(&sorted(shop()));
    let in_gbk = gbk(&right);
    let sign = |bytes: &[u8]| sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, bytes);
    // Sent in GBK while utf-8 is declared.
    let sent_gbk = |sign: &str| {
        let utf8 = escape(CONTENT.as_bytes());
        posted_with(sign).replace(&utf8, &escape(&gbk(CONTENT)))
    };
    let marks = right.replace('下', "?");
    let garbled: String = right.bytes().map(char::from).collect();
    let table = vec![
        ("signed_in_another_charset", posted(&in_gbk).into_bytes()),
        ("signed_question_marks", posted(marks.as_bytes()).into_bytes()),
        ("signed_garbled", posted(garbled.as_bytes()).into_bytes()),
        ("sent_in_another_charset", sent_gbk(&sign(&in_gbk)).into_bytes()),
        ("sent_in_another_charset signed_in_another_charset", sent_gbk(&sign(right.as_bytes())).into_bytes()),
        (
            "sign_type_left_out signed_in_another_charset",
            posted(&gbk(&join(&sorted(without(&shop(), &["sign_type"]))))).into_bytes(),
        ),
    ];
    hold("charsets", "shops", table, &[]);
}

#[test]
fn keys_hashes_and_the_form_of_the_sign_are_told_apart() {
    let right = join(&sorted(shop()));
    let by = |sign_type, name: &str| sign(sign_type, name, DsaFormat::Der, right.as_bytes());
    let sign = by(SignType::Rsa2, "app_rsa2048");
    assert!(sign.contains('+') && sign.contains('/') && sign.ends_with('='), "choose another text: {sign}");
    let stranger = key_pair(SignType::Rsa2).unwrap();
    let stranger = Signer::load(SignType::Rsa2, stranger.private.expose(), DsaFormat::Der).unwrap();
    let unescaped = posted_with("SIGN").replace("sign=SIGN", &format!("sign={}", sign.replace('=', "%3D")));
    let lines: Vec<&str> = (0..sign.len()).step_by(76).map(|at| &sign[at..sign.len().min(at + 76)]).collect();
    let posted = |sign: &str| posted_with(sign).into_bytes();
    let table = vec![
        ("", posted(&sign)),
        ("key_of_a_stranger", posted(&stranger.sign(right.as_bytes()).unwrap())),
        ("bare_digest", posted(&bare(&Sha256::digest(right.as_bytes())))),
        ("pss_padding", posted(&pss(right.as_bytes()))),
        ("pss_padding sign_type_left_out", posted(&pss(join(&without(&sorted(shop()), &["sign_type"])).as_bytes()))),
        ("sign_damaged", posted(&sign[..sign.len() - 4])),
        ("sign_quoted", posted(&format!("\"{sign}\""))),
        ("sign_base64_twice", posted(&BASE64_STANDARD.encode(&sign))),
        ("key_of_another_account", posted(&by(SignType::Rsa2, "other_rsa2048"))),
        ("key_of_the_gateway", posted(&by(SignType::Rsa2, "gateway_rsa2048"))),
        ("wrong_hash", posted(&by(SignType::Rsa, "app_rsa2048"))),
        ("wrong_algorithm", posted(&bare_md5(&right))),
        ("sign_encoded_twice", posted(&escape(sign.as_bytes()))),
        ("sign_plus_became_space", unescaped.into_bytes()),
        ("sign_url_safe_base64", posted(&sign.replace('+', "-").replace('/', "_"))),
        ("sign_padding_missing", posted(sign.trim_end_matches('='))),
        ("sign_has_line_breaks", posted(&lines.join("\n"))),
        ("sign_in_hex", posted(&hex(&raw(&sign)))),
        ("sign_base64_of_hex", posted(&BASE64_STANDARD.encode(hex(&raw(&sign))))),
        ("sign_unreadable", posted("not a signature!")),
        ("unsigned", posted("")),
        (
            "wrong_hash sign_url_safe_base64",
            posted(&by(SignType::Rsa, "app_rsa2048").replace('+', "-").replace('/', "_")),
        ),
    ];
    hold("keys, hashes, form of the sign", "shops", table, &[]);
}

#[test]
fn the_mistakes_of_mapi_with_md5_are_told_apart() {
    let all = sorted(goods());
    let right = join(&all);
    let secret = key("mapi_md5_key", "value");
    let got = |pairs: &Pairs, sign: &str| got(pairs, "MD5", sign).into_bytes();
    let plain = |signed: &str| got(&goods(), &md5(signed.as_bytes()));
    let mut with_type = goods();
    with_type.push(("sign_type", "MD5".to_owned()));
    let mut with_empty = goods();
    with_empty.push(("memo", String::new()));
    let trimmed = {
        let mut padded = goods();
        padded[5].1 = " reason ".to_owned();
        let signed = join(&sorted(padded.clone())).replace(" reason ", "reason");
        got(&padded, &md5(signed.as_bytes()))
    };
    let twice = {
        let signed = md5(right.as_bytes());
        let mut encoded = goods();
        encoded[5].1 = escape(encoded[5].1.as_bytes());
        got(&encoded, &signed)
    };
    let amp = String::from_utf8(plain(&right)).unwrap().replace('&', "&amp;").into_bytes();
    let mut by_pair = pairs(&[("a", "2"), ("a!", "1")]);
    by_pair.extend(goods());
    let pair_text = |pairs: &Pairs| {
        let mut texts: Vec<String> = pairs.iter().map(|(n, v)| format!("{n}={v}")).collect();
        texts.sort();
        texts.join("&")
    };
    let dictionary = {
        let mut pairs = goods();
        pairs.sort_by_key(|(name, _)| name.replace('_', ""));
        join(&pairs)
    };
    let in_body = {
        let mut body = goods();
        body.push(("sign", md5(right.as_bytes())));
        body.push(("sign_type", "MD5".to_owned()));
        format!("POST /cooperate/gateway.do HTTP/1.1\r\n\r\n{}", query(&body)).into_bytes()
    };
    // Made by Python: hmac.new(secret, text, "md5").
    let hmac = hmac_md5(secret.as_bytes(), right.as_bytes());
    let in_both = String::from_utf8(in_body.clone()).unwrap();
    let in_both = in_both.replace("gateway.do", "gateway.do?_input_charset=utf-8").into_bytes();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("", plain(&right)),
        ("sign_type_signed", plain(&join(&sorted(with_type)))),
        ("not_sorted", plain(&join(&goods()))),
        ("sorted_by_pair", got(&by_pair, &md5(pair_text(&by_pair).as_bytes()))),
        ("sorted_as_in_a_dictionary", plain(&dictionary)),
        ("empty_kept", got(&with_empty, &md5(join(&sorted(with_empty.clone())).as_bytes()))),
        ("key_left_out", plain(&join(&without(&all, &["key"])))),
        ("input_charset_left_out", plain(&join(&without(&all, &["_input_charset"])))),
        ("md5_secret_after_ampersand", got(&goods(), &bare_md5(&format!("{right}&{secret}")))),
        ("md5_secret_after_key", got(&goods(), &bare_md5(&format!("{right}&key={secret}")))),
        ("md5_secret_before", got(&goods(), &bare_md5(&format!("{secret}{right}")))),
        ("md5_secret_with_line_feed", got(&goods(), &bare_md5(&format!("{right}{secret}\n")))),
        ("md5_hmac", got(&goods(), &hex(&hmac))),
        ("md5_without_secret", got(&goods(), &bare_md5(&right))),
        ("md5_upper_case", got(&goods(), &md5(right.as_bytes()).to_uppercase())),
        ("md5_in_base64", got(&goods(), &BASE64_STANDARD.encode(hex_bytes(&md5(right.as_bytes()))))),
        ("values_trimmed", trimmed),
        ("values_encoded_twice", twice),
        ("separators_html_escaped", amp),
        ("charset_only_in_body", in_body),
        // As takedown posts it, too: the charset in the URL and among the parameters of the body.
        ("", in_both),
        ("md5_secret_after_ampersand sign_type_signed", {
            let mut with_type = goods();
            with_type.push(("sign_type", "MD5".to_owned()));
            got(&goods(), &bare_md5(&format!("{}&{secret}", join(&sorted(with_type)))))
        }),
        ("key_left_out input_charset_left_out", plain(&join(&without(&all, &["key", "_input_charset"])))),
    ];
    hold("mapi with MD5", "desk", table, &[]);
}

fn dsa_over_sha256(bytes: &[u8]) -> String {
    use dsa::pkcs8::DecodePrivateKey;
    use dsa::signature::SignatureEncoding;
    use dsa::signature::hazmat::PrehashSigner;
    let key = dsa::SigningKey::from_pkcs8_pem(&key("app_dsa1024", "private_pkcs8_pem")).unwrap();
    let signature: dsa::Signature = key.sign_prehash(&Sha256::digest(bytes)).unwrap();
    BASE64_STANDARD.encode(signature.to_bytes())
}

fn hex_bytes(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_mistakes_of_mapi_with_dsa_and_rsa_are_told_apart() {
    let mut goods = goods();
    goods[1].1 = "2088000000000003".to_owned();
    let all = sorted(goods.clone());
    let right = join(&all);
    let by = |format, signed: &str| {
        got(&goods, "DSA", &sign(SignType::Dsa, "app_dsa1024", format, signed.as_bytes())).into_bytes()
    };
    let table = vec![
        ("", by(DsaFormat::Der, &right)),
        ("dsa_raw_instead_of_der", by(DsaFormat::Raw, &right)),
        ("not_sorted", by(DsaFormat::Der, &join(&goods))),
        ("key_left_out", by(DsaFormat::Der, &join(&without(&all, &["key"])))),
        ("dsa_raw_instead_of_der newline_appended", by(DsaFormat::Raw, &format!("{right}\n"))),
        // What OpenSSL's -sha256 and Java's SHA256withDSA make.
        ("wrong_hash", got(&goods, "DSA", &dsa_over_sha256(right.as_bytes())).into_bytes()),
        (
            "key_of_the_gateway",
            got(&goods, "DSA", &sign(SignType::Dsa, "gateway_dsa1024", DsaFormat::Der, right.as_bytes())).into_bytes(),
        ),
    ];
    hold("mapi with DSA", "dsa", table, &[]);

    let directory = directory(
        "[accounts.raw]\ngateway = \"mapi\"\npartner = \"2088000000000004\"\nsign_type = \"DSA\"\ndsa_format = \"raw\"\nprivate_key_file = \"app_dsa1024.pem\"\ngateway_key_file = \"gateway_dsa1024.pub\"\n",
    );
    let value = judged(directory.path(), "--request", &by(DsaFormat::Der, &right), &["--account", "raw"]);
    assert_eq!(causes(&value), ["dsa_der_instead_of_raw"]);

    goods[1].1 = "2088000000000002".to_owned();
    let right = join(&sorted(goods.clone()));
    let by = |sign_type, name: &str| {
        got(&goods, "RSA", &sign(sign_type, name, DsaFormat::Der, right.as_bytes())).into_bytes()
    };
    let table = vec![
        ("", by(SignType::Rsa, "app_rsa1024")),
        ("wrong_hash", by(SignType::Rsa2, "app_rsa1024")),
        ("key_of_another_account", by(SignType::Rsa, "app_rsa2048")),
        ("wrong_algorithm", got(&goods, "RSA", &bare_md5(&right)).into_bytes()),
    ];
    hold("mapi with RSA", "rsa", table, &[]);
}

#[test]
fn with_the_item_given_values_are_compared_and_a_change_after_signing_is_found() {
    let directory = directory("");
    let item = serde_json::json!({ "commodity_id": "2016/001下", "shop_id": "2015052000077", "app_auth_token": TOKEN })
        .to_string();
    let arguments = ["--account", "shops", "--item", &item];
    let right = join(&sorted(shop()));
    let good = sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, right.as_bytes());
    let value = judged(directory.path(), "--request", posted_with(&good).as_bytes(), &arguments);
    assert_eq!(
        (value["verdict"].as_str(), value["differences"].as_array().unwrap().len()),
        (Some("right"), 0),
        "{value}"
    );

    let mut other = shop();
    other[8].1 = other[8].1.replace("77\"", "78\"");
    let value = judged(directory.path(), "--request", sent(&other, &good).as_bytes(), &arguments);
    assert_eq!(causes(&value), ["value_changed_after_signing"], "{value}");
    assert_eq!(value["differences"][0]["name"], "biz_content");
    assert_eq!(value["differences"][0]["first_differing_byte"], 54, "{value}");

    let lacking = without(&shop(), &["format", "version"]);
    let value = judged(directory.path(), "--request", sent(&lacking, &good).as_bytes(), &arguments);
    assert_eq!(causes(&value), ["value_changed_after_signing"], "all of them at once: {value}");
    let names: Vec<_> = value["differences"].as_array().unwrap().iter().map(|d| d["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["format", "version"]);
}

#[test]
fn what_cannot_be_explained_says_what_is_certain() {
    let directory = directory("");
    let value = judged(directory.path(), "--request", posted(b"something else").as_bytes(), &[]);
    assert_eq!(value["verdict"], "unexplained");
    let certain = value["certain"].to_string();
    assert!(certain.contains("the account's own key"), "{certain}");
    assert!(certain.contains("SHA-256") && certain.contains(&hex(&Sha256::digest(b"something else"))), "{certain}");
    assert!(value["to_do"].to_string().contains("--item"), "{value}");
    // What was given is not asked for.
    let item = serde_json::json!({ "commodity_id": "1", "shop_id": "2" }).to_string();
    let value = judged(directory.path(), "--request", posted(b"something else").as_bytes(), &["--item", &item]);
    assert!(!value["to_do"].to_string().contains("--item"), "{value}");
}
