//! Accounts of every sign type, with keys of both sides as files, and their part of a configuration.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow};
use takedown::gateway::GatewayAccount;
use takedown::ops::config::Config;
use takedown::sandbox::{App, MapiPartner, SandboxSettings};
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

/// The sign types that are measured; RSA2 is the Open Platform's, the others are mapi's.
pub(crate) const SIGN_TYPES: [SignType; 4] = [SignType::Md5, SignType::Dsa, SignType::Rsa, SignType::Rsa2];

const APP: &str = "2026000000000001";

/// Keys in a directory, one set a sign type.
pub(crate) struct Credentials(PathBuf);

/// One account of a configuration.
#[derive(Debug, Clone)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) sign_type: SignType,
}

/// The lines every account of a configuration has.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// `5000/s`.
    pub(crate) rate: String,
    pub(crate) burst: u32,
    pub(crate) in_flight: u32,
    /// Anything else, as TOML.
    pub(crate) more: String,
}

impl Limits {
    /// A rate that does not bound, the whole of it.
    pub(crate) fn unbound(in_flight: u32) -> Self {
        let more = "mode = \"static\"\nshare = \"1/1\"\n".to_owned();
        Self { rate: "50000/s".to_owned(), burst: 100, in_flight, more }
    }
}

impl Account {
    /// An account called as its sign type.
    pub(crate) fn of(sign_type: SignType) -> Self {
        Self { name: name(sign_type), sign_type }
    }
}

fn name(sign_type: SignType) -> String {
    sign_type.as_str().to_lowercase()
}

fn partner(sign_type: SignType) -> String {
    let place = SIGN_TYPES.iter().position(|known| *known == sign_type).unwrap_or_default();
    format!("208800000000000{place}")
}

impl Credentials {
    /// Makes new keys.
    pub(crate) fn create(directory: &Path) -> Result<Self> {
        let write = |name: String, text: &str| -> Result<()> {
            let path = directory.join(name);
            fs::write(&path, text)?;
            Ok(fs::set_permissions(&path, fs::Permissions::from_mode(0o600))?)
        };
        for sign_type in SIGN_TYPES {
            let caller = key_pair(sign_type)?;
            // The one secret of MD5 is both sides'.
            let gateway = if sign_type == SignType::Md5 { None } else { Some(key_pair(sign_type)?) };
            let gateway = gateway.as_ref().unwrap_or(&caller);
            for (side, pair) in [("caller", &caller), ("gateway", gateway)] {
                write(format!("{}.{side}.private", name(sign_type)), pair.private.expose())?;
                write(format!("{}.{side}.public", name(sign_type)), pair.public.expose())?;
            }
        }
        Ok(Self(directory.to_owned()))
    }

    /// Takes those made earlier.
    pub(crate) fn at(directory: &Path) -> Self {
        Self(directory.to_owned())
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.0
    }

    fn read(&self, sign_type: SignType, half: &str) -> Result<String> {
        let path = self.0.join(format!("{}.{half}", name(sign_type)));
        fs::read_to_string(&path).with_context(|| path.display().to_string())
    }

    /// The gateway's two: what checks requests and what signs answers.
    pub(crate) fn gateway(&self, sign_type: SignType) -> Result<(Verifier, Signer)> {
        Ok((
            Verifier::load(sign_type, &self.read(sign_type, "caller.public")?, DsaFormat::Der)?,
            Signer::load(sign_type, &self.read(sign_type, "gateway.private")?, DsaFormat::Der)?,
        ))
    }

    /// Sets a sandbox up that knows all of them.
    pub(crate) fn sandbox(&self) -> Result<SandboxSettings> {
        let mut settings = SandboxSettings::default();
        for sign_type in SIGN_TYPES {
            let (request_verifier, answer_signer) = self.gateway(sign_type)?;
            if sign_type == SignType::Rsa2 {
                settings.apps.push(App {
                    app_id: APP.to_owned(),
                    request_verifier,
                    answer_signer,
                    tokens: Vec::new(),
                    certificates: None,
                    content_key: None,
                });
            } else {
                let (partner, administrators) = (partner(sign_type), Vec::new());
                settings.partners.push(MapiPartner { partner, request_verifier, answer_signer, administrators });
            }
        }
        Ok(settings)
    }

    /// Sets up what calls a gateway (`http://127.0.0.1:port`) as a worker's account of a sign type.
    pub(crate) fn account(&self, sign_type: SignType, gateway: &str) -> Result<GatewayAccount> {
        let text = self.configuration(gateway, &[Account::of(sign_type)], &Limits::unbound(1));
        let config = Config::parse(&text, &self.0, &BTreeMap::new()).map_err(|faults| anyhow!("{faults:?}"))?;
        let (_, account) = config.accounts.into_iter().next().context("no account")?;
        Ok(account.gateway)
    }

    /// Writes the accounts' part of a configuration; `gateway` is `http://127.0.0.1:port`.
    pub(crate) fn configuration(&self, gateway: &str, accounts: &[Account], limits: &Limits) -> String {
        let mut text = String::new();
        for Account { name: account, sign_type } in accounts {
            let file = |half: &str| self.0.join(format!("{}.{half}", name(*sign_type))).display().to_string();
            let (kind, path, caller) = if *sign_type == SignType::Rsa2 {
                ("open_platform", takedown::sandbox::open_platform::PATH, format!("app_id = {APP:?}"))
            } else {
                ("mapi", takedown::sandbox::mapi::PATH, format!("partner = {:?}", partner(*sign_type)))
            };
            let keys = if *sign_type == SignType::Md5 {
                format!("secret_file = {:?}\n", file("caller.private"))
            } else {
                let (private, public) = (file("caller.private"), file("gateway.public"));
                format!("private_key_file = {private:?}\ngateway_key_file = {public:?}\n")
            };
            let Limits { rate, burst, in_flight, more } = limits;
            // A text that is written to cannot fail.
            write!(
                text,
                "\n[accounts.{account}]\ngateway = \"{kind}\"\nendpoint = \"{gateway}{path}\"\n{caller}\n\
                 sign_type = \"{sign_type}\"\n{keys}rate = \"{rate}\"\nburst = {burst}\nin_flight = {in_flight}\n{more}"
            )
            .unwrap_or_default();
        }
        text
    }
}
