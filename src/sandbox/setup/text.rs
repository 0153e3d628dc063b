//! A setup as one text: JSON with both sides' keys in it.

use serde::{Deserialize, Serialize};

use crate::domain::ids::MerchantId;
use crate::domain::secret::Secret;
use crate::sandbox::setup::{
    CERTIFIED_ACCOUNT, Certified, Keys, MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup, SetupError,
};
use crate::signing::SignType;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    version: One,
    mapi: WireMapi,
    open_platform: WireOpenPlatform,
    certified: WireCertified,
}

/// The only version there is.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
struct One;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMapi {
    partner: String,
    keys: WireKeys,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireOpenPlatform {
    app_id: String,
    keys: WireKeys,
    merchants: Vec<WireMerchant>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCertified {
    app_id: String,
    keys: WireKeys,
    app_certificate: String,
    gateway_certificate: String,
    root_certificate: String,
    content_key: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireMerchant {
    name: MerchantId,
    token: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKeys {
    sign_type: SignType,
    caller_private: String,
    caller_public: String,
    gateway_private: String,
    gateway_public: String,
}

impl From<One> for u32 {
    fn from(_: One) -> Self {
        1
    }
}

impl TryFrom<u32> for One {
    type Error = &'static str;
    fn try_from(version: u32) -> Result<Self, Self::Error> {
        if version == 1 { Ok(Self) } else { Err("not version 1") }
    }
}

impl Setup {
    /// Writes everything, both sides' secrets included, for [`Setup::from_text`]. To be kept with mode 0600.
    #[must_use]
    pub fn to_text(&self) -> Secret {
        let merchants = self.merchants.iter();
        let merchants =
            merchants.map(|(name, token)| WireMerchant { name: name.clone(), token: token.expose().into() });
        let wire = Wire {
            version: One,
            mapi: WireMapi { partner: self.partner.clone(), keys: (&self.mapi_keys).into() },
            open_platform: WireOpenPlatform {
                app_id: self.app_id.clone(),
                keys: (&self.open_platform_keys).into(),
                merchants: merchants.collect(),
            },
            certified: (&self.certified).into(),
        };
        let text = serde_json::to_string_pretty(&wire).expect("invariant: plain strings always serialise");
        Secret::new(text + "\n")
    }

    /// Reads what [`Setup::to_text`] wrote, and tries the keys.
    ///
    /// # Errors
    /// [`SetupError::Text`], [`SetupError::Key`], [`SetupError::Certificate`] or [`SetupError::Unpaired`]; all say to
    /// remove the file.
    pub fn from_text(text: &str) -> Result<Self, SetupError> {
        let wire: Wire = serde_json::from_str(text)
            .map_err(|error| SetupError::Text { line: error.line(), column: error.column() })?;
        let merchants = wire.open_platform.merchants.into_iter();
        let setup = Self {
            partner: wire.mapi.partner,
            mapi_keys: wire.mapi.keys.into(),
            app_id: wire.open_platform.app_id,
            open_platform_keys: wire.open_platform.keys.into(),
            merchants: merchants.map(|merchant| (merchant.name, Secret::new(merchant.token))).collect(),
            certified: wire.certified.into(),
        };
        setup.mapi_keys.check(MAPI_ACCOUNT)?;
        setup.open_platform_keys.check(OPEN_PLATFORM_ACCOUNT)?;
        setup.certified.keys.check(CERTIFIED_ACCOUNT)?;
        setup.certified.app()?;
        Ok(setup)
    }
}

impl From<&Certified> for WireCertified {
    fn from(certified: &Certified) -> Self {
        Self {
            app_id: certified.app_id.clone(),
            keys: (&certified.keys).into(),
            app_certificate: certified.app_certificate.clone(),
            gateway_certificate: certified.gateway_certificate.clone(),
            root_certificate: certified.root_certificate.clone(),
            content_key: certified.content_key.expose().into(),
        }
    }
}

impl From<WireCertified> for Certified {
    fn from(certified: WireCertified) -> Self {
        Self {
            app_id: certified.app_id,
            keys: certified.keys.into(),
            app_certificate: certified.app_certificate,
            gateway_certificate: certified.gateway_certificate,
            root_certificate: certified.root_certificate,
            content_key: Secret::new(certified.content_key),
        }
    }
}

impl From<&Keys> for WireKeys {
    fn from(keys: &Keys) -> Self {
        Self {
            sign_type: keys.sign_type,
            caller_private: keys.caller_private.expose().into(),
            caller_public: keys.caller_public.expose().into(),
            gateway_private: keys.gateway_private.expose().into(),
            gateway_public: keys.gateway_public.expose().into(),
        }
    }
}

impl From<WireKeys> for Keys {
    fn from(keys: WireKeys) -> Self {
        Self {
            sign_type: keys.sign_type,
            caller_private: Secret::new(keys.caller_private),
            caller_public: Secret::new(keys.caller_public),
            gateway_private: Secret::new(keys.gateway_private),
            gateway_public: Secret::new(keys.gateway_public),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setup_survives_its_own_text_and_its_two_sides_differ() {
        let setup = Setup::generate(SignType::Rsa).unwrap();
        assert_eq!(Setup::from_text(setup.to_text().expose()).unwrap(), setup);
        for keys in [&setup.mapi_keys, &setup.open_platform_keys] {
            assert_ne!(keys.caller_public, keys.gateway_public);
        }
    }

    #[test]
    fn a_damaged_setup_says_where_and_quotes_nothing() {
        let text = Setup::generate(SignType::Md5).unwrap().to_text();
        let secret = Setup::from_text(text.expose()).unwrap().mapi_keys.caller_private;
        let quoted = format!("\"{}\"", secret.expose());
        let error = Setup::from_text(&text.expose().replacen(&quoted, "7", 1)).unwrap_err();
        assert!(matches!(error, SetupError::Text { line: 7, .. }), "{error:?}");
        let error = Setup::from_text(&text.expose().replacen("MIIB", "MIIX", 1)).unwrap_err();
        assert!(matches!(error, SetupError::Key { account: "shops", .. }), "{error:?}");
        let error = Setup::from_text(&text.expose().replacen("\"version\": 1", "\"version\": 2", 1)).unwrap_err();
        assert!(matches!(error, SetupError::Text { line: 2, .. }), "{error:?}");
    }

    #[test]
    fn keys_of_two_pairs_are_refused() {
        let mut setup = Setup::generate(SignType::Md5).unwrap();
        setup.open_platform_keys.gateway_public = setup.open_platform_keys.caller_public.clone();
        let error = Setup::from_text(setup.to_text().expose()).unwrap_err();
        assert!(matches!(error, SetupError::Unpaired { account: "shops", side: "gateway" }), "{error:?}");
    }
}
