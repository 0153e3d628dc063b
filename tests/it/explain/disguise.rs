//! What is never printed: keys and tokens without --reveal, control characters of pasted texts; and garbage ends soon.

use std::time::{Duration, Instant};

use serde_json::json;
use takedown::signing::{DsaFormat, SignType};

use super::fixture::{APP_ID, MERCHANT_TOKEN, TOKEN, USER_KEY, directory, escape, hex, key, paste, sign};
use crate::support::command::{Ended, run};

/// Far above what it takes on an idle machine, far below what a quadratic search would.
const SOON: Duration = Duration::from_secs(20);

fn everything(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

fn holds(text: &str, secret: &str) -> bool {
    let spaced = hex(secret.as_bytes())
        .as_bytes()
        .chunks(2)
        .map(|pair| String::from_utf8(pair.to_vec()).unwrap())
        .collect::<Vec<_>>();
    // A dump breaks its lines anywhere: half a secret in one of them is one too many.
    let half = spaced.len() / 2;
    text.contains(secret)
        || text.contains(&escape(secret.as_bytes()))
        || text.contains(&hex(secret.as_bytes()))
        || text.contains(&spaced[..8].join(" "))
        || text.contains(&spaced[half..half + 8].join(" "))
}

#[test]
fn no_secret_is_printed_unless_it_is_asked_for() {
    let directory = directory("");
    let shops = |item: serde_json::Value| item.to_string();
    let items = [
        ("desk", json!({ "sns_user_id": "u", "key": USER_KEY, "goods_id": "1" }), USER_KEY),
        ("shops", json!({ "commodity_id": "1", "shop_id": "2", "app_auth_token": TOKEN }), TOKEN),
        ("shops", json!({ "commodity_id": "1", "shop_id": "2", "merchant": "m1" }), MERCHANT_TOKEN),
    ];
    for (account, item, secret) in items {
        let item = shops(item);
        for format in [&["--hex"][..], &["--hex", "--json"]] {
            let arguments = [&["explain", "--account", account, "--item", &item], format].concat();
            let masked = run(directory.path(), &arguments);
            assert_eq!(masked.code, Some(0), "{masked:?}");
            assert!(masked.stdout.contains("***") && masked.stdout.contains("**"), "{}", masked.stdout);
            assert!(!holds(&everything(&masked), secret), "{account}: {}", everything(&masked));
            let revealed = run(directory.path(), &[&arguments[..], &["--reveal"]].concat());
            assert!(holds(&revealed.stdout, secret), "{account}: {}", revealed.stdout);
            for never in [key("mapi_md5_key", "value"), key("app_rsa2048", "private_pkcs8_pem")[60..100].to_owned()] {
                assert!(!everything(&revealed).contains(&never), "{account}");
            }
        }
    }
}

#[test]
fn secrets_of_pasted_texts_are_not_printed_either() {
    let directory = directory("");
    let signed = format!("app_auth_token={TOKEN}&app_id={APP_ID}\n");
    let sign = sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, signed.as_bytes());
    let request = format!(
        "curl 'https://openapi.alipay.com/gateway.do?app_id={APP_ID}&app_auth_token={TOKEN}&sign={}'",
        escape(sign.as_bytes())
    );
    let answer = format!(
        "{{\"error_response\":{{\"code\":\"40002\",\"msg\":\"Invalid Arguments\",\"sub_code\":\"isv.invalid-signature\",\
         \"sub_msg\":\"app_auth_token={TOKEN}&app_id={APP_ID}\"}},\"sign\":\"AAAA\"}}"
    );
    let changed = request.replace(TOKEN, &TOKEN.replace("planted", "altered"));
    let secret = key("mapi_md5_key", "value");
    let pasted = format!("service=sns.admin.close.goods&sns_user_id=u{secret}&sign={}", "0".repeat(32));
    for format in [&["--hex"][..], &["--hex", "--json"]] {
        let ended = paste(directory.path(), "--request", pasted.as_bytes(), &[&["--account", "desk"], format].concat());
        assert!(ended.code == Some(9) && !holds(&everything(&ended), &secret), "{}", everything(&ended));
    }
    let item = json!({ "commodity_id": "1", "shop_id": "2", "app_auth_token": TOKEN }).to_string();
    for (option, text) in [("--request", &request), ("--request", &changed), ("--answer", &answer)] {
        for format in [&["--hex"][..], &["--hex", "--json"]] {
            for item in [&[][..], &["--item", &item]] {
                let ended =
                    paste(directory.path(), option, text.as_bytes(), &[&["--account", "shops"], format, item].concat());
                assert_eq!(ended.code, Some(9), "{ended:?}");
                let all = everything(&ended);
                for secret in [TOKEN, &TOKEN.replace("planted", "altered")] {
                    assert!(!holds(&all, secret), "{option} {format:?}: {all}");
                }
            }
        }
    }
}

