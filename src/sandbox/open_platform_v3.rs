//! The same operation by protocol v3: checks what the headers say of the request, signs the answer in headers.
//!
//! Codes are those of version 1.0 without their first part. What the gateway refuses by itself comes unsigned, what its
//! business says is signed, so that a rehearsal meets both. Order of the checks: header form, app, algorithm, method and
//! encryption, timestamp, signature, nonce, certificate numbers, token, body. Promise: nothing but an authentic, complete
//! request reaches an item, and none of them twice.

use std::time::{Duration, UNIX_EPOCH};

use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap};
use hyper::{Method, StatusCode};

use crate::sandbox::App;
use crate::sandbox::nonces::Nonce;
use crate::sandbox::open_platform::{Business, Code, TOLERANCE, code, sub_message};
use crate::sandbox::page::{Page, Spoken};
use crate::sandbox::state::{Refusal, Say, Seal, State, Turn};
use crate::signing::content::ContentKey;
use crate::signing::{SignType, SigningError};

/// Path of the operation.
pub const PATH: &str = "/v3/alipay/open/servicemarket/commodity/shop/offline";
const SCHEME: &str = "ALIPAY-SHA256withRSA ";

/// A request as it came off the wire.
pub(super) struct RawCall<'a> {
    pub(super) method: &'a Method,
    /// Path and query.
    pub(super) target: &'a str,
    pub(super) headers: &'a HeaderMap,
    pub(super) body: &'a [u8],
}

/// What the `Authorization` header says.
struct Authorization<'a> {
    /// All of it that is signed.
    text: &'a str,
    sign: &'a str,
}

/// A refusal: the code and the HTTP status it comes under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Refused(&'static str, StatusCode);

/// Answers one request.
pub(super) fn respond(state: &State, call: &RawCall<'_>) -> Result<Spoken, SigningError> {
    let (app, item) = match check(state, call) {
        Ok((app, business)) => (app, business.label()),
        Err(Refused(code, status)) => {
            let item = call.business(None).map(|business| business.label()).unwrap_or_default();
            return Ok(Spoken { item, answered: code, turn: None, page: error(code, status) });
        }
    };
    let turn = state.play(&app.app_id, &item);
    let (answered, page) = match turn.say {
        Say::Success(seal) => ("200", sealed(state, app, &turn, Page::json(StatusCode::OK, "{}"), seal)?),
        Say::Refusal(refusal) => {
            let code = bare(code(refusal));
            let status = match refusal {
                Refusal::SystemError => StatusCode::INTERNAL_SERVER_ERROR,
                Refusal::NotOnSale
                | Refusal::Missing
                | Refusal::Forbidden
                | Refusal::Unlisted
                | Refusal::IllegalSign => StatusCode::BAD_REQUEST,
            };
            (code, sealed(state, app, &turn, error(code, status), Seal::Signed)?)
        }
        Say::Throttled => {
            let code = "app-call-limited";
            (code, error(code, StatusCode::TOO_MANY_REQUESTS))
        }
        Say::Garbage => ("garbage", Page::garbage()),
        Say::Silence | Say::Reset => ("", Page::text(StatusCode::OK, "")),
    };
    Ok(Spoken { item, answered, turn: Some(turn), page })
}

fn check<'a>(state: &'a State, call: &RawCall<'_>) -> Result<(&'a App, Business), Refused> {
    let refused = |code| Refused(code, StatusCode::BAD_REQUEST);
    let hold = |rule: bool, code| if rule { Ok(()) } else { Err(refused(code)) };

    let authorization = Authorization::read(call)?;
    let id = authorization.get("app_id").ok_or(refused("missing-app-id"))?;
    let app = state.apps.iter().find(|app| app.app_id == id).ok_or(refused("invalid-app-id"))?;
    hold(app.request_verifier.sign_type() == SignType::Rsa2, "missing-signature-config")?;
    hold(call.method == Method::POST, "invalid-http-method")?;
    let encrypt_type = call.header("alipay-encrypt-type")?;
    let expected = if app.content_key.is_some() {
        let encrypt_type = encrypt_type.ok_or(refused("decryption-error-missing-encrypt-type"))?;
        hold(encrypt_type == "AES", "decryption-error-not-valid-encrypt-type")?;
        "text/plain"
    } else {
        hold(encrypt_type.is_none(), "decryption-error-not-valid-encrypt-key")?;
        "application/json"
    };
    let content_type = call.header(CONTENT_TYPE.as_str())?.unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    hold(essence.eq_ignore_ascii_case(expected), "invalid-content-type")?;
    let timestamp = authorization.get("timestamp").ok_or(refused("missing-timestamp"))?;
    hold(is_timely(state, timestamp), "invalid-timestamp")?;

    let token = call.header("alipay-app-auth-token")?;
    hold(app.request_verifier.is_valid(&call.signed(authorization.text, token), authorization.sign), INVALID)?;
    // The document knows no code for a nonce that is missing or was seen; this one holds the caller's account.
    let nonce = authorization.get("nonce").ok_or(refused(INVALID))?;
    hold(state.nonces.take(nonce, state.now()) == Nonce::New, INVALID)?;

    let (own, root) = (authorization.get("app_cert_sn"), call.header("alipay-root-cert-sn")?);
    hold(own.is_some() || root.is_none(), "missing-app-cert-sn")?;
    hold(root.is_some() || own.is_none(), "missing-alipay-root-cert-sn")?;
    if let Some(certificates) = &app.certificates {
        let (own, root) =
            (own.ok_or(refused("missing-app-cert-sn"))?, root.ok_or(refused("missing-alipay-root-cert-sn"))?);
        hold(own == certificates.app && root == certificates.root, "missing-signature-config")?;
    }
    hold(call.header("alipay-request-id")?.is_some(), "invalid-request-data")?;
    let is_known = |token: &str| app.tokens.is_empty() || app.tokens.iter().any(|known| known.expose() == token);
    if !token.is_none_or(is_known) {
        return Err(Refused("invalid-app-auth-token", StatusCode::UNAUTHORIZED));
    }
    Ok((app, call.business(app.content_key.as_ref())?))
}

