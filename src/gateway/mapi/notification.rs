//! Reading and verifying a mapi notification, version 2: what the gateway posts to one's own URL (protocol page:
//! Notifications of mapi).
//!
//! A library for whoever runs such a URL; the worker runs none, because the takedown calls name no `notify_url`.
//!
//! # How to receive one
//! 1. [`read`] the body. An `Err` is no notification; a verdict other than [`Signature::Valid`] is not the gateway's word.
//!    Neither is answered with `success`.
//! 2. Where it matters, ask the gateway whether the notification is its own: GET [`verify_url`], whose answer is
//!    [`GENUINE`]. It says so for about a minute after sending, and speaks of the id alone, not of the fields.
//! 3. Look the [`Notification::notify_id`] up. Deliveries repeat, and are the same notification only by this id: what has
//!    been seen is answered again and not acted upon again.
//! 4. Store it, id and all, and only then answer [`ACKNOWLEDGED`], as plain text and nothing else. After any other
//!    answer, or none, it is sent again: after 2, 10 and 10 minutes, then 1, 2, 6 and 15 hours. Keep ids for longer than
//!    the 25 hours that takes.
//!
//! ```
//! use takedown::domain::reply::Signature;
//! use takedown::gateway::mapi::notification::{ACKNOWLEDGED, read};
//! use takedown::signing::charset::Charset;
//! use takedown::signing::{DsaFormat, SignType, Verifier};
//!
//! # fn seen(_id: &str) -> bool { false }
//! # fn store(_fields: &[(String, String)]) {}
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let verifier = Verifier::load(SignType::Md5, "0123456789abcdef0123456789abcdef", DsaFormat::Der)?;
//! let body = b"notify_id=70fe&notify_type=goods_status_sync&notify_time=2011-08-07+11%3A08%3A32&goods_id=1\
//!     &sign=5bcb2a1aff5c5ab4b3db4d4ae40ae78b&sign_type=MD5";
//! let notification = read(&verifier, Charset::Gbk, body)?;
//! let answer = if notification.signature == Signature::Valid {
//!     if !seen(&notification.notify_id) {
//!         store(&notification.fields);
//!     }
//!     ACKNOWLEDGED
//! } else {
//!     "fail"
//! };
//! # assert_eq!(answer, "fail");
//! # Ok(())
//! # }
//! ```
//!
//! # What the signature is worth
//! It covers every field but `sign` and `sign_type`, joined as `name=value` by `&` with nothing escaped. One text can
//! therefore be cut into fields in several ways: whoever holds a genuine notification can hide a field in the value of
//! the one before it. A notification with such a value is [`Signature::Structure`]. The other way round cannot be seen:
//! a free text of the genuine notification that reads `x&name=y` can be cut in two. Act on ids and states, not on
//! fields you do not expect.

use std::collections::HashSet;
use std::fmt;

use url::Url;

use crate::domain::reply::Signature;
use crate::gateway::form;
use crate::gateway::http::Endpoint;
use crate::signing::Verifier;
use crate::signing::charset::Charset;

/// Largest notification read, in bytes (64 KiB); they have about two thousand.
pub const MAX_NOTIFICATION_BYTES: usize = 64 * 1024;

/// The whole of the answer that ends the deliveries of a notification.
pub const ACKNOWLEDGED: &str = "success";

/// The whole of the gateway's answer to [`verify_url`] where the notification is its own.
pub const GENUINE: &str = "true";

/// Fields that are not signed.
const UNSIGNED: [&str; 2] = ["sign", "sign_type"];

/// Fields that name the notification's charset; either may, and where none does the account's holds.
const CHARSETS: [&str; 2] = ["_input_charset", "charset"];

