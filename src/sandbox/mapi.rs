//! `sns.admin.close.goods` as the gateway plays it: checks the request, answers in XML.
//!
//! A success is signed over the children of `<goods>`; a refusal is unsigned and declares a charset of the sandbox's
//! settings (protocol page: mapi, Verification). Order of the checks: form, partner, algorithm, service, signature,
//! arguments, administrator. Promise: nothing but an authentic, complete request reaches an item.

use std::fmt::Write as _;

use hyper::StatusCode;
use sha2::{Digest, Sha256};

use crate::sandbox::MapiPartner;
use crate::sandbox::form::{Form, FormError, RawForm};
use crate::sandbox::page::{Page, Spoken, encode};
use crate::sandbox::state::{Refusal, Say, Seal, State};
use crate::signing::charset::Charset;
use crate::signing::{SignType, SigningError};

/// Path of the gateway.
pub const PATH: &str = "/cooperate/gateway.do";
const SERVICE: &str = "sns.admin.close.goods";
const CHARSET: &str = "_input_charset";

/// Longest values in characters, and which must be there (request table of the interface document; its 100 for `sign`
/// is too short for RSA and not enforced, its unit is not stated).
const ARGUMENTS: [(&str, usize, Presence); 5] = [
    (CHARSET, 6, Presence::Required),
    ("sns_user_id", 50, Presence::Required),
    ("key", 40, Presence::Required),
    ("close_reason", 250, Presence::Optional),
    ("goods_id", 25, Presence::Optional),
];

#[derive(Clone, Copy, PartialEq)]
enum Presence {
    Required,
    Optional,
}

/// Answers one request.
pub(super) fn respond(state: &State, raw: &RawForm) -> Result<Spoken, SigningError> {
    let refused = |item: String, code: &'static str| Spoken {
        item,
        answered: code,
        turn: None,
        page: failure(code, state.mapi_failure_charset),
    };
    // Without a charset in the query the gateway reads GBK, whatever the body says (protocol page: On the wire).
    let charset = raw.in_query(CHARSET).map_or(Some(Charset::Gbk), |label| Charset::from_label(&label));
    let Some(charset) = charset else { return Ok(refused(String::new(), "ILLEGAL_CHARSET")) };
    let form = match raw.read(charset, CHARSET) {
        Ok(form) => form,
        Err(FormError::Undecodable) => return Ok(refused(String::new(), "ILLEGAL_SIGN")),
        Err(FormError::Repeated) => return Ok(refused(String::new(), "ILLEGAL_ARGUMENT")),
    };
    let item = item(&form);
    let partner = match check(state, &form) {
        Ok(partner) => partner,
        Err(code) => return Ok(refused(item, code)),
    };
    let turn = state.play(&partner.partner, &item);
    let (answered, page) = match turn.say {
        Say::Success(seal) => ("T", success(partner, &form, &item, seal, turn.charset(charset))?),
        Say::Refusal(refusal) => {
            let code = code(refusal);
            (code, failure(code, turn.charset(state.mapi_failure_charset)))
        }
        // mapi has no code for it; HTTP's own is the honest guess (protocol page: Result codes).
        Say::Throttled => ("429", Page::text(StatusCode::TOO_MANY_REQUESTS, "too many requests")),
        Say::Garbage => ("garbage", Page::garbage()),
        Say::Silence | Say::Reset => ("", Page::text(StatusCode::OK, "")),
    };
    Ok(Spoken { item, answered, turn: Some(turn), page })
}

