//! Settings of TLS, and the token of the status endpoints.

use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::load;
use crate::support::pki::{Dates, Pki};

const ACCOUNT: &str = "[accounts.desk]\ngateway = \"mapi\"\npartner = \"2088000000000001\"\nsign_type = \"MD5\"\nsecret = \"0123456789abcdef\"\n";
const TLS: &str = "url = \"amqps://u:p@mq.example/%2f\"\n";

fn files() -> TempDir {
    let (dir, pki) = (TempDir::new().unwrap(), Pki::new());
    let [own, other] = [(); 2].map(|()| pki.issue(&["worker"], Dates::Now));
    for (name, text) in [
        ("ca.pem", &pki.root()),
        ("two.pem", &format!("bundle of us\n{}{}", pki.root(), Pki::new().root())),
        ("broken.pem", &format!("{}{}", pki.root(), pki.root().replacen("MII", "AII", 1))),
        ("own.pem", &own.certificate),
        ("own.key", &own.key),
        ("other.key", &other.key),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

/// The faults of a text put before an account, as `key: problem`.
fn faults(dir: &Path, text: &str, environment: &[(&str, &str)]) -> Vec<String> {
    let faults = load(&format!("{text}\n{ACCOUNT}"), dir, environment).err().unwrap_or_default();
    for fault in &faults {
        assert!(!fault.remedy.is_empty() && !fault.problem.contains("PRIVATE"), "{fault:?}");
    }
    faults.iter().map(|fault| format!("{}: {}", fault.key, fault.problem)).collect()
}

#[test]
fn authorities_and_a_certificate_of_ones_own_are_taken_from_files_and_the_environment() {
    let dir = files();
    let bare = load(ACCOUNT, dir.path(), &[]).unwrap();
    assert!(bare.amqp.tls.roots.is_none() && bare.amqp.tls.identity.is_none() && bare.http.roots.is_none());
    let text = format!(
        "[amqp]\n{TLS}ca_file = \"two.pem\"\nclient_cert_file = \"own.pem\"\nclient_key_file = \"own.key\"\n\
         [http]\nca_file = \"ca.pem\"\n{ACCOUNT}"
    );
    let config = load(&text, dir.path(), &[]).unwrap();
    assert_eq!(config.amqp.tls.roots.as_ref().unwrap().iter().count(), 2);
    assert_eq!(config.http.roots.as_ref().unwrap().iter().count(), 1);
    assert!(config.amqp.tls.identity.is_some());
    let key = fs::read_to_string(dir.path().join("own.key")).unwrap();
    let shown = format!("{:?} {:?}", config.amqp, config.http);
    assert!(key.lines().all(|line| !shown.contains(line)), "{shown}");

    let ca = fs::read_to_string(dir.path().join("ca.pem")).unwrap();
    let config = load(&text, dir.path(), &[("TAKEDOWN_AMQP__CA", &ca)]).unwrap();
    assert_eq!(config.amqp.tls.roots.as_ref().unwrap().iter().count(), 1, "the environment wins");
}

#[test]
fn what_cannot_be_used_for_tls_is_refused_by_name() {
    let dir = files();
    for (text, expected) in [
        (format!("[amqp]\n{TLS}ca_file = \"own.key\""), "amqp.ca_file: holds no certificate in PEM"),
        (format!("[amqp]\n{TLS}ca_file = \"absent.pem\""), "amqp.ca_file: names absent.pem, which cannot be read"),
        (
            format!("[amqp]\n{TLS}ca_file = \"broken.pem\""),
            "amqp.ca_file: holds a certificate that cannot be used (number 2",
        ),
        ("[http]\nca_file = \"own.key\"".to_owned(), "http.ca_file: holds no certificate in PEM"),
        (format!("[amqp]\n{TLS}client_cert_file = \"own.pem\""), "amqp.client_key_file: is missing"),
        (format!("[amqp]\n{TLS}client_key_file = \"own.key\""), "amqp.client_cert_file: is missing"),
        (
            format!("[amqp]\n{TLS}client_cert_file = \"own.pem\"\nclient_key_file = \"other.key\""),
            "amqp.client_key_file: holds a private key that is not the first certificate's",
        ),
        (
            format!("[amqp]\n{TLS}client_cert_file = \"own.pem\"\nclient_key_file = \"own.pem\""),
            "amqp.client_key_file: holds no private key in PEM",
        ),
        (
            "[amqp]\nca_file = \"ca.pem\"".to_owned(),
            "amqp.ca_file: is given, but `url` is amqp://, which is not encrypted",
        ),
    ] {
        let faults = faults(dir.path(), &text, &[]);
        assert!(faults.len() == 1 && faults[0].starts_with(expected), "{text}: {faults:?}");
    }
}

#[test]
fn an_address_that_others_reach_needs_a_token_worth_the_name() {
    let dir = files();
    fs::write(dir.path().join("token"), "0123456789abcdef0123456789abcdef\n").unwrap();
    fs::write(dir.path().join("short"), "0123456789abcde\n").unwrap();
    for (listen, token, environment, expected) in [
        ("127.0.0.1:9100", "", None, ""),
        ("[::1]:9100", "", None, ""),
        ("0.0.0.0:9100", "token_file = \"token\"", None, ""),
        ("0.0.0.0:9100", "", Some("0123456789abcdef"), ""),
        ("0.0.0.0:9100", "", None, "worker.listen: is 0.0.0.0:9100, where others than this machine may ask"),
        ("[::]:9100", "", None, "worker.listen: is [::]:9100, where others"),
        ("10.0.0.7:9100", "", None, "worker.listen: is 10.0.0.7:9100, where others"),
        ("0.0.0.0:9100", "token_file = \"short\"", None, "worker.token_file: holds 15 bytes, of 16 at least"),
        ("127.0.0.1:9100", "", Some("hunter2"), "worker.token: holds 7 bytes, of 16 at least"),
        ("127.0.0.1:9100", "", Some("a token of several words"), "worker.token: holds more than letters"),
    ] {
        let environment: Vec<_> = environment.map(|token| ("TAKEDOWN_WORKER__TOKEN", token)).into_iter().collect();
        let faults = faults(dir.path(), &format!("[worker]\nlisten = {listen:?}\n{token}\n"), &environment);
        match expected {
            "" => assert!(faults.is_empty(), "{listen}: {faults:?}"),
            start => assert!(faults.len() == 1 && faults[0].starts_with(start), "{listen} {token}: {faults:?}"),
        }
        assert!(!faults.concat().contains("hunter2"), "{faults:?}");
    }
}
