use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::*;
use crate::domain::takedown::{Item, Priority};

pub(super) const SHOP: &str = r#"{"version":1,"id":"t-1","account":"shops","takedown":{"gateway":"open_platform","commodity_id":"c","shop_id":"s"}}"#;

pub(super) fn accounts() -> BTreeMap<AccountId, Gateway> {
    let account = |name: &str| AccountId::new(name).unwrap();
    BTreeMap::from([
        (account("shops"), Gateway::OpenPlatform),
        (account("malls"), Gateway::OpenPlatform),
        (account("desk"), Gateway::Mapi),
    ])
}

pub(super) fn options(accounts: &BTreeMap<AccountId, Gateway>) -> Options<'_> {
    Options { accounts, charset: Charset::Utf8, format: None, account: None, batch: None }
}

pub(super) fn file(name: &str, bytes: impl AsRef<[u8]>) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    fs::write(&path, bytes).unwrap();
    (dir, path)
}

fn csv(text: impl AsRef<[u8]>) -> Items {
    let (_dir, path) = file("items.csv", text);
    read(&path, &options(&accounts())).unwrap()
}

fn jsonl(text: &str) -> Items {
    let (_dir, path) = file("items.jsonl", text);
    read(&path, &options(&accounts())).unwrap()
}

fn refusal(name: &str, bytes: impl AsRef<[u8]>) -> String {
    let (dir, path) = file(name, bytes);
    let error = read(&path, &options(&accounts())).unwrap_err().to_string();
    error.replace(dir.path().to_str().unwrap(), "").trim_start_matches('/').to_owned()
}

fn reasons(items: &Items) -> Vec<(u64, &str)> {
    items.rejected.iter().map(|row| (row.line, row.reason.as_str())).collect()
}

/// Checks a file, and reads what it writes of the rejected rows.
fn rejected(path: &Path, options: &Options<'_>) -> (PathBuf, String) {
    let checked = check(path, options, |_, _| {}).unwrap();
    let rejects = checked.rejects().unwrap().to_owned();
    let text = fs::read(&rejects).unwrap();
    (rejects, String::from_utf8_lossy(&text).into_owned())
}

fn ids(items: &Items) -> Vec<&str> {
    items.accepted.iter().map(|row| row.takedown.id.as_str()).collect()
}

#[test]
fn a_row_of_each_gateway_becomes_a_takedown_whatever_the_order_of_columns() {
    let items = csv(
        "close_reason,key,sns_user_id,goods_id,shop_id,commodity_id,merchant,id,priority,deadline,batch,gateway,account\n\
         \"fake, twice \"\"sold\"\"\",k,u,7,,,,t-1,high,2026-11-24T22:00:00+08:00,b-1,mapi,desk\n\
         ,,,,s,c,tea,t-2,,,,,shops\n",
    );
    assert_eq!(reasons(&items), []);
    let [goods, shop] = &items.accepted[..] else { panic!("{items:?}") };
    assert_eq!((goods.line, shop.line), (2, 3));
    assert_eq!(goods.takedown.priority, Priority::High);
    assert_eq!(goods.takedown.batch.as_ref().unwrap().as_str(), "b-1");
    assert!(goods.takedown.deadline.is_some());
    let Item::Mapi(item) = &goods.takedown.item else { panic!("{goods:?}") };
    assert_eq!(item.close_reason.as_deref(), Some("fake, twice \"sold\""));
    let Item::OpenPlatform(item) = &shop.takedown.item else { panic!("{shop:?}") };
    assert_eq!((item.merchant.as_ref().unwrap().as_str(), item.shop_id.as_str()), ("tea", "s"));
}

#[test]
fn a_mark_crlf_and_the_blank_rows_of_a_spreadsheet_do_no_harm() {
    let items = csv("\u{feff}account,commodity_id,shop_id,id\r\nshops,c,s,t-1\r\n\r\n,,,\r\nshops,c,s,t-2\r\n");
    assert_eq!(reasons(&items), []);
    assert_eq!(items.accepted.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 5]);
    let items = csv("account,commodity_id,shop_id,id\rshops,c,s,t-1\r\rshops,c,s,\"t\r2\"\n\rshops,c,s,t-2");
    assert_eq!(reasons(&items)[0].0, 4);
    assert_eq!(items.accepted.iter().map(|row| row.line).collect::<Vec<_>>(), [2, 7]);
}

