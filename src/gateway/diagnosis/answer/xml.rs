//! The signature inside the XML answer of mapi.

use crate::gateway::diagnosis::answer::Reading;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::pasted::{Field, MAX_FIELDS, Place};
use crate::gateway::diagnosis::search::{Draft, Slip, search};
use crate::gateway::diagnosis::slips::{order, values, whole};
use crate::gateway::diagnosis::verdict::{Expected, Signer, diagnose, settled};
use crate::gateway::diagnosis::{Cause, LONGEST, Verdict};
use crate::gateway::mapi::xml::{self, Element};
use crate::gateway::mapi::{MapiAccount, response};

pub(super) fn reading(account: &MapiAccount, keyring: &Keyring, body: &[u8]) -> Option<Reading> {
    let (root, charset) = xml::parse(body).ok()?;
    let leaf = |name: &str| root.child(name).ok().flatten().map(|element| element.text.trim());
    let sign = leaf("sign").filter(|sign| !sign.is_empty())?;
    let signed = response::signed(root.child("response").ok()??).ok()?;
    let field = |name: &str, value: &str| {
        let value = charset.encode(value).ok()?;
        Some(Field { name: name.as_bytes().to_vec(), raw: value.clone(), value, place: Place::Body })
    };
    let fields: Option<Vec<Field>> = signed.iter().map(|(name, value)| field(name, value)).collect();
    let draft = FormDraft::new(fields?, &["sign", "sign_type"]);
    let covered = draft.bytes();
    if covered.is_empty() {
        let what = "nothing is signed: <response> holds no values, and a signature over nothing proves nothing";
        let cause = Cause::new("nothing_signed", what, "take no such answer for the gateway's");
        return Some(Reading { diagnosis: settled(vec![cause]), covered });
    }
    let mut slips = Vec::new();
    if covered.len() <= LONGEST && draft.fields.len() <= MAX_FIELDS {
        slips.extend(order::slips(&[]));
        slips.extend(values::slips(charset));
        slips.push(empty_kept());
        slips.extend(unsigned_parts(&root));
        slips.extend(whole::slips(""));
        slips.extend(values::lost_spaces(&draft));
    }
    let sign_type = account.verifier.sign_type();
    let expected = Expected { sign_type, signer: Signer::Gateway(None) };
    let mut diagnosis = diagnose(sign, keyring, expected, |proof, budget| search(&draft, &slips, proof, budget));
    let mut refused = Vec::new();
    if let Some(other) =
        leaf("sign_type").filter(|other| !other.is_empty() && !other.eq_ignore_ascii_case(sign_type.as_str()))
    {
        let what = format!(
            "the answer says sign_type {other:?}, the account is configured for {sign_type}: that is refused, not followed"
        );
        refused.push(Cause::new(
            "answer_names_another_sign_type",
            what,
            "configure the sign type agreed with the gateway",
        ));
    }
    if signed.iter().any(|(name, _)| name == "service") {
        let what =
            "the signed part is a request (it names a `service`): a request of yours that was sent back, not an answer";
        refused.push(Cause::new("request_echoed", what, "find out what stands between the gateway and you"));
    }
    if signed.iter().any(|(name, _)| name == "notify_id") {
        let what = "the signed part is a notification (it names a `notify_id`), written as an answer";
        refused.push(Cause::new("notification_as_answer", what, "find out what stands between the gateway and you"));
    }
    if !refused.is_empty() {
        diagnosis.causes.splice(0..0, refused);
        diagnosis.verdict = Verdict::Wrong;
    }
    Some(Reading { diagnosis, covered })
}

fn empty_kept() -> Slip<FormDraft> {
    let cause = Cause::new(
        "empty_kept",
        "elements without a value were signed as `name=`",
        "leave elements without a value out",
    );
    Slip::rare(cause, |draft: &mut FormDraft| draft.keeps_empty = true)
}

/// Parts beside `<response>` that a reader might think signed.
fn unsigned_parts(root: &Element) -> Vec<Slip<FormDraft>> {
    let mut slips = Vec::new();
    for name in ["is_success", "sign_type"] {
        let Ok(Some(element)) = root.child(name) else { continue };
        let what = format!("<{name}> was signed as well, which lies outside <response>");
        let value = element.text.trim().as_bytes().to_vec();
        slips.push(Slip::rare(
            Cause::new("unsigned_part_signed", what, "only the elements inside <response> are signed"),
            move |draft: &mut FormDraft| {
                draft.left_out.retain(|left_out| left_out != name.as_bytes());
                draft.fields.push(Field {
                    name: name.as_bytes().to_vec(),
                    raw: value.clone(),
                    value: value.clone(),
                    place: Place::Body,
                });
            },
        ));
    }
    slips
}
