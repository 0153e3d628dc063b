//! Damaged answers: every answer that verifies, cut short at each byte and changed at each byte.
//!
//! None may panic, and none may pass for a success that the gateway did not sign.

use serde_json::Value;
use takedown::domain::reply::{Answer, Claim, ItemMatch, Signature};
use takedown::signing::DsaFormat;

use super::{body, cases, hex, mapi_responses, openapi_responses, text};

fn is_success(answer: &Answer) -> bool {
    answer.signature == Signature::Valid
        && matches!(&answer.claim, Claim::Success { item, .. } if *item == ItemMatch::Same)
}

/// Runs both kinds of damage over one answer; returns how many damaged answers were read.
fn damage(case: &Value, parse: impl Fn(Vec<u8>) -> Answer, is_signed_text: impl Fn(&[u8]) -> bool) -> usize {
    let (whole, id) = (body(case), text(&case["id"]));
    assert!(is_success(&parse(whole.clone())), "{id}");
    let mut ran = 0;
    for end in 0..whole.trim_ascii_end().len() {
        assert_eq!(parse(whole[..end].to_vec()).signature, Signature::Malformed, "{id} cut at {end}");
        ran += 1;
    }
    for at in 0..whole.len() {
        for flip in [0x01, 0x20, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= flip;
            let answer = parse(changed.clone());
            assert!(!is_success(&answer) || is_signed_text(&changed), "{id} changed at {at} by {flip:#x}: {answer:?}");
            ran += 1;
        }
    }
    ran
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

fn case(file: &str, id: &str) -> Value {
    cases(file).into_iter().find(|case| case["id"] == id).unwrap()
}

#[test]
fn a_damaged_answer_of_the_open_platform_is_never_a_success() {
    let mut ran = 0;
    for id in ["success-rsa2", "pretty-printed", "sign-first", "cert-mode", "encrypted", "bom"] {
        let case = case("openapi_responses.json", id);
        let signed = hex(text(&case["signed_hex"]));
        ran += damage(&case, openapi_responses::reader(&case), |changed| contains(changed, &signed));
    }
    assert!(ran > 6 * 4 * 400, "{ran}");
}

#[test]
fn a_damaged_answer_of_mapi_is_never_a_success() {
    let mut ran = 0;
    for id in ["success-md5", "chinese-gbk-md5", "chinese-utf-8-rsa", "success-pretty"] {
        let case = case("mapi_responses.json", id);
        let signed = b"2011063000011840";
        ran += damage(&case, mapi_responses::reader(&case, DsaFormat::Der), |changed| contains(changed, signed));
    }
    assert!(ran > 4 * 4 * 400, "{ran}");
}
