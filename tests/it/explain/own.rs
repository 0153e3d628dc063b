//! What takedown itself would send: shown from a row, a message or a dead letter, and taken by the sandbox as printed.

use std::fs;
use std::process::Command;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use takedown::domain::ids::AccountId;
use takedown::domain::outcome::{FinalOutcome, ItemIds, Reason};
use takedown::domain::settlement::Settlement;
use takedown::domain::takedown::{Gateway, Takedown};
use takedown::queue::embedded::EmbeddedQueue;
use takedown::queue::{Intake, Queue};

use super::fixture::{USER_KEY, causes, directory, judged};
use crate::cli::rehearsal::Rehearsal;
use crate::support::command::run;

/// Takes the curl command out of what was printed and runs it in a shell.
fn curl(printed: &str) -> String {
    let from = printed.find("  curl ").unwrap_or_else(|| panic!("{printed}"));
    let script = printed[from..].split("\n\n").next().unwrap();
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn what_is_printed_works_in_a_shell_and_comes_back_as_right() {
    let rehearsal = Rehearsal::start(4, &[]);
    let home = rehearsal.home.path();
    let item = |extra: Value| {
        let mut item = json!({ "commodity_id": "2026'7", "shop_id": "2015 $x\"下" });
        item.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        item.to_string()
    };
    let user_key = fs::read_to_string(home.join("items.csv")).unwrap();
    let user_key = user_key.split(',').find(|cell| cell.starts_with("20110417")).unwrap().to_owned();
    let goods = json!({ "sns_user_id": "douban_admin", "key": user_key, "close_reason": "it's \"A&B\" 下架", "goods_id": "4711" });
    let cases = [
        ("desk", goods.to_string(), "<is_success>T</is_success>"),
        ("shops", item(json!({})), "\"10000\""),
        ("shops", item(json!({ "commodity_id": "8", "merchant": "m1" })), "\"10000\""),
        ("shops-v3", item(json!({ "commodity_id": "9", "merchant": "m1" })), "HTTP/1.1 200"),
    ];
    for (account, item, expected) in cases {
        let arguments = ["explain", "--account", account, "--item", &item, "--reveal"];
        let printed = rehearsal.run(&arguments);
        assert_eq!(printed.code, Some(0), "{printed:?}");
        // v3 signs in headers: ask for them.
        let answered = curl(&printed.stdout.replace("  curl -sS ", "  curl -sS -i "));
        assert!(answered.contains(expected), "{account}: {answered}");

        // The same text, pasted back, is right; and so is the answer.
        let command = &printed.stdout[printed.stdout.find("  curl ").unwrap()..];
        fs::write(home.join("command"), command).unwrap();
        fs::write(home.join("answer"), &answered).unwrap();
        let pasted =
            ["explain", "--account", account, "--item", &item, "--request", "command", "--answer", "answer", "--json"];
        let judged = rehearsal.run(&pasted);
        assert_eq!(judged.code, Some(0), "{judged:?}");
        let judged: Value = serde_json::from_str(&judged.stdout).unwrap();
        assert_eq!((&judged["request"]["verdict"], &judged["answer"]["verdict"]), (&json!("right"), &json!("right")));
        assert_eq!(judged["request"]["differences"], json!([]), "{judged}");
        assert_eq!(judged["request"]["remarks"], json!([]), "{judged}");
    }
}

#[test]
fn a_row_of_a_file_is_found_by_its_line_and_a_rejected_one_says_why() {
    let directory = directory("");
    let csv = format!("account,sns_user_id,key,goods_id\ndesk,u,{USER_KEY},1\ndesk,u,,2\ndesk,u,{USER_KEY},3\n");
    fs::write(directory.path().join("items.csv"), csv).unwrap();
    let line = |line: &str| run(directory.path(), &["explain", "items.csv", "--line", line]);
    let shown = line("4");
    assert_eq!(shown.code, Some(0), "{shown:?}");
    assert!(shown.stdout.contains("goods_id=3&key=***&partner"), "{}", shown.stdout);
    let rejected = line("3");
    assert_eq!(rejected.code, Some(6));
    assert!(rejected.stderr.contains("line 3") && rejected.stderr.contains("column `key` is empty"), "{rejected:?}");
    assert_eq!(line("9").code, Some(2));
    let several = run(directory.path(), &["explain", "items.csv"]);
    assert!(several.stderr.contains("line 3") || several.stderr.contains("--line"), "{several:?}");
}

#[test]
fn the_same_moment_gives_the_same_request() {
    let directory = directory("");
    let item = r#"{"commodity_id":"1","shop_id":"2"}"#;
    let arguments = ["explain", "--account", "shops", "--item", item, "--at", "2026-11-24T22:00:00+08:00"];
    let shown = run(directory.path(), &arguments);
    assert!(shown.stdout.contains("timestamp=2026-11-24 22:00:00&version=1.0"), "{}", shown.stdout);
    assert_eq!(shown.stdout, run(directory.path(), &arguments).stdout);
}

#[test]
fn what_is_missing_on_the_command_line_is_told() {
    let directory = directory("");
    let item = r#"{"commodity_id":"1","shop_id":"2"}"#;
    let goods = r#"{"gateway":"mapi","sns_user_id":"u","key":"k"}"#;
    for (arguments, part) in [
        (&["explain"][..], "name the account: --account"),
        (&["explain", "--account", "shops"], "give an item"),
        (&["explain", "--item", item], "name the account: --account"),
        (&["explain", "--account", "nobody", "--item", item], "name one of: desk, dsa, other, rsa, shops"),
        (&["explain", "--account", "desk", "--item", item], "unknown to its gateway"),
        (&["explain", "--account", "shops", "--item", goods], "name an account of the item's gateway"),
        (&["explain", "--account", "shops", "--item", "{\"shop_id\":1}"], "takedown."),
        (&["explain", "--account", "shops", "--item", "nonsense"], "it is not JSON"),
        (&["explain", "--request", "nowhere.txt"], "nowhere.txt cannot be read"),
        (&["explain", "--request", "-", "--answer", "-"], "put one of the two into a file"),
        (&["explain", "--account", "shops", "--item", item, "--at", "yesterday"], "write a moment with its zone"),
    ] {
        let ended = run(directory.path(), arguments);
        assert_eq!(ended.code, Some(2), "{arguments:?}: {ended:?}");
        let is_told =
            ended.stderr.contains(part) || (part == "unknown to its gateway" && ended.stderr.contains("field"));
        assert!(is_told, "{arguments:?}: {}", ended.stderr);
    }
}

#[test]
fn the_account_is_told_by_the_request_itself() {
    let directory = directory("");
    let value = judged(directory.path(), "--request", b"app_id=2014072300009999&sign=", &[]);
    assert_eq!(causes(&value), ["unsigned"]);
    assert!(!value["remarks"].to_string().contains("other_caller"), "{value}");
    // Two accounts of one app are told apart by the protocol.
    let twin = super::fixture::directory(
        "[accounts.rest]\ngateway = \"open_platform\"\nprotocol = \"v3\"\napp_id = \"2014072300009999\"\n\
         private_key_file = \"app_rsa2048.pem\"\ngateway_key_file = \"gateway_rsa2048.pub\"\n\
         endpoint = \"https://openapi.alipay.com/v3/alipay/open/servicemarket/commodity/shop/offline\"\n",
    );
    let form = b"app_id=2014072300009999&sign=";
    let rest = b"POST /v3 HTTP/1.1\nAuthorization: ALIPAY-SHA256withRSA app_id=2014072300009999,nonce=1,sign=\n\n{}";
    for (text, account) in [(&form[..], "other"), (&rest[..], "rest")] {
        let ended = super::fixture::paste(twin.path(), "--request", text, &["--json"]);
        let value: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(value["account"]["name"], account);
    }
    let unnamed = super::fixture::paste(twin.path(), "--request", b"app_id=1&sign=", &[]);
    assert!(unnamed.stderr.contains("--account with one of"), "{unnamed:?}");
    let value = judged(directory.path(), "--request", b"app_id=2014072300009999&sign=", &["--account", "shops"]);
    assert!(value["remarks"].to_string().contains("other_caller"), "{value}");
}

#[tokio::test]
async fn a_dead_letter_is_explained_and_stays() {
    let directory = directory("");
    let file = directory.path().join("items.csv.queue");
    let queue = EmbeddedQueue::open(&file).unwrap();
    let message = json!({
        "version": 1, "id": "case-1", "account": "desk",
        "takedown": { "gateway": "mapi", "sns_user_id": "u", "key": USER_KEY, "goods_id": "4711" },
    });
    queue.enqueue(vec![Takedown::decode(message.to_string().as_bytes()).unwrap()]).await.unwrap();
    let desk = AccountId::new("desk").unwrap();
    let delivery = queue.next(&desk).await.unwrap().unwrap();
    let outcome = FinalOutcome {
        id: "case-1".into(),
        batch: None,
        account: "desk".into(),
        gateway: Some(Gateway::Mapi),
        reason: Reason::UnknownCode,
        gateway_code: Some("NEVER_HEARD_OF".into()),
        gateway_message: None,
        attempts: 3,
        deferrals: 0,
        first_seen: SystemTime::UNIX_EPOCH,
        finished_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
        verified: false,
        item: ItemIds::default(),
        worker: "w".into(),
        replays: 0,
    };
    queue.settle(delivery, Settlement::DeadLetter(Box::new(outcome))).await.unwrap();
    queue.stop().await;
    queue.close().await.unwrap();
    drop(queue);
    for option in ["--queue", "--embedded"] {
        let arguments = ["explain", "--dead-letter", "case-1", option, "items.csv.queue"];
        let shown = run(directory.path(), &arguments);
        assert_eq!(shown.code, Some(0), "{shown:?}");
        assert!(shown.stdout.contains("goods_id=4711&key=***&partner"), "{}", shown.stdout);
    }
    let missing = run(directory.path(), &["explain", "--dead-letter", "case-2", "--queue", "items.csv.queue"]);
    assert_eq!(missing.code, Some(9), "{missing:?}");
    let list = run(directory.path(), &["dead-letters", "list", "--queue", "items.csv.queue"]);
    assert!(list.stdout.contains("case-1"), "{list:?}");
}
