//! Hostile answers of one mebibyte, the largest that is read: each is judged in a time that grows with its length alone.
//!
//! The bound is twenty times what is needed and a quarter of what comparing all members with all others takes.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use takedown::domain::reply::{Answer, Signature};
use takedown::signing::DsaFormat;

use super::{cases, mapi_responses, openapi_responses};

const LARGEST: usize = 1024 * 1024;
const BOUND: Duration = Duration::from_secs(20);

/// Writes parts, each with its own number, until the largest body is full.
fn fill(head: &str, part: impl Fn(usize) -> String, tail: &str) -> Vec<u8> {
    let mut text = head.to_owned();
    for number in 0.. {
        let part = part(number);
        if text.len() + part.len() + tail.len() > LARGEST {
            break;
        }
        text.push_str(&part);
    }
    write!(text, "{tail}").unwrap();
    text.into_bytes()
}

fn judge(parse: impl Fn(Vec<u8>) -> Answer, body: Vec<u8>) -> Signature {
    let begin = Instant::now();
    let answer = parse(body);
    assert!(begin.elapsed() < BOUND, "took {:?}", begin.elapsed());
    answer.signature
}

#[test]
fn an_open_platform_answer_of_a_hundred_thousand_members_is_judged_in_time() {
    let case = &cases("openapi_responses.json")[0];
    let parse = openapi_responses::reader(case);
    let body = fill("{\"error_response\":{\"code\":\"20000\"}", |n| format!(",\"{n:x}\":0"), "}");
    assert_eq!(judge(&parse, body), Signature::Unsigned);
    let twice = fill("{\"error_response\":{\"code\":\"20000\"}", |n| format!(",\"{n:x}\":0"), ",\"0\":0}");
    assert_eq!(judge(&parse, twice), Signature::Structure);
}

#[test]
fn a_mapi_answer_of_a_hundred_thousand_elements_is_judged_in_time() {
    let case = &cases("mapi_responses.json")[0];
    let parse = mapi_responses::reader(case, DsaFormat::Der);
    let head = "<alipay><is_success>T</is_success><response><goods>";
    let body = fill(head, |n| format!("<a{n:x}/>"), "</goods></response></alipay>");
    assert_eq!(judge(&parse, body), Signature::Unsigned);
    let twice = fill(head, |n| format!("<a{n:x}/>"), "<a0/></goods></response></alipay>");
    assert_eq!(judge(&parse, twice), Signature::Malformed);
}