#[test]
fn no_control_character_of_a_pasted_text_reaches_the_terminal() {
    let directory = directory("");
    let odd = "\u{1b}[2J\u{9b}31m\u{202e}\u{7}";
    let escaped = escape(odd.as_bytes());
    let requests = [
        format!("GET /{odd}?app_id={APP_ID}&{escaped}={escaped}&sign={escaped} HTTP/1.1\n{odd}: {odd}\n\n{odd}=1"),
        format!("https://x/?a={escaped}&sign_type={escaped}&app_id={escaped}&charset={escaped}&sign=AAAA"),
    ];
    let answers = [
        r#"{"a\u001b_response":{"code":"\u001b[2J","msg":"\u009b"},"sign":"\u001b"}"#.to_owned(),
        format!("<alipay><is_success>F</is_success><error>{odd}</error><sign_type>{odd}</sign_type></alipay>"),
        odd.to_owned(),
    ];
    let all = requests.iter().map(|text| ("--request", text)).chain(answers.iter().map(|text| ("--answer", text)));
    for (option, text) in all {
        for account in ["shops", "rsa"] {
            let ended = paste(directory.path(), option, text.as_bytes(), &["--account", account]);
            let printed = everything(&ended);
            assert!(!printed.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{printed:?}");
            assert!(!printed.contains("panicked"), "{printed}");
        }
    }
}

#[test]
fn a_megabyte_of_garbage_is_refused_in_time() {
    let directory = directory("");
    let size = 1 << 20;
    let garbage: Vec<Vec<u8>> = vec![
        vec![b'{'; size],
        vec![b'<'; size],
        vec![0xFF; size],
        b"a=1&".repeat(size / 4),
        b"\\u0031\"".repeat(size / 7),
        format!("{{\"a_response\":{{\"x\":\"{}\"}},\"sign\":\"AAAA\"}}", "/".repeat(size)).into_bytes(),
        format!(
            "<alipay><is_success>T</is_success><response><g><a>{}</a></g></response><sign>AAAA</sign></alipay>",
            "&amp;".repeat(size / 5)
        )
        .into_bytes(),
        format!("{{\"a_response\":{{}},{}\"sign\":\"AAAA\"}}", "\n".repeat(size)).into_bytes(),
        format!(
            "<alipay><is_success>T</is_success><response><g>{}</g></response><sign>{}</sign></alipay>",
            (0..size / 20).map(|name| format!("<p{name}>v</p{name}>")).collect::<String>(),
            "0f".repeat(16)
        )
        .into_bytes(),
    ];
    for text in garbage {
        for (option, code) in [("--request", 2), ("--answer", 9)] {
            for account in ["shops", "desk"] {
                let start = Instant::now();
                let ended = paste(directory.path(), option, &text, &["--account", account]);
                assert_eq!(
                    ended.code,
                    Some(code),
                    "{} {option}: {}",
                    String::from_utf8_lossy(&text[..20]),
                    ended.stderr
                );
                assert!(start.elapsed() < SOON, "{option} took {:?}", start.elapsed());
                assert!(ended.stdout.len() < 200_000, "{} bytes were printed", ended.stdout.len());
            }
        }
    }
    // White space that the signature may or may not cover.
    let sign_of = |bytes: &[u8]| sign(SignType::Rsa2, "gateway_rsa2048", DsaFormat::Der, bytes);
    let blank = format!(
        "HTTP/1.1 200 OK\nalipay-timestamp: 1\nalipay-nonce: n\nalipay-signature: {}\n\n{{}}{}",
        sign_of(b"?"),
        "\n".repeat(1 << 20)
    );
    let rest = super::fixture::directory(
        "[accounts.rest]\ngateway = \"open_platform\"\nprotocol = \"v3\"\napp_id = \"2014072300005555\"\n\
         private_key_file = \"app_rsa2048.pem\"\ngateway_key_file = \"gateway_rsa2048.pub\"\n\
         endpoint = \"https://openapi.alipay.com/v3/alipay/open/servicemarket/commodity/shop/offline\"\n",
    );
    let start = Instant::now();
    let ended = paste(rest.path(), "--answer", blank.as_bytes(), &["--account", "rest"]);
    assert_eq!(ended.code, Some(9), "{}", ended.stderr);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
    // The largest that is read, and signed by nobody's key here, so that every mistake is tried.
    let mut long = format!(
        "GET /?app_id={APP_ID}&charset=utf-8&timestamp=2026-11-24%2022:00:00&biz_content=%7B%22a%22:%22{}%22%7D&sign=",
        "x/".repeat(100_000)
    );
    long.push_str(&escape(sign(SignType::Rsa2, "app_rsa2048", DsaFormat::Der, b"?").as_bytes()));
    let start = Instant::now();
    let ended = paste(directory.path(), "--request", long.as_bytes(), &["--account", "shops"]);
    assert_eq!(ended.code, Some(9), "{}", ended.stderr);
    assert!(start.elapsed() < SOON, "took {:?}", start.elapsed());
}
