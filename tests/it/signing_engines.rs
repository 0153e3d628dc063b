//! RSA2 by two libraries: our module, which leaves keys of 2048 bits and more to aws-lc-rs, against the `rsa` crate.
//!
//! Keys are made anew in every run, so a difference that shows with some keys only is found some day; a failure prints
//! the key it was met with, which protects nothing.

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rsa::pkcs1v15::{Pkcs1v15Sign, Signature, SigningKey, VerifyingKey};
use rsa::pkcs8::{DecodePrivateKey, EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::signature::{SignatureEncoding, Signer as _, Verifier as _};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, PrivateKey};
use sha2::{Digest, Sha256};
use takedown::signing::{DsaFormat, SignType, Signer, Verifier};

use crate::vectors;

/// One key in both libraries.
struct Engines {
    name: String,
    key: PrivateKey,
    ours: (Signer, Verifier),
    theirs: (SigningKey<Sha256>, VerifyingKey<Sha256>),
}

impl Engines {
    fn of(name: String, key: PrivateKey) -> Self {
        let private = key.to_pkcs8_pem(LineEnding::LF).unwrap();
        let public = key.to_public_key().to_public_key_pem(LineEnding::LF).unwrap();
        let signer = Signer::load(SignType::Rsa2, &private, DsaFormat::Der);
        let signer = signer.unwrap_or_else(|error| panic!("{name}: {error}\n{}", *private));
        let verifier = Verifier::load(SignType::Rsa2, &public, DsaFormat::Der).unwrap();
        let theirs = SigningKey::<Sha256>::new(key.clone());
        let verifying = VerifyingKey::new(key.to_public_key());
        Self { name, key, ours: (signer, verifier), theirs: (theirs, verifying) }
    }

    /// Signs with both; panics where they differ.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let ours = BASE64_STANDARD.decode(self.ours.0.sign(message).unwrap()).unwrap();
        let theirs = self.theirs.0.try_sign(message).unwrap().to_vec();
        assert_eq!(ours, theirs, "{self:?} {message:?}");
        ours
    }

    /// Verifies with both; panics where they differ.
    fn is_valid(&self, message: &[u8], signature: &[u8]) -> bool {
        let sign = BASE64_STANDARD.encode(signature);
        let ours = self.ours.1.is_valid(message, &sign);
        assert_eq!(self.ours.0.own_verifier().is_valid(message, &sign), ours, "{self:?}");
        let theirs = Signature::try_from(signature).is_ok_and(|s| self.theirs.1.verify(message, &s).is_ok());
        assert_eq!(ours, theirs, "{self:?} {message:?} {signature:?}");
        ours
    }

    /// The signature as a number, the modulus added to it: equal modulo n, and longer than n where it carries.
    fn plus_modulus(&self, signature: &[u8]) -> Vec<u8> {
        let mut sum = Vec::new();
        let mut carry = 0;
        let modulus = self.key.n().to_be_bytes();
        let modulus = &modulus[modulus.len() - signature.len()..];
        for (s, n) in signature.iter().zip(modulus).rev() {
            let digit = u16::from(*s) + u16::from(*n) + carry;
            sum.push(digit.to_le_bytes()[0]);
            carry = digit >> 8;
        }
        if carry > 0 {
            sum.push(1);
        }
        sum.reverse();
        sum
    }

    /// What a signature's padded text might be written as, signed with the real key.
    fn sign_padded(&self, text: &[u8]) -> Vec<u8> {
        self.key.sign(Pkcs1v15Sign::new_unprefixed(), text).unwrap()
    }
}

impl std::fmt::Debug for Engines {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let pem = self.key.to_pkcs8_pem(LineEnding::LF).unwrap();
        write!(f, "key {} (made for this run)\n{}", self.name, *pem)
    }
}

fn made(size: KeySize) -> PrivateKey {
    let pair = KeyPair::generate(size).unwrap();
    let der: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    PrivateKey::from_pkcs8_der(der.as_ref()).unwrap()
}

fn with_exponent(bits: usize, exponent: u64) -> PrivateKey {
    PrivateKey::new_with_exp(&mut rand::rng(), bits, BoxedUint::from(exponent)).unwrap()
}

/// Keys of this run. Exponents 3 and 17 are old custom, the last is the largest the `rsa` crate takes; 2056 bits end on
/// a whole byte but on no whole machine word, 2049 on neither; 1024 is signed by one library in either case.
fn engines() -> Vec<Engines> {
    let mut keys = vec![
        ("2048".to_owned(), made(KeySize::Rsa2048)),
        ("3072".to_owned(), made(KeySize::Rsa3072)),
        ("4096".to_owned(), made(KeySize::Rsa4096)),
    ];
    for (bits, exponent) in [(2048, 3), (2048, 17), (2048, (1 << 33) - 9), (2049, 65_537), (2056, 3), (1024, 3)] {
        keys.push((format!("{bits}, exponent {exponent}"), with_exponent(bits, exponent)));
    }
    keys.into_iter().map(|(name, key)| Engines::of(name, key)).chain(few()).collect()
}

