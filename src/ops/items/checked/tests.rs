use std::fs;

use super::*;
use crate::ops::items::lines;
use crate::ops::items::tests::{SHOP, accounts, file, options};

/// Returns the ids of a checked file's second reading, and how it ended.
fn second(checked: Checked, options: &Options<'_>) -> (Vec<String>, Option<ItemsError>) {
    let (mut ids, mut ended) = (Vec::new(), None);
    for takedown in checked.takedowns(options).unwrap() {
        match takedown {
            Ok(takedown) => ids.push(takedown.id.to_string()),
            Err(error) => ended = Some(error),
        }
        if ended.is_some() {
            break;
        }
    }
    (ids, ended)
}

#[test]
fn what_was_accepted_is_read_once_more_and_nothing_else() {
    let accounts = accounts();
    let table =
        "\u{feff}account,commodity_id,shop_id,id\nshops,c,s,t-1\nshops,c,,t-2\nshops,c,s,t-1\n\n,,,\nshops,c,s,\n";
    let lines = format!("{SHOP}\noops\n{SHOP}\n\n{}\n", SHOP.replace(r#""id":"t-1","#, ""));
    for (name, text) in [("items.csv", table), ("items.jsonl", &lines)] {
        let (_dir, path) = file(name, text);
        let mut heard = Vec::new();
        let checked = check(&path, &options(&accounts), |takedown, _| heard.push(takedown.id.to_string())).unwrap();
        assert_eq!((checked.accepted(), checked.rejected()), (2, 2));
        assert_eq!(checked.told()[1].0, if name == "items.csv" { 4 } else { 3 });
        let (ids, ended) = second(checked, &options(&accounts));
        assert!(ended.is_none(), "{ended:?}");
        assert_eq!(ids, heard);
        assert_eq!(ids, ["t-1", "td-36c2fc28af523b0be23373fd430f6355"]);
    }
}

#[test]
fn a_row_that_was_written_over_after_the_check_is_not_handed_on() {
    let accounts = accounts();
    let row = |n: usize| format!("shops,c,s,t-{n:07}\n");
    let text = "account,commodity_id,shop_id,id\n".to_owned() + &(0..20_000).map(row).collect::<String>();
    let (_dir, path) = file("items.csv", &text);
    let checked = check(&path, &options(&accounts), |_, _| {}).unwrap();
    // The last row gets another id; it is as long, and as good a row.
    fs::write(&path, text.replace(&row(19_999), &row(29_999))).unwrap();
    let (ids, ended) = second(checked, &options(&accounts));
    assert!(matches!(ended, Some(ItemsError::Changed { .. })), "{ended:?}");
    let sound: Vec<String> = (0..ids.len()).map(|n| format!("t-{n:07}")).collect();
    assert!(ids == sound && ids.len() > 10_000 && ids.len() < 19_999, "{}", ids.len());
}

#[test]
fn a_repeat_is_told_however_far_the_first_is() {
    let mut text = String::from("account,commodity_id,shop_id,id\n");
    (0..200_000).for_each(|n| text.push_str(&format!("shops,c,s,t-{n}\n")));
    text.push_str("shops,c,s,t-0\nshops,c,s,t-123456\n");
    let (_dir, path) = file("items.csv", text);
    let checked = check(&path, &options(&accounts()), |_, _| {}).unwrap();
    assert_eq!(checked.accepted(), 200_000);
    assert_eq!(
        checked.told(),
        [
            (200_002, "id `t-0` is on line 2 already".into()),
            (200_003, "id `t-123456` is on line 123458 already".into())
        ]
    );
}

#[test]
fn a_row_that_does_not_end_is_refused_by_its_line_and_leaves_no_file() {
    let long = "x,".repeat(lines::MAX_ROW);
    let table = format!("account,commodity_id,shop_id\r\nshops,c,\r\n\r\nshops,\"{long}\n");
    let line = format!("{SHOP}\n\n{{\"{long}");
    for (name, text, at) in [("items.csv", table, 4), ("items.jsonl", line, 3)] {
        let (dir, path) = file(name, text);
        let error = check(&path, &options(&accounts()), |_, _| {}).unwrap_err();
        assert!(matches!(error, ItemsError::RowTooLong { line, .. } if line == at), "{error}");
        assert!(error.to_string().contains("does not end within 4 MiB; is a quote opened there"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_desert_of_blank_lines_is_no_row() {
    let blanks = "\r\n".repeat(lines::MAX_ROW);
    let (_dir, path) = file("items.csv", format!("{blanks}account,commodity_id,shop_id\n{blanks}shops,c,\n"));
    let checked = check(&path, &options(&accounts()), |_, _| {}).unwrap();
    assert_eq!(checked.told()[0].0, 2 * lines::MAX_ROW as u64 + 2);
}
