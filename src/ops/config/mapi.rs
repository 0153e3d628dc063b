//! `gateway = "mapi"`: partner, sign type and keys.

use crate::gateway::mapi::{GoodsIdField, MapiAccount, Method};
use crate::ops::config::account::{bad_key, charset, endpoint};
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::section::Section;
use crate::signing::{DsaFormat, SignType, Signer, Verifier};

/// The real gateway (request sample of `sns.admin.close.goods`).
const ENDPOINT: &str = "https://www.alipay.com/cooperate/gateway.do";

pub(super) fn read(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<MapiAccount> {
    section.belongs_elsewhere(
        &[
            "app_id",
            "app_cert",
            "app_cert_file",
            "root_cert",
            "root_cert_file",
            "gateway_certs",
            "gateway_cert_files",
            "content_key",
            "content_key_file",
            "merchants",
        ],
        "gateway = \"open_platform\"",
    );
    let endpoint = endpoint(section, ENDPOINT);
    let partner = section.required("partner", "write the partner id: 16 digits beginning 2088", partner);
    let charset = charset(section);
    let method = section.text("method", |text| match text.to_ascii_uppercase().as_str() {
        "GET" => Ok(Method::Get),
        "POST" => Ok(Method::Post),
        _ => Err(Problem::new(format!("is {text:?}"), "write GET or POST")),
    });
    let goods_id = match section.boolean("send_goods_id") {
        Some(true) | None => GoodsIdField::Sent,
        Some(false) => GoodsIdField::NotSent,
    };
    let (signer, verifier) = signing(section, secrets)?;
    Some(MapiAccount {
        endpoint: endpoint?,
        partner: partner?,
        charset,
        method: method.unwrap_or_default(),
        goods_id,
        signer,
        verifier,
    })
}

fn partner(text: &str) -> Result<String, Problem> {
    let is_partner = text.len() == 16 && text.starts_with("2088") && text.bytes().all(|b| b.is_ascii_digit());
    if is_partner {
        return Ok(text.to_owned());
    }
    Err(Problem::new(format!("is {text:?}, which is no partner id"), "write 16 digits beginning 2088"))
}

fn signing(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<(Signer, Verifier)> {
    let remedy = "write MD5, RSA or DSA, as agreed with the gateway";
    let sign_type = section.required("sign_type", remedy, |text| match text.to_ascii_uppercase().as_str() {
        "MD5" => Ok(SignType::Md5),
        "RSA" => Ok(SignType::Rsa),
        "DSA" => Ok(SignType::Dsa),
        _ => Err(Problem::new(format!("is {text:?}, which mapi does not know"), remedy)),
    });
    let format = section.text("dsa_format", |text| match text.to_ascii_lowercase().as_str() {
        "der" => Ok(DsaFormat::Der),
        "raw" => Ok(DsaFormat::Raw),
        _ => Err(Problem::new(format!("is {text:?}"), "write der or raw")),
    });
    let format = format.unwrap_or_default();
    match sign_type {
        Some(SignType::Md5) => {
            section.belongs_elsewhere(
                &["private_key", "private_key_file", "gateway_key", "gateway_key_file"],
                "sign_type RSA and DSA; MD5 has one `secret_file`",
            );
            shared_secret(section, secrets)
        }
        Some(sign_type @ (SignType::Rsa | SignType::Dsa | SignType::Rsa2)) => {
            section.belongs_elsewhere(&["secret", "secret_file"], "sign_type MD5");
            key_pair(section, secrets, sign_type, format)
        }
        None => {
            // Either kind of key may be meant; look at both so that neither is told unknown.
            keys::read(section, secrets, "secret", "secret_file");
            keys::read(section, secrets, "private_key", "private_key_file");
            keys::read(section, secrets, "gateway_key", "gateway_key_file");
            None
        }
    }
}

fn shared_secret(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<(Signer, Verifier)> {
    let secret = keys::required(section, secrets, "secret", "secret_file", "the secret shared with the gateway")?;
    let text = secret.text.expose();
    let signer = Signer::load(SignType::Md5, text, DsaFormat::Der);
    let verifier = Verifier::load(SignType::Md5, text, DsaFormat::Der);
    match (signer, verifier) {
        (Ok(signer), Ok(verifier)) => Some((signer, verifier)),
        (Err(error), _) | (_, Err(error)) => {
            section.fault(secret.key, bad_key(&error));
            None
        }
    }
}

/// Loads one's own private key and the gateway's public one.
pub(super) fn key_pair(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
    sign_type: SignType,
    format: DsaFormat,
) -> Option<(Signer, Verifier)> {
    let signer = own_key(section, secrets, sign_type, format);
    let public = keys::required(section, secrets, "gateway_key", "gateway_key_file", "the gateway's public key");
    let verifier = public.and_then(|given| {
        let loaded = Verifier::load(sign_type, given.text.expose(), format);
        loaded.map_err(|error| section.fault(given.key, bad_key(&error))).ok()
    });
    Some((signer?, verifier?))
}

/// Loads one's own private key.
pub(super) fn own_key(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
    sign_type: SignType,
    format: DsaFormat,
) -> Option<Signer> {
    let given = keys::required(section, secrets, "private_key", "private_key_file", "your own private key")?;
    let loaded = Signer::load(sign_type, given.text.expose(), format);
    loaded.map_err(|error| section.fault(given.key, bad_key(&error))).ok()
}
