//! Judging a pasted request: what the gateway would make of it, and what takedown would have sent.

mod scheme;

use std::time::SystemTime;

use crate::domain::reply::Reply;
use crate::domain::takedown::Item;
use crate::gateway::GatewayAccount;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::keyring::Keyring;
use crate::gateway::diagnosis::own;
use crate::gateway::diagnosis::pasted::{Field, Pasted, Place};
use crate::gateway::diagnosis::request::scheme::Scheme;
use crate::gateway::diagnosis::rest;
use crate::gateway::diagnosis::search::{Draft, Slip, search};
use crate::gateway::diagnosis::slips::{content, moment, order, selection, values, whole};
use crate::gateway::diagnosis::verdict::{Expected, Signer, diagnose, settled};
use crate::gateway::diagnosis::{Cause, Diagnosis, LONGEST, Verdict};
use crate::gateway::open_platform::{OpenPlatformAccount, Protocol};
use crate::signing::SignType;
use crate::signing::charset::Charset;

/// What was found out about a pasted request.
pub struct Judged {
    /// The parameters as decoded, in the order of the wire.
    pub fields: Vec<Field>,
    /// The charset the gateway reads them in.
    pub charset: Charset,
    /// The bytes the gateway verifies the signature over.
    pub canonical: Vec<u8>,
    /// How its signature stands.
    pub diagnosis: Diagnosis,
    /// What else is wrong with it, or likely to be.
    pub remarks: Vec<Cause>,
    /// How it differs from what takedown would send for the item; `None` without an item.
    pub differences: Option<Vec<Difference>>,
}

/// One parameter that differs from ours.
#[derive(Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub name: String,
    /// Its value in the pasted request; `None`: it is missing there.
    pub pasted: Option<Vec<u8>>,
    /// The value takedown would send; `None`: it would not.
    pub ours: Option<Vec<u8>>,
}

impl Difference {
    /// Returns the position of the first byte that differs, from 0.
    #[must_use]
    pub fn at(&self) -> usize {
        first_difference(self.pasted.as_deref().unwrap_or_default(), self.ours.as_deref().unwrap_or_default())
    }
}

/// Returns the position of the first byte in which two texts differ: the shorter one's length if it begins the other.
#[must_use]
pub fn first_difference(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).position(|(a, b)| a != b).unwrap_or(a.len().min(b.len()))
}

/// Judges a pasted request in the protocol of the account.
///
/// # Errors
/// A [`Reply`] that says why takedown would send nothing for the item.
pub fn judge(
    account: &GatewayAccount,
    keyring: &Keyring,
    pasted: &Pasted,
    item: Option<&Item>,
    now: SystemTime,
) -> Result<Judged, Reply> {
    if let GatewayAccount::OpenPlatform(OpenPlatformAccount { protocol: Protocol::V3, .. }) = account {
        return rest::judge(account, keyring, pasted, item, now);
    }
    let gateway = account.gateway();
    let scheme = Scheme::of(gateway);
    let fields = pasted.fields();
    let (charset, mut remarks) = scheme.charset(&fields);
    let mut right = FormDraft::new(merged(&fields), scheme.left_out);
    let canonical = right.bytes();
    let ours = item.map(|item| own::sent(account, item, now, value(&fields, "timestamp"), charset)).transpose()?;
    let differences = ours.as_ref().map(|ours| compare(&fields, ours));
    let declared = value(&fields, "sign_type").and_then(sign_type);
    remarks.extend(scheme.remarks(account, &fields));
    let diagnosis = match fields.iter().find(|field| field.name == b"sign" || field.name == b"amp;sign") {
        Some(sign) if !sign.value.is_empty() => {
            let slips = slips(account, &right, charset, pasted, differences.as_deref().unwrap_or_default());
            // Some mistakes put the signature under another name; it is never part of what is signed.
            right.leave_out(&sign.name);
            let expected = Expected { sign_type: declared.unwrap_or(account.sign_type()), signer: Signer::Account };
            let sign = String::from_utf8_lossy(&sign.value);
            let mut diagnosis =
                diagnose(&sign, keyring, expected, |proof, budget| search(&right, &slips, proof, budget));
            if matches!(diagnosis.verdict, Verdict::Right | Verdict::Wrong)
                && let Some(cause) = scheme.unreadable(&fields, charset)
            {
                diagnosis.verdict = Verdict::Wrong;
                diagnosis.causes.insert(0, cause);
            }
            diagnosis
        }
        Some(_) | None => {
            let remedy = "sign the canonical string above and send the result as `sign`";
            let cause = Cause::new("unsigned", "the request has no `sign`, or an empty one", remedy);
            Diagnosis { verdict: Verdict::Unsigned, ..settled(vec![cause]) }
        }
    };
    Ok(Judged { fields, charset, canonical, diagnosis, remarks, differences })
}

