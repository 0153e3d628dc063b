//! Whether a certificate was issued under a root: every signature on the way is verified.
//!
//! Dates are told apart from this ([`Certificate::not_after`]), revocation is not looked up. RSA alone is verified,
//! which is what the platform's RSA certificates are signed with; SM2 ones cannot be.

use aws_lc_rs::signature::{
    RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RsaParameters, UnparsedPublicKey,
};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode, Reader};

use crate::signing::certificate::{Bundle, Certificate};

/// Says where a chain breaks. People are named by [`Certificate::subject`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// An issuer is not at hand.
    #[error("{subject:?} was issued by {issuer:?}, which is neither a root nor in the file")]
    IssuerMissing {
        /// Whose issuer.
        subject: String,
        /// The issuer by name.
        issuer: String,
    },
    /// The issuer of that name did not sign it.
    #[error("{subject:?} claims to be issued by {issuer:?}, whose key did not sign it")]
    Forged {
        /// The certificate.
        subject: String,
        /// Who should have signed it.
        issuer: String,
    },
    /// The issuer is no authority: it may not issue certificates.
    #[error("{subject:?} was issued by {issuer:?}, which may not issue certificates")]
    NoAuthority {
        /// The certificate.
        subject: String,
        /// Who signed it.
        issuer: String,
    },
    /// A signature of another algorithm than RSA.
    #[error("{subject:?} is signed with algorithm {algorithm}, which cannot be verified here")]
    Algorithm {
        /// The certificate.
        subject: String,
        /// The algorithm's object identifier.
        algorithm: String,
    },
}

impl Bundle {
    /// Follows the leaf's issuers, which may be in this file, up to one of `roots`.
    ///
    /// # Errors
    /// [`ChainError`], where it breaks.
    pub fn chain_to(&self, roots: &Self) -> Result<(), ChainError> {
        let mut current = self.leaf();
        // Each step takes another certificate of the file, so that two that issued each other cannot go round for ever.
        let mut left: Vec<&Certificate> = self.iter().filter(|one| *one != current).collect();
        loop {
            if roots.iter().any(|root| root.der == current.der) {
                return Ok(());
            }
            let mut broken = missing(current);
            for root in roots.iter().filter(|root| current.is_by(root)) {
                match current.verify(root) {
                    Ok(()) => return Ok(()),
                    Err(error) => broken = error,
                }
            }
            let mut next = None;
            for (index, issuer) in left.iter().enumerate().filter(|(_, issuer)| current.is_by(issuer)) {
                match current.verify(issuer) {
                    Ok(()) if issuer.is_authority() => next = Some(index),
                    Ok(()) => broken = no_authority(current, issuer),
                    Err(error) => broken = error,
                }
            }
            current = left.swap_remove(next.ok_or(broken)?);
        }
    }
}

impl Certificate {
    /// Verifies the issuer's signature on this certificate.
    fn verify(&self, issuer: &Self) -> Result<(), ChainError> {
        let subject = self.subject();
        let algorithm = self.algorithm();
        let Some(parameters) = parameters(algorithm) else {
            return Err(ChainError::Algorithm { subject, algorithm: algorithm.to_string() });
        };
        let key = issuer.content.tbs_certificate().subject_public_key_info().subject_public_key.as_bytes();
        let signature = self.content.signature().as_bytes();
        let is_signed = match (signed(&self.der), key, signature) {
            (Some(bytes), Some(key), Some(signature)) => {
                UnparsedPublicKey::new(parameters, key).verify(bytes, signature).is_ok()
            }
            _ => false,
        };
        if is_signed { Ok(()) } else { Err(ChainError::Forged { subject, issuer: issuer.subject() }) }
    }
}

fn missing(subject: &Certificate) -> ChainError {
    ChainError::IssuerMissing { subject: subject.subject(), issuer: subject.issuer() }
}

fn no_authority(subject: &Certificate, issuer: &Certificate) -> ChainError {
    ChainError::NoAuthority { subject: subject.subject(), issuer: issuer.subject() }
}

/// RFC 8017 appendix A.2.4. Roots of the era are signed with SHA-1, which proves nothing of a root and little of others;
/// the file comes from the operator's own hand.
fn parameters(algorithm: ObjectIdentifier) -> Option<&'static RsaParameters> {
    match algorithm.to_string().as_str() {
        "1.2.840.113549.1.1.5" => Some(&RSA_PKCS1_1024_8192_SHA1_FOR_LEGACY_USE_ONLY),
        "1.2.840.113549.1.1.11" => Some(&RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY),
        "1.2.840.113549.1.1.12" => Some(&RSA_PKCS1_2048_8192_SHA384),
        "1.2.840.113549.1.1.13" => Some(&RSA_PKCS1_2048_8192_SHA512),
        _ => None,
    }
}

/// The first of a certificate's three fields, byte for byte as received: what the issuer signed.
fn signed(der: &[u8]) -> Option<&[u8]> {
    let first = AnyRef::from_der(der).ok()?.sequence(|reader| {
        let first = reader.tlv_bytes()?;
        while !reader.is_finished() {
            reader.tlv_bytes()?;
        }
        Ok::<_, x509_cert::der::Error>(first)
    });
    first.ok()
}
