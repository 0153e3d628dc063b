//! Ways to get a signature of protocol v3 wrong, each named.

use serde_json::json;
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer};

use super::fixture::{TOKEN, causes, directory, judged, sign, tell};

const ID: &str = "2014072300005555";
const PATH: &str = "/v3/alipay/open/servicemarket/commodity/shop/offline";
const BODY: &str = r#"{"commodity_id":"2016/001","shop_id":"2015052000077"}"#;

fn account() -> String {
    format!(
        "[accounts.rest]\ngateway = \"open_platform\"\nprotocol = \"v3\"\napp_id = \"{ID}\"\n\
         private_key_file = \"app_rsa2048.pem\"\ngateway_key_file = \"gateway_rsa2048.pub\"\n\
         endpoint = \"https://openapi.alipay.com{PATH}\"\n"
    )
}

fn auth() -> String {
    format!("app_id={ID},nonce=0a1b2c,timestamp=1764000000000")
}

/// A request that was signed over this text.
fn sent(target: &str, auth: &str, signed: &str) -> String {
    with(target, auth, &sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, signed.as_bytes()))
}

fn with(target: &str, auth: &str, sign: &str) -> String {
    format!(
        "POST {target} HTTP/1.1\r\nHost: openapi.alipay.com\r\nContent-Type: application/json\r\n\
         Authorization: ALIPAY-SHA256withRSA {auth},sign={sign}\r\nalipay-app-auth-token: {TOKEN}\r\n\
         Content-Length: {}\r\n\r\n{BODY}\n",
        BODY.len()
    )
}

fn lines(auth: &str, target: &str, body: &str, token: Option<&str>) -> String {
    let token = token.map(|token| format!("{token}\n")).unwrap_or_default();
    format!("{auth}\nPOST\n{target}\n{body}\n{token}")
}

