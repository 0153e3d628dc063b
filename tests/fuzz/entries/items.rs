//! Files of items: no row is lost, and what is rejected can be written, read again, and is rejected again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::LazyLock;

use serde_json::value::RawValue;
use takedown::domain::ids::AccountId;
use takedown::domain::takedown::Gateway;
use takedown::ops::items::{Format, Items, Options, read_bytes};
use takedown::signing::charset::Charset;

use super::message;

static ACCOUNTS: LazyLock<BTreeMap<AccountId, Gateway>> = LazyLock::new(|| {
    let account = |name: &str, gateway| (AccountId::new(name).unwrap(), gateway);
    [account("shops", Gateway::OpenPlatform), account("desk", Gateway::Mapi)].into()
});

const MARK: &[u8] = b"\xEF\xBB\xBF";

/// Reads the bytes as CSV in each charset.
pub fn csv(bytes: &[u8]) {
    for charset in [Charset::Utf8, Charset::Gbk, Charset::Gb2312] {
        check(bytes, Format::Csv, charset, rows_of_csv);
    }
}

/// Reads the bytes as JSONL.
pub fn jsonl(bytes: &[u8]) {
    check(bytes, Format::Jsonl, Charset::Utf8, lines_of_jsonl);
}

fn check(bytes: &[u8], format: Format, charset: Charset, rows: fn(&[u8]) -> usize) {
    let default = ACCOUNTS.keys().next();
    for account in [None, default] {
        let options = Options { accounts: &ACCOUNTS, charset, format: Some(format), account, batch: None };
        let read = |bytes: &[u8]| read_bytes(Path::new("items"), bytes, &options);
        let Ok(items) = read(bytes) else { continue };
        let text = bytes.strip_prefix(MARK).unwrap_or(bytes);
        assert_eq!(items.accepted.len() + items.rejected.len(), rows(text), "no row is lost");
        hold(&items, bytes);
        if items.rejected.is_empty() {
            continue;
        }
        let again = items.rejected_rows().unwrap();
        let again = read(&again).unwrap_or_else(|error| panic!("rejected rows can be read again: {error}"));
        assert_eq!(again.accepted.len() + again.rejected.len(), items.rejected.len(), "no rejected row is lost");
        // A repeat stands alone now, and a row that lacked nothing but the cells of its old notes lacks nothing any more.
        let may_pass = |reason: &str| reason.contains("is on line ") || reason.contains(" cells, the header has ");
        let last = items.rejected.iter().filter(|row| !may_pass(&row.reason)).count();
        assert!(again.rejected.len() >= last, "a row is rejected whenever it is read");
    }
}

fn hold(items: &Items, bytes: &[u8]) {
    let ends = (0..bytes.len()).filter(|at| match bytes[*at] {
        b'\n' => true,
        b'\r' => bytes.get(at + 1) != Some(&b'\n'),
        _ => false,
    });
    let lines = ends.count() as u64 + 1;
    let mut ids = BTreeSet::new();
    let mut before = 0;
    for row in &items.accepted {
        assert!((before + 1..=lines).contains(&row.line), "lines rise and are of the file: {} of {lines}", row.line);
        before = row.line;
        assert!(ids.insert(row.takedown.id.clone()), "ids are distinct");
        message::hold(&row.takedown);
    }
    before = 0;
    for row in &items.rejected {
        assert!((before + 1..=lines).contains(&row.line), "lines rise and are of the file: {} of {lines}", row.line);
        before = row.line;
        assert!(row.reason.chars().count() < 512, "a reason is cut to what a line can bear: {}", row.reason);
    }
}

/// Rows below the header that are not of empty cells alone.
fn rows_of_csv(text: &[u8]) -> usize {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text);
    let rows = reader.byte_records().map(Result::unwrap);
    rows.filter(|row| row.iter().any(|cell| !cell.is_empty())).count()
}

/// Lines that are neither blank nor notes about a rejected line.
fn lines_of_jsonl(text: &[u8]) -> usize {
    let is_note = |line: &[u8]| {
        let names = serde_json::from_slice::<BTreeMap<String, Box<RawValue>>>(line);
        names.is_ok_and(|map| !map.is_empty() && map.keys().all(|name| name == "line" || name == "reason"))
    };
    text.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii).filter(|line| !line.is_empty() && !is_note(line)).count()
}