#[test]
fn a_header_alone_is_no_items_and_no_error() {
    let items = csv("account,commodity_id,shop_id\n");
    assert!(items.accepted.is_empty() && items.rejected.is_empty());
}

#[test]
fn a_file_that_is_no_table_is_refused_by_name() {
    for empty in ["", "\u{feff}", " \r\n\n"] {
        assert_eq!(refusal("items.csv", empty), "items.csv is empty: not even a header; is it still being written?");
    }
    assert!(refusal("items.csv", b"\xff\xfea\0,\0").contains("is UTF-16 (\"Unicode text\"); save it as CSV in UTF-8"));
    assert!(refusal("items.csv", b"PK\x03\x04rest").contains("is a spreadsheet or an archive"));
    assert!(refusal("items.xlsx", "a").contains("cannot be told by the name; call it .csv, .jsonl or .ndjson"));
    let error = read(Path::new("/no/items.csv"), &options(&accounts())).unwrap_err();
    assert_eq!(error.to_string(), "/no/items.csv cannot be read");
}

#[test]
fn a_wrong_header_is_refused_by_the_name_of_the_column() {
    let header = |text: &str| refusal("items.csv", format!("{text}\n"));
    assert_eq!(
        header("account,shop_id,commodity,id"),
        "items.csv: column `commodity` is not known; known are: account, gateway, id, sns_user_id, key, close_reason, \
         goods_id, commodity_id, shop_id, merchant, app_auth_token, batch, deadline, priority; \
         did you mean `commodity_id`?"
    );
    assert!(header("Account,shop_id").ends_with("did you mean `account`?"));
    assert!(header("account;shop_id;id").ends_with("cells seem to be separated by ';', separate them by commas"));
    assert_eq!(header("account,id,id,shop_id"), "items.csv: column `id` is in the header twice");
    assert_eq!(header("account,,id"), "items.csv: column 2 of the header has no name");
    assert_eq!(
        header("commodity_id,shop_id"),
        "items.csv: column `account` is missing; add it, or name one account for all rows"
    );
    assert_eq!(header("account,commodity_id"), "items.csv: missing column `shop_id` (needed for open_platform)");
    assert_eq!(header("account,key"), "items.csv: missing column `sns_user_id` (needed for mapi)");
    assert_eq!(
        header("account,id"),
        "items.csv: missing column `commodity_id` and `shop_id` (needed for open_platform), or `sns_user_id` and `key` \
         (needed for mapi)"
    );
}

#[test]
fn each_bad_row_is_rejected_with_its_line_and_column() {
    let items = csv("account,gateway,id,commodity_id,shop_id,sns_user_id,key,deadline,merchant,app_auth_token\n\
         shops,,t-1,c,,,,,,\n\
         shops,,t-1,c,s,,\n\
         shops,mapi,t-1,,,u,k,,,\n\
         nobody,,t-1,c,s,,,,,\n\
         nobody,mapi,t-1,,,u,k,,,\n\
         ,,t-1,c,s,,,,,\n\
         shops,,t 1,c,s,,,,,\n\
         shops,,t-1,c,s,u,,,,\n\
         shops,taobao,t-1,c,s,,,,,\n\
         shops,,t-1,c,s,,,tomorrow,,\n\
         shops,,t-1,c,s,,,,tea,token\n\
         shops,,t-1,2.01600102E+22,s,,,,,\n\
         shops,,t-1,c,\"s\n\",,,,,\n\
         desk,,t-1,,,u,,,,\n\
         sh.ops,,t-1,c,s,,,,,\n\
         shops,,t-1,c,s,,,,,\n\
         malls,,t-1,c,s,,,,,\n");
    assert_eq!(
        reasons(&items),
        [
            (2, "column `shop_id` is empty"),
            (3, "has 7 cells, the header has 10"),
            (4, "account `shops` is of open_platform, this row is for mapi; its accounts are: desk"),
            (5, "account `nobody` is not configured; configured are: desk, malls, shops"),
            (6, "account `nobody` is not configured; configured are: desk, malls, shops"),
            (7, "column `account` is empty"),
            (8, "column `id` contains ' ', only A-Z a-z 0-9 . _ : - are allowed"),
            (9, "column `sns_user_id` is for mapi, this row is for open_platform"),
            (10, "column `gateway` is \"taobao\", expected mapi or open_platform"),
            (11, "column `deadline` is \"tomorrow\", expected RFC 3339 with a zone such as 2026-11-24T22:00:00+08:00"),
            (12, "column `merchant` and `app_auth_token` exclude each other; keep one"),
            (
                13,
                "column `commodity_id` is \"2.01600102E+22\": a spreadsheet has cut it down to a number; format the \
                 column as text"
            ),
            (14, "column `shop_id` contains a control character; perhaps a quote opened here is never closed"),
            (16, "column `key` is empty"),
            (17, "column `account` contains '.', only A-Z a-z 0-9 _ - are allowed"),
            (19, "id `t-1` is on line 18 already"),
        ]
    );
    assert_eq!(ids(&items), ["t-1"]);
}