#[test]
fn the_mistakes_of_v3_requests_are_told_apart() {
    let auth = auth();
    let queried = format!("{PATH}?x=1%202");
    let url = format!("https://openapi.alipay.com{PATH}");
    let right = lines(&auth, PATH, BODY, Some(TOKEN));
    let good = sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, right.as_bytes());
    let over = |signed: &str| sent(PATH, &auth, signed);
    let reordered = format!("app_id={ID},timestamp=1764000000000,nonce=0a1b2c");
    let numbered = auth.replace(",nonce", ",app_cert_sn=0123456789abcdef0123456789abcdef,nonce");
    let stranger = key_pair(SignType::Rsa2).unwrap();
    let stranger = Signer::load(SignType::Rsa2, stranger.private.expose(), DsaFormat::Der).unwrap();
    let table: Vec<(&str, String)> = vec![
        ("", over(&right)),
        ("", sent(&queried, &auth, &lines(&auth, &queried, BODY, Some(TOKEN)))),
        ("last_line_feed_missing", over(right.trim_end())),
        ("token_line_missing", over(&lines(&auth, PATH, BODY, None))),
        ("query_not_signed", sent(&queried, &auth, &lines(&auth, PATH, BODY, Some(TOKEN)))),
        ("path_decoded", sent(&queried, &auth, &lines(&auth, &queried.replace("%20", " "), BODY, Some(TOKEN)))),
        ("body_not_signed", over(&lines(&auth, PATH, "", Some(TOKEN)))),
        (
            "body_rewritten",
            over(&lines(&auth, PATH, &BODY.replace("\":\"", "\": \"").replace("\",\"", "\", \""), Some(TOKEN))),
        ),
        (
            "body_rewritten",
            over(&lines(&auth, PATH, r#"{"shop_id":"2015052000077","commodity_id":"2016/001"}"#, Some(TOKEN))),
        ),
        ("body_rewritten", over(&lines(&auth, PATH, &format!("{BODY}\n"), Some(TOKEN)))),
        ("auth_reordered", over(&lines(&reordered, PATH, BODY, Some(TOKEN)))),
        ("certificate_numbers_left_out", sent(PATH, &numbered, &right)),
        ("scheme_signed", over(&right.replacen("app_id", "ALIPAY-SHA256withRSA app_id", 1))),
        ("url_signed", sent(&url, &auth, &lines(&auth, &url, BODY, Some(TOKEN)))),
        ("line_ends_crlf", over(&right.replace('\n', "\r\n"))),
        ("method_in_lower_case", over(&right.replace("POST", "post"))),
        ("wrong_hash", with(PATH, &auth, &sign(SignType::Rsa, "app_rsa2048", DsaFormat::Der, right.as_bytes()))),
        (
            "key_of_another_account",
            with(PATH, &auth, &sign(SignType::Rsa2, "other_rsa2048", DsaFormat::Der, right.as_bytes())),
        ),
        ("key_of_a_stranger", with(PATH, &auth, &stranger.sign(right.as_bytes()).unwrap())),
        ("sign_url_safe_base64", with(PATH, &auth, &good.replace('+', "-").replace('/', "_"))),
        ("unsigned", with(PATH, &auth, "")),
        ("token_line_missing last_line_feed_missing", over(lines(&auth, PATH, BODY, None).trim_end())),
    ];
    let directory = directory(&account());
    let mut missed = Vec::new();
    let count = table.len();
    for (expected, text) in table {
        let value = judged(directory.path(), "--request", text.as_bytes(), &[]);
        let mut found = causes(&value);
        found.sort_unstable();
        let mut expected: Vec<&str> = expected.split(' ').filter(|name| !name.is_empty()).collect();
        expected.sort_unstable();
        if found != expected {
            missed.push(format!("expected {expected:?}, found {found:?}: {}", value["causes"]));
        }
    }
    tell(&format!("{count} requests, Open Platform v3"));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_v3_request_is_compared_with_ours_but_for_its_moment() {
    let directory = directory(&account());
    let item = json!({ "commodity_id": "2016/001", "shop_id": "2015052000077", "app_auth_token": TOKEN }).to_string();
    let arguments = ["--account", "rest", "--item", &item];
    let right = sent(PATH, &auth(), &lines(&auth(), PATH, BODY, Some(TOKEN)));
    let value = judged(directory.path(), "--request", right.as_bytes(), &arguments);
    assert_eq!(
        (value["verdict"].as_str(), value["differences"].as_array().unwrap().len()),
        (Some("right"), 0),
        "{value}"
    );
    let other = right.replace("2016/001", "2016/002");
    let value = judged(directory.path(), "--request", other.as_bytes(), &arguments);
    assert_eq!(value["differences"][0]["name"], "body", "{value}");
    assert_eq!(causes(&value), ["value_changed_after_signing"], "{value}");
}

fn answer(body: &str, signed: &str) -> String {
    let sign = sign(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der, signed.as_bytes());
    format!(
        "HTTP/1.1 200 OK\r\nalipay-timestamp: 1764000000001\r\nalipay-nonce: n1\r\nalipay-signature: {sign}\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn the_mistakes_of_v3_answers_are_told_apart() {
    let directory = directory(&account());
    let text = |body: &str| format!("1764000000001\nn1\n{body}\n");
    let body = r#"{"trace":"a/b 下"}"#;
    let genuine = answer(body, &text(body));
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("", genuine.clone().into_bytes()),
        ("trailing_white_space", answer(&format!("{body}\n"), &text(body)).into_bytes()),
        ("line_feed_lost", answer(body, &text(&format!("{body}\n"))).into_bytes()),
        ("byte_order_mark", answer(&format!("\u{feff}{body}"), &text(body)).into_bytes()),
        ("last_line_feed_missing", answer(body, text(body).trim_end()).into_bytes()),
        ("lines_reordered", answer(body, &format!("n1\n1764000000001\n{body}\n")).into_bytes()),
        ("answer_rewritten", answer(&body.replace("\":", "\": "), &text(body)).into_bytes()),
        ("answer_rewritten", answer(body, &text(&body.replace('/', "\\/"))).into_bytes()),
        ("header_missing", genuine.replace("alipay-nonce", "x-nonce").into_bytes()),
        ("unsigned_success", body.as_bytes().to_vec()),
    ];
    let count = table.len();
    let mut missed = Vec::new();
    for (expected, text) in table {
        let value = judged(directory.path(), "--answer", &text, &["--account", "rest"]);
        let found = causes(&value);
        let expected: Vec<&str> = expected.split(' ').filter(|name| !name.is_empty()).collect();
        if found != expected {
            missed.push(format!("expected {expected:?}, found {found:?}: {value}"));
        }
    }
    tell(&format!("{count} answers, Open Platform v3"));
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}
