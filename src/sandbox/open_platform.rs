//! `alipay.open.servicemarket.commodity.shop.offline` as the gateway plays it: checks the request, answers in JSON.
//!
//! Every answer is signed over its raw node, but for those to an app that cannot be identified; all are in the
//! request's charset (protocol page: Open Platform, Answer). Order of the checks: charset, form, app, method,
//! algorithm, protocol fields, timestamp, certificates, signature, encryption, token, business content. To an app with a content key the
//! business answers encrypted, while a refusal of the gateway itself comes plain; to one without certificates their
//! numbers pass as any other signed parameter. Promise: nothing but an authentic, complete request reaches an item.

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::Offset;
use serde::Deserialize;

use crate::sandbox::App;
use crate::sandbox::form::{Form, FormError, RawForm};
use crate::sandbox::page::{Page, Spoken, encode};
use crate::sandbox::state::{Refusal, Say, Seal, State};
use crate::signing::charset::Charset;
use crate::signing::content::ContentKey;
use crate::signing::{SignType, SigningError};

/// Path of the gateway.
pub const PATH: &str = "/gateway.do";
const METHOD: &str = "alipay.open.servicemarket.commodity.shop.offline";
const NODE: &str = "alipay_open_servicemarket_commodity_shop_offline_response";
const ERROR_NODE: &str = "error_response";

/// How far a timestamp may be from now; the real figure is not published (protocol page: Open points).
pub(super) const TOLERANCE: Duration = Duration::from_secs(600);
const ID_LENGTH: usize = 32;

/// `code` and `sub_code` of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Code(pub(super) &'static str, pub(super) &'static str);

const SUCCESS: Code = Code("10000", "");
const PARAMS_ERROR: Code = Code("40004", "PARAMS_ERROR");

/// The business parameters.
#[derive(Deserialize)]
pub(super) struct Business {
    #[serde(default)]
    commodity_id: String,
    #[serde(default)]
    shop_id: String,
}

/// Answers one request.
pub(super) fn respond(state: &State, raw: &RawForm) -> Result<Spoken, SigningError> {
    let unread = |code: Code| {
        let page = Document::to(None, ERROR_NODE, Charset::Utf8).page(code, Seal::Unsigned)?;
        Ok(Spoken { item: String::new(), answered: code.1, turn: None, page })
    };
    let Some(charset) = raw.in_query("charset").and_then(|label| Charset::from_label(&label)) else {
        return unread(Code("40002", "isv.invalid-charset"));
    };
    let form = match raw.read(charset, "charset") {
        Ok(form) => form,
        Err(FormError::Undecodable) => return unread(Code("40002", "isv.invalid-signature")),
        Err(FormError::Repeated) => return unread(Code("40002", "isv.invalid-parameter")),
    };
    let identified = identify(state, &form);
    let key = identified.as_ref().ok().and_then(|app| app.content_key.as_ref());
    let item = business(&form, key, charset).map(|business| business.label()).unwrap_or_default();
    let node = if form.get("method") == Some(METHOD) { NODE } else { ERROR_NODE };
    let app = match identified {
        Ok(app) => app,
        Err(code) => {
            let page = Document::to(None, node, charset).page(code, Seal::Unsigned)?;
            return Ok(Spoken { item, answered: code.1, turn: None, page });
        }
    };
    if let Err(code) = check(state, app, &form, charset) {
        let page = Document::to(Some(app), node, charset).page(code, Seal::Signed)?;
        return Ok(Spoken { item, answered: code.1, turn: None, page });
    }
    let turn = state.play(&app.app_id, &item);
    let mut document = Document::to(Some(app), NODE, turn.charset(charset));
    document.content_key = app.content_key.as_ref();
    document.certificate = document.certificate.map(|number| turn.certificate(number));
    let (answered, page) = match turn.say {
        Say::Success(seal) => (SUCCESS.0, document.page(SUCCESS, seal)?),
        Say::Refusal(refusal) => {
            let code = code(refusal);
            (code.1, document.page(code, Seal::Signed)?)
        }
        Say::Throttled => {
            let code = Code("40005", "isv.app-call-limited");
            (code.1, document.page(code, Seal::Signed)?)
        }
        Say::Garbage => ("garbage", Page::garbage()),
        Say::Silence | Say::Reset => ("", Page::text(hyper::StatusCode::OK, "")),
    };
    Ok(Spoken { item, answered, turn: Some(turn), page })
}

