//! What TLS needs beside an address: `ca_file` of `[amqp]` and `[http]`, and the worker's own certificate for the broker.

use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::section::Section;
use crate::queue::amqp::tls::TlsSettings;
use crate::tls::{Identity, Roots, TlsError};

/// Reads whom to trust instead of the machine's roots; what cannot be used has a fault noted.
pub(super) fn roots(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<Roots> {
    let given = keys::read(section, secrets, "ca", "ca_file")?;
    Roots::read(given.text.expose()).map_err(|error| section.fault(given.key, unusable(&error))).ok()
}

/// Reads what the broker's addresses are dialled with. Settings of TLS beside an address without it are a fault: whoever
/// gave them takes the connection for encrypted.
pub(super) fn of_broker(section: &mut Section<'_>, secrets: Secrets<'_>, urls: &[String]) -> TlsSettings {
    let roots = roots(section, secrets);
    let certificate = keys::read(section, secrets, "client_cert", "client_cert_file");
    let key = keys::read(section, secrets, "client_key", "client_key_file");
    let given = |name: &str| [name.to_owned(), format!("{name}_file")].into_iter().filter(|key| section.has(key));
    for [own, other] in [["client_cert", "client_key"], ["client_key", "client_cert"]] {
        if given(own).next().is_some() && given(other).next().is_none() {
            let remedy = "give client_cert_file and client_key_file together, or neither";
            section.fault(&format!("{other}_file"), Problem::new("is missing", remedy));
        }
    }
    if urls.iter().any(|url| url.get(..5).is_some_and(|scheme| scheme.eq_ignore_ascii_case("amqp:"))) {
        for key in ["ca", "client_cert", "client_key"].into_iter().flat_map(given) {
            let remedy = "write amqps:// and the broker's port for TLS (5671), or remove this";
            section.fault(&key, Problem::new("is given, but `url` is amqp://, which is not encrypted", remedy));
        }
    }
    let identity = certificate.zip(key).and_then(|(certificate, key)| {
        let read = Identity::read(certificate.text.expose(), key.text);
        read.map_err(|error| section.fault(at_fault(&error, certificate.key, key.key), unusable(&error))).ok()
    });
    TlsSettings { roots, identity }
}

fn at_fault(error: &TlsError, certificate: &'static str, key: &'static str) -> &'static str {
    match error {
        TlsError::NoCertificate | TlsError::Certificate { .. } => certificate,
        TlsError::NoKey | TlsError::NoPair => key,
    }
}

fn unusable(error: &TlsError) -> Problem {
    let remedy = match error {
        TlsError::NoCertificate | TlsError::Certificate { .. } => {
            "give certificates in PEM (-----BEGIN CERTIFICATE-----); DER becomes it by openssl x509 -inform DER -in FILE"
        }
        TlsError::NoKey => "give the key in PEM, PKCS#8, PKCS#1 or SEC1; openssl pkey -in FILE takes a pass phrase off",
        TlsError::NoPair => "give the key the certificate was asked for with, and the certificate before its issuer's",
    };
    Problem::new(error.to_string(), remedy)
}
