//! DSA with SHA-1: signing with the nonce of RFC 6979, DER or raw signatures, strict verification.

mod group;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use dsa::pkcs8::PrivateKeyInfoRef;
use dsa::pkcs8::der::asn1::{AnyRef, OctetStringRef, UintRef};
use dsa::pkcs8::der::{Decode, Encode};
use dsa::pkcs8::spki::AlgorithmIdentifierRef;
use dsa::signature::SignatureEncoding;
use dsa::{BoxedUint, Components, Signature, SigningKey, VerifyingKey};
use sha1::{Digest, Sha1};
use zeroize::Zeroizing;

use crate::signing::dsa::group::{Element, Group};
use crate::signing::key::{self, DsaNumbers, Half, KeyError, Material};
use crate::signing::{DsaFormat, Effort};

/// Own key.
pub(super) struct Private {
    key: SigningKey,
    group: Group,
    format: DsaFormat,
}

/// The other side's key.
#[derive(Clone)]
pub(super) struct Public {
    group: Group,
    key: Element,
    format: DsaFormat,
}

impl Private {
    pub(super) fn load(text: &str, format: DsaFormat) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Private)?;
        let numbers = match key::recognise(&der) {
            Material::DsaPrivate(numbers) => numbers,
            other => return Err(other.refuse("a DSA private key (PKCS#8 or traditional)")),
        };
        let components = components(&numbers)?;
        let key = private(&components, numbers.own).map_err(|_| KeyError::numbers("x does not fit p, q and g"))?;
        Ok(Self { key, group: group(&components)?, format })
    }

    /// Returns `None` only where r or s came out as zero, which no one has ever seen.
    pub(super) fn sign(&self, bytes: &[u8]) -> Option<String> {
        let signature = self.group.sign(self.key.x(), &Sha1::digest(bytes))?;
        Some(BASE64_STANDARD.encode(match self.format {
            DsaFormat::Der => signature.to_vec(),
            DsaFormat::Raw => raw(&signature, self.group.width()),
        }))
    }

    /// A tenth of a millisecond with the keys of this protocol; ten times that with the largest.
    pub(super) fn effort(&self) -> Effort {
        if self.group.bits() <= 1024 { Effort::Quick } else { Effort::Slow }
    }

    pub(super) fn public(&self) -> Public {
        let key = self.group.element(self.key.verifying_key().y());
        Public { group: self.group.clone(), key, format: self.format }
    }
}

impl Public {
    pub(super) fn load(text: &str, format: DsaFormat) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Public)?;
        let numbers = match key::recognise(&der) {
            Material::DsaPublic(numbers) => numbers,
            other => return Err(other.refuse("a DSA public key (SubjectPublicKeyInfo)")),
        };
        let components = components(&numbers)?;
        let misfit = || KeyError::numbers("y does not fit p, q and g");
        let y = BoxedUint::from_be_slice(numbers.own, components.p().bits_precision()).map_err(|_| misfit())?;
        let key = VerifyingKey::from_components(components, y).map_err(|_| misfit())?;
        let group = group(key.components())?;
        Ok(Self { key: group.element(key.y()), group, format })
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        BASE64_STANDARD.decode(sign).is_ok_and(|sign| self.signs(&Sha1::digest(bytes), &sign, self.format))
    }

    pub(super) fn format(&self) -> DsaFormat {
        self.format
    }

    /// Says whether a signature of this format is one of this digest.
    pub(super) fn signs(&self, digest: &[u8], sign: &[u8], format: DsaFormat) -> bool {
        let signature = match format {
            DsaFormat::Der => Signature::try_from(sign).ok(),
            DsaFormat::Raw => from_raw(sign, self.group.width()),
        };
        signature.is_some_and(|signature| self.group.verifies(&self.key, digest, &signature))
    }
}

fn group(components: &Components) -> Result<Group, KeyError> {
    Group::of(components).ok_or_else(|| KeyError::numbers("q is even"))
}

