//! Judging a pasted answer: the verdict of the worker's own code, and why it is not *valid*.

mod envelope;
mod headers;
mod quote;
mod rewritten;
mod xml;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::domain::reply::{Answer, Claim, ItemMatch, Signature};
use crate::domain::secret::Secret;
use crate::domain::takedown::{Item, MapiItem, OpenPlatformItem};
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::pasted::{PasteError, head, sent, split};
use crate::gateway::diagnosis::verdict::settled;
use crate::gateway::diagnosis::{Cause, Diagnosis, LONGEST, Verdict};
use crate::gateway::http::HttpAnswer;
use crate::gateway::mapi;
use crate::gateway::open_platform::{self, Protocol};
use crate::signing::charset::without_mark;

/// Longest text read, in bytes: the default cap of the HTTP client, and room for headers.
pub const MAX_BYTES: usize = 1024 * 1024 + 64 * 1024;

/// Most headers read; the HTTP client takes a hundred.
const MAX_HEADERS: usize = 1000;

/// Reads a pasted answer: HTTP text with its headers (as `curl -i` prints it), or the body alone.
///
/// # Errors
/// [`PasteError`] where it is empty, too large or compressed, or has too many headers.
pub fn read(text: &[u8]) -> Result<HttpAnswer, PasteError> {
    if text.len() > MAX_BYTES {
        return Err(PasteError::TooLarge { bytes: text.len() });
    }
    if text.trim_ascii().is_empty() {
        return Err(PasteError::Empty);
    }
    let mut status = 200;
    let mut named = Vec::new();
    let mut body = text;
    let start = without_mark(text).trim_ascii_start();
    if start.starts_with(b"HTTP/") {
        body = start;
        // Before the last head may stand those of a proxy and of `100 Continue`.
        while body.starts_with(b"HTTP/") {
            let (first, rest) = split(body, b'\n');
            let first = String::from_utf8_lossy(first);
            status = first.split_whitespace().nth(1).and_then(|word| word.parse().ok()).unwrap_or(status);
            (named, body) = head(rest);
        }
    } else if is_header(start) {
        (named, body) = head(start);
    }
    if named.len() > MAX_HEADERS {
        return Err(PasteError::Headers { most: MAX_HEADERS });
    }
    let body = sent(&named, body);
    if body.starts_with(b"\x1F\x8B") {
        return Err(PasteError::Compressed);
    }
    let mut headers = HeaderMap::new();
    for (name, value) in named {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(&value)) {
            headers.append(name, value);
        }
    }
    Ok(HttpAnswer { status, headers, body, retry_after: None })
}

/// Headers may have been pasted without the status line.
fn is_header(text: &[u8]) -> bool {
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
    name.len() < line.len() && !name.is_empty() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
}

/// What was found out about a pasted answer.
pub struct Judged {
    /// What the worker makes of it.
    pub answer: Answer,
    /// How its signature stands.
    pub diagnosis: Diagnosis,
    /// The bytes a signature has to cover, where there is a place for them.
    pub covered: Option<Vec<u8>>,
    /// What these bytes are, such as `the response node's value, as received`.
    pub covers: &'static str,
    /// The canonical string the gateway says it verified the request over, where its refusal quotes one.
    pub quoted: Option<Vec<u8>>,
}

/// What one reading of an answer came to.
struct Reading {
    diagnosis: Diagnosis,
    covered: Vec<u8>,
}

