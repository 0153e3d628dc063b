//! Work that grows with length alone: hostile shapes at a sixteenth of the largest length that is read, and at that length.
//!
//! Sixteen times the length is sixteen times the work if it is linear, and 256 times if it is quadratic; 64 times is
//! refused. What is compared is the processor time of the thread that does the work, so that neither a slow machine nor
//! a busy one changes the verdict, and neither does a build without optimisation: both lengths suffer alike.

mod pasted;

use std::path::Path;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use takedown::domain::reply::Signature;
use takedown::domain::takedown::{Gateway, MAX_MESSAGE_BYTES, Takedown};
use takedown::gateway::mapi::notification::{self, MAX_NOTIFICATION_BYTES};
use takedown::ops::items::{Format, Options, read_bytes};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType};

use super::accounts::{signer, verifier};
use super::{cases, mapi_responses, openapi_responses};

/// Largest answer read (`HttpSettings::max_body_bytes`).
const MEBIBYTE: usize = 1024 * 1024;

const STEP: usize = 16;

/// Twice more than linear work needs for what caches and growing tables add, twice again for what nobody thought of.
const MOST: u32 = 4 * STEP as u32;

/// Work that is over this soon is no harm whatever its growth, and too short to measure.
const SOON: Duration = Duration::from_millis(50);

/// No shape may take longer, in any build: a worker waits ten seconds for an answer.
const LONGEST: Duration = Duration::from_secs(10);

/// A head, a part to be repeated, and a tail.
type Shape<'a> = (&'a str, &'a str, &'a str);

/// Repeats the part until the length is reached; `#` in it is the number of the repetition.
fn filled((head, part, tail): Shape<'_>, length: usize) -> Vec<u8> {
    let mut text = head.to_owned();
    if !part.contains('#') {
        text.push_str(&part.repeat(length.saturating_sub(head.len() + tail.len()) / part.len()));
        return (text + tail).into_bytes();
    }
    for number in 0.. {
        let part = part.replace('#', &format!("{number:x}"));
        if text.len() + part.len() + tail.len() > length {
            break;
        }
        text.push_str(&part);
    }
    text.push_str(tail);
    text.into_bytes()
}

fn work(run: &dyn Fn(&[u8]), bytes: &[u8], times: usize) -> Duration {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let once = |_| {
        let begin = now();
        run(bytes);
        now() - begin
    };
    (0..times).map(once).min().unwrap()
}

fn grows_with_length(what: &str, largest: usize, make: &dyn Fn(usize) -> Vec<u8>, run: &dyn Fn(&[u8])) {
    let small = work(run, &make(largest / STEP), 3);
    let large = work(run, &make(largest), 1);
    assert!(large < LONGEST, "{what}: {large:?}");
    assert!(large < SOON || large < small * MOST, "{what}: {small:?} grew to {large:?} with {STEP} times the length");
}

