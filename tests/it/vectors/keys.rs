//! Every form of every key: what loads, what signs the same, what is refused and by which name.

use takedown::signing::key::KeyError;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use super::{key, load, text};

const RSA: [&str; 5] = ["app_rsa2048", "gateway_rsa2048", "app_rsa1024", "gateway_rsa1024", "other_rsa2048"];
const RSA_PRIVATE: [&str; 4] =
    ["private_pkcs1_pem", "private_pkcs8_pem", "private_pkcs1_base64", "private_pkcs8_base64"];
const RSA_PUBLIC: [&str; 3] = ["public_spki_pem", "public_spki_base64", "public_pkcs1_pem"];
const DSA: [&str; 2] = ["app_dsa1024", "gateway_dsa1024"];
const DSA_PRIVATE: [&str; 3] = ["private_pkcs8_pem", "private_pkcs8_base64", "private_traditional_pem"];
const DSA_PUBLIC: [&str; 2] = ["public_spki_pem", "public_spki_base64"];

fn signer(sign_type: SignType, key: &str) -> Result<Signer, KeyError> {
    Signer::load(sign_type, key, DsaFormat::Der)
}

fn verifier(sign_type: SignType, key: &str) -> Result<Verifier, KeyError> {
    Verifier::load(sign_type, key, DsaFormat::Der)
}

fn every_form_agrees(sign_type: SignType, names: &[&str], private: &[&str], public: &[&str]) -> usize {
    let mut ran = 0;
    for name in names {
        let expected = signer(sign_type, &key(name, private[0])).unwrap().sign(b"probe").unwrap();
        for form in private {
            let signer = signer(sign_type, &key(name, form)).unwrap();
            assert_eq!(signer.sign(b"probe").unwrap(), expected, "{sign_type} {name} {form}");
            assert!(signer.own_verifier().is_valid(b"probe", &expected), "{sign_type} {name} {form}");
            ran += 1;
        }
        for form in public {
            let verifier = verifier(sign_type, &key(name, form)).unwrap();
            assert!(verifier.is_valid(b"probe", &expected), "{sign_type} {name} {form}");
            assert!(!verifier.is_valid(b"Probe", &expected), "{sign_type} {name} {form}");
            ran += 1;
        }
    }
    ran
}

#[test]
fn every_form_of_a_key_is_the_same_key() {
    let rsa = every_form_agrees(SignType::Rsa, &RSA, &RSA_PRIVATE, &RSA_PUBLIC);
    let rsa2 = every_form_agrees(SignType::Rsa2, &RSA, &RSA_PRIVATE, &RSA_PUBLIC);
    let dsa = every_form_agrees(SignType::Dsa, &DSA, &DSA_PRIVATE, &DSA_PUBLIC);
    assert_eq!((rsa, rsa2, dsa), (35, 35, 10));
}

#[test]
fn line_breaks_and_white_space_do_not_matter() {
    let expected = signer(SignType::Rsa2, &key("app_rsa2048", "private_pkcs8_pem")).unwrap().sign(b"probe").unwrap();
    let mut ran = 0;
    for form in RSA_PRIVATE {
        let original = key("app_rsa2048", form);
        let folded = original.as_bytes().chunks(40).map(|line| std::str::from_utf8(line).unwrap()).collect::<Vec<_>>();
        for variant in [
            original.replace('\n', "\r\n"),
            original.replace('\n', "\\n"),
            original.replace('\n', " "),
            original.replace('\n', ""),
            format!("\u{feff}\n  {original}\n\n"),
            if original.contains("BEGIN") {
                format!("Bag Attributes\n  name: x\n{original}")
            } else {
                folded.join("\r\n")
            },
        ] {
            let signer = signer(SignType::Rsa2, &variant).unwrap();
            assert_eq!(signer.sign(b"probe").unwrap(), expected, "{form}");
            ran += 1;
        }
    }
    assert_eq!(ran, 24);
}

#[test]
fn of_several_keys_in_one_file_the_wanted_half_is_taken() {
    let certificate = text(&load("keys.json")["certs"]["app_cert_pem"]).to_owned();
    let [private, public] = ["private_pkcs8_pem", "public_spki_pem"].map(|form| key("app_rsa2048", form));
    let file = format!("{certificate}\n{public}\n{private}\n");
    let sign = signer(SignType::Rsa2, &file).unwrap().sign(b"probe").unwrap();
    assert!(verifier(SignType::Rsa2, &file).unwrap().is_valid(b"probe", &sign));
}

