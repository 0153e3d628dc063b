//! Answers of protocol v3, headers and status included: what was not signed never passes for the gateway's word.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use takedown::domain::reply::{Answer, Claim, Refusals, Signature};
use takedown::domain::takedown::{Gateway, OpenPlatformItem};
use takedown::gateway::http::HttpAnswer;
use takedown::gateway::open_platform::v3::response::{parse, signed_bytes};
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount, Protocol};
use takedown::signing::SignType;
use takedown::signing::charset::Charset;

use super::fixture;

static ACCOUNTS: LazyLock<Vec<OpenPlatformAccount>> = LazyLock::new(|| {
    let account = |(is_by_certificate, is_encrypted): (bool, bool)| OpenPlatformAccount {
        content_key: is_encrypted.then(fixture::content_key),
        ..fixture::open_platform(Protocol::V3, Charset::Utf8, fixture::gateway_keys(SignType::Rsa2, is_by_certificate))
    };
    [(false, false), (false, true), (true, false)].map(account).into()
});

/// What the vectors have signed, and answers of an encrypting account, which they lack (seeds of the corpus).
static SIGNED: LazyLock<BTreeSet<Vec<u8>>> = LazyLock::new(|| {
    let key = fixture::content_key();
    let sealed = ["{}", "{\"code\":\"COMMODITY_SHOP_NOT_EXIST\"}"].map(|text| key.encrypt(text.as_bytes()).unwrap());
    let sealed = sealed.map(|body| signed_bytes(b"1700000000456", b"0a1b2c3d4e5f", body.as_bytes()));
    fixture::signed_v3_answers().into_iter().chain(sealed).collect()
});

static ITEM: LazyLock<OpenPlatformItem> = LazyLock::new(fixture::open_platform_item);

/// Reads the bytes as HTTP text, and that as the answer of each kind of account.
pub fn run(bytes: &[u8]) {
    let http = http(bytes);
    let mut verdicts = BTreeSet::new();
    for account in &*ACCOUNTS {
        let answer = parse(account, &ITEM, &http);
        fixture::hold(&answer);
        hold(&answer, account, &http);
        if account.content_key.is_none() {
            verdicts.insert(format!("{:?}", answer.claim));
        }
    }
    assert_eq!(verdicts.len(), 1, "what an answer says does not depend on the key it is verified with: {verdicts:?}");
}

fn hold(answer: &Answer, account: &OpenPlatformAccount, http: &HttpAnswer) {
    assert_eq!(answer.http_status, http.status, "the status is the one that came");
    let refusals = if http.status / 100 == 4 { Refusals::Unsigned } else { Refusals::Foreign };
    assert_eq!(answer.refusals, refusals, "refusals of this protocol come unsigned, under 4xx");
    if answer.signature == Signature::Valid || fixture::is_success(Gateway::OpenPlatform, answer) {
        assert_eq!(answer.signature, Signature::Valid, "only what verifies is a success");
        let one = |name: &str| {
            let mut values = http.headers.get_all(name).iter();
            let value = values.next().unwrap_or_else(|| panic!("`{name}` is signed, so it is there"));
            assert!(values.next().is_none(), "`{name}` is there once");
            value.as_bytes()
        };
        let signed = signed_bytes(one("alipay-timestamp"), one("alipay-nonce"), &http.body);
        assert!(SIGNED.contains(&signed), "only what the gateway signed verifies: {answer:?}");
    }
    if matches!(answer.claim, Claim::Success { .. }) {
        assert!(matches!(http.status, 200 | 204), "a success has a status of success");
    }
    let is_by_certificate = matches!(account.keys, GatewayKeys::ByCertificate(_));
    assert!(is_by_certificate || answer.signature != Signature::Unverifiable, "one key verifies every answer");
    assert!(
        answer.unknown_certificate.is_none() || answer.signature == Signature::Unverifiable,
        "a number is told where its key is wanting: {answer:?}"
    );
}

/// A first line with the status in its second word, headers, an empty line, and all the rest as the body.
///
/// What no header can hold is left out, as the HTTP client refuses it.
fn http(bytes: &[u8]) -> HttpAnswer {
    let (first, mut rest) = line(bytes);
    let word = String::from_utf8_lossy(first).split_whitespace().nth(1).map(str::to_owned);
    let mut headers = HeaderMap::new();
    while !rest.is_empty() {
        let (header, after) = line(rest);
        rest = after;
        if header.is_empty() {
            break;
        }
        let colon = header.iter().position(|byte| *byte == b':').unwrap_or(header.len());
        let value = header.get(colon + 1..).unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(&header[..colon]), HeaderValue::from_bytes(value)) {
            headers.append(name, value);
        }
    }
    let status = word.and_then(|word| word.parse().ok()).filter(|status| (100..1000).contains(status)).unwrap_or(200);
    HttpAnswer { status, headers, body: rest.to_vec(), retry_after: None }
}

fn line(bytes: &[u8]) -> (&[u8], &[u8]) {
    let end = bytes.iter().position(|byte| *byte == b'\n').unwrap_or(bytes.len());
    let line = &bytes[..end];
    (line.strip_suffix(b"\r").unwrap_or(line), bytes.get(end + 1..).unwrap_or_default())
}