/// Judges an answer; without an item, as one about the item it speaks of.
#[must_use]
pub fn judge(account: &GatewayAccount, keyring: &Keyring, answer: &HttpAnswer, item: Option<&Item>) -> Judged {
    let judged = parse(account, answer, item);
    let plain = reading(account, keyring, answer, &answer.body);
    let covers = match account {
        GatewayAccount::Mapi(_) => "the elements inside <response>, sorted and joined, in the declared charset",
        GatewayAccount::OpenPlatform(account) => match account.protocol {
            Protocol::V1 => "the response node's value, byte for byte as received",
            Protocol::V3 => "timestamp, nonce and body, each with a line feed behind it",
        },
    };
    let covered = plain.as_ref().map(|reading| reading.covered.clone());
    let diagnosis = match judged.signature {
        Signature::Valid => {
            let found = plain.map(|reading| reading.diagnosis.certain).unwrap_or_default();
            let diagnosis = settled(other_item(&judged).into_iter().collect());
            Diagnosis { certain: found, signed: covered.clone(), ..diagnosis }
        }
        Signature::Unsigned => unsigned(&judged),
        Signature::Invalid
        | Signature::Structure
        | Signature::Unverifiable
        | Signature::Malformed
        | Signature::Contradictory => {
            let explained = explain(account, keyring, answer, plain);
            with_structure(account, answer, &judged, explained)
        }
    };
    let quoted = quote::find(&answer.body, account.charset());
    Judged { answer: judged, diagnosis, covered, covers, quoted }
}

fn parse(account: &GatewayAccount, answer: &HttpAnswer, item: Option<&Item>) -> Answer {
    match account {
        GatewayAccount::Mapi(account) => {
            let nobody =
                MapiItem { sns_user_id: String::new(), key: Secret::new(""), close_reason: None, goods_id: None };
            let item = match item {
                Some(Item::Mapi(item)) => item,
                Some(Item::OpenPlatform(_)) | None => &nobody,
            };
            mapi::response::parse(account, item, answer)
        }
        GatewayAccount::OpenPlatform(account) => {
            let nobody = OpenPlatformItem {
                commodity_id: String::new(),
                shop_id: String::new(),
                merchant: None,
                app_auth_token: None,
            };
            let item = match item {
                Some(Item::OpenPlatform(item)) => item,
                Some(Item::Mapi(_)) | None => &nobody,
            };
            match account.protocol {
                Protocol::V1 => open_platform::response::parse(account, item, answer),
                Protocol::V3 => open_platform::v3::response::parse(account, item, answer),
            }
        }
    }
}

/// Looks at the signature of one way to read the body; `None` where there is no signature to look at.
fn reading(account: &GatewayAccount, keyring: &Keyring, answer: &HttpAnswer, body: &[u8]) -> Option<Reading> {
    match account {
        GatewayAccount::Mapi(account) => xml::reading(account, keyring, body),
        GatewayAccount::OpenPlatform(account) => match account.protocol {
            Protocol::V1 => envelope::reading(account, keyring, body),
            Protocol::V3 => headers::reading(keyring, &answer.headers, body),
        },
    }
}

/// Finds the reading that explains the signature: the answer as it is, or as it was before it was saved.
fn explain(
    account: &GatewayAccount,
    keyring: &Keyring,
    answer: &HttpAnswer,
    plain: Option<Reading>,
) -> Option<Diagnosis> {
    let plain = plain.map(|reading| reading.diagnosis);
    if plain.as_ref().is_some_and(|diagnosis| diagnosis.signed.is_some()) {
        return plain;
    }
    let bodies = if answer.body.len() > LONGEST { Vec::new() } else { rewritten::bodies(&answer.body) };
    for (cause, body) in bodies {
        let before = reading(account, keyring, answer, &body).map(|reading| reading.diagnosis);
        if let Some(mut diagnosis) = before.filter(|diagnosis| diagnosis.signed.is_some()) {
            diagnosis.causes.insert(0, cause);
            diagnosis.verdict = Verdict::Wrong;
            return Some(diagnosis);
        }
    }
    // Whatever was signed and by whom: it cannot verify with one's own key configured for the gateway's.
    if account.gateway_key_is_own() {
        let cause = Cause::new(
            "own_key_instead_of_the_gateways",
            "the configured gateway key is the public half of the account's own key, so no answer of the gateway can verify",
            "configure the platform's public key, shown beside your own in the platform's console",
        );
        return Some(settled(vec![cause]));
    }
    plain
}

