//! Trying out what may have gone wrong: one slip, then two at once, the least surprising first.
//!
//! A *slip* changes a draft of the signed bytes as one mistake would have. The draft whose bytes the signature really is
//! one of tells the mistake. Promise: the search ends; what it may hash or verify is counted beforehand.

use crate::gateway::diagnosis::Cause;
use crate::gateway::diagnosis::proof::{Proof, Seen};

/// Something that can be written as the bytes that were signed.
pub(super) trait Draft: Clone {
    /// Writes the bytes.
    fn bytes(&self) -> Vec<u8>;
}

/// What a slip does to a draft.
type Change<D> = Box<dyn Fn(&mut D)>;

/// One mistake.
pub(super) struct Slip<D> {
    /// How it is told.
    pub(super) cause: Cause,
    /// Whether it is tried together with rare ones; two rare ones never are.
    pub(super) is_common: bool,
    change: Change<D>,
}

impl<D> Slip<D> {
    pub(super) fn common(cause: Cause, change: impl Fn(&mut D) + 'static) -> Self {
        Self { cause, is_common: true, change: Box::new(change) }
    }

    pub(super) fn rare(cause: Cause, change: impl Fn(&mut D) + 'static) -> Self {
        Self { cause, is_common: false, change: Box::new(change) }
    }
}

/// What the signature turned out to sign.
pub(super) struct Found {
    /// The slips, none if the bytes are the right ones.
    pub(super) causes: Vec<Cause>,
    /// The bytes.
    pub(super) bytes: Vec<u8>,
    /// How the key saw them.
    pub(super) seen: Seen,
}

/// What may be spent, in bytes hashed; see [`Proof::price`].
pub(super) const BUDGET: u64 = 48 * 1024 * 1024;

/// Looks for the slips that explain a signature.
pub(super) fn search<D: Draft>(right: &D, slips: &[Slip<D>], proof: &Proof<'_>, mut budget: u64) -> Option<Found> {
    let mut attempt = |bytes: Vec<u8>, slips: &[&Slip<D>]| {
        budget = budget.checked_sub(proof.price(bytes.len()))?;
        let seen = proof.signs(&bytes);
        Some(seen.map(|seen| Found { causes: slips.iter().map(|slip| slip.cause.clone()).collect(), bytes, seen }))
    };
    let plain = right.bytes();
    if let Some(found) = attempt(plain.clone(), &[])? {
        return Some(found);
    }
    // A slip that changes nothing here changes nothing beside another one either.
    let mut effective = Vec::new();
    for slip in slips {
        let mut draft = right.clone();
        (slip.change)(&mut draft);
        let bytes = draft.bytes();
        if bytes == plain {
            continue;
        }
        if let Some(found) = attempt(bytes, &[slip])? {
            return Some(found);
        }
        effective.push(slip);
    }
    // Two common mistakes at once are likelier than a common and a rare one.
    for is_common in [true, false] {
        for (at, first) in effective.iter().enumerate() {
            let mut one = right.clone();
            (first.change)(&mut one);
            let fits = |second: &&&Slip<D>| match (first.is_common, second.is_common) {
                (true, true) => is_common,
                (true, false) | (false, true) => !is_common,
                (false, false) => false,
            };
            for second in effective[at + 1..].iter().filter(fits) {
                let mut both = one.clone();
                (second.change)(&mut both);
                if let Some(found) = attempt(both.bytes(), &[first, second])? {
                    return Some(found);
                }
            }
        }
    }
    None
}
