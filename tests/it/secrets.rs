//! Planted secrets: the program is run as an operator runs it, at the finest log, against gateways and brokers that
//! misbehave, and whatever it prints or writes for people is searched for every secret and for what was made of them.

mod broker;
mod debug;
mod explain;
mod gateway;
mod needles;
mod plant;
mod rehearsal;

use std::fs;

use percent_encoding::percent_decode_str;

use crate::observability::collector::{Collector, Manners};
use gateway::Gateway;
use plant::{INLINE_TOKEN, MD5_SECRET, MERCHANT_TOKEN, Plant, USER_KEY, items};

/// Adds what the gateway has seen to what is looked for: signatures, canonical strings, whole queries and bodies.
fn look_for_requests(plant: &mut Plant, gateway: &Gateway) -> usize {
    let requests = gateway.requests();
    for request in &requests {
        let (head, body) = request.split_once("\r\n\r\n").unwrap();
        let query = head.split(' ').nth(1).unwrap().split_once('?').map_or("", |(_, query)| query);
        if let Some((_, sign)) = head.split_once(",sign=") {
            plant.needles.derived("a signature", sign.lines().next().unwrap());
        }
        for form in [query, body].into_iter().filter(|form| form.contains("sign=")) {
            let encoded = form.split("sign=").nth(1).unwrap().split('&').next().unwrap();
            let decoded = percent_decode_str(encoded).decode_utf8().unwrap();
            plant.needles.derived("a signature", encoded);
            plant.needles.derived("a signature", &decoded);
        }
        for form in [query, body] {
            // Neighbours in a canonical string, in a query and in a body are joined by `&`.
            for (at, _) in form.match_indices('&') {
                let part = &form[at.saturating_sub(10)..(at + 10).min(form.len())];
                plant.needles.derived("a part of a request", part);
            }
        }
        if let Some(content) = body.split("biz_content=").nth(1).filter(|_| query.contains("encrypt_type=AES")) {
            plant.needles.derived("encrypted content", content);
        }
    }
    requests.len()
}

#[test]
fn a_run_against_a_gateway_that_repeats_its_requests_shows_no_secret() {
    for format in ["text", "json"] {
        let gateway = Gateway::start();
        let mut plant = Plant::new(gateway.address);
        let file = plant.items("items.jsonl", &items());
        let arguments = ["run", file, "--json"];
        let mut command = plant.command(&arguments);
        command.env("TAKEDOWN_LOG", "trace").env("TAKEDOWN_LOG_FORMAT", format);
        let collector = Collector::start(Manners::Obliging);
        command.env("TAKEDOWN_TELEMETRY__ENDPOINT", collector.endpoint());
        let ended = crate::support::command::end(command);
        // It shows canonical strings by trade, which are looked for from here on.
        for id in ["desk-0", "shops-aes-2"] {
            let arguments = ["explain", "--dead-letter", id, "--queue", "items.jsonl.queue", "--hex"];
            let explained = plant.run(&arguments, "trace", format);
            assert!(explained.code == Some(0) && explained.stdout.contains("Canonical string"), "{explained:?}");
        }
        let calls = look_for_requests(&mut plant, &gateway);
        assert!(calls > 40, "{calls} calls\n{ended:?}");
        let ended = plant.check("run", ended);
        let spans = collector.spans().len();
        assert!(spans > calls, "{spans} spans of {calls} calls");
        plant.needles.must_not_be_in("a span", &String::from_utf8_lossy(&collector.bytes()));
        assert_eq!(ended.code, Some(9), "{ended:?}");
        assert!(ended.stderr.contains("takedown") && ended.stderr.contains("item is a dead letter"), "{ended:?}");

        let list = plant.run(&["dead-letters", "list", "--queue", "items.jsonl.queue"], "trace", format);
        assert!(list.stdout.contains("desk-0") && list.stdout.contains("shops-env-0"), "{list:?}");
        let list = plant.run(&["dead-letters", "list", "--json", "--queue", "items.jsonl.queue"], "trace", format);
        assert!(list.stdout.contains("\"***\""), "{list:?}");
        for id in ["desk-0", "desk-dsa-1", "shops-aes-2", "shops-0", "shops-crt-3", "shops-v3-4"] {
            let shown = plant.run(&["dead-letters", "show", id, "--queue", "items.jsonl.queue"], "trace", format);
            assert!(shown.stdout.contains(id), "{shown:?}");
        }
        let replayed =
            plant.run(&["dead-letters", "replay", "--id", "desk-0", "--queue", "items.jsonl.queue"], "trace", format);
        assert!(replayed.stdout.contains("1 put back"), "{replayed:?}");
        let files = plant.check_files(&["items.jsonl"]);
        let names: Vec<_> = files.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert!(names.contains(&"items.jsonl.outcomes.jsonl") && names.contains(&"items.jsonl.queue"), "{names:?}");
    }
}