const INVALID: &str = "invalid-signature";

impl<'a> RawCall<'a> {
    /// A header must be plain text and stand there once; an empty one counts as absent.
    fn header(&self, name: &str) -> Result<Option<&'a str>, Refused> {
        let refused = Refused(INVALID, StatusCode::BAD_REQUEST);
        let mut values = self.headers.get_all(name).iter();
        let (first, second) = (values.next(), values.next());
        let text = first.map(|value| value.to_str().map_err(|_| refused)).transpose()?;
        if second.is_some() { Err(refused) } else { Ok(text.filter(|text| !text.is_empty())) }
    }

    fn business(&self, key: Option<&ContentKey>) -> Result<Business, Refused> {
        let text = std::str::from_utf8(self.body).unwrap_or_default();
        let text = match key {
            None => text.to_owned(),
            Some(key) => {
                let plain = key.decrypt(text).and_then(|plain| String::from_utf8(plain).ok());
                plain.ok_or(Refused("invalid-encrypt", StatusCode::BAD_REQUEST))?
            }
        };
        Business::read(&text).map_err(|code| Refused(bare(code), StatusCode::BAD_REQUEST))
    }

    fn signed(&self, authorization: &str, token: Option<&str>) -> Vec<u8> {
        let mut bytes = Vec::new();
        let lines = [authorization.as_bytes(), self.method.as_str().as_bytes(), self.target.as_bytes(), self.body];
        for line in lines.into_iter().chain(token.map(str::as_bytes)) {
            bytes.extend_from_slice(line);
            bytes.push(b'\n');
        }
        bytes
    }
}

impl<'a> Authorization<'a> {
    fn read(call: &RawCall<'a>) -> Result<Self, Refused> {
        let refused = |code| Refused(code, StatusCode::UNAUTHORIZED);
        let header = call.header(AUTHORIZATION.as_str())?.ok_or(refused("missing-signature"))?;
        let parts = header.strip_prefix(SCHEME).ok_or(refused("invalid-signature-type"))?;
        let (text, sign) = parts.rsplit_once(",sign=").ok_or(refused("missing-signature"))?;
        Ok(Self { text, sign })
    }

    /// The order of the parts is not fixed; one that stands there twice counts as absent.
    fn get(&self, name: &str) -> Option<&'a str> {
        let mut values = self.text.split(',').filter_map(|part| part.split_once('=')).filter(|(n, _)| *n == name);
        let first = values.next().filter(|_| values.next().is_none());
        first.map(|(_, value)| value).filter(|value| !value.is_empty())
    }
}

/// Milliseconds since 1970, in plain digits.
fn is_timely(state: &State, timestamp: &str) -> bool {
    let is_exact = timestamp.bytes().all(|byte| byte.is_ascii_digit()) && timestamp.len() == 13;
    let Ok(millis) = timestamp.parse() else { return false };
    let (time, now) = (UNIX_EPOCH + Duration::from_millis(millis), state.now());
    let apart = now.duration_since(time).or_else(|_| time.duration_since(now)).unwrap_or_default();
    is_exact && apart <= TOLERANCE
}

/// A code of version 1.0 as v3 has it.
fn bare(Code(_, sub_code): Code) -> &'static str {
    sub_code.trim_start_matches("isv.").trim_start_matches("aop.")
}

fn error(code: &str, status: StatusCode) -> Page {
    let message = sub_message(code);
    let links = "[{\"link\":\"https://open.example.test/errCheck\",\"desc\":\"解决方案\"}]";
    Page::json(status, &format!("{{\"code\":\"{code}\",\"message\":\"{message}\",\"links\":{links}}}"))
}

/// Encrypts a page where the app has that switched on, and signs it in its headers.
fn sealed(state: &State, app: &App, turn: &Turn, mut page: Page, seal: Seal) -> Result<Page, SigningError> {
    if let Some(key) = &app.content_key {
        let cipher = key.encrypt(&page.body).expect("invariant: AES encrypts any text with a key of 16 bytes");
        page.body = cipher.into_bytes();
        page.content_type = "text/plain;charset=utf-8".to_owned();
    }
    let millis = state.now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let nonce = format!("{:032x}", rand::random::<u128>());
    let mut signed = [format!("{millis}\n{nonce}\n").as_bytes(), &page.body, b"\n"].concat();
    if seal == Seal::Wrong {
        signed.push(b' ');
    }
    page.headers = vec![
        ("alipay-timestamp", millis.to_string()),
        ("alipay-nonce", nonce),
        ("alipay-trace-id", format!("{:032x}", rand::random::<u128>())),
    ];
    if seal != Seal::Unsigned {
        page.headers.push(("alipay-signature", app.answer_signer.sign(&signed)?));
        let number = app.certificates.as_ref().map(|certificates| turn.certificate(&certificates.gateway));
        page.headers.extend(number.map(|number| ("alipay-sn", number.to_owned())));
    }
    Ok(page)
}
