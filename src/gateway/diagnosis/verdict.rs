//! From a signature and a way of searching to a diagnosis: key, hash, form and bytes, each named if it is wrong.

use crate::domain::hex::hex;
use crate::gateway::diagnosis::keyring::{Keyring, Owner};
use crate::gateway::diagnosis::proof::{self, Proof, Seen};
use crate::gateway::diagnosis::search::{BUDGET, Found};
use crate::gateway::diagnosis::sign_text;
use crate::gateway::diagnosis::{Cause, Diagnosis, Next, Verdict};
use crate::signing::recover::{Hash, Opened, Placement};
use crate::signing::{DsaFormat, SignType};

/// What the signature should be.
#[derive(Clone, Copy)]
pub(super) struct Expected<'a> {
    pub(super) sign_type: SignType,
    pub(super) signer: Signer<'a>,
}

/// Who should have signed.
#[derive(Clone, Copy)]
pub(super) enum Signer<'a> {
    /// A request: the account.
    Account,
    /// An answer: the gateway; in certificate mode with the key of this number.
    Gateway(Option<&'a str>),
}

/// Diagnoses a signature; `search` looks for its bytes with one key and a budget.
pub(super) fn diagnose(
    sign: &str,
    keyring: &Keyring,
    expected: Expected<'_>,
    search: impl Fn(&Proof<'_>, u64) -> Option<Found>,
) -> Diagnosis {
    let text = match sign_text::read(sign) {
        Ok(text) => text,
        Err(cause) => return settled(vec![cause]),
    };
    let mut causes = text.causes;
    let mut proofs = keyring.proofs(&text.bytes);
    proofs.sort_by_key(|proof| !is_expected(&proof.party.owner, expected.signer));
    // However many keys there are, those that are less likely share one budget.
    let shared = BUDGET / 2 / proofs.len().max(4) as u64;
    for (at, proof) in proofs.iter().enumerate() {
        let budget = if at == 0 || proof.is_certain() { BUDGET } else { shared };
        if let Some(found) = search(proof, budget) {
            // Without the secret it says nothing about whose it is.
            let is_anybodys = found.seen == Seen::Md5(Placement::Absent);
            let owner = Some(&proof.party.owner).filter(|_| !is_anybodys);
            // In the order in which somebody would go about it: key, algorithm, bytes, form.
            let text = std::mem::take(&mut causes);
            causes.extend(owner.and_then(|owner| key_cause(owner, expected.signer)));
            causes.extend(algorithm_cause(found.seen, proof, expected.sign_type));
            causes.extend(found.causes);
            causes.extend(text);
            let verdict = if causes.is_empty() { Verdict::Right } else { Verdict::Wrong };
            let certain = owner.map(|owner| format!("the signature was made with {owner}")).into_iter().collect();
            return Diagnosis { verdict, causes, certain, next: Vec::new(), signed: Some(found.bytes) };
        }
        if proof.is_certain() {
            break;
        }
    }
    match proofs.iter().find(|proof| proof.is_certain()) {
        Some(proof) => other_bytes(causes, proof, expected),
        None => no_key(causes, &text.bytes, keyring, expected),
    }
}

/// The end of a diagnosis in which the causes say all.
pub(super) fn settled(causes: Vec<Cause>) -> Diagnosis {
    let verdict = if causes.is_empty() { Verdict::Right } else { Verdict::Wrong };
    Diagnosis { verdict, causes, certain: Vec::new(), next: Vec::new(), signed: None }
}

fn is_expected(owner: &Owner, signer: Signer<'_>) -> bool {
    match (owner, signer) {
        (Owner::Own, Signer::Account) | (Owner::Gateway, Signer::Gateway(_)) => true,
        (Owner::Certificate(number), Signer::Gateway(named)) => named == Some(number),
        (Owner::Own | Owner::OtherOwn(_) | Owner::OtherGateway(_), _)
        | (Owner::Gateway | Owner::Certificate(_), Signer::Account) => false,
    }
}

fn key_cause(owner: &Owner, signer: Signer<'_>) -> Option<Cause> {
    if is_expected(owner, signer) {
        return None;
    }
    Some(match (signer, owner) {
        (Signer::Account, Owner::Gateway | Owner::Certificate(_)) => Cause::new(
            "key_of_the_gateway",
            format!(
                "the request was signed with the private half of what the account has configured as {owner}: own key and gateway key are mixed up"
            ),
            "sign with the account's own private key, and configure the platform's public key as the gateway's",
        ),
        (Signer::Account, owner) => Cause::new(
            "key_of_another_account",
            format!("the request was signed with {owner}"),
            "sign with the own key of the account that is named in the request",
        ),
        (Signer::Gateway(_), Owner::Own) => Cause::new(
            "own_key_instead_of_the_gateways",
            "the answer was signed with the account's own key, not with the gateway's: it comes from a program that holds your private key, or the two keys are mixed up",
            "configure the platform's public key as the gateway's, not the public half of your own",
        ),
        (Signer::Gateway(named), Owner::Certificate(number)) => Cause::new(
            "key_of_another_certificate",
            match named {
                Some(named) => format!("the answer names certificate {named} and was signed with that of {number}"),
                None => format!("the answer names no certificate and was signed with that of {number}"),
            },
            "check gateway_cert_files: the answer's number has to be that of the certificate whose key signed it",
        ),
        (Signer::Gateway(_), owner) => Cause::new(
            "key_of_another_account",
            format!("the answer was signed with {owner}"),
            "name the account the answer belongs to with --account, or configure that key as this account's gateway key",
        ),
    })
}

fn algorithm_cause(seen: Seen, proof: &Proof<'_>, sign_type: SignType) -> Option<Cause> {
    let differs = |found: &str| {
        let what = format!("the signature is {found}, where sign_type is {sign_type}");
        Some(Cause::new("wrong_algorithm", what, format!("sign with {}", algorithm(sign_type))))
    };
    match (seen, sign_type) {
        (Seen::Rsa(Some(hash)), SignType::Rsa | SignType::Rsa2) if hash == Hash::of(sign_type) => None,
        (Seen::Rsa(Some(hash)), SignType::Rsa | SignType::Rsa2) => {
            let what = format!(
                "the signature was made over {}, and sign_type {sign_type} means {}",
                hash.as_str(),
                Hash::of(sign_type).as_str()
            );
            let remedy =
                format!("sign with {}; or agree with the gateway upon the sign_type that fits", algorithm(sign_type));
            Some(Cause::new("wrong_hash", what, remedy))
        }
        (Seen::Rsa(None), SignType::Rsa | SignType::Rsa2) => {
            let what = "the key was applied to the bare digest, without the name of its hash (DigestInfo) before it";
            Some(Cause::new("bare_digest", what, "use the library's signing function, not its private-key encryption"))
        }
        (Seen::Rsa(_), SignType::Md5 | SignType::Dsa) => differs("one of RSA"),
        (Seen::Pss, SignType::Rsa | SignType::Rsa2) => Some(Cause::new(
            "pss_padding",
            "the signature has PSS padding, where the gateways want that of PKCS#1 v1.5",
            format!("sign with {}; in Python's cryptography padding.PKCS1v15(), not PSS", algorithm(sign_type)),
        )),
        (Seen::Pss, SignType::Md5 | SignType::Dsa) => differs("one of RSA"),
        (Seen::Dsa(_, hash), SignType::Dsa) if hash != Hash::Sha1 => {
            let what = format!("the signature was made over {}, and sign_type DSA means SHA-1", hash.as_str());
            Some(Cause::new("wrong_hash", what, format!("sign with {}", algorithm(sign_type))))
        }
        (Seen::Dsa(format, _), SignType::Dsa) if proof.party.key.dsa_format() == Some(format) => None,
        (Seen::Dsa(format, _), SignType::Dsa) => Some(match format {
            DsaFormat::Raw => Cause::new(
                "dsa_raw_instead_of_der",
                "the DSA signature is raw (r and s, 20 bytes each), where DER is expected",
                "write it as DER SEQUENCE(r, s), what OpenSSL and Java make by default; or set dsa_format = \"raw\" if the gateway takes that",
            ),
            DsaFormat::Der => Cause::new(
                "dsa_der_instead_of_raw",
                "the DSA signature is DER, where the raw form (r and s, 20 bytes each) is expected",
                "write r and s as 20 bytes each; or set dsa_format = \"der\" if the gateway takes that",
            ),
        }),
        (Seen::Dsa(..), SignType::Md5 | SignType::Rsa | SignType::Rsa2) => differs("one of DSA"),
        (Seen::Md5(placement), SignType::Md5) => placement_cause(placement),
        (Seen::Md5(_), SignType::Dsa | SignType::Rsa | SignType::Rsa2) => differs("an MD5"),
    }
}

fn algorithm(sign_type: SignType) -> &'static str {
    match sign_type {
        SignType::Md5 => "MD5 over the canonical bytes followed by the secret",
        SignType::Dsa => "DSA with SHA-1 (SHA1withDSA)",
        SignType::Rsa => "RSA with SHA-1 (SHA1withRSA)",
        SignType::Rsa2 => "RSA with SHA-256 (SHA256withRSA)",
    }
}

