//! Files of certificates: whatever the file, nothing panics, and however it is wrapped, its numbers are the same.

use std::sync::LazyLock;
use std::time::SystemTime;

use takedown::gateway::certificates::CertificateSet;
use takedown::signing::SignType;
use takedown::signing::certificate::{Bundle, Certificate, CertificateError};

use super::fixture;

static ROOTS: LazyLock<Bundle> = LazyLock::new(|| Bundle::read(&fixture::key("certs", "root_bundle_pem")).unwrap());

/// Reads the bytes as a file, and as the DER of one certificate.
pub fn run(bytes: &[u8]) {
    hold(&String::from_utf8_lossy(bytes));
    hold(&base64(bytes));
}

fn hold(text: &str) {
    let bundle = match Bundle::read(text) {
        Ok(bundle) => bundle,
        Err(error) => return is_short(&error),
    };
    for certificate in bundle.iter() {
        for name in [certificate.subject(), certificate.issuer()] {
            assert!(name.chars().count() <= 80 && !name.chars().any(char::is_control), "a name is one short line");
        }
        for sign_type in [SignType::Rsa, SignType::Rsa2, SignType::Dsa, SignType::Md5] {
            certificate.verifier(sign_type).err().iter().for_each(is_short);
        }
    }
    assert!(bundle.iter().any(|one| one == bundle.leaf()), "the leaf is of the file");
    if let Err(error) = bundle.chain_to(&ROOTS) {
        let told = error.to_string();
        assert!(told.chars().count() < 512, "a fault is one short line: {told}");
    }
    // A moment inside the lives of the fixture's certificates, so that the replay never depends on the day.
    let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_700_000_000);
    let set = CertificateSet { app: bundle.clone(), roots: bundle.clone(), gateway: vec![bundle.clone()] };
    assert!(set.findings(now).iter().all(|finding| finding.problem.chars().count() < 1024), "findings are short");
    assert!(set.summary().len() < 256, "a summary is one short line");
    is_the_same_wrapped_anew(text, &bundle);
}

/// What the ways here do to a text changes no number.
fn is_the_same_wrapped_anew(text: &str, bundle: &Bundle) {
    let numbers = |bundle: &Bundle| (bundle.iter().map(Certificate::number).collect::<Vec<_>>(), bundle.root_number());
    let expected = numbers(bundle);
    for number in expected.0.iter().flatten() {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        assert!(number.len() == 32 && number.bytes().all(is_hex), "a number is 32 hex digits: {number}");
    }
    for wrapped in [
        text.replace('\n', "\r\n"),
        text.replace('\r', "").replace('\n', "\\n"),
        text.replace(['\r', '\n'], ""),
        text.replace('\n', "\n\n \t"),
        format!("\u{feff}{text}\n"),
    ] {
        let again = Bundle::read(&wrapped).unwrap_or_else(|error| panic!("it can be read wrapped anew: {error}"));
        assert_eq!(numbers(&again), expected, "a number does not depend on how a file is wrapped");
    }
}

fn is_short(error: &CertificateError) {
    let told = error.to_string();
    assert!(told.chars().count() < 256 && !told.chars().any(char::is_control), "a fault is one short line: {told:?}");
}

fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let number =
            three.iter().chain([&0, &0]).take(3).fold(0_usize, |number, byte| number << 8 | usize::from(*byte));
        for place in 0..4 {
            let is_padding = place > three.len();
            let letter = LETTERS[number >> (18 - 6 * place) & 63];
            text.push(if is_padding { '=' } else { char::from(letter) });
        }
    }
    text
}
