//! Certificate mode: numbers come from files, and every way to mix the files up is told.

use std::fs;
use std::path::Path;

use takedown::gateway::GatewayAccount;
use takedown::gateway::open_platform::{GatewayKeys, OpenPlatformAccount};
use takedown::ops::config::{Config, Fault, Outline};
use tempfile::TempDir;

use super::{key, keys, load};

const ACCOUNT: &str = r#"
[accounts.shops]
gateway = "open_platform"
app_id = "2014072300007148"
private_key_file = "app.private.pem"
app_cert_file = "app.crt"
root_cert_file = "root.crt"
gateway_cert_files = ["gateway.crt"]
"#;

fn certificate(name: &str) -> String {
    keys()["certs"][name].as_str().unwrap().to_owned()
}

fn directory() -> TempDir {
    let directory = TempDir::new().unwrap();
    let gateway = certificate("alipay_cert_pem") + &certificate("intermediate_pem");
    for (name, text) in [
        ("app.private.pem", key("app_rsa2048", "private_pkcs8_pem")),
        ("other.private.pem", key("other_rsa2048", "private_pkcs8_pem")),
        ("gateway.pem", key("gateway_rsa2048", "public_spki_pem")),
        ("app.crt", certificate("app_cert_pem")),
        ("root.crt", certificate("root_bundle_pem")),
        ("gateway.crt", gateway),
        ("old.crt", certificate("zero_padded_sn_cert_pem")),
        ("intermediate.crt", certificate("intermediate_pem")),
        ("two-apps.crt", certificate("app_cert_pem") + &certificate("zero_padded_sn_cert_pem")),
        ("two-gateways.crt", certificate("zero_padded_sn_cert_pem") + &certificate("alipay_cert_pem")),
    ] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

fn account(config: Config) -> OpenPlatformAccount {
    let account = config.accounts.into_values().next().unwrap();
    let GatewayAccount::OpenPlatform(account) = account.gateway else { panic!("shops is an app") };
    account
}

/// Replaces one line of the account.
fn with(line: &str, replacement: &str) -> String {
    assert!(ACCOUNT.contains(line));
    ACCOUNT.replace(line, replacement)
}

fn faults(text: &str, base: &Path) -> Vec<Fault> {
    load(text, base, &[]).unwrap_err()
}

#[test]
fn numbers_and_keys_are_computed_from_the_files() {
    let directory = directory();
    let text = with("[\"gateway.crt\"]", "[\"gateway.crt\", \"intermediate.crt\"]");
    let account = account(load(&text, directory.path(), &[]).unwrap());
    let numbers = account.certificates.unwrap();
    assert_eq!(numbers.app, "2b2af0e64e9007f958ddfae391702b8c");
    assert_eq!(numbers.root, "6f3df666aef959275a4a169cb510ddab_3c24936ac43f51c7282e43f35125b890");
    let GatewayKeys::ByCertificate(keys) = account.keys else { panic!("keys by certificate") };
    let numbers: Vec<_> = keys.keys().map(String::as_str).collect();
    assert_eq!(numbers, ["53348105d67a425aacf46f8e8bacb089", "b312d858289ee12e5b9d1792a40a2f5a"]);
}

#[test]
fn certificates_may_come_by_the_environment() {
    let directory = directory();
    let gateway = certificate("alipay_cert_pem");
    let several = format!("{},{}", gateway.replace('\n', "\\n"), certificate("intermediate_pem"));
    let root = certificate("root_bundle_pem");
    let app: String = certificate("app_cert_pem").lines().filter(|line| !line.starts_with('-')).collect();
    let environment = [
        ("TAKEDOWN_ACCOUNTS__SHOPS__APP_CERT", app.as_str()),
        ("TAKEDOWN_ACCOUNTS__SHOPS__ROOT_CERT", root.as_str()),
        ("TAKEDOWN_ACCOUNTS__SHOPS__GATEWAY_CERTS", several.as_str()),
    ];
    let bare = ACCOUNT.lines().filter(|line| !line.contains("cert")).collect::<Vec<_>>().join("\n");
    let account = account(load(&bare, directory.path(), &environment).unwrap());
    let GatewayKeys::ByCertificate(keys) = account.keys else { panic!("keys by certificate") };
    assert_eq!((account.certificates.is_some(), keys.len()), (true, 2));
}

#[test]
fn files_that_are_mixed_up_are_told_with_key_line_and_remedy() {
    let directory = directory();
    let swapped = ACCOUNT.replace("app.crt", "x").replace("gateway.crt", "app.crt").replace("\"x\"", "\"gateway.crt\"");
    let cases = [
        (swapped, "app_cert_file", 6, "they are swapped"),
        (with("[\"gateway.crt\"]", "[\"app.crt\"]"), "gateway_cert_files", 8, "your app's own certificate"),
        (with("app.private", "other.private"), "app_cert_file", 6, "another key than the account's private key"),
        (with("app.crt", "root.crt"), "app_cert_file", 6, "another key than the account's private key"),
        (with("root.crt", "gateway.crt"), "root_cert_file", 7, "no root certificate signed with RSA"),
        (with("app.crt", "app.private.pem"), "app_cert_file", 6, "found a private key"),
        (with("[\"gateway.crt\"]", "[\"gateway.crt\", \"gateway.pem\"]"), "gateway_cert_files[1]", 8, "a public key"),
        (with("[\"gateway.crt\"]", "[\"gateway.crt\", \"absent.crt\"]"), "gateway_cert_files[1]", 8, "cannot be read"),
        (with("[\"gateway.crt\"]", "[]"), "gateway_cert_files", 8, "is empty"),
        (with("[\"gateway.crt\"]", "\"gateway.crt\""), "gateway_cert_files", 8, "expected a list"),
        (with("app_cert_file = \"app.crt\"\n", ""), "app_cert_file", 2, "is missing"),
        (with("root_cert_file = \"root.crt\"\n", ""), "root_cert_file", 2, "is missing"),
        (with("gateway_cert_files = [\"gateway.crt\"]\n", ""), "gateway_cert_files", 2, "is missing"),
        (
            with("root_cert_file", "gateway_key_file = \"gateway.pem\"\nroot_cert_file"),
            "gateway_key_file",
            7,
            "both given",
        ),
        (with("app_cert_file", "app_cert = \"x\"\napp_cert_file"), "app_cert", 6, "both given"),
        (with("app.crt", "two-apps.crt"), "app_cert_file", 6, "neither of which issued the other"),
        (
            with("[\"gateway.crt\"]", "[\"gateway.crt\", \"two-gateways.crt\"]"),
            "gateway_cert_files[1]",
            8,
            "neither of which issued the other",
        ),
    ];
    for (text, key, line, problem) in cases {
        let faults = faults(&text, directory.path());
        assert_eq!(faults.len(), 1, "{faults:#?}");
        let fault = &faults[0];
        assert_eq!(
            (fault.key.as_str(), fault.line()),
            (format!("accounts.shops.{key}").as_str(), Some(line)),
            "{fault}"
        );
        assert!(fault.problem.contains(problem) && !fault.remedy.is_empty(), "{fault}");
    }
}

#[test]
fn sha1_goes_with_a_certificate_too() {
    let directory = directory();
    let text = with("app_cert_file", "sign_type = \"RSA\"\napp_cert_file");
    assert!(account(load(&text, directory.path(), &[]).unwrap()).certificates.is_some());
}

#[test]
fn an_outline_needs_none_of_the_files() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("takedown.toml");
    fs::write(&file, ACCOUNT).unwrap();
    assert!(Outline::load(Some(&file), &std::collections::BTreeMap::new()).is_ok());
    fs::write(&file, with("app_cert_file", "app_certt_file")).unwrap();
    let faults = Outline::load(Some(&file), &std::collections::BTreeMap::new()).err().unwrap().faults;
    assert_eq!(faults[0].remedy, "did you mean `app_cert_file`?");
}

#[test]
fn the_schema_knows_the_settings() {
    let schema = serde_json::from_str(include_str!("../../../schemas/config.v1.json")).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document = |text: &str| serde_json::to_value(toml::from_str::<toml::Table>(text).unwrap()).unwrap();
    assert!(validator.is_valid(&document(ACCOUNT)));
    for wrong in [with("[\"gateway.crt\"]", "[]"), with("\"app.crt\"", "7"), with("app_cert_file", "app_cert_sn")] {
        assert!(!validator.is_valid(&document(&wrong)), "{wrong}");
    }
}
