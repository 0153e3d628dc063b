//! The sandbox over real sockets: what it checks, what it answers, what its faults do to a connection.
//!
//! Requests are put together here from first principles, not by the worker's gateways, so that two mistakes in the same
//! place cannot meet.

mod answers;
mod checks;
mod control;
mod faults;
mod v3;
mod vectors;

use std::time::SystemTime;

use serde_json::Value;
use takedown::domain::secret::Secret;
use takedown::sandbox::faults::Faults;
use takedown::sandbox::{App, MapiPartner, Sandbox, SandboxSettings};
use takedown::signing::canonical::{SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

const GOODS: &str = "2011063000011840";
const COMMODITY: &str = "20160010200000000033400";
const SHOP: &str = "2015052000077000000000182140";
const PLUG_IN: &str = "20160010200000000033400@2015052000077000000000182140";

fn fixture(name: &str) -> Value {
    let path = format!("{}/tests/fixtures/vectors/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn key(name: &str, form: &str) -> String {
    fixture("keys.json")[name][form].as_str().unwrap().to_owned()
}

fn signer(name: &str, sign_type: SignType, format: DsaFormat) -> Signer {
    let form = if sign_type == SignType::Md5 { "value" } else { "private_pkcs8_pem" };
    Signer::load(sign_type, &key(name, form), format).unwrap()
}

fn verifier(name: &str, sign_type: SignType, format: DsaFormat) -> Verifier {
    let form = if sign_type == SignType::Md5 { "value" } else { "public_spki_pem" };
    Verifier::load(sign_type, &key(name, form), format).unwrap()
}

/// A sandbox that knows one partner and one app, with the keys of the vectors.
fn settings(faults: &str) -> SandboxSettings {
    let partner = MapiPartner {
        partner: "2088002464631181".into(),
        request_verifier: verifier("app_rsa1024", SignType::Rsa, DsaFormat::Der),
        answer_signer: signer("gateway_rsa1024", SignType::Rsa, DsaFormat::Der),
        administrators: vec![("douban_admin".into(), Secret::new("k3y"))],
    };
    let app = App {
        app_id: "2014072300007148".into(),
        request_verifier: verifier("app_rsa2048", SignType::Rsa2, DsaFormat::Der),
        answer_signer: signer("gateway_rsa2048", SignType::Rsa2, DsaFormat::Der),
        tokens: vec![Secret::new("t0ken")],
        certificates: None,
        content_key: None,
    };
    let faults = Faults::parse([], faults).unwrap();
    SandboxSettings { partners: vec![partner], apps: vec![app], faults, ..SandboxSettings::default() }
}

/// An answer as it came.
#[derive(Debug)]
struct Answer {
    status: u16,
    content_type: String,
    body: Vec<u8>,
}

impl Answer {
    fn has(&self, text: &str) -> bool {
        self.body.windows(text.len()).any(|window| window == text.as_bytes())
    }

    /// The bytes between two marks.
    fn between(&self, before: &str, after: &str) -> &[u8] {
        let find = |bytes: &[u8], mark: &str| bytes.windows(mark.len()).position(|window| window == mark.as_bytes());
        let start = find(&self.body, before).unwrap_or_else(|| panic!("no {before} in {self:?}")) + before.len();
        let length = find(&self.body[start..], after).unwrap_or_else(|| panic!("no {after} in {self:?}"));
        &self.body[start..start + length]
    }

    fn text_between(&self, before: &str, after: &str) -> &str {
        std::str::from_utf8(self.between(before, after)).unwrap()
    }

    /// mapi: `T`, or the error.
    fn mapi_code(&self) -> &str {
        if self.has("<is_success>T</is_success>") { "T" } else { self.text_between("<error>", "</error>") }
    }

    /// Open Platform: the sub-code, or else the code.
    fn sub_code(&self) -> &str {
        let name = if self.has("\"sub_code\"") { "\"sub_code\":\"" } else { "\"code\":\"" };
        self.text_between(name, "\"")
    }

    fn is_signed_by_mapi(&self) -> bool {
        let goods_id = self.between("<goods_id>", "</goods_id>");
        let signed = [b"goods_id=", goods_id].concat();
        let verifier = verifier("gateway_rsa1024", SignType::Rsa, DsaFormat::Der);
        verifier.is_valid(&signed, self.text_between("<sign>", "</sign>"))
    }

    fn is_signed_by_open_platform(&self) -> bool {
        let verifier = verifier("gateway_rsa2048", SignType::Rsa2, DsaFormat::Der);
        self.is_signed_with(&verifier)
    }

    fn is_signed_with(&self, verifier: &Verifier) -> bool {
        let node = self.between("_response\":", ",\"sign\":");
        verifier.is_valid(node, self.text_between("\"sign\":\"", "\""))
    }
}

/// Sends what a worker would send, and what it never should.
struct Caller {
    sandbox: Sandbox,
    http: reqwest::Client,
}

type Fields = Vec<(String, String)>;

fn fields(pairs: &[(&str, &str)]) -> Fields {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Changes, adds or (with `None`) removes one field.
fn with(mut fields: Fields, name: &str, value: Option<&str>) -> Fields {
    fields.retain(|(known, _)| known != name);
    fields.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    fields
}

fn mapi_fields() -> Fields {
    fields(&[
        ("service", "sns.admin.close.goods"),
        ("partner", "2088002464631181"),
        ("_input_charset", "utf-8"),
        ("sns_user_id", "douban_admin"),
        ("key", "k3y"),
        ("close_reason", "假冒货，严厉打击"),
        ("goods_id", GOODS),
        ("sign_type", "RSA"),
    ])
}

fn open_platform_fields() -> Fields {
    let now = jiff::tz::Offset::constant(8).to_datetime(jiff::Timestamp::try_from(SystemTime::now()).unwrap());
    let timestamp = now.strftime("%Y-%m-%d %H:%M:%S").to_string();
    let content = format!("{{\"commodity_id\":\"{COMMODITY}\",\"shop_id\":\"{SHOP}\"}}");
    fields(&[
        ("app_id", "2014072300007148"),
        ("method", "alipay.open.servicemarket.commodity.shop.offline"),
        ("format", "json"),
        ("charset", "utf-8"),
        ("sign_type", "RSA2"),
        ("timestamp", &timestamp),
        ("version", "1.0"),
        ("biz_content", &content),
    ])
}

/// Escapes every byte but letters and digits.
fn escape(text: &str, charset: Charset) -> String {
    let bytes = charset.encode(text).unwrap();
    bytes.iter().map(|b| if b.is_ascii_alphanumeric() { char::from(*b).into() } else { format!("%{b:02X}") }).collect()
}

fn form(fields: &[(String, String)], charset: Charset) -> String {
    let pairs: Vec<_> =
        fields.iter().map(|(name, value)| format!("{}={}", escape(name, charset), escape(value, charset))).collect();
    pairs.join("&")
}

fn charset_of(fields: &[(String, String)]) -> Charset {
    let label = fields.iter().find(|(name, _)| name == "_input_charset" || name == "charset");
    label.and_then(|(_, label)| Charset::from_label(label)).unwrap_or(Charset::Utf8)
}

/// The query of a mapi request, signed.
fn mapi_query(fields: Fields) -> String {
    let charset = charset_of(&fields);
    let signed = canonical(&fields, SignTypeField::Excluded, charset).unwrap();
    let sign = signer("app_rsa1024", SignType::Rsa, DsaFormat::Der).sign(&signed).unwrap();
    form(&with(fields, "sign", Some(&sign)), charset)
}

/// Query and body of an Open Platform request, signed.
fn open_platform_form(fields: Fields) -> (String, String) {
    let charset = charset_of(&fields);
    let signed = canonical(&fields, SignTypeField::Included, charset).unwrap();
    let sign = signer("app_rsa2048", SignType::Rsa2, DsaFormat::Der).sign(&signed).unwrap();
    let (body, query): (Fields, Fields) =
        with(fields, "sign", Some(&sign)).into_iter().partition(|(name, _)| name == "biz_content");
    (form(&query, charset), form(&body, charset))
}

impl Caller {
    async fn start(settings: SandboxSettings) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        Self { sandbox: Sandbox::start(settings).await.unwrap(), http }
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let response = request.send().await?;
        let content_type = response.headers()["content-type"].to_str().unwrap().to_owned();
        Ok(Answer { status: response.status().as_u16(), content_type, body: response.bytes().await?.to_vec() })
    }

    fn mapi_request(&self, fields: Fields) -> reqwest::RequestBuilder {
        self.http.get(format!("{}?{}", self.sandbox.mapi_url(), mapi_query(fields)))
    }

    fn open_platform_request(&self, fields: Fields) -> reqwest::RequestBuilder {
        let (query, body) = open_platform_form(fields);
        self.post(&format!("{}?{query}", self.sandbox.open_platform_url()), body)
    }

    fn post(&self, url: &str, body: String) -> reqwest::RequestBuilder {
        self.http.post(url).header("content-type", "application/x-www-form-urlencoded;charset=utf-8").body(body)
    }

    async fn mapi(&self, fields: Fields) -> Answer {
        self.send(self.mapi_request(fields)).await.unwrap()
    }

    async fn open_platform(&self, fields: Fields) -> Answer {
        self.send(self.open_platform_request(fields)).await.unwrap()
    }
}