fn placement_cause(placement: Placement) -> Option<Cause> {
    let (name, what) = match placement {
        Placement::Behind => return None,
        Placement::Ampersand => ("md5_secret_after_ampersand", "the secret was appended after `&`"),
        Placement::AmpersandKey => {
            ("md5_secret_after_key", "the secret was appended as `&key=…`, as another payment company's protocol does")
        }
        Placement::Before => ("md5_secret_before", "the secret was put before the canonical string"),
        Placement::Hmac => ("md5_hmac", "HMAC-MD5 was used"),
        Placement::LineFeed => {
            ("md5_secret_with_line_feed", "the secret was used with the line feed at the end of its file")
        }
        Placement::Absent => ("md5_without_secret", "the MD5 was made without the secret"),
    };
    Some(Cause::new(name, what, "append the secret directly to the canonical string, with nothing between and behind"))
}

/// The key is known for sure, the bytes are not.
fn other_bytes(mut causes: Vec<Cause>, proof: &Proof<'_>, expected: Expected<'_>) -> Diagnosis {
    let mut certain = vec![format!("the signature was made with {}", proof.party.owner)];
    match proof.opened() {
        Some(Opened::Digest { hash, digest }) => {
            certain.push(format!("over bytes whose {} is {}", hash.as_str(), hex(digest)));
            causes.extend(algorithm_cause(Seen::Rsa(Some(*hash)), proof, expected.sign_type));
        }
        Some(Opened::Bare(payload)) => {
            certain.push(format!("over {} bytes that name no hash these gateways know", payload.len()));
        }
        None => {}
    }
    causes.extend(key_cause(&proof.party.owner, expected.signer));
    let next = match expected.signer {
        Signer::Account => vec![Next::CompareDigest, Next::CompareBytes, Next::GiveItem, Next::GiveRefusal],
        Signer::Gateway(_) => vec![Next::SaveBytes],
    };
    Diagnosis { verdict: Verdict::Unexplained, causes, certain, next, signed: None }
}

