//! The signature in the headers of an answer of protocol v3.

use hyper::header::HeaderMap;

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::answer::Reading;
use crate::gateway::diagnosis::answer::rewritten::{self, TextDraft};
use crate::gateway::diagnosis::keyring::{Keyring, Owner};
use crate::gateway::diagnosis::search::{Draft, Slip, search};
use crate::gateway::diagnosis::verdict::{Expected, Signer, diagnose, settled};
use crate::signing::SignType;
use crate::signing::charset::Charset;

pub(super) fn reading(keyring: &Keyring, headers: &HeaderMap, body: &[u8]) -> Option<Reading> {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let sign = header("alipay-signature")?;
    let (Some(timestamp), Some(nonce)) = (header("alipay-timestamp"), header("alipay-nonce")) else {
        let what = "`alipay-timestamp` or `alipay-nonce` is missing, and both are signed";
        let cause = Cause::new("header_missing", what, "paste the answer with all its headers, as curl -i prints them");
        return Some(Reading { diagnosis: settled(vec![cause]), covered: Vec::new() });
    };
    let before = format!("{timestamp}\n{nonce}\n").into_bytes();
    let draft = TextDraft { before, text: body.to_vec(), after: b"\n".to_vec() };
    let mut slips = rewritten::slips(body, Charset::Utf8);
    let missing = "the line feed behind the body was not signed";
    slips.push(Slip::common(
        Cause::new("last_line_feed_missing", missing, "every line ends in a line feed, the last one too"),
        |draft: &mut TextDraft| {
            draft.after = Vec::new();
        },
    ));
    let swapped = format!("{nonce}\n{timestamp}\n").into_bytes();
    slips.push(Slip::rare(
        Cause::new(
            "lines_reordered",
            "nonce and timestamp were signed in the other order",
            "sign timestamp, nonce, body",
        ),
        move |draft: &mut TextDraft| {
            draft.before.clone_from(&swapped);
        },
    ));
    let is_by_number = keyring.parties.iter().any(|party| matches!(party.owner, Owner::Certificate(_)));
    let named = header("alipay-sn").filter(|_| is_by_number);
    let expected = Expected { sign_type: SignType::Rsa2, signer: Signer::Gateway(named) };
    let diagnosis = diagnose(sign, keyring, expected, |proof, budget| search(&draft, &slips, proof, budget));
    Some(Reading { diagnosis, covered: draft.bytes() })
}