/// Adds what is wrong with the answer's structure, which no signature makes good.
fn with_structure(
    account: &GatewayAccount,
    answer: &HttpAnswer,
    judged: &Answer,
    explained: Option<Diagnosis>,
) -> Diagnosis {
    let structure = match judged.signature {
        Signature::Structure => Some(Cause::new(
            "ambiguous_envelope",
            match account {
                GatewayAccount::OpenPlatform(account) if account.protocol == Protocol::V1 => {
                    envelope::fault(&answer.body, account.charset)
                }
                GatewayAccount::OpenPlatform(_) => "a member or a header stands there twice".to_owned(),
                GatewayAccount::Mapi(_) => {
                    "its unsigned parts contradict each other (a success that names an error), or a signed value holds `&goods_id=` or the like".to_owned()
                }
            },
            "take no such answer for the gateway's: two programs could read it differently",
        )),
        Signature::Contradictory => Some(Cause::new(
            "refusal_with_signed_success",
            "a refusal carries a valid signature of a success: an unsigned part (is_success, error, HTTP status) was altered on the way",
            "find out what stands between the gateway and you; the item may be off sale",
        )),
        Signature::Unverifiable => Some(Cause::new(
            "certificate_unknown",
            "the answer names a certificate whose key is not configured",
            "download the platform's certificate anew from its console and add it to gateway_cert_files",
        )),
        Signature::Malformed => match &judged.claim {
            Claim::Unreadable { problem, .. } => Some(Cause::new(
                "not_an_answer",
                format!("it cannot be read as an answer: {problem}"),
                "take the answer as bytes (curl -sS -o FILE), or ask what stands between the gateway and you",
            )),
            Claim::Success { .. } | Claim::Failure { .. } => None,
        },
        Signature::Valid | Signature::Invalid | Signature::Unsigned => None,
    };
    let mut diagnosis = explained.unwrap_or_else(|| settled(Vec::new()));
    let is_explained = diagnosis.signed.is_some() && !diagnosis.causes.is_empty();
    // A broken document that turns out to be a re-saved one is told by that alone.
    if judged.signature != Signature::Malformed || !is_explained {
        diagnosis.causes.extend(structure);
    }
    if !diagnosis.causes.is_empty() && diagnosis.verdict == Verdict::Right {
        diagnosis.verdict = Verdict::Wrong;
    }
    if diagnosis.causes.is_empty() && diagnosis.verdict == Verdict::Wrong {
        diagnosis.verdict = Verdict::Unexplained;
    }
    diagnosis
}

fn unsigned(judged: &Answer) -> Diagnosis {
    let cause = match judged.claim {
        Claim::Success { .. } => Cause::new(
            "unsigned_success",
            "a success without a signature: it is not believed",
            "take no such answer for the gateway's; the worker tries again and raises an alarm",
        ),
        Claim::Failure { .. } | Claim::Unreadable { .. } => Cause::new(
            "unsigned",
            "the answer carries no signature",
            "none is needed where the protocol leaves refusals unsigned (mapi, v3, an app that is not known); paste the headers too for v3",
        ),
    };
    Diagnosis { verdict: Verdict::Unsigned, ..settled(vec![cause]) }
}

fn other_item(judged: &Answer) -> Option<Cause> {
    let Claim::Success { goods_id, item: ItemMatch::Other } = &judged.claim else { return None };
    let named = goods_id.as_deref().map_or_else(|| "names no goods".to_owned(), |id| format!("speaks of goods {id:?}"));
    Some(Cause::new(
        "answer_of_another_item",
        format!("the signature is genuine, and the answer {named}, not of the item asked about"),
        "an old answer may have been sent again: neither is_success nor the echoed request is signed",
    ))
}
