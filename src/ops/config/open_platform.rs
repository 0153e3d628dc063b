//! `gateway = "open_platform"`: app, keys or certificates, and the merchants' tokens.

use std::collections::BTreeMap;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount};
use crate::ops::config::account::{bad_key, charset};
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::mapi::{key_pair, own_key};
use crate::ops::config::protocol;
use crate::ops::config::section::Section;
use crate::signing::content::ContentKey;
use crate::signing::{DsaFormat, SignType, Signer, Verifier};

pub(super) fn read(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<OpenPlatformAccount> {
    section.belongs_elsewhere(
        &["partner", "method", "send_goods_id", "secret", "secret_file", "dsa_format"],
        "gateway = \"mapi\"",
    );
    let protocol = protocol::read(section);
    let endpoint = protocol::endpoint(section, protocol);
    let app_id = section.required("app_id", "write the app id, as the platform shows it", app_id);
    let charset = charset(section);
    let remedy = "write RSA2 (SHA-256) or RSA (SHA-1), as set for the app";
    let sign_type = section.text("sign_type", |text| match text.to_ascii_uppercase().as_str() {
        "RSA2" => Ok(SignType::Rsa2),
        "RSA" => Ok(SignType::Rsa),
        _ => Err(Problem::new(format!("is {text:?}, which the Open Platform does not know"), remedy)),
    });
    let merchants = merchants(&section.section("merchants"), secrets);
    let sign_type = sign_type.unwrap_or(SignType::Rsa2);
    protocol::restrict(section, protocol, charset, sign_type, &merchants);
    let keys = keys(section, secrets, sign_type);
    let content_key = content_key(section, secrets);
    let app_cert_sn = section.text("app_cert_sn", serial_numbers);
    let alipay_root_cert_sn = section.text("alipay_root_cert_sn", serial_numbers);
    if app_cert_sn.is_some() != alipay_root_cert_sn.is_some() {
        let key = if app_cert_sn.is_some() { "app_cert_sn" } else { "alipay_root_cert_sn" };
        let remedy = "certificate mode needs `app_cert_sn`, `alipay_root_cert_sn` and [gateway_certificates] together";
        section.fault(key, Problem::new("stands alone", remedy));
    }
    let (signer, keys) = keys?;
    Some(OpenPlatformAccount {
        endpoint: endpoint?,
        protocol,
        app_id: app_id?,
        charset,
        signer,
        keys,
        merchants,
        content_key,
        certificates: app_cert_sn.zip(alipay_root_cert_sn).map(|(app, root)| CertificateNumbers { app, root }),
    })
}

fn app_id(text: &str) -> Result<String, Problem> {
    let is_app_id = text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let wrong = || Problem::new(format!("is {text:?}, which is no app id"), "write up to 32 letters and digits");
    is_app_id.then(|| text.to_owned()).ok_or_else(wrong)
}

/// Serial numbers as the gateway writes them: 32 hex digits each, joined by `_` (protocol notes 2.5).
fn serial_numbers(text: &str) -> Result<String, Problem> {
    let is_number = |part: &str| part.len() == 32 && part.bytes().all(|b| b.is_ascii_hexdigit());
    let remedy = "write 32 hex digits for each certificate, joined by _";
    let wrong = || Problem::new(format!("is {text:?}, which is no serial number"), remedy);
    text.split('_').all(is_number).then(|| text.to_ascii_lowercase()).ok_or_else(wrong)
}

/// The key of the content, where the app has encryption switched on.
fn content_key(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<ContentKey> {
    let given = keys::read(section, secrets, "content_key", "content_key_file")?;
    let remedy = "give the key the platform's console shows: 16 bytes as Base64";
    let loaded = ContentKey::load(given.text.expose());
    loaded.map_err(|error| section.fault(given.key, Problem::new(format!("is not usable: {error}"), remedy))).ok()
}

/// One gateway key, or in certificate mode one for each certificate number.
fn keys(section: &mut Section<'_>, secrets: Secrets<'_>, sign_type: SignType) -> Option<(Signer, GatewayKeys)> {
    let certificates = section.section("gateway_certificates");
    let numbers = certificates.names();
    if numbers.is_empty() {
        let (signer, verifier) = key_pair(section, secrets, sign_type, DsaFormat::Der)?;
        return Some((signer, GatewayKeys::Single(verifier)));
    }
    section.belongs_elsewhere(
        &["gateway_key", "gateway_key_file"],
        "key mode; with gateway_certificates the answer's certificate number names the key",
    );
    let signer = own_key(section, secrets, sign_type, DsaFormat::Der);
    let Secrets::From(base) = secrets else { return None };
    let load = |number: &str| {
        let path = certificates.entry_text(number, |text| Ok(text.to_owned()))?;
        let loaded = keys::read_file(base, &path)
            .and_then(|text| Verifier::load(sign_type, text.expose(), DsaFormat::Der).map_err(|error| bad_key(&error)));
        loaded.map_err(|problem| certificates.fault(number, problem)).ok().map(|key| (number.to_owned(), key))
    };
    let loaded: Vec<_> = numbers.into_iter().map(load).collect();
    let loaded: Option<BTreeMap<_, _>> = loaded.into_iter().collect();
    Some((signer?, GatewayKeys::ByCertificate(loaded?)))
}

/// `m1 = "token"`, or `m1 = { file = "FILE" }`.
fn merchants(section: &Section<'_>, secrets: Secrets<'_>) -> BTreeMap<MerchantId, Secret> {
    let Secrets::From(base) = secrets else { return BTreeMap::new() };
    let read = |name: &str| {
        let merchant = MerchantId::new(name);
        let merchant = merchant
            .map_err(|error| {
                section.fault(name, Problem::new(format!("as a merchant's name {error}"), "rename the merchant"));
            })
            .ok();
        let token = if section.is_table(name) {
            let mut entry = section.entry(name);
            let remedy = "write NAME = { file = \"FILE\" }, or NAME = \"TOKEN\"";
            let path = entry.required("file", remedy, |text| Ok(text.to_owned()));
            let token = path.and_then(|path| {
                keys::read_private(&entry, "file", base, &path).map_err(|problem| entry.fault("file", problem)).ok()
            });
            entry.finish();
            token
        } else {
            section.entry_text(name, |text| Ok(Secret::new(text)))
        };
        Some((merchant?, token?))
    };
    section.names().into_iter().filter_map(read).collect()
}