#[test]
fn a_gateway_that_is_away_is_told_without_a_secret() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let plant = Plant::new(closed);
    // An item waits for its gateway as long as it may.
    plant.configure(|text| text.replacen("[retry]", "[retry]\nmax_age = \"2s\"", 1));
    let file = plant.items("items.jsonl", &items());
    let ended = plant.run(&["run", file], "trace", "text");
    assert_eq!(ended.code, Some(9), "{ended:?}");
    assert!(ended.stderr.contains("connect_failed"), "{ended:?}");
    let checked = plant.run(&["check", "--no-broker"], "trace", "text");
    assert_eq!(checked.code, Some(9), "{checked:?}");
    for arguments in [&["check"][..], &["check", "--json"], &["topology", "print"], &["config"], &["enqueue", file]] {
        let mut command = plant.command(arguments);
        command.env("TAKEDOWN_AMQP__URL", format!("amqp://desk:{}@{closed}/%2f", plant::AMQP_PASSWORD));
        command.env("TAKEDOWN_LOG", "trace");
        plant.check(&arguments.join(" "), crate::support::command::end(command));
    }
    plant.check_files(&["items.jsonl"]);
}

#[test]
fn rejected_rows_are_told_without_their_secrets() {
    let plant = Plant::new("127.0.0.1:1".parse().unwrap());
    let columns = "account,sns_user_id,key,close_reason,goods_id,deadline,commodity_id,shop_id,app_auth_token";
    let csv = format!(
        "{columns}\n\
         desk,admin,{USER_KEY},,1,,,,\n\
         desk,,{USER_KEY},,2,,,,\n\
         desk,admin,{USER_KEY}{USER_KEY},,3,,,,\n\
         {USER_KEY},admin,desk,,4,,,,\n\
         desk,admin,{USER_KEY},,5,{USER_KEY},,,\n\
         desk,admin,{USER_KEY},,6\n\
         shops,,,,,,1,2,{INLINE_TOKEN}\u{7}\n\
         shops,,{USER_KEY},,,,1,2,{INLINE_TOKEN}\n\
         shops,,,,,,{INLINE_TOKEN},2,\n\
         nobody,admin,{USER_KEY},,7,,,,\n\
         desk,admin,\"{USER_KEY},,8,,,,\n"
    );
    let json = format!(
        "{{\"version\":1,\"account\":\"desk\",\"takedown\":{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"key\":\"{USER_KEY}\"\n\
         {{\"version\":1,\"account\":\"desk\",\"takedown\":{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"{USER_KEY}\":\"key\"}}}}\n\
         {{\"version\":1,\"account\":\"desk\",\"takedown\":{{\"gateway\":\"{USER_KEY}\",\"sns_user_id\":\"a\"}}}}\n\
         {{\"version\":1,\"account\":\"{INLINE_TOKEN}\",\"takedown\":{{\"gateway\":\"mapi\",\"sns_user_id\":\"a\",\"key\":[\"{USER_KEY}\"]}}}}\n\
         {{\"version\":\"{INLINE_TOKEN}\",\"account\":\"desk\",\"takedown\":{{\"gateway\":\"mapi\"}}}}\n\
         {{\"version\":1,\"account\":\"desk\",\"priority\":\"{USER_KEY}\",\"takedown\":\"{USER_KEY}\"}}\n\
         {{\"version\":1,\"account\":\"desk\",\"deadline\":\"{USER_KEY}\",\"takedown\":{{\"gateway\":\"mapi\"}}}}\n\
         \"{USER_KEY}\"\n"
    );
    plant.items("headless.csv", &format!("desk,admin,{USER_KEY},,1\n"));
    for (file, rows) in [("items.csv", &csv), ("lines.jsonl", &json)] {
        plant.items(file, rows);
        for arguments in [&["enqueue", file, "--dry-run"][..], &["run", file]] {
            let ended = plant.run(arguments, "trace", "text");
            assert_eq!(ended.code, Some(6), "{ended:?}");
        }
    }
    assert_eq!(plant.run(&["enqueue", "headless.csv"], "trace", "text").code, Some(6));
    let files = plant.check_files(&["items.csv", "lines.jsonl", "headless.csv"]);
    assert_eq!(files.len(), 2, "{files:?}");
    let rejected = fs::read_to_string(plant.home.path().join("items.csv.rejected.csv")).unwrap();
    assert!(rejected.contains(USER_KEY), "a row that is to be mended is kept whole: {rejected}");
}

