//! The app of a rehearsal in certificate mode: certificates of an authority made for it, and a key for its content.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::domain::secret::Secret;
use crate::sandbox::setup::{Keys, SetupError};
use crate::sandbox::{App, AppCertificates};
use crate::signing::SignType;
use crate::signing::certificate::Bundle;
use crate::signing::content::ContentKey;
use crate::signing::generate::GenerateError;
use crate::signing::generate::authority::{Authority, Lifetime};

/// Name of the account in certificate mode.
pub const CERTIFIED_ACCOUNT: &str = "shops-cert";

/// How long a rehearsal's certificates are valid: as long as anybody may keep its directory.
const LIFETIME: Duration = Duration::from_hours(24 * 3650);

/// Both sides of an app in certificate mode whose content is encrypted; it calls for itself alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// App id at the Open Platform.
    pub app_id: String,
    /// Keys of both sides.
    pub keys: Keys,
    /// Certificate of `keys.caller_public`, as PEM.
    pub app_certificate: String,
    /// Certificate of `keys.gateway_public`, and those that lead to a root.
    pub gateway_certificate: String,
    /// The roots.
    pub root_certificate: String,
    /// 16 bytes as Base64.
    pub content_key: Secret,
}

impl Certified {
    /// Makes keys, certificates from `now` on, and a content key.
    pub(super) fn generate(now: SystemTime) -> Result<Self, SetupError> {
        let app_id = "2026000000000002";
        let keys = Keys::generate(CERTIFIED_ACCOUNT, SignType::Rsa2)?;
        let lifetime = Lifetime::beginning(now, LIFETIME);
        let failed = |source: GenerateError| SetupError::Generate { account: CERTIFIED_ACCOUNT, source };
        let authority = Authority::new("Rehearsal Root R1", lifetime).map_err(failed)?;
        let issue = |name, key: &Secret| authority.issue(name, key.expose(), lifetime).map_err(failed);
        Ok(Self {
            app_id: app_id.into(),
            app_certificate: issue(app_id, &keys.caller_public)?,
            gateway_certificate: issue("sandbox gateway", &keys.gateway_public)?,
            root_certificate: authority.certificate().to_owned(),
            content_key: Secret::new(BASE64_STANDARD.encode(rand::random::<[u8; 16]>())),
            keys,
        })
    }

    /// Returns the sandbox's side.
    pub(super) fn app(&self) -> Result<App, SetupError> {
        let account = CERTIFIED_ACCOUNT;
        let (request_verifier, answer_signer) = self.keys.load(account)?;
        let unreadable = |source| SetupError::Certificate { account, source };
        let number = |text: &str| Bundle::read(text).and_then(|file| file.leaf().number()).map_err(unreadable);
        let root = Bundle::read(&self.root_certificate).and_then(|roots| roots.root_number()).map_err(unreadable)?;
        let content_key = ContentKey::load(self.content_key.expose());
        let content_key = content_key.map_err(|source| SetupError::Key { account, key: "the content key", source })?;
        let certificates = AppCertificates {
            app: number(&self.app_certificate)?,
            root: root.unwrap_or_default(),
            gateway: number(&self.gateway_certificate)?,
        };
        Ok(App {
            app_id: self.app_id.clone(),
            request_verifier,
            answer_signer,
            tokens: Vec::new(),
            certificates: Some(certificates),
            content_key: Some(content_key),
        })
    }

    /// Returns the caller's files as a configuration names them: `shops-cert.private.pem`, `shops-cert.app.crt`,
    /// `shops-cert.root.crt`, `shops-cert.gateway.crt` and `shops-cert.content.key`.
    #[must_use]
    pub fn files(&self) -> Vec<(String, Secret)> {
        let certificate = |text: &String| Secret::new(text.as_str());
        [
            ("private.pem", self.keys.caller_private.clone()),
            ("app.crt", certificate(&self.app_certificate)),
            ("root.crt", certificate(&self.root_certificate)),
            ("gateway.crt", certificate(&self.gateway_certificate)),
            ("content.key", self.content_key.clone()),
        ]
        .map(|(name, text)| (format!("{CERTIFIED_ACCOUNT}.{name}"), text))
        .into()
    }
}
