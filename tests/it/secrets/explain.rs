//! `takedown explain`: shows canonical strings and requests by trade, and no key or token unless it is asked for.

use std::process::Command;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::plant::{INLINE_TOKEN, MD5_SECRET, MERCHANT_TOKEN, Plant, USER_KEY, items};
use crate::support::command::end;

/// Explains for people and for programs, and gives back both.
fn explain(plant: &Plant, arguments: &[&str], codes: &[i32]) -> String {
    let formats: [&[&str]; 2] = [&["--hex"], &["--hex", "--json"]];
    let printed = formats.map(|format| {
        let ended = plant.run(&[&["explain"], arguments, format].concat(), "trace", "json");
        assert!(ended.code.is_some_and(|code| codes.contains(&code)), "{arguments:?}: {ended:?}");
        ended.stdout + &ended.stderr
    });
    printed.concat()
}

/// The request as a program would send it: this output alone has its secrets.
fn revealed(plant: &Plant, line: &str) -> String {
    let command: Command = plant.command(&["explain", "items.jsonl", "--line", line, "--reveal", "--json"]);
    let value: Value = serde_json::from_str(&end(command).stdout).unwrap();
    value["own"]["request"]["curl"].as_str().unwrap().to_owned()
}

#[test]
fn explain_shows_no_secret_of_item_configuration_or_pasted_text() {
    let plant = Plant::new("127.0.0.1:1".parse().unwrap());
    plant.items("items.jsonl", &items());
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    for line in ["1", "2", "3", "4", "5", "6", "7"] {
        let masked = explain(&plant, &["items.jsonl", "--line", line], &[0]);
        assert!(masked.contains("***"), "{masked}");
    }
    for (line, account, secret) in [("1", "shops", MERCHANT_TOKEN), ("6", "desk", USER_KEY)] {
        let right = revealed(&plant, line);
        assert!(right.contains(secret), "{right}");
        // Every secret of the configuration in a place where none belongs.
        let everywhere = |form: &dyn Fn(&str) -> String| {
            let all = [secret, MD5_SECRET, MERCHANT_TOKEN].map(form).join("x");
            right.replacen('?', &format!("/{}?memo={}&", form(secret), encoded(&all)), 1)
        };
        for (name, text) in [
            ("right", right.clone()),
            ("wrong", right.replace("sign=", "sign=AAAA")),
            ("unsigned", right.replace("sign=", "sig=")),
            ("plain", everywhere(&str::to_owned)),
            ("encoded", everywhere(&|text| encoded(&encoded(text)))),
            ("base64", everywhere(&|text| BASE64_STANDARD.encode(format!("a{text}")))),
            ("altered", right.replace(secret, &secret.replace("pl4nted", "pl4ntad"))),
            ("encoded once more", right.replace(secret, &encoded(&format!("{secret}+/=")))),
        ] {
            let file = plant.items("request.txt", &text);
            // By the account and by another, which has other secrets.
            for account in [account, if account == "desk" { "shops" } else { "desk" }] {
                explain(&plant, &["--account", account, "--request", file], &[0, 9]);
            }
            // Against the item: the difference may lie in the secret.
            let told = explain(&plant, &["items.jsonl", "--line", line, "--request", file], &[0, 9]);
            assert!(name != "wrong" || told.contains("\"wrong\"") || told.contains("unexplained"), "{told}");
        }
        plant.items("request.txt", &right[..right.len() - 1]);
        explain(&plant, &["--account", account, "--request", "request.txt"], &[0, 2, 9]);

        let quoted = format!("网关生成的验签字符串为：a=1&app_auth_token={secret}&key={secret}&b={secret}");
        for answer in [
            format!("{{\"error_response\":{{\"code\":\"40002\",\"sub_msg\":\"{quoted}\"}},\"sign\":\"AAAA\"}}"),
            format!(
                "<alipay><is_success>T</is_success><request><param name=\"key\">{secret}</param></request><response><g>\
                 <goods_id>{secret}</goods_id><key>{secret}</key></g></response><sign>AAAA</sign></alipay>"
            ),
            format!("HTTP/1.1 400 X\nalipay-app-auth-token: {secret}\n\n<html>key={secret}"),
        ] {
            let file = plant.items("answer.txt", &answer);
            explain(&plant, &["items.jsonl", "--line", line, "--answer", file], &[0, 9]);
        }
    }
    for item in [
        format!("{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"key\":[\"{USER_KEY}\"]}}"),
        format!("{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"{USER_KEY}\":\"key\"}}"),
        format!("{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"key\":\"{USER_KEY}{USER_KEY}\"}}"),
        format!("{{\"commodity_id\":\"1\",\"shop_id\":\"2\",\"app_auth_token\":\"{INLINE_TOKEN}\u{7}\"}}"),
        format!("\"{USER_KEY}\""),
        USER_KEY.to_owned(),
    ] {
        for account in ["desk", "shops"] {
            explain(&plant, &["--account", account, "--item", &item], &[2]);
        }
    }
}
