//! The group a DSA key is of, and the two equations of FIPS 186-4 (sections 4.6 and 4.7) in it.
//!
//! The crate `dsa` reads, checks and writes keys and signatures. It raises to exponents as wide as p, though each is below
//! q, which takes six times the steps and more, and makes p ready for that anew each time. Here p is made ready once, and an
//! exponent is as wide as q. Promise: for primes p and q the signatures and the verdicts are the crate's, and no time depends
//! on a secret (but for candidates of the nonce that RFC 6979 passes over, which are never used).

use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, NonZero, Odd};
use dsa::{Components, Signature};
use rfc6979::KGenerator;
use sha1::Sha1;
use zeroize::Zeroizing;

/// A group, ready for what a key does in it.
#[derive(Clone)]
pub(super) struct Group {
    generator: Element,
    order: BoxedMontyParams,
}

/// One of its elements, a number modulo p.
pub(super) type Element = BoxedMontyForm;

/// A number modulo q.
type Scalar = BoxedMontyForm;

impl Group {
    /// Takes one from a key; nothing where q is even, or g is not an element of order q, which the crate lets pass.
    pub(super) fn of(components: &Components) -> Option<Self> {
        let field = BoxedMontyParams::new_vartime(components.p().clone());
        let order = Odd::new(components.q().as_ref().clone()).into_option()?;
        let generator = modulo(components.g(), &field);
        let group = Self { generator, order: BoxedMontyParams::new_vartime(order) };
        let one = BoxedMontyForm::one(&field).retrieve();
        let is_whole = group.raise(&group.generator, group.order.modulus()).retrieve() == one;
        (is_whole && group.generator.retrieve() != one).then_some(group)
    }

    /// Makes a public key ready.
    pub(super) fn element(&self, number: &BoxedUint) -> Element {
        modulo(number, self.generator.params())
    }

    /// Returns the public key of a private one, which is below q.
    pub(super) fn public(&self, own: &BoxedUint) -> BoxedUint {
        self.raise(&self.generator, own).retrieve()
    }

    /// Signs a digest with a private key, by the nonce of RFC 6979 with SHA-1.
    ///
    /// Returns `None` where r or s came out as zero, or q is no prime.
    pub(super) fn sign(&self, own: &NonZero<BoxedUint>, digest: &[u8]) -> Option<Signature> {
        let (own, digest) = (Zeroizing::new(self.scalar(own)), self.digest(digest));
        let nonce = self.nonce(&own, &digest);
        let r = self.scalar(&self.power(&self.generator, &nonce).retrieve());
        let sum = Zeroizing::new(digest.add(&Zeroizing::new(own.mul(&r))));
        let inverse = Zeroizing::new(nonce.invert().into_option()?);
        Signature::from_components(r.retrieve(), inverse.mul(&sum).retrieve())
    }

    /// Says whether a signature is one of this digest, by a public key.
    pub(super) fn verifies(&self, key: &Element, digest: &[u8], signature: &Signature) -> bool {
        let order: &BoxedUint = self.order.modulus();
        if **signature.r() >= *order || **signature.s() >= *order {
            return false;
        }
        let (r, s) = (self.scalar(signature.r()), self.scalar(signature.s()));
        let Some(inverse) = s.invert_vartime().into_option() else { return false };
        let first = self.power(&self.generator, &self.digest(digest).mul(&inverse));
        let second = self.power(key, &r.mul(&inverse));
        self.scalar(&first.mul(&second).retrieve()).retrieve() == r.retrieve()
    }

    fn power(&self, base: &Element, exponent: &Scalar) -> Element {
        self.raise(base, &Zeroizing::new(exponent.retrieve()))
    }

    fn raise(&self, base: &Element, exponent: &BoxedUint) -> Element {
        base.pow_bounded_exp(exponent, self.order.modulus().bit_width_vartime())
    }

    fn scalar(&self, number: &BoxedUint) -> Scalar {
        modulo(number, &self.order)
    }

    /// Its leftmost bits, as many as q has.
    fn digest(&self, digest: &[u8]) -> Scalar {
        self.scalar(&BoxedUint::from_be_slice_vartime(&digest[..digest.len().min(self.width())]))
    }

    fn nonce(&self, own: &Scalar, digest: &Scalar) -> Zeroizing<Scalar> {
        let (order, width): (&BoxedUint, _) = (self.order.modulus(), self.width());
        let octets = |number: &Scalar| {
            let bytes = Zeroizing::new(Zeroizing::new(number.retrieve()).to_be_bytes());
            Zeroizing::new(bytes[bytes.len() - width..].to_vec())
        };
        let mut nonce = Zeroizing::new(vec![0; width]);
        KGenerator::<Sha1, _>::new(&octets(own), &octets(digest), &[], order).fill_next_k(&mut nonce);
        let number = Zeroizing::new(BoxedUint::from_be_slice_truncated(&nonce, order.bits_precision()));
        Zeroizing::new(self.scalar(&number))
    }

    /// Bits of p.
    pub(super) fn bits(&self) -> u32 {
        self.generator.params().modulus().bit_width_vartime()
    }

    /// Bytes of q, and so of r and s: 20 for the keys of this protocol.
    pub(super) fn width(&self) -> usize {
        self.order.modulus().bit_width_vartime().div_ceil(8) as usize
    }
}

fn modulo(number: &BoxedUint, params: &BoxedMontyParams) -> BoxedMontyForm {
    BoxedMontyForm::new(number.rem(params.modulus().as_nz_ref()), params)
}

#[cfg(test)]
mod tests {
    use dsa::SigningKey;
    use dsa::pkcs8::DecodePrivateKey;
    use dsa::signature::hazmat::PrehashVerifier;

    use super::*;
    use crate::signing::SignType;
    use crate::signing::generate::key_pair;

    /// Whoever looks for what was signed tries other hashes; and a digest may be above q, or end in what q has no room for.
    #[test]
    fn digests_of_any_length_and_size_are_signed_and_verified_as_by_the_crate() {
        let pair = key_pair(SignType::Dsa).unwrap();
        let key = SigningKey::from_pkcs8_pem(pair.private.expose()).unwrap();
        let public = key.verifying_key();
        let group = Group::of(public.components()).unwrap();
        let element = group.element(public.y());
        for digest in [vec![0xFF; 20], vec![0; 20], vec![0xFF; 16], vec![0xAB; 32], vec![1]] {
            let signature = group.sign(key.x(), &digest).unwrap();
            assert_eq!(key.sign_prehashed_rfc6979::<Sha1>(&digest).unwrap(), signature, "{digest:?}");
            for other in [digest.clone(), [&digest[..], &[1]].concat(), digest[1..].to_vec(), vec![0xAB; 20]] {
                let theirs = public.verify_prehash(&other, &signature).is_ok();
                assert_eq!(group.verifies(&element, &other, &signature), theirs, "{digest:?} {other:?}");
            }
            assert!(group.verifies(&element, &digest, &signature));
        }
    }
}