/// A parameter that stands in the URL and in the body with one value is one parameter: mapi's charset has to.
fn merged(fields: &[Field]) -> Vec<Field> {
    let is_repeated = |at: usize, field: &Field| {
        fields[at + 1..].iter().any(|later| later.name == field.name && later.value == field.value)
    };
    let once = fields.iter().enumerate().filter(|(at, field)| !is_repeated(*at, field));
    once.map(|(_, field)| field.clone()).collect()
}

fn slips(
    account: &GatewayAccount,
    right: &FormDraft,
    charset: Charset,
    pasted: &Pasted,
    differences: &[Difference],
) -> Vec<Slip<FormDraft>> {
    let mut slips = Vec::new();
    if right.fields.iter().map(|field| field.value.len()).sum::<usize>() > LONGEST {
        return slips;
    }
    let documented = own::documented(account.gateway());
    slips.extend(changed(differences));
    slips.extend(selection::slips(right, account.gateway()));
    slips.extend(order::slips(&documented));
    slips.extend(values::slips(charset));
    slips.extend(whole::slips(&pasted.path));
    slips.extend(spellings(account, right));
    if let Some(sent) = value(&right.fields, "biz_content").and_then(|sent| charset.decode(sent)) {
        slips.extend(before_encryption(account, &sent));
        for rewriting in content::rewritings(&sent) {
            let what = format!("`biz_content` was signed {} and sent otherwise", rewriting.what);
            let cause = Cause::new("biz_content_rewritten", what, "write the JSON once; sign and send that very text");
            let Ok(text) = charset.encode(&rewriting.text) else { continue };
            slips.push(Slip::rare(cause, move |draft: &mut FormDraft| draft.set(b"biz_content", &text)));
        }
    }
    slips.extend(selection::absent(right, &documented));
    slips.extend(values::escaped_alone(right));
    slips.extend(values::lost_spaces(right));
    slips.extend(value(&right.fields, "timestamp").map(moment::slips).unwrap_or_default());
    slips
}

/// The signature may belong to the values takedown would send: then what differs was changed after signing.
fn changed(differences: &[Difference]) -> Vec<Slip<FormDraft>> {
    let mut slips = Vec::new();
    let relevant: Vec<&Difference> = differences.iter().filter(|d| d.name != "sign").collect();
    let revert = |draft: &mut FormDraft, difference: &Difference| match (&difference.pasted, &difference.ours) {
        (Some(_), Some(ours)) => draft.set(difference.name.as_bytes(), ours),
        (Some(_), None) => draft.leave_out(difference.name.as_bytes()),
        (None, Some(ours)) => draft.fields.push(Field {
            name: difference.name.clone().into_bytes(),
            value: ours.clone(),
            raw: ours.clone(),
            place: Place::Query,
        }),
        (None, None) => {}
    };
    for difference in &relevant {
        let name = &difference.name;
        let cause = match (&difference.pasted, &difference.ours) {
            (None, Some(_)) => Cause::new(
                "signed_but_not_sent",
                format!("`{name}` was signed and not sent"),
                format!("send `{name}` as well, or do not sign it"),
            ),
            (Some(_), None) => continue,
            _ => Cause::new(
                "value_changed_after_signing",
                format!("`{name}` was signed with the value takedown would send, and changed afterwards"),
                format!("do not touch `{name}` once it is signed"),
            ),
        };
        let difference = (*difference).clone();
        slips.push(Slip::common(cause, move |draft: &mut FormDraft| revert(draft, &difference)));
    }
    if relevant.len() > 1 {
        let names: Vec<String> = relevant.iter().map(|difference| format!("`{}`", difference.name)).collect();
        let what = format!(
            "the signature is that of the request takedown would send; changed afterwards: {}",
            names.join(", ")
        );
        let cause = Cause::new("value_changed_after_signing", what, "do not touch parameters once they are signed");
        let all: Vec<Difference> = relevant.into_iter().cloned().collect();
        slips.push(Slip::common(cause, move |draft: &mut FormDraft| all.iter().for_each(|d| revert(draft, d))));
    }
    slips
}