fn identify<'a>(state: &'a State, form: &Form) -> Result<&'a App, Code> {
    let id = form.get("app_id").ok_or(Code("40001", "isv.missing-app-id"))?;
    state.apps.iter().find(|app| app.app_id == id).ok_or(Code("40002", "isv.invalid-app-id"))
}

fn check(state: &State, app: &App, form: &Form, charset: Charset) -> Result<(), Code> {
    let need = |name: &str, code: &'static str| form.get(name).ok_or(Code("40001", code));
    let hold = |rule: bool, code: &'static str| if rule { Ok(()) } else { Err(Code("40002", code)) };

    hold(need("method", "isv.missing-method")? == METHOD, "isv.invalid-method")?;
    let sign_type = need("sign_type", "isv.missing-signature-type")?;
    hold([SignType::Rsa, SignType::Rsa2].iter().any(|t| t.as_str() == sign_type), "isv.invalid-signature-type")?;
    hold(sign_type == app.request_verifier.sign_type().as_str(), "isv.missing-signature-config")?;
    hold(form.get("format").is_none_or(|format| format.eq_ignore_ascii_case("json")), "isv.invalid-format")?;
    hold(need("version", "isv.missing-version")? == "1.0", "isv.invalid-parameter")?;
    hold(is_timely(state, need("timestamp", "isv.missing-timestamp")?), "isv.invalid-timestamp")?;
    if let Some(certificates) = &app.certificates {
        let (app, root) = (
            need("app_cert_sn", "isv.missing-app-cert-sn")?,
            need("alipay_root_cert_sn", "isv.missing-alipay-root-cert-sn")?,
        );
        hold(app == certificates.app && root == certificates.root, "isv.missing-signature-config")?;
    }
    let sign = need("sign", "isv.missing-signature")?;
    hold(app.request_verifier.is_valid(&form.canonical(&["sign"]), sign), "isv.invalid-signature")?;

    hold(!form.has_empty(), "isv.invalid-parameter")?;
    if app.content_key.is_some() {
        let encrypt_type = need("encrypt_type", "isv.decryption-error-missing-encrypt-type")?;
        hold(encrypt_type == "AES", "isv.decryption-error-not-valid-encrypt-type")?;
    } else {
        hold(form.get("encrypt_type").is_none(), "isv.decryption-error-not-valid-encrypt-key")?;
    }
    let is_known = |token: &str| app.tokens.is_empty() || app.tokens.iter().any(|known| known.expose() == token);
    if !form.get("app_auth_token").is_none_or(is_known) {
        return Err(Code("20001", "aop.invalid-app-auth-token"));
    }
    business(form, app.content_key.as_ref(), charset).map(drop)
}

/// Reads `yyyy-MM-dd HH:mm:ss`, which is in GMT+8 whatever the caller's zone.
fn is_timely(state: &State, timestamp: &str) -> bool {
    let Ok(time) = DateTime::strptime("%Y-%m-%d %H:%M:%S", timestamp) else { return false };
    // Written back, a timestamp with a digit too few or a blank too many is another text.
    let is_exact = time.strftime("%Y-%m-%d %H:%M:%S").to_string() == timestamp;
    let Ok(time) = Offset::constant(8).to_timestamp(time) else { return false };
    let Ok(now) = jiff::Timestamp::try_from(state.now()) else { return false };
    is_exact && now.duration_since(time).unsigned_abs() <= TOLERANCE
}

fn business(form: &Form, key: Option<&ContentKey>, charset: Charset) -> Result<Business, Code> {
    let content = form.get("biz_content").ok_or(PARAMS_ERROR)?;
    let Some(key) = key else { return Business::read(content) };
    let plain = key.decrypt(content).and_then(|bytes| charset.decode(&bytes));
    Business::read(&plain.ok_or(Code("40002", "isv.invalid-encrypt"))?)
}

impl Business {
    /// Reads and checks the JSON.
    pub(super) fn read(content: &str) -> Result<Self, Code> {
        // A derived reader takes a list for an object.
        if content.is_empty() || content.trim_start().starts_with('[') {
            return Err(PARAMS_ERROR);
        }
        let business: Self = serde_json::from_str(content).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => PARAMS_ERROR,
            _ => Code("40002", "isv.illegal-json"),
        })?;
        let is_id = |id: &str| !id.is_empty() && id.chars().count() <= ID_LENGTH;
        if is_id(&business.commodity_id) && is_id(&business.shop_id) { Ok(business) } else { Err(PARAMS_ERROR) }
    }

    /// Returns the item's name.
    pub(super) fn label(&self) -> String {
        format!("{}@{}", self.commodity_id, self.shop_id)
    }
}