#[test]
fn a_file_without_a_header_shows_no_key_and_no_control_character() {
    for first in ["201104175550A656,admin,desk", "desk;admin;201104175550A656", "\u{1b}[2J201104175550A656,desk"] {
        let told = refusal("items.csv", format!("{first}\n"));
        assert!(!told.contains("201104") && !told.chars().any(char::is_control), "{told:?}");
    }
    let told = refusal("items.csv", "201104175550A656,admin,desk\n");
    assert!(told.contains("column 1 of the header") && told.ends_with("is the first line a header?"), "{told}");
}

#[test]
fn a_fault_quotes_no_cell_longer_than_an_id() {
    let long = "1".repeat(5000);
    let items = csv(format!("account,commodity_id,shop_id\nshops,{long}E+1,s\n"));
    assert_eq!(reasons(&items), [(2, "column `commodity_id` has 5003 characters, at most 32 are allowed")]);
    let told = refusal("items.csv", format!("account,{long},shop_id\n"));
    assert!(told.contains("column 2 of the header is not known") && told.len() < 512, "{told}");
}

#[test]
fn an_unclosed_quote_is_told_where_it_opens() {
    let items = csv("account,commodity_id,shop_id\nshops,\"c,s\nshops,c2,s2\n");
    assert_eq!(reasons(&items), [(2, "has 2 cells, the header has 3; perhaps a quote opened here is never closed")]);
    let items = csv("account,commodity_id,shop_id\nshops,c,\"s\nshops,c2,s2\n");
    let expected = "column `shop_id` contains a control character; perhaps a quote opened here is never closed";
    assert_eq!(reasons(&items), [(2, expected)]);
}

#[test]
fn gbk_is_read_where_it_is_named_and_refused_by_row_where_not() {
    let text = "account,sns_user_id,key,close_reason,id\ndesk,u,k,假冒商品，丂,t-1\ndesk,u,k,plain,t-2\n";
    let (bytes, _, _) = encoding_rs::GBK.encode(text);
    // A trail byte that is also an ASCII letter, and one that is a backslash, split nothing.
    assert!(bytes.windows(2).any(|pair| pair == b"\x81\x40"), "丂");
    let accounts = accounts();
    let (_dir, path) = file("items.csv", &bytes);
    let items = read(&path, &Options { charset: Charset::Gbk, ..options(&accounts) }).unwrap();
    assert_eq!(reasons(&items), []);
    let Item::Mapi(item) = &items.accepted[0].takedown.item else { panic!() };
    assert_eq!(item.close_reason.as_deref(), Some("假冒商品，丂"));

    let as_utf8 = read(&path, &options(&accounts)).unwrap();
    assert_eq!(
        reasons(&as_utf8),
        [(2, "column `close_reason` is not utf-8; name the file's charset, or mend the text")]
    );
    assert_eq!(ids(&as_utf8), ["t-2"]);

    // Two bytes of one character, cut in the middle.
    let (_dir, path) = file("items.csv", b"account,sns_user_id,key,close_reason\ndesk,u,k,\xbc\n");
    let cut = read(&path, &Options { charset: Charset::Gb2312, ..options(&accounts) }).unwrap();
    assert_eq!(reasons(&cut), [(2, "column `close_reason` is not gb2312; name the file's charset, or mend the text")]);
}