/// Values that may be spelled in two ways, of which one was signed and the other sent.
fn spellings(account: &GatewayAccount, right: &FormDraft) -> Vec<Slip<FormDraft>> {
    let (identity, own) = account.identity();
    let charsets: &[&str] = &["utf-8", "UTF-8", "utf8", "UTF8", "gbk", "GBK", "gb2312", "GB2312"];
    let known: [(&str, &[&str]); 6] = [
        ("charset", charsets),
        ("_input_charset", charsets),
        ("format", &["json", "JSON", "xml"]),
        ("sign_type", &["RSA2", "RSA", "rsa2", "rsa", "MD5", "DSA"]),
        ("version", &["1.0", "1"]),
        (identity, &[own]),
    ];
    let mut slips = Vec::new();
    for (name, spellings) in known {
        let Some(sent) = value(&right.fields, name) else { continue };
        for spelling in spellings.iter().filter(|spelling| spelling.as_bytes() != sent) {
            let what = format!("`{name}` was signed as {spelling:?} and sent as {:?}", String::from_utf8_lossy(sent));
            let cause = Cause::new("value_changed_after_signing", what, "send the value that was signed");
            let (name, spelling) = (name.to_owned(), (*spelling).to_owned());
            slips.push(Slip::rare(cause, move |draft: &mut FormDraft| draft.set(name.as_bytes(), spelling.as_bytes())));
        }
    }
    slips
}

fn before_encryption(account: &GatewayAccount, sent: &str) -> Option<Slip<FormDraft>> {
    let GatewayAccount::OpenPlatform(account) = account else { return None };
    let plain = account.content_key.as_ref()?.decrypt(sent)?;
    let cause = Cause::new(
        "signed_before_encryption",
        "`biz_content` was signed as plain JSON and encrypted afterwards",
        "encrypt first, put the result into `biz_content`, add encrypt_type=AES, then sign",
    );
    Some(Slip::common(cause, move |draft: &mut FormDraft| draft.set(b"biz_content", &plain)))
}

/// Compares parameters, but for the signature itself.
fn compare(pasted: &[Field], ours: &[(String, Vec<u8>)]) -> Vec<Difference> {
    let mut differences = Vec::new();
    for (name, value) in ours {
        match pasted.iter().find(|field| field.name == name.as_bytes()) {
            Some(field) if field.value == *value => {}
            found => differences.push(Difference {
                name: name.clone(),
                pasted: found.map(|field| field.value.clone()),
                ours: Some(value.clone()),
            }),
        }
    }
    let is_ours = |field: &&Field| field.name == b"sign" || ours.iter().any(|(name, _)| name.as_bytes() == field.name);
    differences.extend(pasted.iter().filter(|field| !is_ours(field)).map(|field| Difference {
        name: String::from_utf8_lossy(&field.name).into_owned(),
        pasted: Some(field.value.clone()),
        ours: None,
    }));
    differences
}

fn value<'a>(fields: &'a [Field], name: &str) -> Option<&'a [u8]> {
    fields.iter().find(|field| field.name == name.as_bytes()).map(|field| field.value.as_slice())
}

impl Pasted {
    /// Says whether the request is of an account's protocol: v3 signs in a header.
    #[must_use]
    pub fn is_of(&self, account: &GatewayAccount) -> bool {
        let signs_header =
            matches!(account, GatewayAccount::OpenPlatform(OpenPlatformAccount { protocol: Protocol::V3, .. }));
        signs_header == self.header("authorization").is_some()
    }
}

fn sign_type(text: &[u8]) -> Option<SignType> {
    [SignType::Md5, SignType::Dsa, SignType::Rsa, SignType::Rsa2]
        .into_iter()
        .find(|known| known.as_str().as_bytes() == text)
}