/// Puts a refusal into the gateway's word.
pub(super) fn code(refusal: Refusal) -> Code {
    match refusal {
        Refusal::NotOnSale => Code("40004", "SHOP_STATUS_NOT_SUPPORT"),
        Refusal::Missing => Code("40004", "COMMODITY_SHOP_NOT_EXIST"),
        Refusal::Forbidden => Code("40004", "NO_PERMISSION_OFFLINE_SHOP"),
        Refusal::SystemError => Code("40004", "SYSTEM_ERROR"),
        Refusal::Unlisted => Code("40004", "SANDBOX_UNLISTED"),
        Refusal::IllegalSign => Code("40002", "isv.invalid-signature"),
    }
}

/// What an answer comes in.
struct Document<'a> {
    /// Whose key signs it; an unidentified caller's answers are not signed.
    app: Option<&'a App>,
    node: &'static str,
    charset: Charset,
    /// The certificate it says it is signed with.
    certificate: Option<&'a str>,
    content_key: Option<&'a ContentKey>,
}

impl<'a> Document<'a> {
    /// A plain one, as the gateway itself writes it.
    fn to(app: Option<&'a App>, node: &'static str, charset: Charset) -> Self {
        let certificates = app.and_then(|app| app.certificates.as_ref());
        let certificate = certificates.map(|certificates| certificates.gateway.as_str());
        Self { app, node, charset, certificate, content_key: None }
    }

    fn page(&self, code: Code, seal: Seal) -> Result<Page, SigningError> {
        let Code(code, sub_code) = code;
        let json = match sub_code {
            "" => format!(r#"{{"code":"{code}","msg":"{}"}}"#, message(code)),
            _ => format!(
                r#"{{"code":"{code}","msg":"{}","sub_code":"{sub_code}","sub_msg":"{}"}}"#,
                message(code),
                sub_message(sub_code)
            ),
        };
        let mut signed = encode(self.charset, &json, |character| format!("\\u{:04x}", u32::from(character)));
        if let Some(key) = self.content_key {
            let cipher = key.encrypt(&signed).expect("invariant: AES encrypts any text with a key of 16 bytes");
            // The quotes are signed with it (protocol page: Open Platform, Answer).
            signed = format!("\"{cipher}\"").into_bytes();
        }
        let mut body = [b"{\"", self.node.as_bytes(), b"\":", &signed].concat();
        if let (Some(app), Seal::Signed | Seal::Wrong) = (self.app, seal) {
            if seal == Seal::Wrong {
                signed.push(b' ');
            }
            let sign = app.answer_signer.sign(&signed)?;
            if let Some(number) = self.certificate {
                body.extend_from_slice(format!(",\"alipay_cert_sn\":\"{number}\"").as_bytes());
            }
            body.extend_from_slice(format!(",\"sign\":\"{sign}\"").as_bytes());
        }
        body.push(b'}');
        // The content type says HTML although the body is JSON, as the real gateway's does.
        Ok(Page::ok("text/html", self.charset, body))
    }
}

fn message(code: &str) -> &'static str {
    match code {
        "10000" => "Success",
        "20001" => "Insufficient Token Permissions",
        "40001" => "Missing Required Arguments",
        "40002" => "Invalid Arguments",
        "40005" => "Call Limited",
        _ => "Business Failed",
    }
}

/// Chinese as a rule, so that an answer's charset can be told from its bytes.
pub(super) fn sub_message(sub_code: &str) -> &'static str {
    match sub_code.trim_start_matches("isv.").trim_start_matches("aop.") {
        "SHOP_STATUS_NOT_SUPPORT" => "店铺插件未上线，无法下架",
        "COMMODITY_SHOP_NOT_EXIST" => "店铺插件不存在",
        "NO_PERMISSION_OFFLINE_SHOP" => "没有权限下架该店铺插件",
        "PARAMS_ERROR" => "参数校验失败",
        "SYSTEM_ERROR" => "系统繁忙",
        "invalid-signature" => "验签出错，请检查密钥、字符集与待签名字符串",
        "invalid-timestamp" => "非法的时间戳参数，须为东八区时间",
        "invalid-app-id" => "无效的应用标识",
        "app-call-limited" => "应用调用次数超限",
        "invalid-app-auth-token" => "无效的应用授权令牌",
        _ => "沙箱拒绝了该请求",
    }
}
