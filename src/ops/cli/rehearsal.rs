//! The caller's side of a sandbox: key files for its owner's eyes only, and a configuration that names them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::ops::cli::exit::Exit;
use crate::ops::cli::failure::Failure;
use crate::sandbox::Sandbox;
use crate::sandbox::setup::{
    CERTIFIED_ACCOUNT, Keys, MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, OPEN_PLATFORM_V3_ACCOUNT, Setup,
};
use crate::signing::SignType;

/// How fast and how patient a rehearsal is; each field as the configuration writes it.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    /// Calls of one account.
    pub(super) rate: String,
    /// `[retry] delays`.
    pub(super) delays: &'static [&'static str],
    /// `[retry] rungs`.
    pub(super) rungs: &'static [&'static str],
    /// `[retry] max_attempts`.
    pub(super) max_attempts: u32,
    /// `[http] total_timeout`.
    pub(super) total_timeout: &'static str,
    /// `cool_down` of each account.
    pub(super) cool_down: &'static str,
    /// `hold.first_probe` of each account.
    pub(super) first_probe: &'static str,
}

/// Writes the key files that are not there yet.
pub(super) fn write_keys(directory: &Path, setup: &Setup) -> Result<(), Failure> {
    for (name, text) in setup.caller_files() {
        let file = directory.join(name);
        if !file.is_file() {
            write_secret(&file, text.expose())?;
        }
    }
    Ok(())
}

/// Writes a file only its owner may read; one that exists is not touched.
pub(super) fn write_secret(path: &Path, text: &str) -> Result<(), Failure> {
    let open = || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    open().and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| unwritable(path, &error))
}

/// Words a file that cannot be written.
pub(super) fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(Exit::Configuration, format!("{} cannot be written: {error}", path.display()))
        .remedy("check the directory's permissions and space, or name another")
}

/// Writes the configuration: the two accounts a mix is for.
pub(super) fn configuration(setup: &Setup, sandbox: &Sandbox, pace: &Pace) -> String {
    format!(
        r#"# Written for a rehearsal on loopback; `takedown config` explains every setting.

[http]
connect_timeout = "1s"
total_timeout = "{total_timeout}"

[retry]
delays = {delays:?}
rungs = {rungs:?}
max_attempts = {max_attempts}

[accounts.{MAPI_ACCOUNT}]
gateway = "mapi"
endpoint = "{mapi}"
partner = "{partner}"
{mapi_keys}{limits}
[accounts.{OPEN_PLATFORM_ACCOUNT}]
gateway = "open_platform"
endpoint = "{open_platform}"
app_id = "{app_id}"
{open_platform_keys}{limits}
{merchants}
[accounts.{CERTIFIED_ACCOUNT}]
gateway = "open_platform"
endpoint = "{open_platform}"
app_id = "{certified_app_id}"
private_key_file = "{CERTIFIED_ACCOUNT}.private.pem"
app_cert_file = "{CERTIFIED_ACCOUNT}.app.crt"
root_cert_file = "{CERTIFIED_ACCOUNT}.root.crt"
gateway_cert_files = ["{CERTIFIED_ACCOUNT}.gateway.crt"]
content_key_file = "{CERTIFIED_ACCOUNT}.content.key"
{limits}"#,
        total_timeout = pace.total_timeout,
        delays = pace.delays,
        rungs = pace.rungs,
        max_attempts = pace.max_attempts,
        mapi = sandbox.mapi_url(),
        open_platform = sandbox.open_platform_url(),
        partner = setup.partner,
        app_id = setup.app_id,
        certified_app_id = setup.certified.app_id,
        mapi_keys = keys(MAPI_ACCOUNT, &setup.mapi_keys),
        open_platform_keys = keys(OPEN_PLATFORM_ACCOUNT, &setup.open_platform_keys),
        limits = limits(pace),
        merchants = merchants(OPEN_PLATFORM_ACCOUNT, setup),
    )
}

/// Writes the account that calls the app by protocol v3: the same keys, the same items.
pub(super) fn v3_account(setup: &Setup, sandbox: &Sandbox, pace: &Pace) -> String {
    format!(
        r#"
[accounts.{OPEN_PLATFORM_V3_ACCOUNT}]
gateway = "open_platform"
protocol = "v3"
endpoint = "{endpoint}"
app_id = "{app_id}"
{keys}{limits}
{merchants}"#,
        endpoint = sandbox.open_platform_v3_url(),
        app_id = setup.app_id,
        keys = keys(OPEN_PLATFORM_ACCOUNT, &setup.open_platform_keys),
        limits = limits(pace),
        merchants = merchants(OPEN_PLATFORM_V3_ACCOUNT, setup),
    )
}

fn merchants(account: &str, setup: &Setup) -> String {
    let tokens = setup.merchants.iter().map(|(name, _)| format!("{name} = {{ file = \"{name}.token\" }}\n"));
    format!("[accounts.{account}.merchants]\n{}", tokens.collect::<String>())
}

fn keys(account: &str, keys: &Keys) -> String {
    let sign_type = keys.sign_type;
    let files = match sign_type {
        SignType::Md5 => format!("secret_file = \"{account}.secret\"\n"),
        SignType::Dsa | SignType::Rsa | SignType::Rsa2 => {
            format!("private_key_file = \"{account}.private.pem\"\ngateway_key_file = \"{account}.gateway.pem\"\n")
        }
    };
    format!("sign_type = \"{sign_type}\"\n{files}")
}

fn limits(pace: &Pace) -> String {
    let Pace { rate, cool_down, first_probe, .. } = pace;
    format!(
        "rate = \"{rate}\"\nburst = 2\ncool_down = \"{cool_down}\"\n\
         hold = {{ first_probe = \"{first_probe}\", max_probe = \"10s\" }}\n"
    )
}
