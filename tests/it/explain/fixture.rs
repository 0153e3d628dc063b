//! Accounts made of the vectors' keys, signatures of any bytes, and the binary's verdict on a pasted text.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use takedown::signing::{DsaFormat, SignType, Signer};
use tempfile::TempDir;

use crate::support::command::{Ended, run};

pub(super) const PARTNER: &str = "2088002464631181";
pub(super) const APP_ID: &str = "2014072300007148";
pub(super) const USER_KEY: &str = "2011041704C579B6A4F446E7AA4421BC4CD218D7";
pub(super) const TOKEN: &str = "201611BBplanted7token";
pub(super) const MERCHANT_TOKEN: &str = "201702BBmerchant1token";

/// Reads one form of one key of the vectors.
pub(super) fn key(name: &str, form: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vectors/keys.json");
    let keys: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    keys[name][form].as_str().unwrap().to_owned()
}

/// A directory with five accounts; `extra` is TOML behind them.
pub(super) fn directory(extra: &str) -> TempDir {
    let directory = TempDir::new().unwrap();
    let write = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    };
    for name in [
        "app_rsa2048",
        "gateway_rsa2048",
        "app_rsa1024",
        "gateway_rsa1024",
        "app_dsa1024",
        "gateway_dsa1024",
        "other_rsa2048",
    ] {
        write(&format!("{name}.pem"), &key(name, "private_pkcs8_pem"));
        write(&format!("{name}.pub"), &key(name, "public_spki_pem"));
    }
    write("secret", &key("mapi_md5_key", "value"));
    write("m1.token", MERCHANT_TOKEN);
    let pair =
        |own: &str, gateway: &str| format!("private_key_file = \"{own}.pem\"\ngateway_key_file = \"{gateway}.pub\"\n");
    let config = format!(
        "[accounts.desk]\ngateway = \"mapi\"\npartner = \"{PARTNER}\"\nsign_type = \"MD5\"\nsecret_file = \"secret\"\n\
         [accounts.rsa]\ngateway = \"mapi\"\npartner = \"2088000000000002\"\nsign_type = \"RSA\"\n{}\
         [accounts.dsa]\ngateway = \"mapi\"\npartner = \"2088000000000003\"\nsign_type = \"DSA\"\n{}\
         [accounts.shops]\ngateway = \"open_platform\"\napp_id = \"{APP_ID}\"\nsign_type = \"RSA2\"\n{}\
         [accounts.shops.merchants]\nm1 = {{ file = \"m1.token\" }}\n\
         [accounts.other]\ngateway = \"open_platform\"\napp_id = \"2014072300009999\"\nsign_type = \"RSA2\"\n{}{extra}",
        pair("app_rsa1024", "gateway_rsa1024"),
        pair("app_dsa1024", "gateway_dsa1024"),
        pair("app_rsa2048", "gateway_rsa2048"),
        pair("other_rsa2048", "gateway_rsa1024"),
    );
    write("takedown.toml", &config);
    directory
}

/// Signs any bytes with a key of the vectors.
pub(super) fn sign(sign_type: SignType, name: &str, format: DsaFormat, bytes: &[u8]) -> String {
    let form = if sign_type == SignType::Md5 { "value" } else { "private_pkcs8_pem" };
    Signer::load(sign_type, &key(name, form), format).unwrap().sign(bytes).unwrap()
}

/// The bytes of a signature.
pub(super) fn raw(sign: &str) -> Vec<u8> {
    BASE64_STANDARD.decode(sign).unwrap()
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Percent-encodes everything but letters and digits.
pub(super) fn escape(bytes: &[u8]) -> String {
    let one =
        |byte: &u8| if byte.is_ascii_alphanumeric() { char::from(*byte).to_string() } else { format!("%{byte:02X}") };
    bytes.iter().map(one).collect()
}

/// Runs the binary on a pasted text; `option` is `--request` or `--answer`.
pub(super) fn paste(directory: &Path, option: &str, text: &[u8], arguments: &[&str]) -> Ended {
    fs::write(directory.join("pasted"), text).unwrap();
    let mut all = vec!["explain", option, "pasted"];
    all.extend(arguments);
    run(directory, &all)
}

/// What the binary found out, as JSON.
pub(super) fn judged(directory: &Path, option: &str, text: &[u8], arguments: &[&str]) -> Value {
    let ended = paste(directory, option, text, &[arguments, &["--json"]].concat());
    let value: Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
    let has_findings = |value: &Value| {
        let has = |list: &str| value[list].as_array().is_some_and(|list| !list.is_empty());
        let is_plain_refusal = value["signature"] == "unsigned" && value["says"].to_string().contains("refused");
        !value.is_null() && (value["verdict"] != "right" || has("causes") || has("remarks")) && !is_plain_refusal
    };
    let expected = if has_findings(&value["request"]) || has_findings(&value["answer"]) { 9 } else { 0 };
    assert_eq!(ended.code, Some(expected), "{value}");
    value[option.trim_start_matches("--")].clone()
}

/// The names of the causes found.
pub(super) fn causes(value: &Value) -> Vec<&str> {
    value["causes"].as_array().unwrap().iter().map(|cause| cause["name"].as_str().unwrap()).collect()
}

/// Tells past the runner's capture of what passing tests print.
pub(super) fn tell(text: &str) {
    let mut stderr = std::io::stderr();
    writeln!(stderr, "explain: {text}").unwrap();
}