/// One notification, to be believed only together with its verdict.
#[derive(Clone, PartialEq, Eq)]
#[must_use]
pub struct Notification {
    /// Names the notification; each of its deliveries carries the same.
    pub notify_id: String,
    /// What it is about, such as `goods_status_sync`.
    pub notify_type: String,
    /// When it was sent, `yyyy-MM-dd HH:mm:ss` as the gateway wrote it; no source states the zone.
    pub notify_time: String,
    /// Every field but `sign` and `sign_type` in the order received, the three above and empty ones included.
    pub fields: Vec<(String, String)>,
    /// The charset the texts were read in: the one it names, else the account's.
    pub charset: Charset,
    /// [`Signature::Valid`], [`Signature::Invalid`], [`Signature::Unsigned`], or [`Signature::Structure`] where the
    /// signature fits a second notification too (see the [module's notes](self#what-the-signature-is-worth)).
    pub signature: Signature,
}

/// Fields may hold names and addresses of people, and the sign.
impl fmt::Debug for Notification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notification({} fields, {}, ***)", self.fields.len(), self.signature.as_str())
    }
}

/// Says why a body is no notification; the text holds no value and is safe to show.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotificationError {
    /// Longer than [`MAX_NOTIFICATION_BYTES`].
    #[error("the notification has {bytes} bytes, at most {MAX_NOTIFICATION_BYTES} are read")]
    TooLarge {
        /// Size found.
        bytes: usize,
    },
    /// Not the percent-encoding of a form; most often a body that something on the way has decoded already.
    #[error("byte {offset} is not percent-encoding: read the body as received, before anything decodes it")]
    Encoding {
        /// Offset of the first byte that does not fit.
        offset: usize,
    },
    /// A name that no field of the protocol has: not letters, digits, `_`, `-` and `.`, none at all, or beyond 64.
    #[error("field {position} has an odd name; names are at most 64 ASCII letters, digits, `_`, `-` and `.`")]
    Name {
        /// Which field, from 1.
        position: usize,
    },
    /// A field that stands there twice, so that two readers could take different values.
    #[error("field `{field}` appears twice")]
    Repeated {
        /// The field.
        field: String,
    },
    /// The notification names a charset that is none of the protocol's, or two different ones.
    #[error("field `{field}` names no charset of the protocol (utf-8, gbk, gb2312), or another than before")]
    Charset {
        /// The field.
        field: &'static str,
    },
    /// A value whose bytes are not of the notification's charset.
    #[error("field `{field}` is not {}; give the charset the gateway sends to this URL", .charset.as_str())]
    Text {
        /// The field.
        field: String,
        /// The charset it was read in.
        charset: Charset,
    },
    /// One of `notify_id`, `notify_type`, `notify_time` is absent or empty.
    #[error("field `{field}` is missing; is this a notification of mapi?")]
    Missing {
        /// The field.
        field: &'static str,
    },
}

/// A field with its value percent-decoded, still in the notification's charset.
struct Field<'a> {
    name: &'a str,
    bytes: Vec<u8>,
}

/// Reads a form body as received and judges its signature by the account's algorithm and the gateway's key.
///
/// `accepted` is the charset of a notification that names none: the one the account's requests are made in.
/// Pure: it asks nobody and remembers nothing.
///
/// # Errors
/// [`NotificationError`] where two readers could take the body for different notifications, or it is none. No repeat of
/// the same body can help; the gateway's own repeats will be the same.
pub fn read(verifier: &Verifier, accepted: Charset, body: &[u8]) -> Result<Notification, NotificationError> {
    if body.len() > MAX_NOTIFICATION_BYTES {
        return Err(NotificationError::TooLarge { bytes: body.len() });
    }
    let fields = split(body)?;
    let charset = declared(&fields)?.unwrap_or(accepted);
    let signature = verdict(verifier, &fields);
    let texts = fields.iter().filter(|field| !UNSIGNED.contains(&field.name)).map(|field| {
        let text = charset.decode(&field.bytes);
        let text = text.ok_or_else(|| NotificationError::Text { field: field.name.to_owned(), charset })?;
        Ok((field.name.to_owned(), text))
    });
    let fields = texts.collect::<Result<Vec<_>, _>>()?;
    let named = |name: &'static str| {
        let found = fields.iter().find(|(field, text)| field == name && !text.is_empty());
        found.map(|(_, text)| text.clone()).ok_or(NotificationError::Missing { field: name })
    };
    Ok(Notification {
        notify_id: named("notify_id")?,
        notify_type: named("notify_type")?,
        notify_time: named("notify_time")?,
        fields,
        charset,
        signature,
    })
}

