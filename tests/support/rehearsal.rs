//! A rehearsal's directory: keys and `takedown.toml` for a sandbox that runs inside the test.

use std::fmt::Write as _;
use std::path::Path;

use takedown::sandbox::Sandbox;
use takedown::sandbox::setup::{MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup};

/// Writes keys and configuration; `general` is TOML put before the accounts, `limits` into each account.
pub(crate) fn write(dir: &Path, setup: &Setup, sandbox: &Sandbox, general: &str, limits: &str) {
    for (name, key) in setup.caller_files() {
        std::fs::write(dir.join(name), key.expose()).unwrap();
    }
    let mut text = general.to_owned();
    for (account, gateway, url, caller, keys) in [
        (MAPI_ACCOUNT, "mapi", sandbox.mapi_url(), format!("partner = {:?}", setup.partner), &setup.mapi_keys),
        (
            OPEN_PLATFORM_ACCOUNT,
            "open_platform",
            sandbox.open_platform_url(),
            format!("app_id = {:?}", setup.app_id),
            &setup.open_platform_keys,
        ),
    ] {
        writeln!(
            text,
            "\n[accounts.{account}]\ngateway = \"{gateway}\"\nendpoint = \"{url}\"\n{caller}\nsign_type = \"{}\"\n\
             private_key_file = \"{account}.private.pem\"\ngateway_key_file = \"{account}.gateway.pem\"\n{limits}",
            keys.sign_type
        )
        .unwrap();
    }
    writeln!(text, "\n[accounts.{OPEN_PLATFORM_ACCOUNT}.merchants]").unwrap();
    for (merchant, _) in &setup.merchants {
        writeln!(text, "{merchant} = {{ file = \"{merchant}.token\" }}").unwrap();
    }
    std::fs::write(dir.join("takedown.toml"), text).unwrap();
}
