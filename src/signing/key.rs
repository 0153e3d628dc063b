//! Key texts: PEM or bare Base64; PKCS#8, PKCS#1, traditional DSA and `SubjectPublicKeyInfo`.
//!
//! A key arrives from a file or an environment variable, with whatever line breaks its way there gave it. Promise: a
//! text is read by what it is, not by what its header says; what is refused is named for what it was found to be, and
//! no part of it is quoted.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pkcs8::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use pkcs8::der::{Decode, Reader, SliceReader, Tag, Tagged};
use pkcs8::spki::AlgorithmIdentifierRef;
use pkcs8::{PrivateKeyInfoRef, SubjectPublicKeyInfoRef};
use zeroize::Zeroizing;

/// Says why a key text cannot be used, and what would do; never quotes the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The text is empty.
    #[error("the key is empty")]
    Empty,
    /// Neither PEM nor Base64.
    #[error("the key is neither PEM nor Base64: {problem}")]
    Text {
        /// What the reader met.
        problem: String,
    },
    /// Readable, but not the structure expected.
    #[error("expected {expected}, found {found}")]
    Structure {
        /// What is wanted here, such as `an RSA private key (PKCS#8 or PKCS#1)`.
        expected: &'static str,
        /// What it seems to be, such as `an RSA public key`.
        found: String,
    },
    /// The numbers are not a usable key.
    #[error("the key is not usable: {problem}")]
    Numbers {
        /// Why, such as `DSA with p of 1024 bits needs q of 160 bits, found 256`.
        problem: String,
    },
}

impl KeyError {
    pub(super) fn numbers(problem: impl Into<String>) -> Self {
        Self::Numbers { problem: problem.into() }
    }
}

/// Which half of a pair is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    Private,
    Public,
}

/// What a key document holds.
pub(super) enum Material<'a> {
    /// PKCS#1 `RSAPrivateKey`.
    RsaPrivate(&'a [u8]),
    /// PKCS#1 `RSAPublicKey`.
    RsaPublic(&'a [u8]),
    /// Domain parameters and x.
    DsaPrivate(DsaNumbers<'a>),
    /// Domain parameters and y.
    DsaPublic(DsaNumbers<'a>),
    /// Anything else, by name.
    Other(String),
}

/// DSA numbers as big-endian bytes without leading zeros.
pub(super) struct DsaNumbers<'a> {
    pub(super) p: &'a [u8],
    pub(super) q: &'a [u8],
    pub(super) g: &'a [u8],
    /// x or y.
    pub(super) own: &'a [u8],
}

impl Material<'_> {
    /// Names a key that could be used, if it stood elsewhere.
    pub(super) fn key(&self) -> Option<&'static str> {
        match self {
            Self::RsaPrivate(_) => Some("an RSA private key"),
            Self::RsaPublic(_) => Some("an RSA public key"),
            Self::DsaPrivate(_) => Some("a DSA private key"),
            Self::DsaPublic(_) => Some("a DSA public key"),
            Self::Other(_) => None,
        }
    }

    /// Turns what was found into the error for what was expected.
    pub(super) fn refuse(self, expected: &'static str) -> KeyError {
        let key = self.key().unwrap_or_default().to_owned();
        KeyError::Structure { expected, found: if let Self::Other(found) = self { found } else { key } }
    }
}

/// Returns the DER bytes of a key text. Of several PEM blocks the first that may hold the wanted half is taken.
pub(super) fn read(text: &str, half: Half) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let text = plain(text);
    if text.trim().is_empty() {
        return Err(KeyError::Empty);
    }
    if text.contains("-----BEGIN ") { pem(&text, half) } else { base64(&text) }
}

/// Undoes what the way here did to a text: environment files often carry the line breaks of a PEM as the two characters
/// backslash and n.
pub(super) fn plain(text: &str) -> Zeroizing<String> {
    let text = text.trim_start_matches('\u{feff}');
    let mut plain = room_for(text);
    let mut pieces = text.split('\\');
    plain.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let (replacement, rest) = match piece.as_bytes().first() {
            Some(b'r') => ("", &piece[1..]),
            Some(b'n') => ("\n", &piece[1..]),
            _ => ("\\", piece),
        };
        plain.push_str(replacement);
        plain.push_str(rest);
    }
    plain
}

