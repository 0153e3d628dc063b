//! Which parameters were signed.

use std::collections::BTreeSet;

use crate::domain::takedown::Gateway;
use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::pasted::{Field, Place};
use crate::gateway::diagnosis::search::Slip;

/// Returns the slips for this request.
pub(in crate::gateway::diagnosis) fn slips(right: &FormDraft, gateway: Gateway) -> Vec<Slip<FormDraft>> {
    let mut slips = vec![sign_type(gateway), empty_kept()];
    let names: BTreeSet<&[u8]> = right.fields.iter().map(|field| field.name.as_slice()).collect();
    for (parameter, name, why) in NAMED {
        if names.contains(parameter.as_bytes()) {
            let what = format!("`{parameter}` was not signed");
            slips.push(leave_out(
                Cause::new(name, what, format!("sign `{parameter}` too: {why}")),
                &[parameter.as_bytes()],
            ));
        }
    }
    let numbers: [&[u8]; 2] = [b"app_cert_sn", b"alipay_root_cert_sn"];
    if numbers.iter().any(|number| names.contains(number)) {
        let what = "the certificate numbers were not signed";
        let remedy =
            "sign `app_cert_sn` and `alipay_root_cert_sn` like every other parameter: whatever is sent is signed";
        slips.push(leave_out(Cause::new("certificate_numbers_left_out", what, remedy), &numbers));
    }
    slips.extend([only(Place::Query), only(Place::Body)]);
    let is_named = |name: &&&[u8]| NAMED.iter().any(|(parameter, ..)| parameter.as_bytes() == **name);
    for name in names.iter().filter(|name| !is_named(name) && !right.left_out.contains(&name.to_vec())) {
        let shown = String::from_utf8_lossy(name);
        let what = format!("`{shown}` was sent but not signed");
        let remedy = format!("sign `{shown}` too, or do not send it: whatever is sent is signed");
        let cause = Cause::new("sent_but_not_signed", what, remedy);
        let name = name.to_vec();
        slips.push(Slip::rare(cause, move |draft: &mut FormDraft| draft.leave_out(&name)));
    }
    slips
}

/// Returns slips about parameters that have no value, were not sent, and yet signed.
pub(in crate::gateway::diagnosis) fn absent(right: &FormDraft, documented: &[String]) -> Vec<Slip<FormDraft>> {
    let is_sent = |name: &&String| right.fields.iter().any(|field| field.name == name.as_bytes() && **name != "sign");
    let sign = "sign".to_owned();
    let names = documented.iter().chain([&sign]).filter(|name| !is_sent(name));
    let with = |(name, value): (&String, &str)| {
        let what = format!("`{name}={value}` was signed, and the parameter not sent");
        let remedy = format!("leave `{name}` out of the canonical string where it has no value");
        let field = Field {
            name: name.as_bytes().to_vec(),
            value: value.as_bytes().to_vec(),
            raw: value.as_bytes().to_vec(),
            place: Place::Query,
        };
        Slip::rare(Cause::new("empty_signed_but_not_sent", what, remedy), move |draft: &mut FormDraft| {
            draft.left_out.retain(|left_out| *left_out != field.name);
            draft.fields.retain(|other| other.name != field.name);
            draft.fields.push(field.clone());
            draft.keeps_empty |= field.value.is_empty();
        })
    };
    names.flat_map(|name| [(name, ""), (name, "null")]).map(with).collect()
}

/// Parameters that are left out again and again, and why they must not be.
const NAMED: [(&str, &str, &str); 4] = [
    (
        "key",
        "key_left_out",
        "it is an ordinary parameter here; FAQ texts that say \"leave out sign, sign_type and key\" mean the MD5 secret",
    ),
    ("_input_charset", "input_charset_left_out", "only `sign` and `sign_type` are left out"),
    ("charset", "charset_left_out", "only `sign` is left out"),
    ("app_auth_token", "app_auth_token_left_out", "whatever is sent is signed, wherever it travels"),
];

fn leave_out(cause: Cause, names: &[&[u8]]) -> Slip<FormDraft> {
    let names: Vec<Vec<u8>> = names.iter().map(|name| name.to_vec()).collect();
    Slip::common(cause, move |draft: &mut FormDraft| names.iter().for_each(|name| draft.leave_out(name)))
}

fn sign_type(gateway: Gateway) -> Slip<FormDraft> {
    match gateway {
        Gateway::Mapi => {
            let remedy =
                "leave `sign_type` out of the canonical string: mapi signs everything but `sign` and `sign_type`";
            let cause = Cause::new("sign_type_signed", "`sign_type` was signed, which mapi leaves out", remedy);
            Slip::common(cause, |draft: &mut FormDraft| draft.left_out.retain(|name| name != b"sign_type"))
        }
        Gateway::OpenPlatform => {
            let remedy = "sign `sign_type` too: the Open Platform signs everything but `sign`";
            let what = "`sign_type` was left out, which the Open Platform signs";
            Slip::common(Cause::new("sign_type_left_out", what, remedy), |draft: &mut FormDraft| {
                draft.leave_out(b"sign_type");
            })
        }
    }
}

fn empty_kept() -> Slip<FormDraft> {
    let what = "parameters without a value were signed as `name=`";
    let remedy = "leave out parameters without a value, from the canonical string and from the request";
    Slip::common(Cause::new("empty_kept", what, remedy), |draft: &mut FormDraft| draft.keeps_empty = true)
}

fn only(place: Place) -> Slip<FormDraft> {
    let (name, there, other) = match place {
        Place::Query => ("only_query_signed", "the URL", "the body"),
        Place::Body | Place::Header => ("only_body_signed", "the body", "the URL"),
    };
    let what = format!("only the parameters of {there} were signed, not those of {other}");
    let cause = Cause::new(name, what, "sign the parameters of both together: the gateway merges them");
    Slip::rare(cause, move |draft: &mut FormDraft| draft.fields.retain(|field| field.place == place))
}
