//! A rehearsal's directory: keys and `takedown.toml` for a sandbox that runs inside the test.

use std::fmt::Write as _;
use std::path::Path;

use takedown::domain::secret::Secret;
use takedown::sandbox::Sandbox;
use takedown::sandbox::setup::{Keys, MAPI_ACCOUNT, OPEN_PLATFORM_ACCOUNT, Setup};

/// Writes keys and configuration; `general` is TOML put before the accounts, `limits` into each account.
pub(crate) fn write(dir: &Path, setup: &Setup, sandbox: &Sandbox, general: &str, limits: &str) {
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
        write_key(dir, account, keys);
        writeln!(
            text,
            "\n[accounts.{account}]\ngateway = \"{gateway}\"\nendpoint = \"{url}\"\n{caller}\nsign_type = \"{}\"\n\
             private_key_file = \"{account}.private\"\ngateway_key_file = \"{account}.gateway\"\n{limits}",
            keys.sign_type
        )
        .unwrap();
    }
    writeln!(text, "\n[accounts.{OPEN_PLATFORM_ACCOUNT}.merchants]").unwrap();
    for (merchant, token) in &setup.merchants {
        writeln!(text, "{merchant} = {:?}", token.expose()).unwrap();
    }
    std::fs::write(dir.join("takedown.toml"), text).unwrap();
}

fn write_key(dir: &Path, account: &str, keys: &Keys) {
    let file = |name: &str, key: &Secret| std::fs::write(dir.join(format!("{account}.{name}")), key.expose()).unwrap();
    file("private", &keys.caller_private);
    file("gateway", &keys.gateway_public);
}