fn check<'a>(state: &'a State, form: &Form) -> Result<&'a MapiPartner, &'static str> {
    let partner = form.get("partner").and_then(|id| state.partners.iter().find(|known| known.partner == id));
    let partner = partner.ok_or("ILLEGAL_PARTNER")?;
    let sign_type = form.get("sign_type").unwrap_or_default();
    if ![SignType::Md5, SignType::Rsa, SignType::Dsa].iter().any(|known| known.as_str() == sign_type) {
        return Err("ILLEGAL_SIGN_TYPE");
    }
    if sign_type != partner.request_verifier.sign_type().as_str() {
        return Err("ILLEGAL_SECURITY_PROFILE");
    }
    if form.get("service") != Some(SERVICE) {
        return Err("ILLEGAL_SERVICE");
    }
    let signed = form.canonical(&["sign", "sign_type"]);
    if !form.get("sign").is_some_and(|sign| partner.request_verifier.is_valid(&signed, sign)) {
        return Err("ILLEGAL_SIGN");
    }
    let is_well_formed = |(name, longest, presence): &(&str, usize, Presence)| match form.get(name) {
        Some(value) => value.chars().count() <= *longest,
        None => *presence == Presence::Optional,
    };
    if form.has_empty() || !ARGUMENTS.iter().all(is_well_formed) {
        return Err("ILLEGAL_ARGUMENT");
    }
    let administrator = form.get("sns_user_id").unwrap_or_default();
    match partner.administrators.iter().find(|(name, _)| name == administrator) {
        None if partner.administrators.is_empty() => Ok(partner),
        None => Err("NO_AUTHORIZE_ACCOUNT"),
        Some((_, key)) if form.get("key") == Some(key.expose()) => Ok(partner),
        Some(_) => Err("ILLEGAL_USER_KEY"),
    }
}

/// The goods named, or sixteen digits that stand for administrator and reason: all that such a call tells apart.
fn item(form: &Form) -> String {
    if let Some(goods_id) = form.get("goods_id") {
        return goods_id.to_owned();
    }
    let mut hash = Sha256::new();
    for name in ["sns_user_id", "close_reason"] {
        hash.update(form.get(name).unwrap_or_default().as_bytes());
        hash.update([0]);
    }
    let number = hash.finalize()[..8].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    format!("9{:015}", number % 1_000_000_000_000_000)
}

fn code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::NotOnSale => "ILLEGAL_GOODS_STATUS",
        Refusal::Missing => "GOODS_NOT_EXIST",
        Refusal::Forbidden => "ILLEGAL_ARGUMENT",
        Refusal::SystemError => "SYSTEM_ERROR",
        Refusal::Unlisted => "SANDBOX_UNLISTED",
        Refusal::IllegalSign => "ILLEGAL_SIGN",
    }
}

fn success(
    partner: &MapiPartner,
    form: &Form,
    goods_id: &str,
    seal: Seal,
    charset: Charset,
) -> Result<Page, SigningError> {
    let plain = format!("goods_id={goods_id}");
    // Goods whose id GBK cannot hold stay in UTF-8: there is no such thing as signing a character reference.
    let (charset, mut signed) = match charset.encode(&plain) {
        Ok(signed) => (charset, signed),
        Err(_) => (Charset::Utf8, plain.into_bytes()),
    };
    let mut xml = head(charset);
    xml.push_str("<alipay><is_success>T</is_success><request>");
    for (name, value) in form.iter() {
        write_to(&mut xml, format_args!("<param name=\"{}\">{}</param>", escape(&name), escape(value)));
    }
    let goods = escape(goods_id);
    write_to(&mut xml, format_args!("</request><response><goods><goods_id>{goods}</goods_id></goods></response>"));
    if seal == Seal::Wrong {
        signed.push(b' ');
    }
    if seal != Seal::Unsigned {
        let sign = partner.answer_signer.sign(&signed)?;
        let sign_type = partner.answer_signer.sign_type();
        write_to(&mut xml, format_args!("<sign>{sign}</sign><sign_type>{sign_type}</sign_type>"));
    }
    xml.push_str("</alipay>");
    Ok(page(charset, &xml))
}

fn failure(code: &str, charset: Charset) -> Page {
    page(charset, &format!("{}<alipay><is_success>F</is_success><error>{code}</error></alipay>", head(charset)))
}

fn page(charset: Charset, xml: &str) -> Page {
    Page::ok("text/xml", charset, encode(charset, xml, |character| format!("&#{};", u32::from(character))))
}

fn head(charset: Charset) -> String {
    let name = match charset {
        Charset::Utf8 => "utf-8",
        Charset::Gbk => "GBK",
        Charset::Gb2312 => "GB2312",
    };
    format!("<?xml version=\"1.0\" encoding=\"{name}\"?>")
}

/// Escapes text; control characters that XML 1.0 cannot hold are left out.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\t' | '\n' | '\r' => write_to(&mut escaped, format_args!("&#{};", u32::from(character))),
            '\0'..'\u{20}' | '\u{fffe}' | '\u{ffff}' => {}
            other => escaped.push(other),
        }
    }
    escaped
}

fn write_to(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("invariant: writing to a String never fails");
}