/// No key opens it, or none that was tried fits.
fn no_key(mut causes: Vec<Cause>, signature: &[u8], keyring: &Keyring, expected: Expected<'_>) -> Diagnosis {
    let Some(shape) = proof::shape(signature) else {
        let what = format!(
            "`sign` stands for {} bytes, which no signature of these gateways has: it was cut off or damaged",
            signature.len()
        );
        causes.push(Cause::new("sign_damaged", what, "send the signature whole, as the signing function gives it"));
        return settled(causes);
    };
    if !proof::fits(expected.sign_type, signature) {
        let what = format!("`sign` holds {shape}, where sign_type is {}", expected.sign_type);
        causes.push(Cause::new("wrong_algorithm", what, format!("sign with {}", algorithm(expected.sign_type))));
        return settled(causes);
    }
    match (expected.sign_type, expected.signer) {
        (SignType::Rsa | SignType::Rsa2, Signer::Account) => {
            let own =
                keyring.own_rsa_bits().map_or_else(String::new, |bits| format!(", the account's key has {bits} bits"));
            let what = format!(
                "`sign` is {shape}{own}; it opens with none of the keys configured here: it was made with another one, or damaged on its way"
            );
            let remedy = "find out which private key your program loads (`openssl pkey -in KEY -pubout`): its public half must be the one registered at the gateway";
            causes.push(Cause::new("key_of_a_stranger", what, remedy));
            settled(causes)
        }
        (SignType::Rsa | SignType::Rsa2, Signer::Gateway(_)) => {
            let what = format!(
                "`sign` is {shape}; it opens with none of the keys configured here: it was made with another one, or damaged on its way"
            );
            let remedy = "configure the platform's public key of this very app or partner, as its console shows it now (keys are renewed)";
            causes.push(Cause::new("key_of_a_stranger", what, remedy));
            settled(causes)
        }
        (SignType::Md5 | SignType::Dsa, _) => {
            let certain = vec![
                format!("`sign` has the shape of {shape}"),
                "none of the known mistakes with any of the configured keys gives it".to_owned(),
            ];
            let next = match expected.signer {
                Signer::Account => vec![Next::CheckKey, Next::CompareBytes, Next::GiveItem],
                Signer::Gateway(_) => vec![Next::CheckKey, Next::SaveBytes],
            };
            Diagnosis { verdict: Verdict::Unexplained, causes, certain, next, signed: None }
        }
    }
}
