//! DSA by our own two equations, against those of the `dsa` crate, and against signatures of OpenSSL's.
//!
//! A key is made anew in every run; a failure prints the key it was met with, which protects nothing.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsa::pkcs8::{DecodePrivateKey, EncodePublicKey, LineEnding};
use dsa::signature::SignatureEncoding;
use dsa::signature::hazmat::PrehashVerifier;
use dsa::{BoxedUint, Signature, SigningKey};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use sha1::{Digest, Sha1};
use takedown::signing::generate::key_pair;
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use crate::signing_engines::signs_nothing_else;
use crate::vectors;

/// One key in both.
struct Engines {
    private: String,
    key: SigningKey,
    ours: (Signer, Verifier),
}

impl Engines {
    fn of(private: &str) -> Self {
        let key = SigningKey::from_pkcs8_pem(private).unwrap();
        let public = key.verifying_key().to_public_key_pem(LineEnding::LF).unwrap();
        let signer = Signer::load(SignType::Dsa, private, DsaFormat::Der).unwrap();
        let verifier = Verifier::load(SignType::Dsa, &public, DsaFormat::Der).unwrap();
        Self { private: private.to_owned(), key, ours: (signer, verifier) }
    }

    /// Signs with both; panics where they differ.
    fn sign(&self, message: &[u8]) -> Signature {
        let theirs = self.key.sign_prehashed_rfc6979::<Sha1>(&Sha1::digest(message)).unwrap();
        let ours = BASE64_STANDARD.decode(self.ours.0.sign(message).unwrap()).unwrap();
        assert_eq!(ours, theirs.to_vec(), "{self:?} {message:?}");
        theirs
    }

    /// Verifies with both; panics where they differ.
    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        let sign = BASE64_STANDARD.encode(signature);
        let ours = self.ours.1.is_valid(message, &sign);
        assert_eq!(self.ours.0.own_verifier().is_valid(message, &sign), ours, "{self:?}");
        let digest = Sha1::digest(message);
        let theirs = Signature::try_from(signature)
            .is_ok_and(|signature| self.key.verifying_key().verify_prehash(&digest, &signature).is_ok());
        assert_eq!(ours, theirs, "{self:?} {message:?} {signature:?}");
        ours
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.private)
    }
}

const LARGER: [(&str, &str); 3] = [
    (include_str!("../fixtures/dsa/2048_224.pem"), include_str!("../fixtures/dsa/2048_224.sign")),
    (include_str!("../fixtures/dsa/2048_256.pem"), include_str!("../fixtures/dsa/2048_256.sign")),
    (include_str!("../fixtures/dsa/3072_256.pem"), include_str!("../fixtures/dsa/3072_256.sign")),
];

fn engines() -> Vec<Engines> {
    let fixtures = ["app_dsa1024", "gateway_dsa1024"].map(|name| vectors::key(name, "private_pkcs8_pem"));
    let made = key_pair(SignType::Dsa).unwrap();
    let texts = fixtures.iter().map(String::as_str).chain([made.private.expose()]);
    texts.chain(LARGER.map(|(key, _)| key)).map(Engines::of).collect()
}

#[test]
fn both_engines_write_the_same_signature_and_give_the_same_verdict() {
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) });
    let case = (proptest::collection::vec(any::<u8>(), 0..300), any::<prop::sample::Index>(), 0..8_u32);
    for engines in engines() {
        let checked = runner.run(&case, |(message, place, bit)| {
            let signature = engines.sign(&message).to_vec();
            signs_nothing_else(&message, &signature, (place, bit), |text, sign| engines.is_valid(text, sign))
        });
        checked.unwrap_or_else(|error| panic!("{error}\n{engines:?}"));
    }
}

/// A number that is short by chance has zeros in front.
#[test]
fn a_raw_signature_is_the_same_two_numbers_at_their_full_width() {
    for engines in engines() {
        let [verifier, other] = [DsaFormat::Raw, DsaFormat::Der]
            .map(|format| Signer::load(SignType::Dsa, &engines.private, format).unwrap().own_verifier());
        let raw = Signer::load(SignType::Dsa, &engines.private, DsaFormat::Raw).unwrap();
        let width = engines.key.verifying_key().components().q().bit_width() as usize / 8;
        for number in 0..40_u32 {
            let (message, sign) = (number.to_be_bytes(), raw.sign(&number.to_be_bytes()).unwrap());
            let bytes = BASE64_STANDARD.decode(&sign).unwrap();
            assert_eq!(bytes.len(), 2 * width, "{engines:?}");
            let (r, s) = bytes.split_at(width);
            let [r, s] = [r, s].map(BoxedUint::from_be_slice_vartime);
            assert_eq!(Signature::from_components(r, s).unwrap().to_vec(), engines.sign(&message).to_vec());
            assert!(verifier.is_valid(&message, &sign) && !other.is_valid(&message, &sign), "{engines:?}");
        }
    }
}

#[test]
fn signatures_of_another_library_are_valid() {
    for (key, sign) in LARGER {
        let engines = Engines::of(key);
        assert!(engines.is_valid(b"takedown", &BASE64_STANDARD.decode(sign.trim()).unwrap()));
    }
}

/// Some satisfy the equation, but for their range; others have been taken for signatures by some library.
#[test]
fn numbers_that_are_no_signature_are_refused_by_both() {
    for engines in engines() {
        let q: &BoxedUint = engines.key.verifying_key().components().q();
        let signature = engines.sign(b"x");
        let (r, s): (&BoxedUint, &BoxedUint) = (signature.r(), signature.s());
        let one = BoxedUint::one();
        let above = |number: &BoxedUint| number.concatenating_add(q);
        let pairs = [
            (above(r), s.clone()),
            (r.clone(), above(s)),
            (s.clone(), r.clone()),
            (one.clone(), one.clone()),
            (one.clone(), s.clone()),
            (r.clone(), one.clone()),
            (q.clone(), s.clone()),
            (r.clone(), q.clone()),
            (BoxedUint::max(4096), BoxedUint::max(4096)),
        ];
        for (r, s) in pairs {
            let odd = Signature::from_components(r, s).unwrap().to_vec();
            assert!(!engines.is_valid(b"x", &odd), "{engines:?} {odd:?}");
        }
        // Zero is no number of a signature, for the crate that reads them.
        for odd in [&[0x30, 6, 2, 1, 0, 2, 1, 1][..], &[0x30, 6, 2, 1, 1, 2, 1, 0], &[0x30, 6, 2, 1, 0, 2, 1, 0]] {
            assert!(!engines.is_valid(b"x", odd), "{engines:?} {odd:?}");
        }
    }
}
