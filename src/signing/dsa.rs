//! DSA with SHA-1: signing with the nonce of RFC 6979, DER or raw signatures, strict verification.

mod group;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
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
        match key::recognise(&der) {
            Material::DsaPrivate(numbers) => Self::of(&numbers, format),
            other => Err(other.refuse("a DSA private key (PKCS#8 or traditional)")),
        }
    }

    fn of(numbers: &DsaNumbers<'_>, format: DsaFormat) -> Result<Self, KeyError> {
        let components = components(numbers)?;
        let group = group(&components)?;
        let key = private(components, &group, numbers.own);
        let key = key.ok_or_else(|| KeyError::numbers("x does not fit p, q and g"))?;
        Ok(Self { key, group, format })
    }

    /// Returns `None` where r or s came out as zero, which no one has ever seen, or q is no prime.
    pub(super) fn sign(&self, bytes: &[u8]) -> Option<String> {
        let signature = self.group.sign(self.key.x(), &Sha1::digest(bytes))?;
        Some(BASE64_STANDARD.encode(match self.format {
            DsaFormat::Der => signature.to_vec(),
            DsaFormat::Raw => raw(&signature, self.group.width()),
        }))
    }

    pub(super) fn effort(&self) -> Effort {
        effort(&self.group)
    }

    pub(super) fn public(&self) -> Public {
        let key = self.group.element(self.key.verifying_key().y());
        Public { group: self.group.clone(), key, format: self.format }
    }
}

impl Public {
    pub(super) fn load(text: &str, format: DsaFormat) -> Result<Self, KeyError> {
        let der = key::read(text, Half::Public)?;
        match key::recognise(&der) {
            Material::DsaPublic(numbers) => Self::of(&numbers, format),
            other => Err(other.refuse("a DSA public key (SubjectPublicKeyInfo)")),
        }
    }

    fn of(numbers: &DsaNumbers<'_>, format: DsaFormat) -> Result<Self, KeyError> {
        let components = components(numbers)?;
        let misfit = || KeyError::numbers("y does not fit p, q and g");
        let group = group(&components)?;
        let y = BoxedUint::from_be_slice(numbers.own, components.p().bits_precision()).map_err(|_| misfit())?;
        // The crate takes p + 1 for a key, under which anybody signs anything.
        if y >= **components.p() {
            return Err(misfit());
        }
        let key = VerifyingKey::from_components(components, y).map_err(|_| misfit())?;
        Ok(Self { key: group.element(key.y()), group, format })
    }

    pub(super) fn is_valid(&self, bytes: &[u8], sign: &str) -> bool {
        BASE64_STANDARD.decode(sign).is_ok_and(|sign| self.signs(&Sha1::digest(bytes), &sign, self.format))
    }

    pub(super) fn format(&self) -> DsaFormat {
        self.format
    }

    pub(super) fn effort(&self) -> Effort {
        effort(&self.group)
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

/// A tenth of a millisecond or two with the keys of this protocol; ten times that with the largest.
fn effort(group: &Group) -> Effort {
    if group.bits() <= 1024 { Effort::Quick } else { Effort::Slow }
}

fn group(components: &Components) -> Result<Group, KeyError> {
    Group::of(components).ok_or_else(|| KeyError::numbers("p, q and g do not fit together"))
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

fn private(components: Components, group: &Group, x: &[u8]) -> Option<SigningKey> {
    let x = Zeroizing::new(BoxedUint::from_be_slice(x, components.q().bits_precision()).ok()?);
    if *x >= **components.q() {
        return None;
    }
    let public = VerifyingKey::from_components(components, group.public(&x)).ok()?;
    SigningKey::from_components(public, BoxedUint::clone(&x)).ok()
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

    /// The crate panics over the first, as soon as it is asked for the public key, and takes the others.
    #[test]
    fn keys_under_which_anybody_signs_are_refused() {
        let pair = key_pair(SignType::Dsa).unwrap();
        let key = Private::load(pair.private.expose(), DsaFormat::Der).unwrap().key;
        let (public, x) = (key.verifying_key(), key.x().to_be_bytes());
        let (p, q) = (public.components().p().to_be_bytes(), public.components().q().to_be_bytes());
        let trim = |bytes: &[u8]| bytes.iter().copied().skip_while(|byte| *byte == 0).collect::<Vec<_>>();
        let (p, q, g, y, x) = (
            trim(&p),
            trim(&q),
            trim(&public.components().g().to_be_bytes()),
            trim(&public.y().to_be_bytes()),
            trim(&x),
        );
        let changed = |number: &[u8], by: i8| {
            let mut number = number.to_vec();
            let last = number.last_mut().unwrap();
            *last = last.wrapping_add_signed(by);
            number
        };
        let is_taken = |p: &[u8], q: &[u8], g: &[u8], y: &[u8]| {
            Public::of(&DsaNumbers { p, q, g, own: y }, DsaFormat::Der).is_ok()
        };
        assert!(is_taken(&p, &q, &g, &y));
        // p and q are odd, so that these neither carry nor borrow unless they end in 255.
        for (q, g, y) in [
            (&q, &vec![2], &y),
            (&q, &vec![1], &y),
            (&q, &g, &changed(&p, 1)),
            (&q, &g, &p),
            (&q, &g, &changed(&p, -1)),
            (&changed(&q, -1), &g, &changed(&p, -1)),
        ] {
            assert!(!is_taken(&p, q, g, y), "{q:?} {g:?} {y:?}");
        }
        let own = |g: &[u8], own: &[u8]| Private::of(&DsaNumbers { p: &p, q: &q, g, own }, DsaFormat::Der).is_ok();
        assert!(own(&g, &x) && own(&g, &[1, 0]));
        for (g, x) in [(&vec![2], &x), (&g, &q), (&g, &changed(&q, 1)), (&g, &vec![0]), (&g, &p)] {
            assert!(!own(g, x), "{g:?} {x:?}");
        }
    }
}
