//! How values were written when they were signed.

use std::fmt::Write as _;

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::draft::FormDraft;
use crate::gateway::diagnosis::pasted::{Field, decoded};
use crate::gateway::diagnosis::search::Slip;
use crate::signing::charset::Charset;

/// Returns the slips; `charset` is the one the values travelled in.
pub(in crate::gateway::diagnosis) fn slips(charset: Charset) -> Vec<Slip<FormDraft>> {
    let mut slips = charsets(charset);
    slips.extend(escapes());
    slips.push(trimmed());
    slips
}

fn each(cause: Cause, change: fn(&[u8]) -> Vec<u8>) -> Slip<FormDraft> {
    Slip::common(cause, move |draft: &mut FormDraft| draft.values(|field| Some(change(&field.value))))
}

fn charsets(wire: Charset) -> Vec<Slip<FormDraft>> {
    let remedy = "sign the bytes of the charset the request declares and sends";
    let recode = |(from, to): (Charset, Charset)| {
        let what = format!("the signed bytes are {}, those sent are {}", to.as_str(), from.as_str());
        let change = move |field: &Field| to.encode(&from.decode(&field.value)?).ok();
        Slip::common(Cause::new("signed_in_another_charset", what, remedy), move |draft: &mut FormDraft| {
            draft.values(change);
        })
    };
    let ways = [(Charset::Utf8, Charset::Gbk), (Charset::Gbk, Charset::Utf8)];
    let mut slips: Vec<_> = ways.into_iter().map(recode).collect();
    let marks = move |field: &Field| {
        let text = wire.decode(&field.value)?;
        Some(text.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect())
    };
    let what = "characters beyond ASCII were signed as `?`: the text was encoded in a charset that lacks them";
    slips.push(Slip::rare(Cause::new("signed_question_marks", what, remedy), move |draft: &mut FormDraft| {
        draft.values(marks);
    }));
    let garbled = move |field: &Field| {
        (!field.value.is_ascii())
            .then(|| field.value.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes())
    };
    let what = "the signed text was garbled: bytes were read as Latin-1 and encoded in utf-8 once more";
    slips.push(Slip::rare(Cause::new("signed_garbled", what, remedy), move |draft: &mut FormDraft| {
        draft.values(garbled);
    }));
    slips
}

fn escapes() -> Vec<Slip<FormDraft>> {
    let remedy = "sign the plain values first, percent-encode them afterwards for the wire";
    let encoded = || Cause::new("values_percent_encoded", "the values were percent-encoded before signing", remedy);
    let raw = |draft: &mut FormDraft| draft.values(|field| Some(field.raw.clone()));
    let twice = "values were percent-encoded twice on the wire: the gateway decodes once and still finds %XX";
    let twice = Cause::new(
        "values_encoded_twice",
        twice,
        "percent-encode once; let either your code or the HTTP library do it",
    );
    let html = "values were HTML-escaped (&amp; &lt; &quot;) before signing";
    let html = Cause::new("values_html_escaped", html, "sign the plain values; nothing in this protocol is HTML");
    let amp = "the separators on the wire are `&amp;` instead of `&`, so that names begin with `amp;`";
    let amp = Cause::new(
        "separators_html_escaped",
        amp,
        "take the URL from code, not from a page; the separator is a bare `&`",
    );
    let plus = "a `+` was signed where the gateway finds a space: it travelled unescaped, or a space was escaped before signing";
    let plus =
        Cause::new("space_signed_as_plus", plus, "sign the plain values; in a query or form a `+` is written %2B");
    vec![
        Slip::common(encoded(), raw),
        each(encoded(), |value| escaped(value, b"-._*", Plus::Space, "0123456789ABCDEF")),
        each(encoded(), |value| escaped(value, b"-._~", Plus::Escape, "0123456789ABCDEF")),
        each(encoded(), |value| escaped(value, b"-_.!~*'()", Plus::Escape, "0123456789ABCDEF")),
        each(encoded(), |value| escaped(value, b"-_.!*()", Plus::Space, "0123456789abcdef")),
        each(encoded(), |value| escaped(value, b"-._~", Plus::Escape, "0123456789abcdef")),
        each(twice, decoded),
        each(html, html_escaped),
        Slip::common(amp, |draft: &mut FormDraft| {
            for field in &mut draft.fields {
                if let Some(name) = field.name.strip_prefix(b"amp;") {
                    field.name = name.to_vec();
                }
            }
            let is_sign = |field: &Field| field.name == b"sign";
            draft.fields.retain(|field| !is_sign(field));
        }),
        Slip::rare(plus, |draft: &mut FormDraft| {
            draft.values(|field| {
                Some(field.value.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect())
            });
        }),
    ]
}