#[test]
fn defaults_fill_in_what_a_row_leaves_out() {
    let accounts = accounts();
    let (account, batch) = (AccountId::new("malls").unwrap(), BatchId::new("b-9").unwrap());
    let options = Options { account: Some(&account), batch: Some(&batch), ..options(&accounts) };
    let told = |items: &Items| -> Vec<String> {
        let of = |row: &Accepted| format!("{} {}", row.takedown.account, row.takedown.batch.as_ref().unwrap());
        items.accepted.iter().map(of).collect()
    };
    let (_dir, path) = file("items.csv", "commodity_id,shop_id,account,batch\nc,s,,\nc,s,shops,b-1\n");
    assert_eq!(told(&read(&path, &options).unwrap()), ["malls b-9", "shops b-1"]);
    let lines = format!(
        "{}\n{}\n{SHOP}\n",
        r#"{"version":1,"batch":null,"takedown":{"gateway":"open_platform","commodity_id":"c","shop_id":"s"}}"#,
        SHOP.replace("t-1", "t-2").replacen('{', r#"{"batch":"b-1","#, 1)
    );
    let (_dir, path) = file("items.ndjson", lines);
    assert_eq!(told(&read(&path, &options).unwrap()), ["malls b-9", "shops b-1", "shops b-9"]);

    let stranger = AccountId::new("stranger").unwrap();
    let error = read(&path, &Options { account: Some(&stranger), ..options }).unwrap_err();
    assert_eq!(error.to_string(), "account `stranger` is not configured; configured are: desk, malls, shops");
}

#[test]
fn a_row_without_an_id_gets_the_same_one_each_time_in_either_format() {
    let table = csv(
        "account,commodity_id,shop_id,merchant,priority\nshops,c,s,,\nshops,c,s,,high\nshops,c,s,m,\nmalls,c,s,,\n",
    );
    assert_eq!(reasons(&table), [(3, "the same item is on line 2 already")]);
    let line = SHOP.replace(r#""id":"t-1","#, "");
    assert_eq!(ids(&jsonl(&line))[0], ids(&table)[0]);
    // Fixed for ever: queue files and result tables out there hold it.
    assert_eq!(ids(&table)[0], "td-36c2fc28af523b0be23373fd430f6355");
    let distinct: std::collections::BTreeSet<_> = ids(&table).into_iter().collect();
    assert_eq!(distinct.len(), 3);
}

#[test]
fn each_bad_line_of_jsonl_is_rejected_with_its_fault() {
    let items = jsonl(&format!(
        "{SHOP}\n\n{SHOP}\r\n{{\"version\":1,\n[1]\n{}\n{}\n{{}}\n",
        SHOP.replace(r#""id":"t-1""#, r#""id":"t-2","id":"t-3""#),
        SHOP.replace("shops", "desk").replace("t-1", "t-4"),
    ));
    assert_eq!(
        reasons(&items),
        [
            (3, "id `t-1` is on line 1 already"),
            (4, "is not JSON: EOF while parsing a value at column 13"),
            (5, "field `message` must be an object"),
            (6, "field `id` appears twice"),
            (7, "account `desk` is of mapi, this row is for open_platform; its accounts are: malls, shops"),
            (8, "field `version` is missing"),
        ]
    );
    let (_dir, path) = file("items.jsonl", b"{\"version\":1,\"id\":\"\xbc\xd9\"}");
    let items = read(&path, &options(&accounts())).unwrap();
    assert_eq!(reasons(&items), [(1, "message is not UTF-8 (first bad byte at offset 19)")]);
}

#[test]
fn no_secret_shows_in_a_reason_or_in_debug() {
    let items =
        csv(format!("account,sns_user_id,key,id\ndesk,u,s3cr\u{7}et,t-1\ndesk,u,{}s3cret,t-2\n", "x".repeat(40)));
    assert_eq!(items.rejected.len(), 2);
    assert!(!format!("{items:?}").contains("s3cr"), "{items:?}");
}

#[test]
fn a_hundred_thousand_rows_with_as_many_repeats_are_read_in_one_go() {
    let mut text = String::from("account,commodity_id,shop_id,id\n");
    for n in 0..100_000 {
        text.push_str(&format!("shops,c{},s,t-{}\n", n, n % 50_000));
    }
    let items = csv(text);
    assert_eq!((items.accepted.len(), items.rejected.len()), (50_000, 50_000));
    assert_eq!(items.rejected[49_999].reason, "id `t-49999` is on line 50001 already");
}

#[test]
fn rejected_rows_are_written_with_notes_and_can_be_mended_and_read_again() {
    let (dir, path) =
        file("items.csv", "\u{feff}account,commodity_id,shop_id,id\nshops,\"c,1\",,t-1\nshops,c,s,t-2\nshops,c\n");
    let accounts = accounts();
    let (rejects, _) = rejected(&path, &options(&accounts));
    assert_eq!(rejects, dir.path().join("items.csv.rejected.csv"));
    let text = fs::read_to_string(&rejects).unwrap();
    assert_eq!(
        text,
        "\u{feff}line,reason,account,commodity_id,shop_id,id\n\
         2,column `shop_id` is empty,shops,\"c,1\",,t-1\n\
         4,\"has 2 cells, the header has 4\",shops,c\n"
    );
    fs::write(&rejects, text.replace("\"c,1\",,", "\"c,1\",s,")).unwrap();
    let again = read(&rejects, &options(&accounts)).unwrap();
    assert_eq!(ids(&again), ["t-1"]);
    let (rejects, _) = rejected(&rejects, &options(&accounts));
    assert_eq!(
        fs::read_to_string(rejects).unwrap(),
        "\u{feff}line,reason,account,commodity_id,shop_id,id\n3,\"has 4 cells, the header has 6\",shops,c\n",
        "notes do not pile up"
    );
}

#[test]
fn rejected_rows_keep_the_bytes_of_their_charset() {
    let (_dir, path) = file("items.csv", b"account,sns_user_id,key,close_reason\ndesk,u,,\xbc\xd9\xa2\xe3\n");
    let accounts = accounts();
    let (rejects, _) = rejected(&path, &Options { charset: Charset::Gbk, ..options(&accounts) });
    assert_eq!(
        fs::read(rejects).unwrap(),
        b"line,reason,account,sns_user_id,key,close_reason\n2,column `key` is empty,desk,u,,\xbc\xd9\xa2\xe3\n"
    );
}

#[test]
fn rejected_lines_are_written_with_notes_and_can_be_read_again() {
    let (dir, path) = file("items.jsonl", format!("oops\n{}\n", SHOP.replace("\"s\"", "7")));
    let accounts = accounts();
    let (rejects, text) = rejected(&path, &options(&accounts));
    assert_eq!(rejects, dir.path().join("items.jsonl.rejected.jsonl"));
    let noted = SHOP.replace("\"s\"", "7").replacen(
        '{',
        "{\"line\":2,\"reason\":\"field `takedown.shop_id` must be a string\",",
        1,
    );
    assert_eq!(text, format!("{{\"line\":1,\"reason\":\"is not JSON: expected value at column 1\"}}\noops\n{noted}\n"));
    fs::write(&rejects, text.replace("oops", &SHOP.replace("t-1", "t-0")).replace(":7", ":\"s\"")).unwrap();
    let again = read(&rejects, &options(&accounts)).unwrap();
    assert_eq!((ids(&again), again.rejected.len()), (vec!["t-0", "t-1"], 0));
}

#[test]
fn an_object_without_members_is_rejected_whenever_it_is_read() {
    let (_dir, path) = file("items.jsonl", "{}\n{ }\n");
    let accounts = accounts();
    let read = |path: &Path| read(path, &options(&accounts)).unwrap();
    let first = read(&path);
    assert_eq!(reasons(&first), [(1, "field `version` is missing"), (2, "field `version` is missing")]);
    let (rejects, _) = rejected(&path, &options(&accounts));
    assert_eq!(reasons(&read(&rejects)), [(2, "field `version` is missing"), (4, "field `version` is missing")]);
}

#[test]
fn without_rejected_rows_no_file_is_written() {
    let (dir, path) = file("items.csv", "account,commodity_id,shop_id\nshops,c,s\n");
    assert_eq!(check(&path, &options(&accounts()), |_, _| {}).unwrap().rejects(), None);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}
