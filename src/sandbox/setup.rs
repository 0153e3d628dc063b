//! New credentials for a rehearsal: both sides of one mapi partner and of two Open Platform apps, one in key mode and
//! one in certificate mode whose content is encrypted.
//!
//! A setup is kept as one text ([`Setup::to_text`]), so that a sandbox started again knows the same callers; the
//! caller's half also comes as key files. It guards no real thing, yet its texts are secrets like any other. Promise:
//! what [`Setup::from_text`] accepts gives working keys on both sides.

mod certified;
mod text;

pub use crate::sandbox::setup::certified::{CERTIFIED_ACCOUNT, Certified};

use crate::clock;
use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::sandbox::{App, MapiPartner, SandboxSettings};
use crate::signing::certificate::CertificateError;
use crate::signing::generate::{self, GenerateError};
use crate::signing::key::KeyError;
use crate::signing::{DsaFormat, SignType, Signer, Verifier};

/// Name of the mapi account.
pub const MAPI_ACCOUNT: &str = "desk";
/// Name of the Open Platform account.
pub const OPEN_PLATFORM_ACCOUNT: &str = "shops";
/// Name of the account that calls the same app by protocol v3.
pub const OPEN_PLATFORM_V3_ACCOUNT: &str = "shops-v3";
/// Where a rehearsal's directory keeps [`Setup::to_text`].
pub const FILE_NAME: &str = "sandbox.json";

const MERCHANTS: [&str; 3] = ["m1", "m2", "m3"];

/// Both sides of every account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Setup {
    /// Partner id at mapi; every administrator is taken.
    pub partner: String,
    /// Keys of the partner.
    pub mapi_keys: Keys,
    /// App id at the Open Platform.
    pub app_id: String,
    /// Keys of the app.
    pub open_platform_keys: Keys,
    /// Tokens of the merchants the app may call for; no other token is taken.
    pub merchants: Vec<(MerchantId, Secret)>,
    /// The app in certificate mode.
    pub certified: Certified,
}

/// The keys of one account, both sides. With MD5 all four are the one shared secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// The algorithm, both ways.
    pub sign_type: SignType,
    /// The caller signs requests with it.
    pub caller_private: Secret,
    /// The sandbox checks requests with it.
    pub caller_public: Secret,
    /// The sandbox signs answers with it.
    pub gateway_private: Secret,
    /// The caller checks answers with it.
    pub gateway_public: Secret,
}