/// How a space is escaped.
enum Plus {
    /// As `+`.
    Space,
    /// As `%20`.
    Escape,
}

fn escaped(value: &[u8], bare: &[u8], plus: Plus, digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes();
    let mut text = Vec::with_capacity(value.len() * 3);
    for byte in value {
        match (byte, &plus) {
            (b' ', Plus::Space) => text.push(b'+'),
            (byte, _) if byte.is_ascii_alphanumeric() || bare.contains(byte) => text.push(*byte),
            (byte, _) => text.extend([b'%', digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]),
        }
    }
    text
}

fn html_escaped(value: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    for byte in value {
        match byte {
            b'&' => text.extend_from_slice(b"&amp;"),
            b'<' => text.extend_from_slice(b"&lt;"),
            b'>' => text.extend_from_slice(b"&gt;"),
            b'"' => text.extend_from_slice(b"&quot;"),
            other => text.push(*other),
        }
    }
    text
}

fn trimmed() -> Slip<FormDraft> {
    let what = "the values were trimmed before signing, and sent with their white space";
    let remedy = "sign the value exactly as it is sent, white space included";
    each(Cause::new("values_trimmed", what, remedy), |value| value.trim_ascii().to_vec())
}

/// Returns slips about one value that was escaped before signing, the others not.
pub(in crate::gateway::diagnosis) fn escaped_alone(right: &FormDraft) -> Vec<Slip<FormDraft>> {
    let mut slips = Vec::new();
    for field in right.fields.iter().filter(|field| !right.left_out.contains(&field.name)) {
        let name = String::from_utf8_lossy(&field.name).into_owned();
        let ways = [
            escaped(&field.value, b"-._*", Plus::Space, "0123456789ABCDEF"),
            escaped(&field.value, b"-_.!~*'()", Plus::Escape, "0123456789ABCDEF"),
        ];
        for value in ways.into_iter().filter(|value| *value != field.value) {
            let what = format!("`{name}` was percent-encoded before signing");
            let remedy = "sign the plain value first, percent-encode it afterwards for the wire";
            let cause = Cause::new("value_percent_encoded", what, remedy);
            let parameter = field.name.clone();
            slips.push(Slip::rare(cause, move |draft: &mut FormDraft| draft.set(&parameter, &value)));
        }
    }
    slips
}

/// Returns slips about the white space around one value that was there when it was signed.
pub(in crate::gateway::diagnosis) fn lost_spaces(right: &FormDraft) -> Vec<Slip<FormDraft>> {
    let mut slips = Vec::new();
    for field in right.fields.iter().filter(|field| !right.left_out.contains(&field.name)) {
        let name = String::from_utf8_lossy(&field.name).into_owned();
        let around: [(&str, &[u8], &[u8]); 4] = [
            ("a space behind it", b"", b" "),
            ("a space before it", b" ", b""),
            ("a line feed behind it", b"", b"\n"),
            ("a line end (CR LF) behind it", b"", b"\r\n"),
        ];
        for (where_, before, after) in around {
            let mut what = String::new();
            write!(what, "`{name}` was signed with {where_}, and sent without").expect("invariant: a String takes all");
            let cause = Cause::new("value_changed_after_signing", what, "trim the value before signing, not after");
            let (parameter, value) = (field.name.clone(), [before, &field.value, after].concat());
            slips.push(Slip::rare(cause, move |draft: &mut FormDraft| draft.set(&parameter, &value)));
        }
    }
    slips
}
