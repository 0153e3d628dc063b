//! Which bytes a signature is one of, and by whose key.

use crate::gateway::diagnosis::keyring::{Keyring, Owner, Party};
use crate::gateway::diagnosis::search::BUDGET;
use crate::signing::recover::{Hash, Opened, Placement};
use crate::signing::{DsaFormat, SignType};

/// A signature, and one key it was made with or may have been made with.
pub(super) struct Proof<'a> {
    pub(super) party: &'a Party,
    test: Test,
}

enum Test {
    /// RSA, opened: made with this key for sure.
    Opened(Opened),
    /// RSA with PSS padding, to be tried.
    Pss { signature: Vec<u8> },
    /// DSA, to be tried.
    Dsa { signature: Vec<u8>, format: DsaFormat, hash: Hash },
    /// MD5, to be tried.
    Md5 { digest: Vec<u8> },
}

/// How a key saw bytes that are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Seen {
    /// RSA, with this hash; `None`: without a hash's name.
    Rsa(Option<Hash>),
    /// RSA with PSS padding.
    Pss,
    /// DSA, in this format and over this hash.
    Dsa(DsaFormat, Hash),
    /// MD5, with the secret here.
    Md5(Placement),
}

/// A DSA verification costs as much time as hashing this many bytes, roughly.
const DSA_PRICE: u64 = 32 * 1024;

/// Two RSA verifications cost far less, but are tried with every key there is: the right bytes and few others.
const PSS_PRICE: u64 = BUDGET / 48;

impl Proof<'_> {
    /// Says whether the key is certain before any bytes are known.
    pub(super) fn is_certain(&self) -> bool {
        matches!(self.test, Test::Opened(_))
    }

    /// Returns the hash inside, where it can be seen.
    pub(super) fn opened(&self) -> Option<&Opened> {
        match &self.test {
            Test::Opened(opened) => Some(opened),
            Test::Pss { .. } | Test::Dsa { .. } | Test::Md5 { .. } => None,
        }
    }

    /// Returns what trying bytes of this length costs.
    pub(super) fn price(&self, length: usize) -> u64 {
        let length = length as u64 + 64;
        match self.test {
            Test::Opened(_) => length,
            Test::Pss { .. } => length + PSS_PRICE,
            Test::Dsa { .. } => length + DSA_PRICE,
            Test::Md5 { .. } => length * Placement::ALL.len() as u64,
        }
    }

    /// Says whether the signature is one of these bytes, and how.
    pub(super) fn signs(&self, bytes: &[u8]) -> Option<Seen> {
        match &self.test {
            Test::Opened(Opened::Digest { hash, digest }) => {
                (hash.digest(bytes) == *digest).then_some(Seen::Rsa(Some(*hash)))
            }
            Test::Opened(Opened::Bare(payload)) => {
                let is_digest = [Hash::Md5, Hash::Sha1, Hash::Sha256].iter().any(|hash| hash.digest(bytes) == *payload);
                (is_digest || bytes == payload.as_slice()).then_some(Seen::Rsa(None))
            }
            Test::Pss { signature } => self.party.key.pss_of(bytes, signature).map(|_| Seen::Pss),
            Test::Dsa { signature, format, hash } => {
                let digest = hash.digest(bytes);
                self.party.key.is_dsa_of(&digest, signature, *format).then_some(Seen::Dsa(*format, *hash))
            }
            Test::Md5 { digest } => {
                let is_here = |placement: &Placement| self.party.key.md5(bytes, *placement).as_ref() == Some(digest);
                Placement::ALL.into_iter().find(is_here).map(Seen::Md5)
            }
        }
    }
}

impl Keyring {
    /// Returns the keys a signature was or may have been made with, the account's own first.
    pub(super) fn proofs(&self, signature: &[u8]) -> Vec<Proof<'_>> {
        let opened = self.parties.iter().filter_map(|party| {
            let opened = party.key.open(signature)?;
            Some(Proof { party, test: Test::Opened(opened) })
        });
        let opened: Vec<_> = opened.collect();
        if !opened.is_empty() {
            return opened;
        }
        let mut tried = Vec::new();
        for party in &self.parties {
            if party.key.dsa_format().is_some() {
                let format = if signature.first() == Some(&0x30) && signature.len() != 40 {
                    DsaFormat::Der
                } else {
                    DsaFormat::Raw
                };
                // 40 bytes that begin like DER may be either.
                let formats = match (signature.len(), signature.first()) {
                    (40, Some(0x30)) => vec![DsaFormat::Raw, DsaFormat::Der],
                    (8..=80, _) => vec![format],
                    _ => Vec::new(),
                };
                let test = |format, hash| Test::Dsa { signature: signature.to_vec(), format, hash };
                for hash in [Hash::Sha1, Hash::Sha256] {
                    tried.extend(formats.iter().map(|format| Proof { party, test: test(*format, hash) }));
                }
            } else if party.key.rsa_bytes() == Some(signature.len()) {
                tried.push(Proof { party, test: Test::Pss { signature: signature.to_vec() } });
            } else if signature.len() == 16 && party.key.md5(b"", Placement::Absent).is_some() {
                tried.push(Proof { party, test: Test::Md5 { digest: signature.to_vec() } });
            }
        }
        tried
    }

    /// Returns the size of the account's own RSA key, to word a mismatch.
    pub(super) fn own_rsa_bits(&self) -> Option<usize> {
        let own = self.parties.iter().find(|party| party.owner == Owner::Own)?;
        own.key.rsa_bytes().map(|bytes| bytes * 8)
    }
}

/// What a signature seems to be, by its shape alone; `None`: no signature of these gateways has this length.
pub(super) fn shape(signature: &[u8]) -> Option<String> {
    match signature {
        [_, ..] if signature.len() == 16 => Some("an MD5 (32 hex digits)".to_owned()),
        [0x30, length, ..] if usize::from(*length) + 2 == signature.len() && signature.len() < 80 => {
            Some("a DSA signature (DER)".to_owned())
        }
        [_, ..] if signature.len() == 40 => Some("a DSA signature (r and s, 20 bytes each)".to_owned()),
        [_, ..] if signature.len() >= 128 && signature.len().is_multiple_of(64) => {
            Some(format!("an RSA signature by a key of {} bits", signature.len() * 8))
        }
        _ => None,
    }
}

/// Says whether a signature's length is one of a sign type.
pub(super) fn fits(sign_type: SignType, signature: &[u8]) -> bool {
    match sign_type {
        SignType::Md5 => signature.len() == 16,
        SignType::Dsa => (8..=80).contains(&signature.len()) && signature.len() != 16,
        SignType::Rsa | SignType::Rsa2 => signature.len() >= 128,
    }
}
