//! Certificates: every number, the root bundle's, chains, and what is refused by which name.

use serde_json::Value;
use takedown::signing::certificate::{Bundle, CertificateError, ChainError};
use takedown::signing::{DsaFormat, SignType};

use super::{accounts, key, load, tell, text};

/// A certificate text of the keys, such as `keys.json certs.app_cert_pem`.
fn pem(place: &Value) -> String {
    let (file, path) = text(place).split_once(' ').unwrap();
    let found = path.split('.').fold(load(file), |value, name| value[name].clone());
    text(&found).to_owned()
}

fn certificate(name: &str) -> String {
    text(&load("keys.json")["certs"][name]).to_owned()
}

fn bundle(names: &[&str]) -> Bundle {
    Bundle::read(&names.iter().map(|name| certificate(name)).collect::<String>()).unwrap()
}

#[test]
fn every_certificate_and_the_root_bundle_have_their_numbers() {
    let vectors = load("cert_sn.json");
    let mut ran = 0;
    for case in vectors["single"].as_array().unwrap() {
        let bundle = Bundle::read(&pem(&case["pem_in"])).unwrap();
        assert_eq!(bundle.leaf().number().unwrap(), text(&case["sn"]), "{}", case["id"]);
        ran += 1;
    }
    let roots = &vectors["root_bundle"];
    let bundle = Bundle::read(&pem(&roots["pem_in"])).unwrap();
    assert_eq!(bundle.root_number().unwrap().as_deref(), Some(text(&roots["sn"])));
    assert_eq!(bundle.iter().filter(|root| root.is_signed_with_rsa()).count(), 2, "{}", roots["members"]);
    tell("cert_sn.json", ran + 1, 5);
}

#[test]
fn the_key_of_a_certificate_verifies_what_its_private_half_signed() {
    for (name, private) in [("app_cert_pem", "app_rsa2048"), ("alipay_cert_pem", "gateway_rsa2048")] {
        for sign_type in [SignType::Rsa2, SignType::Rsa] {
            let sign = accounts::signer(sign_type, private, DsaFormat::Der).sign(b"probe").unwrap();
            let verifier = bundle(&[name]).leaf().verifier(sign_type).unwrap();
            assert_eq!(verifier.sign_type(), sign_type);
            assert!(verifier.is_valid(b"probe", &sign) && !verifier.is_valid(b"Probe", &sign), "{name}");
        }
    }
    let error = bundle(&["app_cert_pem"]).leaf().verifier(SignType::Dsa).unwrap_err();
    assert_eq!(error.to_string(), "the key of certificate 1 is not usable");
}

#[test]
fn of_a_file_with_its_issuers_the_issued_one_is_meant_in_either_order() {
    for names in [["alipay_cert_pem", "intermediate_pem"], ["intermediate_pem", "alipay_cert_pem"]] {
        assert_eq!(bundle(&names).leaf().subject(), "gateway-side test key");
        assert_eq!(bundle(&names).other_leaf(), None);
    }
    // An authority that issued none of the file is not what it is about.
    assert_eq!(bundle(&["root_bundle_pem", "alipay_cert_pem"]).leaf().subject(), "gateway-side test key");
    assert_eq!(bundle(&["alipay_cert_pem", "alipay_cert_pem"]).other_leaf(), None, "the same twice");
    let two = bundle(&["alipay_cert_pem", "intermediate_pem", "zero_padded_sn_cert_pem"]);
    assert_eq!(
        two.other_leaf().map(|other| other.number().unwrap()),
        Some(certificate_number("zero_padded_sn_cert_pem"))
    );
}

fn certificate_number(name: &str) -> String {
    bundle(&[name]).leaf().number().unwrap()
}

#[test]
fn a_chain_holds_only_over_every_signature() {
    let roots = bundle(&["root_bundle_pem"]);
    let chain = |names: &[&str]| bundle(names).chain_to(&roots);
    assert_eq!(chain(&["alipay_cert_pem", "intermediate_pem"]), Ok(()));
    assert_eq!(chain(&["intermediate_pem", "app_cert_pem"]), Ok(()));
    assert_eq!(chain(&["intermediate_pem"]), Ok(()));
    assert_eq!(roots.chain_to(&roots), Ok(()));
    let missing = chain(&["alipay_cert_pem"]).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "\"gateway-side test key\" was issued by \"Vector Test Class 2 R1\", which is neither a root nor in the file"
    );
    assert!(matches!(chain(&["app_cert_pem", "root_bundle_pem"]), Err(ChainError::IssuerMissing { .. })));
    // The signature's last bit.
    let altered = certificate("intermediate_pem").replace("oER\n-----END", "oEQ\n-----END");
    let altered = Bundle::read(&altered).unwrap();
    assert!(matches!(altered.chain_to(&roots), Err(ChainError::Forged { .. })));
}

#[test]
fn certificates_are_read_however_they_are_wrapped() {
    let whole = certificate("app_cert_pem");
    let number = Bundle::read(&whole).unwrap().leaf().number().unwrap();
    let bare: String = whole.lines().filter(|line| !line.starts_with('-')).collect();
    for variant in [
        whole.replace('\n', "\r\n"),
        whole.replace('\n', "\\n"),
        whole.replace('\n', ""),
        whole.replace(" CERTIFICATE-", " X509 CERTIFICATE-"),
        format!("\u{feff}Certificate:\n    Data: x\n{whole}\n\n"),
        format!("{}{whole}", key("app_rsa2048", "private_pkcs8_pem")),
        bare,
    ] {
        assert_eq!(Bundle::read(&variant).unwrap().leaf().number().unwrap(), number, "{variant}");
    }
}

#[test]
fn what_is_no_certificate_is_named_and_never_quoted() {
    let [app, other] = ["app_cert_pem", "intermediate_pem"].map(certificate);
    let private = key("app_rsa2048", "private_pkcs8_pem");
    let request = app.replace(" CERTIFICATE-", " CERTIFICATE REQUEST-");
    let cases = [
        (String::new(), "there is no certificate in it"),
        (" \n".to_owned(), "there is no certificate in it"),
        (private.clone(), "expected X.509 certificates, found a private key"),
        (key("app_rsa2048", "private_pkcs8_base64"), "expected X.509 certificates, found an RSA private key"),
        (key("app_rsa2048", "public_spki_pem"), "expected X.509 certificates, found a public key"),
        (
            request,
            "expected X.509 certificates, found a request for a certificate; upload it to the platform and download \
             the certificate",
        ),
        (
            "certs/app.crt".to_owned(),
            "certificate 1 is neither PEM nor Base64: it holds '.'; give the text itself, not the name of a file",
        ),
        (other.clone() + &app[..400], "certificate 2 is neither PEM nor Base64: its END line is missing"),
        (other + &app.replacen("MIID", "MIIE", 1), "certificate 2 is damaged, or no X.509 certificate"),
        (
            app.replacen("\nMIID", "\nMI=D", 1),
            "certificate 1 is neither PEM nor Base64: the Base64 is cut off or damaged",
        ),
    ];
    for (text, expected) in cases {
        let error: CertificateError = Bundle::read(&text).unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert!(!format!("{error:?}").contains("MII"), "{error:?}");
    }
}