/// Returns the address that says whether a notification is the gateway's own; it is not signed. To be asked at the
/// configured gateway, never at an address the notification names.
#[must_use]
pub fn verify_url(gateway: &Endpoint, partner: &str, notify_id: &str) -> Url {
    let pairs = [("service", "notify_verify"), ("partner", partner), ("notify_id", notify_id)];
    let address = form::address(gateway.url(), pairs, Charset::Utf8);
    let address = address.expect("invariant: UTF-8 holds every character");
    Url::parse(&address).expect("invariant: an address with a query is an address")
}

/// Cuts a form into its fields, each name once.
fn split(body: &[u8]) -> Result<Vec<Field<'_>>, NotificationError> {
    let mut fields: Vec<Field<'_>> = Vec::new();
    let mut names = HashSet::new();
    let mut from = 0;
    for pair in body.split(|byte| *byte == b'&') {
        let end = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let name = plain(&pair[..end]).ok_or(NotificationError::Name { position: fields.len() + 1 })?;
        let value = pair.get(end + 1..).unwrap_or_default();
        let bytes = decode(value).map_err(|at| NotificationError::Encoding { offset: from + end + 1 + at })?;
        if !names.insert(name) {
            return Err(NotificationError::Repeated { field: name.to_owned() });
        }
        fields.push(Field { name, bytes });
        from += pair.len() + 1;
    }
    Ok(fields)
}

/// A name such as fields have.
fn plain(name: &[u8]) -> Option<&str> {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"_-.".contains(byte);
    let name = Some(name).filter(|name| (1..=64).contains(&name.len()) && name.iter().all(is_plain))?;
    std::str::from_utf8(name).ok()
}

/// Undoes percent-encoding; `Err` is the offset of the first byte that does not fit.
fn decode(text: &[u8]) -> Result<Vec<u8>, usize> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'+' => bytes.push(b' '),
            b'%' => {
                let (Some(high), Some(low)) = (digit(at + 1), digit(at + 2)) else { return Err(at) };
                bytes.push((high << 4 | low) as u8);
                at += 2;
            }
            byte if byte.is_ascii_graphic() => bytes.push(*byte),
            _ => return Err(at),
        }
        at += 1;
    }
    Ok(bytes)
}