/// Keys that need no making, and one that does.
fn few() -> Vec<Engines> {
    let fixture = |name: &str| (name.to_owned(), PrivateKey::from_pkcs8_pem(&vectors::key(name, "private_pkcs8_pem")));
    let fixtures = ["app_rsa2048", "gateway_rsa2048", "other_rsa2048", "app_rsa1024"].map(fixture);
    let fixtures = fixtures.into_iter().map(|(name, key)| Engines::of(name, key.unwrap()));
    fixtures.chain([Engines::of("another of 2048".to_owned(), made(KeySize::Rsa2048))]).collect()
}

/// Says that a signature is one of its message, but neither with a bit flipped nor of another message.
pub(crate) fn signs_nothing_else(
    message: &[u8],
    signature: &[u8],
    (place, bit): (prop::sample::Index, u32),
    is_valid: impl Fn(&[u8], &[u8]) -> bool,
) -> Result<(), TestCaseError> {
    prop_assert!(is_valid(message, signature));
    let mut flipped = signature.to_vec();
    flipped[place.index(signature.len())] ^= 1 << bit;
    prop_assert!(!is_valid(message, &flipped));
    prop_assert!(!is_valid(&[message, b"."].concat(), signature));
    Ok(())
}

#[test]
fn both_engines_write_the_same_signature_and_give_the_same_verdict() {
    let engines = engines();
    let mut runner = TestRunner::new(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) });
    let case = (proptest::collection::vec(any::<u8>(), 0..300), any::<prop::sample::Index>(), 0..8_u32);
    for engines in &engines {
        let checked = runner.run(&case, |(message, place, bit)| {
            let signature = engines.sign(&message);
            signs_nothing_else(&message, &signature, (place, bit), |text, sign| engines.is_valid(text, sign))?;

            let cut = place.index(signature.len());
            for odd in
                [&signature[..cut], &signature[cut + 1..], &[&[0], &*signature].concat(), &[&*signature, &[0]].concat()]
            {
                prop_assert!(!engines.is_valid(&message, odd));
            }
            prop_assert!(!engines.is_valid(&message, &engines.plus_modulus(&signature)));
            Ok(())
        });
        checked.unwrap_or_else(|error| panic!("{error}\n{engines:?}"));
    }
}

/// A signature whose number is small is written with zeros in front: with them it is valid, without them it is not.
#[test]
fn leading_zeros_belong_to_a_signature() {
    let engines = Engines::of("2048".to_owned(), made(KeySize::Rsa2048));
    // One signature in 256 begins with a zero; that none of 16,384 does is as good as impossible.
    let short = (0..16_384_u32).map(u32::to_be_bytes).find(|message| {
        let sign = engines.ours.0.sign(message).unwrap();
        BASE64_STANDARD.decode(sign).unwrap()[0] == 0
    });
    let message = short.unwrap();
    let signature = engines.sign(&message);
    assert!(engines.is_valid(&message, &signature));
    assert!(!engines.is_valid(&message, &signature[1..]));
}

#[test]
fn numbers_that_are_no_signature_are_refused_by_both() {
    for engines in few() {
        let modulus = engines.key.n().to_be_bytes();
        let length = engines.key.size();
        let modulus = &modulus[modulus.len() - length..];
        let mut below = modulus.to_vec();
        below[length - 1] -= 1;
        let mut one = vec![0; length];
        one[length - 1] = 1;
        for odd in [&vec![0; length], &vec![0xFF; length], &one, &modulus.to_vec(), &below, &Vec::new()] {
            assert!(!engines.is_valid(b"", odd), "{engines:?} {odd:?}");
        }
    }
}

/// The padded text of RFC 8017 section 9.2 has one form; each of these has been taken for it by some library.
#[test]
fn other_ways_to_write_the_padded_text_are_refused_by_both() {
    const PREFIX: [u8; 19] = [0x30, 0x31, 0x30, 0x0d, 6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1, 5, 0, 4, 0x20];
    let digest = Sha256::digest(b"x").to_vec();
    let proper = [&PREFIX[..], &digest].concat();
    let without_null = [&[0x30, 0x2f, 0x30, 0x0b], &PREFIX[4..15], &[4, 0x20], &digest].concat();
    let long_length = [&[0x30, 0x81, 0x31], &PREFIX[2..], &digest].concat();
    let garbage_behind = [&proper[..], b"garbage"].concat();
    let parameters = [&[0x30, 0x33, 0x30, 0x0f], &PREFIX[4..15], &[5, 2, 0, 0, 4, 0x20], &digest].concat();
    for engines in few() {
        assert_eq!(engines.sign_padded(&proper), engines.sign(b"x"));
        for odd in [&digest, &without_null, &long_length, &garbage_behind, &parameters] {
            assert!(!engines.is_valid(b"x", &engines.sign_padded(odd)), "{engines:?} {odd:?}");
        }
    }
}
