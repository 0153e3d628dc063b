//! Requests of `sns.admin.close.goods`: canonical bytes, signatures, URLs and bodies.

use serde_json::Value;
use takedown::signing::canonical::{SignTypeField, canonical};
use takedown::signing::charset::Charset;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use super::{cases, hex, key, params, text};

fn sign_type(signed: &Value) -> SignType {
    serde_json::from_value(signed["sign_type"].clone()).unwrap()
}

fn keys(name: &str, signed: &Value) -> (Signer, Verifier) {
    let (sign_type, format) = (sign_type(signed), if name == "DSA-raw" { DsaFormat::Raw } else { DsaFormat::Der });
    let (private, public) = match sign_type {
        SignType::Md5 => ("value", "value"),
        _ => ("private_pkcs8_pem", "public_spki_pem"),
    };
    let load = |form| key(text(&signed["key"]), form);
    (
        Signer::load(sign_type, &load(private), format).unwrap(),
        Verifier::load(sign_type, &load(public), format).unwrap(),
    )
}

#[test]
fn every_canonical_string_and_signature_is_reproduced() {
    let mut ran = 0;
    for case in cases("mapi_requests.json") {
        let id = text(&case["id"]);
        let charset = Charset::from_label(text(&case["charset"])).unwrap();
        let bytes = canonical(&params(&case["params"]), SignTypeField::Excluded, charset).unwrap();
        assert_eq!(bytes, hex(text(&case["canonical_hex"])), "{id}");
        for (name, signed) in case["signed"].as_object().unwrap() {
            let (signer, verifier) = keys(name, signed);
            // DSA too: the vectors were made with the nonce of RFC 6979.
            assert_eq!(signer.sign(&bytes).unwrap(), text(&signed["sign"]), "{id} {name}");
            assert!(verifier.is_valid(&bytes, text(&signed["sign"])), "{id} {name}");
            assert!(!verifier.is_valid(&bytes[1..], text(&signed["sign"])), "{id} {name}");
            ran += 1;
        }
    }
    assert_eq!(ran, 90);
}