/// A text that grows leaves copies of itself behind, and those nobody wipes: what is made of a key gets its room at once.
pub(super) fn room_for(text: &str) -> Zeroizing<String> {
    Zeroizing::new(String::with_capacity(text.len()))
}

fn pem(text: &str, half: Half) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let blocks = text.split("-----BEGIN ").skip(1).map(block).collect::<Result<Vec<_>, _>>()?;
    let wanted = |label: &str| match half {
        Half::Private => label.ends_with("PRIVATE KEY"),
        Half::Public => label.ends_with("PUBLIC KEY"),
    };
    let chosen = blocks.iter().find(|(label, _)| wanted(label)).or(blocks.first());
    let &(label, body) = chosen.ok_or(KeyError::Empty)?;
    if label.starts_with("ENCRYPTED") || body.contains("ENCRYPTED") {
        return Err(KeyError::Structure { expected: "an unencrypted key", found: ENCRYPTED.to_owned() });
    }
    if label.starts_with("OPENSSH") {
        return Err(KeyError::Structure { expected: "PEM of PKCS#8 or PKCS#1", found: "an OpenSSH key".to_owned() });
    }
    base64(body)
}

/// Splits one PEM block, its `-----BEGIN ` already cut off, into label and body.
pub(super) fn block(text: &str) -> Result<(&str, &str), KeyError> {
    let problem = |what: &str| KeyError::Text { problem: what.to_owned() };
    let (label, rest) = text.split_once("-----").ok_or_else(|| problem("its BEGIN line is cut off"))?;
    let (body, _) = rest.split_once("-----END").ok_or_else(|| problem("its END line is missing"))?;
    Ok((label.trim(), body))
}

pub(super) fn base64(text: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    let mut bare = room_for(text);
    bare.extend(text.chars().filter(|c| !c.is_whitespace()));
    let text = bare;
    if text.is_empty() {
        return Err(KeyError::Empty);
    }
    if let Some(odd) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "+/=".contains(*c))) {
        return Err(KeyError::Text {
            problem: format!("it holds {odd:?}; give the text itself, not the name of a file"),
        });
    }
    let mut bytes = Zeroizing::new(vec![0; base64::decoded_len_estimate(text.len())]);
    let length = BASE64_STANDARD
        .decode_slice(text.as_bytes(), &mut bytes)
        .map_err(|_| KeyError::Text { problem: "the Base64 is cut off or damaged".to_owned() })?;
    bytes.truncate(length);
    Ok(bytes)
}

const ENCRYPTED: &str = "an encrypted private key; decrypt it with `openssl pkey -in KEY -out PLAIN`";
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const DSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10040.4.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");

/// Finds out what DER bytes are, by their shape alone.
pub(super) fn recognise(der: &[u8]) -> Material<'_> {
    let other = |found: &str| Material::Other(found.to_owned());
    let Ok(fields) = fields(der) else {
        return other("something that is no key (not DER)");
    };
    let tags: Vec<Tag> = fields.iter().map(Tagged::tag).collect();
    match tags.as_slice() {
        [Tag::Integer, Tag::Sequence, Tag::OctetString, ..] => pkcs8(der),
        [Tag::Sequence, Tag::BitString] => spki(der),
        [Tag::Sequence, Tag::OctetString] => other(ENCRYPTED),
        [Tag::Sequence, Tag::Sequence, Tag::BitString] => {
            other("an X.509 certificate; take its key out with `openssl x509 -in CERTIFICATE -noout -pubkey`")
        }
        [Tag::Integer, Tag::OctetString, ..] => other("an elliptic-curve private key"),
        integers if integers.iter().all(|tag| *tag == Tag::Integer) => bare(der, &fields),
        _ => other("something that is no key of a known kind"),
    }
}