fn declared(fields: &[Field<'_>]) -> Result<Option<Charset>, NotificationError> {
    let mut charset = None;
    for name in CHARSETS {
        let Some(field) = fields.iter().find(|field| field.name == name && !field.bytes.is_empty()) else { continue };
        let found = std::str::from_utf8(&field.bytes).ok().and_then(Charset::from_label);
        if found.is_none() || charset.is_some_and(|before| Some(before) != found) {
            return Err(NotificationError::Charset { field: name });
        }
        charset = found;
    }
    Ok(charset)
}

/// Verifies the bytes as they came: no way through a text and back can change them, whatever a charset's tables say.
fn verdict(verifier: &Verifier, fields: &[Field<'_>]) -> Signature {
    let value = |name: &str| fields.iter().find(|field| field.name == name).map(|field| field.bytes.as_slice());
    let Some(sign) = value("sign").filter(|sign| !sign.is_empty()) else { return Signature::Unsigned };
    let Ok(sign) = std::str::from_utf8(sign) else { return Signature::Invalid };
    // The configured algorithm decides; a notification that names another is refused, not followed.
    let configured = verifier.sign_type().as_str().as_bytes();
    if value("sign_type").is_some_and(|named| !named.is_empty() && !named.eq_ignore_ascii_case(configured)) {
        return Signature::Invalid;
    }
    // With MD5 both sides hold one secret, so a request of ours that is sent back verifies as well. Every request carries
    // the name of its service, no notification does.
    if value("service").is_some() {
        return Signature::Invalid;
    }
    let is_signed = |field: &&Field<'_>| !UNSIGNED.contains(&field.name) && !field.bytes.is_empty();
    let mut signed: Vec<_> =
        fields.iter().filter(is_signed).map(|field| (field.name, field.bytes.as_slice())).collect();
    signed.sort_unstable();
    let canonical = signed.iter().map(|(name, bytes)| [name.as_bytes(), b"=", bytes].concat()).collect::<Vec<_>>();
    if !verifier.is_valid(&canonical.join(&b'&'), sign) {
        Signature::Invalid
    } else if (0..signed.len()).any(|at| hides_a_field(&signed[at..])) {
        Signature::Structure
    } else {
        Signature::Valid
    }
}

/// Says whether the first value holds what would be a field of its own, with a name that sorts into this place.
fn hides_a_field(signed: &[(&str, &[u8])]) -> bool {
    let [(name, bytes), rest @ ..] = signed else { return false };
    let pieces = bytes.split(|byte| *byte == b'&').skip(1);
    let mut hidden = pieces.filter_map(|piece| plain(&piece[..piece.iter().position(|byte| *byte == b'=')?]));
    hidden.any(|hidden| hidden > *name && rest.first().is_none_or(|(next, _)| hidden < *next))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::signing::{DsaFormat, SignType, Signer};

    const SECRET: &str = "td5test0secret0for0vectors0only0";

    /// Signs the canonical text that the fields, given in its order, come to.
    fn signed(fields: &[(&str, &str)]) -> String {
        let signer = Signer::load(SignType::Md5, SECRET, DsaFormat::Der).unwrap();
        let text = fields.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        let sign = signer.sign(text.as_bytes()).unwrap();
        form::encode(fields.iter().copied().chain([("sign", sign.as_str())]), Charset::Utf8).unwrap()
    }

    fn judged(body: &str) -> Signature {
        read(&verifier(), Charset::Utf8, body.as_bytes()).unwrap().signature
    }

    fn verifier() -> Verifier {
        Verifier::load(SignType::Md5, SECRET, DsaFormat::Der).unwrap()
    }

    const NOTIFY: [(&str, &str); 3] = [("notify_id", "7"), ("notify_time", "t"), ("notify_type", "s")];

    #[test]
    fn a_field_hidden_in_a_value_is_seen_although_the_signature_fits() {
        let [id, time, kind] = NOTIFY;
        let status = ("trade_status", "CLOSED");
        assert_eq!(judged(&signed(&[id, time, kind, status])), Signature::Valid);
        assert_eq!(judged(&signed(&[id, time, ("notify_type", "s&trade_status=CLOSED")])), Signature::Structure);
        // A free text with `&` in it is no such thing: nothing could be cut out of it that would sort into its place.
        for free in ["a&b", "a&b=c", "R&D=x&y", "&=", "a&zz"] {
            assert_eq!(judged(&signed(&[("memo", free), id, time, kind])), Signature::Valid, "{free}");
        }
        assert_eq!(judged(&signed(&[("memo", "a&n=c"), id, time, kind])), Signature::Structure);
    }

    #[test]
    fn a_request_sent_back_is_no_notification() {
        let [id, time, kind] = NOTIFY;
        assert_eq!(judged(&signed(&[id, time, kind, ("service", "sns.admin.close.goods")])), Signature::Invalid);
    }

    proptest! {
        #[test]
        fn fields_come_back_as_they_were_and_valid(
            values in proptest::collection::btree_map("x[a-z_.-]{0,6}", "[ -%'-~假\u{80}-\u{ffff}]{0,12}", 0..6),
        ) {
            let mut fields = NOTIFY.to_vec();
            fields.extend(values.iter().map(|(name, value)| (name.as_str(), value.as_str())));
            let kept: Vec<_> = fields.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
            let found = read(&verifier(), Charset::Utf8, signed(&kept).as_bytes()).unwrap();
            let expected: Vec<_> = kept.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            prop_assert_eq!(found.fields, expected);
            prop_assert_eq!(found.signature, Signature::Valid);
        }
    }
}