/// Says why there is no setup.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A key could not be made.
    #[error("a key for account {account} could not be made")]
    Generate {
        /// The account.
        account: &'static str,
        /// Why.
        #[source]
        source: GenerateError,
    },
    /// A key kept earlier cannot be loaded.
    #[error("{key} of account {account} cannot be used; remove {FILE_NAME} to have new keys made")]
    Key {
        /// The account.
        account: &'static str,
        /// Which key.
        key: &'static str,
        /// Why.
        #[source]
        source: KeyError,
    },
    /// A certificate kept earlier cannot be read.
    #[error("a certificate of account {account} cannot be used; remove {FILE_NAME} to have new ones made")]
    Certificate {
        /// The account.
        account: &'static str,
        /// Why.
        #[source]
        source: CertificateError,
    },
    /// A private key and its public half are not of one pair.
    #[error("the {side}'s keys of account {account} do not fit each other; remove {FILE_NAME} to have new keys made")]
    Unpaired {
        /// The account.
        account: &'static str,
        /// `caller` or `gateway`.
        side: &'static str,
    },
    /// The text is not a setup. Where it breaks is told, what it says there is not.
    #[error("{FILE_NAME} is not a sandbox's setup (line {line} column {column}); remove it to have a new one made")]
    Text {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

impl Keys {
    fn generate(account: &'static str, sign_type: SignType) -> Result<Self, SetupError> {
        let pair = || generate::key_pair(sign_type).map_err(|source| SetupError::Generate { account, source });
        let caller = pair()?;
        let (gateway_private, gateway_public) = match sign_type {
            SignType::Md5 => (caller.private.clone(), caller.public.clone()),
            SignType::Dsa | SignType::Rsa | SignType::Rsa2 => {
                let gateway = pair()?;
                (gateway.private, gateway.public)
            }
        };
        Ok(Self {
            sign_type,
            caller_private: caller.private,
            caller_public: caller.public,
            gateway_private,
            gateway_public,
        })
    }

    /// The sandbox's two: the verifier of requests and the signer of answers.
    fn load(&self, account: &'static str) -> Result<(Verifier, Signer), SetupError> {
        let verifier = self.verifier(account, "the caller's public key", &self.caller_public)?;
        let signer = self.signer(account, "the gateway's private key", &self.gateway_private)?;
        Ok((verifier, signer))
    }

    fn signer(&self, account: &'static str, key: &'static str, text: &Secret) -> Result<Signer, SetupError> {
        Signer::load(self.sign_type, text.expose(), DsaFormat::Der).map_err(|source| SetupError::Key {
            account,
            key,
            source,
        })
    }

    fn verifier(&self, account: &'static str, key: &'static str, text: &Secret) -> Result<Verifier, SetupError> {
        Verifier::load(self.sign_type, text.expose(), DsaFormat::Der).map_err(|source| SetupError::Key {
            account,
            key,
            source,
        })
    }

    /// Signs and verifies a probe with both pairs.
    fn check(&self, account: &'static str) -> Result<(), SetupError> {
        let (caller_verifier, gateway_signer) = self.load(account)?;
        let caller_signer = self.signer(account, "the caller's private key", &self.caller_private)?;
        let gateway_verifier = self.verifier(account, "the gateway's public key", &self.gateway_public)?;
        for (side, signer, verifier) in
            [("caller", caller_signer, caller_verifier), ("gateway", gateway_signer, gateway_verifier)]
        {
            if !signer.sign(b"probe").is_ok_and(|sign| verifier.is_valid(b"probe", &sign)) {
                return Err(SetupError::Unpaired { account, side });
            }
        }
        Ok(())
    }

    /// Names the caller's key files as a configuration does.
    fn files(&self, account: &str) -> Vec<(String, Secret)> {
        match self.sign_type {
            SignType::Md5 => vec![(format!("{account}.secret"), self.caller_private.clone())],
            SignType::Dsa | SignType::Rsa | SignType::Rsa2 => vec![
                (format!("{account}.private.pem"), self.caller_private.clone()),
                (format!("{account}.gateway.pem"), self.gateway_public.clone()),
            ],
        }
    }
}

impl Setup {
    /// Makes new keys and tokens; mapi takes MD5, RSA or DSA, the Open Platform's algorithm is RSA2.
    ///
    /// # Errors
    /// [`SetupError::Generate`] when the random source fails.
    pub fn generate(mapi: SignType) -> Result<Self, SetupError> {
        let token = || Secret::new(format!("202611BB{:032X}", rand::random::<u128>()));
        let merchant = |name| MerchantId::new(name).expect("invariant: the names above are merchant names");
        Ok(Self {
            partner: "2088000000000001".into(),
            mapi_keys: Keys::generate(MAPI_ACCOUNT, mapi)?,
            app_id: "2026000000000001".into(),
            open_platform_keys: Keys::generate(OPEN_PLATFORM_ACCOUNT, SignType::Rsa2)?,
            merchants: MERCHANTS.map(|name| (merchant(name), token())).into(),
            certified: Certified::generate(clock::now())?,
        })
    }

    /// Returns the sandbox's side; the address, faults and the rest are the default's.
    ///
    /// # Errors
    /// [`SetupError::Key`] when a key kept earlier was damaged.
    pub fn settings(&self) -> Result<SandboxSettings, SetupError> {
        let (request_verifier, answer_signer) = self.mapi_keys.load(MAPI_ACCOUNT)?;
        let partner = self.partner.clone();
        let partner = MapiPartner { partner, request_verifier, answer_signer, administrators: Vec::new() };
        let (request_verifier, answer_signer) = self.open_platform_keys.load(OPEN_PLATFORM_ACCOUNT)?;
        let tokens = self.merchants.iter().map(|(_, token)| token.clone()).collect();
        let app = App {
            app_id: self.app_id.clone(),
            request_verifier,
            answer_signer,
            tokens,
            certificates: None,
            content_key: None,
        };
        let apps = vec![app, self.certified.app()?];
        Ok(SandboxSettings { partners: vec![partner], apps, ..SandboxSettings::default() })
    }

    /// Returns the caller's files by name: `desk.private.pem`, `desk.gateway.pem` (or `desk.secret`), the same for
    /// `shops`, `m1.token` … for the merchants, and those of [`Certified::files`]. To be written with mode 0600.
    #[must_use]
    pub fn caller_files(&self) -> Vec<(String, Secret)> {
        let mut files = self.mapi_keys.files(MAPI_ACCOUNT);
        files.extend(self.open_platform_keys.files(OPEN_PLATFORM_ACCOUNT));
        files.extend(self.merchants.iter().map(|(name, token)| (format!("{name}.token"), token.clone())));
        files.extend(self.certified.files());
        files
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn key_files_are_named_as_a_configuration_names_them() {
        let names = |sign_type| -> Vec<String> {
            let files = Setup::generate(sign_type).unwrap().caller_files();
            files.into_iter().map(|(name, _)| name).collect()
        };
        let rest = [
            "shops.private.pem",
            "shops.gateway.pem",
            "m1.token",
            "m2.token",
            "m3.token",
            "shops-cert.private.pem",
            "shops-cert.app.crt",
            "shops-cert.root.crt",
            "shops-cert.gateway.crt",
            "shops-cert.content.key",
        ];
        assert_eq!(names(SignType::Md5), [&["desk.secret"], rest.as_slice()].concat());
        assert_eq!(names(SignType::Rsa), [&["desk.private.pem", "desk.gateway.pem"], rest.as_slice()].concat());
    }
}
