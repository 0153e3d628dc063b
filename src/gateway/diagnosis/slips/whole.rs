//! What was done with the canonical string as a whole.

use crate::domain::hex::hex;
use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::search::Slip;
use crate::signing::recover::Hash;

const REMEDY: &str = "sign `name=value` pairs joined by `&`, with nothing before, behind or between them";

/// Returns the slips; `url` is the address without its query.
pub(in crate::gateway::diagnosis) fn slips(url: &str) -> Vec<Slip<FormDraft>> {
    let hashed = "sign the canonical string itself: the algorithm hashes it";
    let mut slips = vec![
        behind("newline_appended", "a line feed behind the canonical string was signed", b"\n"),
        behind("newline_appended", "a line end (CR LF) behind the canonical string was signed", b"\r\n"),
        behind("trailing_ampersand", "the canonical string was signed with a `&` at its end", b"&"),
        before("leading_question_mark", "the canonical string was signed with a `?` before it", b"?"),
        joined("joined_by_html_ampersand", "the pairs were joined by `&amp;` instead of `&`", (b"=", b"&amp;")),
        joined("joined_without_separators", "names and values were joined without `=` and `&`", (b"", b"")),
        joined("joined_without_separators", "the pairs were joined without `&`", (b"=", b"")),
        joined("values_quoted", "the values were put in quotes, as the mobile protocol does", (b"=\"", b"\"&")),
        finished(
            "whole_percent_encoded",
            "the whole canonical string was percent-encoded before signing",
            "sign the plain string",
            |bytes| {
                bytes.iter().fold(Vec::new(), |mut text, byte| {
                    if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) {
                        text.push(*byte);
                    } else {
                        text.extend_from_slice(format!("%{byte:02X}").as_bytes());
                    }
                    text
                })
            },
        ),
        finished(
            "hashed_before_signing",
            "the SHA-256 of the string was signed, so that it was hashed twice",
            hashed,
            |bytes| Hash::Sha256.digest(&bytes),
        ),
        finished(
            "hashed_before_signing",
            "the SHA-256 of the string, in hex, was signed, so that it was hashed twice",
            hashed,
            |bytes| hex(&Hash::Sha256.digest(&bytes)).into_bytes(),
        ),
        finished(
            "hashed_before_signing",
            "the SHA-1 of the string was signed, so that it was hashed twice",
            hashed,
            |bytes| Hash::Sha1.digest(&bytes),
        ),
        finished(
            "hashed_before_signing",
            "the SHA-1 of the string, in hex, was signed, so that it was hashed twice",
            hashed,
            |bytes| hex(&Hash::Sha1.digest(&bytes)).into_bytes(),
        ),
        finished(
            "hashed_before_signing",
            "the MD5 of the string, in hex, was signed, so that it was hashed twice",
            hashed,
            |bytes| hex(&Hash::Md5.digest(&bytes)).into_bytes(),
        ),
    ];
    if !url.is_empty() {
        let address = format!("{url}?");
        slips.push(before("url_signed", "the address was signed in front of the parameters", address.as_bytes()));
    }
    slips
}

fn before(name: &'static str, what: &str, bytes: &[u8]) -> Slip<FormDraft> {
    let bytes = bytes.to_vec();
    Slip::rare(Cause::new(name, what, REMEDY), move |draft: &mut FormDraft| draft.before.clone_from(&bytes))
}

fn behind(name: &'static str, what: &str, bytes: &'static [u8]) -> Slip<FormDraft> {
    let change = move |draft: &mut FormDraft| draft.after = bytes.to_vec();
    let cause = Cause::new(name, what, REMEDY);
    if name == "newline_appended" { Slip::common(cause, change) } else { Slip::rare(cause, change) }
}

fn joined(name: &'static str, what: &str, joints: (&'static [u8], &'static [u8])) -> Slip<FormDraft> {
    Slip::rare(Cause::new(name, what, REMEDY), move |draft: &mut FormDraft| {
        draft.joints = joints;
        if joints.0.ends_with(b"\"") {
            draft.after = b"\"".to_vec();
        }
    })
}

fn finished(name: &'static str, what: &str, remedy: &str, finish: fn(Vec<u8>) -> Vec<u8>) -> Slip<FormDraft> {
    Slip::rare(Cause::new(name, what, remedy), move |draft: &mut FormDraft| draft.finish = finish)
}