/// Every secret put where it does not belong, and every way to break the line it stands on.
#[test]
fn a_broken_configuration_is_told_without_its_secrets() {
    let plant = Plant::new("127.0.0.1:1".parse().unwrap());
    let private = plant.rsa.private.expose().to_owned();
    let one_line = private.replace('\n', "\\n");
    let bare: String = private.lines().filter(|line| !line.starts_with("-----")).collect();
    let dsa = plant.dsa.private.expose().replace('\n', "\\n");
    let mut alterations: Vec<(String, String)> = Vec::new();
    let mut alter = |from: &str, to: String| alterations.push((from.to_owned(), to));
    for secret in [MD5_SECRET, MERCHANT_TOKEN, plant::CONTENT_KEY, &bare, &one_line] {
        for (from, key) in [
            ("partner = \"2088000000000001\"", "partner"),
            ("sign_type = \"MD5\"", "sign_type"),
            ("gateway = \"mapi\"", "gateway"),
            ("app_id = \"2016072600000001\"", "app_id"),
            ("method = \"POST\"", "method"),
            ("rate = \"200/s\"", "rate"),
            ("rate = \"200/s\"", "charset"),
            ("cool_down = \"10ms\"", "cool_down"),
            ("delays = [\"10ms\"]", "delays"),
            ("private_key_file = \"dsa.pem\"", "private_key_file"),
            ("private_key_file = \"dsa.pem\"", "dsa_format"),
            ("content_key_file = \"content.key\"", "content_key"),
            ("content_key_file = \"content.key\"", "content_key_file"),
            ("app_cert_file = \"app.crt\"", "app_cert"),
            ("app_cert_file = \"app.crt\"", "app_cert_file"),
            ("root_cert_file = \"root.crt\"", "root_cert"),
            ("gateway_cert_files = [\"gateway.crt\"]", "gateway_certs"),
            ("gateway_cert_files = [\"gateway.crt\"]", "gateway_cert_files"),
            ("protocol = \"v3\"", "protocol"),
            ("content_key_file = \"content.key\"", "burst"),
            ("[retry]", "worker.listen"),
            ("[retry]", "amqp.prefix"),
            ("[retry]", "amqp.url"),
            ("[retry]", "worker.id"),
            ("[retry]", "http.max_body_bytes"),
        ] {
            alter(from, format!("{key} = \"{secret}\""));
        }
        // Without quotes, with one, over lines.
        alter("secret = ", format!("secret = {secret} #"));
        alter("secret = ", format!("secret = \"{secret}\nx = "));
        alter("secret = ", format!("secret = '{secret} \"\"\"\nx = "));
        alter("partner = ", format!("partner = {secret}\npartner = "));
    }
    alter("secret = ", format!("secret = \"\"\"{private}\"\"\" #"));
    alter("private_key_file = \"dsa.pem\"", format!("private_key = \"{dsa}x\""));
    alter("private_key_file = \"dsa.pem\"", format!("private_key = \"{}\"", &dsa[..dsa.len() / 2]));
    alter("private_key_file = \"dsa.pem\"", format!("private_key = \"{one_line}\""));
    alter("private_key_file = \"dsa.pem\"", format!("private_key =\n{private}\n#"));
    // Another file in a certificate's place, and half of one.
    for wrong in ["rsa.pem", "content.key", "gateway.crt", "half.crt"] {
        alter("app_cert_file = \"app.crt\"", format!("app_cert_file = \"{wrong}\""));
        alter("root_cert_file = \"root.crt\"", format!("root_cert_file = \"{wrong}\""));
        alter(
            "[\"gateway.crt\"]",
            format!("[\"gateway.crt\", \"{wrong}\"]").replacen("\"gateway.crt\", \"gateway.crt\"", "\"app.crt\"", 1),
        );
    }
    let half = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", &bare[..bare.len() / 8 * 4]);
    fs::write(plant.home.path().join("half.crt"), half).unwrap();
    let key = format!("?service=x&key={USER_KEY}");
    alter("/gateway.do\"", format!("/gateway.do{key}\""));
    alter("http://127", format!("http://{MD5_SECRET}:{MERCHANT_TOKEN}@127"));
    alter("[retry]", format!("amqp.url = \"http://desk:{}@broker\"\n[retry]", plant::AMQP_PASSWORD));
    alter("[retry]", format!("amqp.url = \"amqp://desk:{}@broker:port\"\n[retry]", plant::AMQP_PASSWORD));
    alter("{ file = \"m1.token\" }", format!("{{ file = \"{MERCHANT_TOKEN}\" }}"));
    alter("{ file = \"m1.token\" }", format!("{{ fil = \"{MERCHANT_TOKEN}\" }}"));
    alter("{ file = \"m1.token\" }", format!("[\"{MERCHANT_TOKEN}\"]"));
    for (from, to) in &alterations {
        plant.configure(|text| text.replacen(from.as_str(), to, 1));
        let ended = plant.run(&["check", "--no-broker"], "trace", "text");
        assert!(matches!(ended.code, Some(3 | 9)), "{to}: {ended:?}");
    }
    for name in ["RATE", "PARTNER", "SIGN_TYPE", "METHOD", "BURST", "ENDPOINT", "DSA_FORMAT", "SEND_GOODS_ID", "HOLD"] {
        plant.configure(str::to_owned);
        let mut command = plant.command(&["check", "--no-broker"]);
        command.env(format!("TAKEDOWN_ACCOUNTS__DESK__{name}"), MD5_SECRET).env("TAKEDOWN_LOG", "trace");
        let ended = plant.check(name, crate::support::command::end(command));
        assert_eq!(ended.code, Some(3), "{name}: {ended:?}");
    }
}