#[test]
fn what_is_not_the_key_wanted_is_named_for_what_it_is() {
    let certificate = text(&load("keys.json")["certs"]["app_cert_pem"]).to_owned();
    let private = key("app_rsa2048", "private_pkcs8_pem");
    let public = key("app_rsa2048", "public_spki_base64");
    let dsa = key("app_dsa1024", "private_traditional_pem");
    let wanted = "an RSA private key (PKCS#8 or PKCS#1)";
    let cases = [
        (signer(SignType::Rsa2, &public).err(), format!("expected {wanted}, found an RSA public key")),
        (signer(SignType::Rsa, &key("app_rsa2048", "public_pkcs1_pem")).err(), format!("expected {wanted}, found an RSA public key")),
        (signer(SignType::Rsa, &dsa).err(), format!("expected {wanted}, found a DSA private key")),
        (
            signer(SignType::Dsa, &private).err(),
            "expected a DSA private key (PKCS#8 or traditional), found an RSA private key".to_owned(),
        ),
        (
            verifier(SignType::Rsa2, &private).err(),
            "expected an RSA public key (SubjectPublicKeyInfo or PKCS#1), found an RSA private key".to_owned(),
        ),
        (
            verifier(SignType::Rsa2, &certificate).err(),
            "expected an RSA public key (SubjectPublicKeyInfo or PKCS#1), found an X.509 certificate; take its key out \
             with `openssl x509 -in CERTIFICATE -noout -pubkey`"
                .to_owned(),
        ),
        (
            verifier(SignType::Dsa, &public).err(),
            "expected a DSA public key (SubjectPublicKeyInfo), found an RSA public key".to_owned(),
        ),
        (signer(SignType::Rsa2, " \r\n").err(), "the key is empty".to_owned()),
        (
            signer(SignType::Rsa2, "/etc/takedown/app.pem").err(),
            "the key is neither PEM nor Base64: it holds '.'; give the text itself, not the name of a file".to_owned(),
        ),
        (
            signer(SignType::Rsa2, &private[..400]).err(),
            "the key is neither PEM nor Base64: its END line is missing".to_owned(),
        ),
        (
            signer(SignType::Rsa2, &key("mapi_md5_key", "value")).err(),
            format!("expected {wanted}, found something that is no key (not DER)"),
        ),
        (
            signer(SignType::Md5, &private).err(),
            "expected the MD5 secret (32 characters, no PEM), found a PEM key".to_owned(),
        ),
    ];
    for (error, expected) in &cases {
        assert_eq!(&error.as_ref().unwrap().to_string(), expected);
    }
}

#[test]
fn keys_of_other_algorithms_are_named() {
    // An elliptic-curve pair made for this test: SEC 1, PKCS#8, SubjectPublicKeyInfo.
    let sec1 = "MHcCAQEEIK6+wHpBl19vESoFZQz/bZ5BCGv2IzVpiokM8csOJTmfoAoGCCqGSM49AwEHoUQDQgAExARwNDM2i3eBy8AH4tMstmneqhyrNGUzAwNssvqI0iYA1dRrHrRIxZVP9rBpJTcLVEhncQyQMkWpwtn6usvldg==";
    let pkcs8 = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgrr7AekGXX28RKgVlDP9tnkEIa/YjNWmKiQzxyw4lOZ+hRANCAATEBHA0MzaLd4HLwAfi0yy2ad6qHKs0ZTMDA2yy+ojSJgDV1GsetEjFlU/2sGklNwtUSGdxDJAyRanC2fq6y+V2";
    let spki = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAExARwNDM2i3eBy8AH4tMstmneqhyrNGUzAwNssvqI0iYA1dRrHrRIxZVP9rBpJTcLVEhncQyQMkWpwtn6usvldg==";
    for (error, found) in [
        (signer(SignType::Rsa2, sec1).err(), "an elliptic-curve private key"),
        (signer(SignType::Rsa2, pkcs8).err(), "an elliptic-curve private key"),
        (verifier(SignType::Rsa2, spki).err(), "an elliptic-curve public key"),
    ] {
        let error = error.unwrap().to_string();
        assert!(error.ends_with(&format!("found {found}")), "{error}");
    }
}

#[test]
fn encrypted_private_keys_are_named_and_the_remedy_with_them() {
    let pkcs8 = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let traditional = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nMIIB\n-----END RSA PRIVATE KEY-----\n";
    for text in [pkcs8, traditional] {
        let error = signer(SignType::Rsa2, text).unwrap_err().to_string();
        assert!(error.contains("found an encrypted private key; decrypt it with `openssl"), "{error}");
    }
}

#[test]
fn no_key_is_shown_by_debug() {
    for (sign_type, name, form) in [
        (SignType::Rsa2, "app_rsa2048", "private_pkcs8_pem"),
        (SignType::Dsa, "app_dsa1024", "private_pkcs8_pem"),
        (SignType::Md5, "mapi_md5_key", "value"),
    ] {
        let signer = signer(sign_type, &key(name, form)).unwrap();
        assert_eq!(format!("{signer:?}"), format!("Signer({sign_type}, ***)"));
        assert_eq!(format!("{:?}", signer.own_verifier()), format!("Verifier({sign_type}, ***)"));
    }
}