fn all_grow_with_length(largest: usize, shapes: &[Shape<'_>], run: &dyn Fn(&[u8])) {
    for shape in shapes {
        let what = format!("{:.40}…{}…{}", shape.0, shape.1, shape.2);
        grows_with_length(&what, largest, &|length| filled(*shape, length), run);
    }
}

#[test]
fn the_measure_tells_linear_from_quadratic_work() {
    let make = |length| vec![1_u8; length];
    let linear = |bytes: &[u8]| assert_eq!(bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>(), bytes.len() as u64);
    grows_with_length("linear", 8 * MEBIBYTE, &make, &linear);
    let quadratic = |bytes: &[u8]| assert!((0..bytes.len()).all(|at| !bytes[..at].contains(&2)));
    let caught = std::panic::catch_unwind(|| grows_with_length("quadratic", 128 * 1024, &make, &quadratic));
    assert!(caught.is_err());
}

#[test]
fn xml_answers() {
    let case = &cases("mapi_responses.json")[0];
    let read = mapi_responses::reader(case, DsaFormat::Der);
    let shapes: &[Shape] = &[
        ("<alipay><is_success>T</is_success><response><goods>", "<a#/>", "</goods></response></alipay>"),
        ("<alipay><is_success>T</is_success><response><goods>", "<a#/>", "<a0/></goods></response></alipay>"),
        ("<alipay><is_success>T</is_success><response>", "<a#/>", "</response></alipay>"),
        ("<alipay><is_success>T</is_success>", "<request/>", "</alipay>"),
        ("<alipay><is_success>T</is_success><request>", "<param name=\"#\">x</param>", "</request></alipay>"),
        ("", "<a>", ""),
        ("<alipay>", "</a>", ""),
        ("<alipay><error>", "&amp;", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error>", "&#19979;", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error>", "&", "</error></alipay>"),
        ("<alipay><error>", "\r", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error>", "下", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error>", "2011041704C579B6A4F446E7AA4421BC4CD218D7", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error>", "<![CDATA[x]]>", "</error><is_success>F</is_success></alipay>"),
        ("<alipay><error><![CDATA[", "]", ""),
        ("<alipay><error><![CDATA[", "]]", ">]]></error></alipay>"),
        ("<alipay ", "a#='x' ", "/>"),
        ("<alipay a='", "<", "'/>"),
        ("<", "a", "/>"),
        ("<alipay><!--", "-", ""),
        ("<!DOCTYPE a [", "<!ENTITY a# 'x'>", "]><a/>"),
        ("<?xml ", " ", "?><a/>"),
        ("<?xml version='1.0' encoding='gbk'?><alipay><error>", "A|", "</error><is_success>F</is_success></alipay>"),
        ("", " ", "<alipay/>"),
        ("<html>", "not_it ", "</html>"),
        ("<html>", "_", "</html>"),
        ("<html>", "isv.", "</html>"),
        ("", "\u{feff}", ""),
    ];
    all_grow_with_length(MEBIBYTE, shapes, &|bytes| assert_ne!(read(bytes.to_vec()).signature, Signature::Valid));
}

#[test]
fn json_answers() {
    let shapes: &[Shape] = &[
        ("{\"error_response\":{\"code\":\"20000\"}", ",\"#\":0", "}"),
        ("{\"error_response\":{\"code\":\"20000\"}", ",\"#\":0", ",\"0\":0}"),
        ("{\"error_response\":{\"code\":\"20000\"", ",\"#\":0", "}}"),
        ("{\"error_response\":{\"code\":\"20000\"", ",\"x\":0", "}}"),
        ("{\"a\":0", ",\"a_response\":0", "}"),
        ("{\"a\":0", ",\"sign\":\"x\"", "}"),
        ("", "[", ""),
        ("", "{\"a\":", ""),
        ("{\"error_response\":", "[", ""),
        ("{\"error_response\":", "{\"a\":", ""),
        ("{\"error_response\":{\"code\":\"", "\\\\", "\"}}"),
        ("{\"error_response\":{\"code\":\"", "\\u4e0b", "\"}}"),
        ("{\"error_response\":{\"code\":\"", "\\ud800", "\"}}"),
        ("{\"error_response\":{\"code\":\"", "isv.", "\"}}"),
        ("{\"error_response\":{\"code\":\"1\",\"sub_msg\":\"", "下", "\"}}"),
        ("{\"error_response\":{\"code\":", "1", "}}"),
        ("{\"error_response\":{\"code\":1e", "9", "}}"),
        ("{\"error_response\":{\"code\":0.", "0", "1}}"),
        ("{\"error_response\":{\"code\":[", "0,", "0]}}"),
        ("{\"error_response\":{\"code\":\"1\"},\"sign\":\"", "AAAA", "\"}"),
        ("{\"error_response\":\"", "AAAA", "\"}"),
        ("{\"", "x", "_response\":{}}"),
        ("{", " ", "}"),
        ("{\"error_response\":{}", " ", "}"),
        ("", "\"", ""),
        ("{\"a\":\"", "A\\\\", "\"}"),
    ];
    for charset in ["utf-8", "gbk"] {
        let mut case = cases("openapi_responses.json")[0].clone();
        case["charset"] = charset.into();
        let read = openapi_responses::reader(&case);
        all_grow_with_length(MEBIBYTE, shapes, &|bytes| assert_ne!(read(bytes.to_vec()).signature, Signature::Valid));
    }
}

#[test]
fn messages() {
    let shapes: &[Shape] = &[
        ("{\"version\":1,\"takedown\":{", "\"a#\":0,", "\"gateway\":\"mapi\"}}"),
        ("{\"version\":1,\"id\":\"t\",\"account\":\"a\",\"takedown\":{", "\"a#\":0,", "\"gateway\":\"mapi\"}}"),
        ("{\"version\":1,\"id\":\"t\",\"account\":\"a\",\"takedown\":", "[", ""),
        ("{\"version\":1,\"id\":\"t\",\"account\":\"a\",\"takedown\":", "{\"a\":", ""),
        ("{\"version\":", "1", "}"),
        ("{\"version\":1,\"id\":\"", "x", "\"}"),
        ("{\"version\":1,\"", "`", "\":0}"),
        ("{\"version\":1,\"deadline\":\"", "9", "\"}"),
        ("", "\n", "{"),
        ("", "[", ""),
        ("{\"version\":1,\"id\":\"t\",\"account\":\"a\",\"takedown\":{\"gateway\":\"", "下", "\"}}"),
        (
            "{\"version\":1,\"id\":\"t\",\"account\":\"a\",\"takedown\":{\"gateway\":\"mapi\",\"sns_user_id\":\"",
            "\\u4e0b",
            "\"}}",
        ),
    ];
    all_grow_with_length(MAX_MESSAGE_BYTES, shapes, &|bytes| assert!(Takedown::decode(bytes).is_err()));
}

fn read_items(format: Format, charset: Charset, bytes: &[u8]) {
    let accounts = [("shops".parse().unwrap(), Gateway::OpenPlatform)].into();
    let options = Options { accounts: &accounts, charset, format: Some(format), account: None, batch: None };
    if let Ok(items) = read_bytes(Path::new("items"), bytes, &options) {
        assert!(items.rejected_rows().is_ok());
    }
}

#[test]
fn tables_of_items() {
    let cells: &[Shape] = &[
        ("", "x", ""),
        ("", "\"", ""),
        ("", ",", ""),
        ("account,", "x", ",shop_id"),
        ("account,", "account,", "shop_id"),
        ("account,commodity_id,shop_id\n", "x", ",c,s\n"),
        ("account,commodity_id,shop_id\n", "\"", "\n"),
        ("account,commodity_id,shop_id\n", ",", "\n"),
        ("account,commodity_id,shop_id\nshops,", "1", "E+1,s\n"),
        ("account,commodity_id,shop_id\nshops,", "1.", "E+1,s\n"),
        ("account,commodity_id,shop_id\nshops,\"", "\"\"", "\",s\n"),
        ("account,commodity_id,shop_id\nshops,\"", "下架\n", "\",s\n"),
        ("account,commodity_id,shop_id\nshops,c,", "下架", "\n"),
    ];
    for charset in [Charset::Utf8, Charset::Gbk] {
        all_grow_with_length(MEBIBYTE, cells, &|bytes| read_items(Format::Csv, charset, bytes));
    }
    let rows: &[Shape] = &[
        ("", "\r", ""),
        ("account,commodity_id,shop_id\n", "\"\n", "\n"),
        ("account,commodity_id,shop_id\n", "\n", "shops,c,s"),
        ("account,commodity_id,shop_id\n", "\r\n", "shops,c,s"),
        ("account,commodity_id,shop_id\n", "\r", "shops,c,s"),
        ("account,commodity_id,shop_id\n", ",,\n", "shops,c,s"),
        ("account,commodity_id,shop_id\n", "\n\nx", "\n"),
        ("account,commodity_id,shop_id\n", "shops,#,s\n", "shops,c,s"),
        ("account,commodity_id,shop_id\n", "shops,c,s\n", "shops,c,s"),
    ];
    all_grow_with_length(MEBIBYTE / 4, rows, &|bytes| read_items(Format::Csv, Charset::Utf8, bytes));
}

#[test]
fn lines_of_items() {
    let lines: &[Shape] = &[
        ("", "x", ""),
        ("", "[", ""),
        ("", "{}\n", ""),
        ("", "{\"line\":1}\n", ""),
        ("", "{\"version\":1,\"account\":\"shops\"}\n", ""),
        ("{", "\"a#\":0,", "\"id\":\"x\"}"),
        ("{", "\"id\":null,", "\"id\":\"x\"}"),
        ("{\"a\":", "{\"a\":", ""),
    ];
    all_grow_with_length(MEBIBYTE / 4, lines, &|bytes| read_items(Format::Jsonl, Charset::Utf8, bytes));
}

#[test]
fn notifications() {
    let gateway = verifier(SignType::Md5, "mapi_md5_key", DsaFormat::Der);
    let shapes: &[Shape] = &[
        ("x=1", "&a#=1", "&sign=x"),
        ("x=1", "&a#=1", "&a0=1"),
        ("", "&", ""),
        ("x", "=", ""),
        ("x=", "%41", ""),
        ("x=", "%", ""),
        ("x=", "%26a%3D", "&sign=x"),
        ("", "x", "=1"),
    ];
    let read = |bytes: &[u8]| assert!(notification::read(&gateway, Charset::Utf8, bytes).is_err());
    all_grow_with_length(MAX_NOTIFICATION_BYTES, shapes, &read);

    // Only a signed one is searched for fields hidden in its values.
    let signer = signer(SignType::Md5, "mapi_md5_key", DsaFormat::Der);
    let signed = |length: usize| {
        let head = "notify_id=1&notify_time=t&notify_type=s";
        let canonical = filled((head, "&x#=a&zz=b&&z=", ""), length / 2 - 100);
        let sign = signer.sign(&canonical).unwrap();
        let form = String::from_utf8(canonical).unwrap().replace("=a&zz=b&&z=", "=a%26zz%3Db%26%26z%3D");
        format!("{form}&sign={sign}").into_bytes()
    };
    let read = |bytes: &[u8]| {
        let found = notification::read(&gateway, Charset::Utf8, bytes).map(|found| found.signature);
        assert!(matches!(found, Ok(Signature::Structure | Signature::Invalid)), "{found:?}");
    };
    grows_with_length("signed", MAX_NOTIFICATION_BYTES, &signed, &read);
}