/// The old structures are lists of numbers and nothing else; how many there are tells them apart.
fn bare<'a>(der: &'a [u8], fields: &[AnyRef<'a>]) -> Material<'a> {
    let other = |found: &str| Material::Other(found.to_owned());
    match fields.len() {
        9 => Material::RsaPrivate(der),
        2 => Material::RsaPublic(der),
        6 => traditional_dsa(fields).map_or_else(|| other("a damaged DSA key"), Material::DsaPrivate),
        _ => other("something that is no key of a known kind"),
    }
}

fn pkcs8(der: &[u8]) -> Material<'_> {
    let Ok(info) = PrivateKeyInfoRef::from_der(der) else {
        return Material::Other("a damaged PKCS#8 private key".to_owned());
    };
    let inner = info.private_key.as_bytes();
    match info.algorithm.oid {
        RSA => Material::RsaPrivate(inner),
        DSA => dsa(&info.algorithm, inner)
            .map_or_else(|| Material::Other("a damaged DSA private key".to_owned()), Material::DsaPrivate),
        oid => foreign(oid, "private"),
    }
}

fn spki(der: &[u8]) -> Material<'_> {
    let damaged = || Material::Other("a damaged public key".to_owned());
    let Ok(info) = SubjectPublicKeyInfoRef::from_der(der) else { return damaged() };
    let Some(inner) = info.subject_public_key.as_bytes() else { return damaged() };
    match info.algorithm.oid {
        RSA => Material::RsaPublic(inner),
        DSA => dsa(&info.algorithm, inner)
            .map_or_else(|| Material::Other("a damaged DSA public key".to_owned()), Material::DsaPublic),
        oid => foreign(oid, "public"),
    }
}

fn foreign(oid: ObjectIdentifier, half: &str) -> Material<'static> {
    Material::Other(match oid {
        EC => format!("an elliptic-curve {half} key"),
        oid => format!("a {half} key of algorithm {oid}"),
    })
}

fn fields(der: &[u8]) -> Result<Vec<AnyRef<'_>>, pkcs8::der::Error> {
    AnyRef::from_der(der)?.sequence(|reader: &mut SliceReader<'_>| {
        let mut fields = Vec::new();
        while !reader.is_finished() {
            fields.push(reader.decode()?);
        }
        Ok(fields)
    })
}

fn uint<'a>(field: &AnyRef<'a>) -> Option<&'a [u8]> {
    field.decode_as::<UintRef<'a>>().ok().map(|number| number.as_bytes())
}

/// `SEQUENCE { version, p, q, g, y, x }`, as OpenSSL writes it under `DSA PRIVATE KEY`.
fn traditional_dsa<'a>(fields: &[AnyRef<'a>]) -> Option<DsaNumbers<'a>> {
    let [_, p, q, g, _, x] = fields else { return None };
    Some(DsaNumbers { p: uint(p)?, q: uint(q)?, g: uint(g)?, own: uint(x)? })
}

/// `Dss-Parms` beside x or y (RFC 3279 section 2.3.2).
fn dsa<'a>(algorithm: &AlgorithmIdentifierRef<'a>, own: &'a [u8]) -> Option<DsaNumbers<'a>> {
    let parameters = algorithm.parameters?.sequence(|reader| {
        let (p, q, g) =
            (reader.decode::<UintRef<'a>>()?, reader.decode::<UintRef<'a>>()?, reader.decode::<UintRef<'a>>()?);
        Ok::<_, pkcs8::der::Error>([p.as_bytes(), q.as_bytes(), g.as_bytes()])
    });
    let [p, q, g] = parameters.ok()?;
    Some(DsaNumbers { p, q, g, own: UintRef::from_der(own).ok()?.as_bytes() })
}

/// Counts the bits of a big-endian number.
pub(super) fn bits(number: &[u8]) -> usize {
    match number.iter().position(|byte| *byte != 0) {
        Some(first) => (number.len() - first) * 8 - number[first].leading_zeros() as usize,
        None => 0,
    }
}
