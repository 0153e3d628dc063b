//! `gateway = "open_platform"`: app, keys or certificates, and the merchants' tokens.

use std::collections::BTreeMap;

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::gateway::certificates::CertificateSet;
use crate::gateway::open_platform::{CertificateNumbers, GatewayKeys, OpenPlatformAccount};
use crate::ops::config::account::charset;
use crate::ops::config::certificates;
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::mapi::{key_pair, own_key};
use crate::ops::config::protocol;
use crate::ops::config::section::Section;
use crate::signing::content::ContentKey;
use crate::signing::{DsaFormat, SignType, Signer};

/// What signs requests and verifies answers.
struct Keys {
    signer: Signer,
    gateway: GatewayKeys,
    certificates: Option<(CertificateNumbers, CertificateSet)>,
}

/// Reads the account, and the certificates it was made of in certificate mode.
pub(super) fn read(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
) -> Option<(OpenPlatformAccount, Option<CertificateSet>)> {
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
    let Keys { signer, gateway: keys, certificates } = keys?;
    let (certificates, set) = certificates.unzip();
    let account = OpenPlatformAccount {
        endpoint: endpoint?,
        protocol,
        app_id: app_id?,
        charset,
        signer,
        keys,
        merchants,
        content_key,
        certificates,
    };
    Some((account, set))
}

fn app_id(text: &str) -> Result<String, Problem> {
    let is_app_id = text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let wrong = || Problem::new(format!("is {text:?}, which is no app id"), "write up to 32 letters and digits");
    is_app_id.then(|| text.to_owned()).ok_or_else(wrong)
}

/// The key of the content, where the app has encryption switched on.
fn content_key(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<ContentKey> {
    let given = keys::read(section, secrets, "content_key", "content_key_file")?;
    let remedy = "give the key the platform's console shows: 16 bytes as Base64";
    let loaded = ContentKey::load(given.text.expose());
    loaded.map_err(|error| section.fault(given.key, Problem::new(format!("is not usable: {error}"), remedy))).ok()
}

/// One gateway key, or in certificate mode one for each of the gateway's certificates.
fn keys(section: &mut Section<'_>, secrets: Secrets<'_>, sign_type: SignType) -> Option<Keys> {
    let Some(files) = certificates::read(section, secrets) else {
        let (signer, verifier) = key_pair(section, secrets, sign_type, DsaFormat::Der)?;
        return Some(Keys { signer, gateway: GatewayKeys::Single(verifier), certificates: None });
    };
    let signer = own_key(section, secrets, sign_type, DsaFormat::Der)?;
    let loaded = files.load(section, sign_type, &signer)?;
    let gateway = GatewayKeys::ByCertificate(loaded.keys);
    Some(Keys { signer, gateway, certificates: Some((loaded.numbers, loaded.set)) })
}

/// `m1 = "token"`, or `m1 = { file = "FILE" }`.
fn merchants(section: &Section<'_>, secrets: Secrets<'_>) -> BTreeMap<MerchantId, Secret> {
    let Secrets::From(sources) = secrets else { return BTreeMap::new() };
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
                keys::read_private(&entry, "file", sources, &path).map_err(|problem| entry.fault("file", problem)).ok()
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