fn raw(signature: &Signature, width: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(2 * width);
    for number in [signature.r(), signature.s()] {
        let number = number.to_be_bytes();
        // The number is stored in whole machine words; r and s are below q, so what is cut off is zero.
        bytes.extend_from_slice(&number[number.len().saturating_sub(width)..]);
    }
    bytes
}

fn from_raw(bytes: &[u8], width: usize) -> Option<Signature> {
    if bytes.len() != 2 * width {
        return None;
    }
    let (r, s) = bytes.split_at(width);
    Signature::from_components(BoxedUint::from_be_slice_vartime(r), BoxedUint::from_be_slice_vartime(s))
}

/// The sizes FIPS 186-4 section 4.2 allows; the protocol itself knows 1024/160 only.
fn components(numbers: &DsaNumbers<'_>) -> Result<Components, KeyError> {
    let (p, q) = (key::bits(numbers.p), key::bits(numbers.q));
    let wanted = match p {
        1024 => "160",
        2048 => "224 or 256",
        3072 => "256",
        _ => return Err(KeyError::numbers(format!("DSA with p of {p} bits is not taken, 1024 bits are usual"))),
    };
    if !wanted.split(" or ").any(|bits| bits == q.to_string()) {
        return Err(KeyError::numbers(format!("DSA with p of {p} bits needs q of {wanted} bits, found {q}")));
    }
    let misfit = || KeyError::numbers("p, q and g do not fit together");
    let p = BoxedUint::from_be_slice_vartime(numbers.p);
    let q = BoxedUint::from_be_slice_vartime(numbers.q);
    let g = BoxedUint::from_be_slice(numbers.g, p.bits_precision()).map_err(|_| misfit())?;
    Components::from_components(p, q, g).map_err(|_| misfit())
}

/// Goes by way of PKCS#8, which makes the library compute y from x.
fn private(components: &Components, x: &[u8]) -> dsa::pkcs8::Result<SigningKey> {
    let parameters = components.to_der()?;
    let algorithm = AlgorithmIdentifierRef { oid: dsa::OID, parameters: Some(AnyRef::from_der(&parameters)?) };
    let x = Zeroizing::new(UintRef::new(x)?.to_der()?);
    SigningKey::try_from(PrivateKeyInfoRef::new(algorithm, OctetStringRef::new(&x)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::SignType;
    use crate::signing::generate::key_pair;

    #[test]
    fn each_format_refuses_the_other() {
        let pair = key_pair(SignType::Dsa).unwrap();
        let [der, raw] = [DsaFormat::Der, DsaFormat::Raw].map(|f| Private::load(pair.private.expose(), f).unwrap());
        let (der_sign, raw_sign) = (der.sign(b"x").unwrap(), raw.sign(b"x").unwrap());
        assert_eq!(BASE64_STANDARD.decode(&raw_sign).unwrap().len(), 40);
        assert!(der.public().is_valid(b"x", &der_sign) && raw.public().is_valid(b"x", &raw_sign));
        assert!(!der.public().is_valid(b"x", &raw_sign) && !raw.public().is_valid(b"x", &der_sign));
    }

    #[test]
    fn garbage_is_simply_not_a_signature() {
        let pair = key_pair(SignType::Dsa).unwrap();
        let [der, raw] = [DsaFormat::Der, DsaFormat::Raw].map(|f| Public::load(pair.public.expose(), f).unwrap());
        for bytes in [&[][..], &[0; 40], &[0xFF; 40], &[0x30, 6, 2, 1, 0, 2, 1, 0], &[0x30, 6, 2, 1, 1, 2, 1, 1]] {
            let sign = BASE64_STANDARD.encode(bytes);
            assert!(!der.is_valid(b"x", &sign) && !raw.is_valid(b"x", &sign), "{bytes:?}");
        }
    }

    #[test]
    fn a_1024_bit_key_with_a_longer_q_is_refused_by_its_sizes() {
        let numbers = DsaNumbers { p: &[0xFF; 128], q: &[0xFF; 32], g: &[2], own: &[3] };
        let error = components(&numbers).unwrap_err().to_string();
        assert_eq!(error, "the key is not usable: DSA with p of 1024 bits needs q of 160 bits, found 256");
    }
}
