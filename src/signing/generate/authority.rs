//! A certificate authority for rehearsals and tests: a root of its own, and what it issues.

use std::str::FromStr;
use std::time::{Duration, SystemTime};

use pkcs8::{DecodePrivateKey, Document, LineEnding};
use rsa::pkcs1v15::SigningKey;
use sha2::Sha256;
use x509_cert::TbsCertificate;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::BasicConstraints;
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::Name;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{SubjectPublicKeyInfo, SubjectPublicKeyInfoRef};
use x509_cert::time::{Time, Validity};

use crate::signing::SignType;
use crate::signing::generate::{GenerateError, key_pair};

/// How certificates of rehearsals are named below their common name.
const ORGANIZATION: &str = "OU=Certification Authority,O=Rehearsal Authority,C=CN";

/// From when to when a certificate is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lifetime {
    /// The first moment.
    pub from: SystemTime,
    /// The last moment; the year 2049 at most.
    pub until: SystemTime,
}

impl Lifetime {
    /// From an hour before `now`, for clocks that differ, to as long after it.
    #[must_use]
    pub fn beginning(now: SystemTime, length: Duration) -> Self {
        Self { from: now - Duration::from_hours(1), until: now + length }
    }
}

/// A root certificate and the key it issues with; nothing is kept of it unless its caller keeps it.
pub struct Authority {
    name: Name,
    key: SigningKey<Sha256>,
    certificate: String,
}

/// What a certificate says of its subject.
#[derive(Clone)]
struct Entry {
    subject: Name,
    issuer: Name,
    is_authority: bool,
}

impl BuilderProfile for Entry {
    fn get_issuer(&self, _: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _: SubjectPublicKeyInfoRef<'_>,
        _: SubjectPublicKeyInfoRef<'_>,
        tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        let constraints = BasicConstraints { ca: self.is_authority, path_len_constraint: None };
        Ok(vec![(&constraints).to_extension(tbs.subject(), &[])?])
    }
}

impl Authority {
    /// Makes a key and a root certificate of this common name, which is plain ASCII without `,+=`.
    ///
    /// # Errors
    /// [`GenerateError`] when the random source fails, or the name is none.
    pub fn new(common_name: &str, lifetime: Lifetime) -> Result<Self, GenerateError> {
        let pair = key_pair(SignType::Rsa2)?;
        let made = || {
            let key = SigningKey::from_pkcs8_pem(pair.private.expose()).ok()?;
            let name = name(common_name)?;
            let entry = Entry { subject: name.clone(), issuer: name.clone(), is_authority: true };
            let certificate = issue(entry, pair.public.expose(), lifetime, &key)?;
            Some(Self { name, key, certificate })
        };
        made().ok_or(GenerateError { sign_type: SignType::Rsa2 })
    }

    /// Returns the root certificate, as PEM.
    #[must_use]
    pub fn certificate(&self) -> &str {
        &self.certificate
    }

    /// Issues a certificate of a public key (`SubjectPublicKeyInfo` PEM) under a common name; returns it as PEM.
    ///
    /// # Errors
    /// [`GenerateError`] when the key or the name is none.
    pub fn issue(&self, common_name: &str, public_key: &str, lifetime: Lifetime) -> Result<String, GenerateError> {
        let issued = name(common_name).and_then(|subject| {
            let entry = Entry { subject, issuer: self.name.clone(), is_authority: false };
            issue(entry, public_key, lifetime, &self.key)
        });
        issued.ok_or(GenerateError { sign_type: SignType::Rsa2 })
    }
}

fn name(common_name: &str) -> Option<Name> {
    Name::from_str(&format!("CN={common_name},{ORGANIZATION}")).ok()
}

fn issue(entry: Entry, public_key: &str, lifetime: Lifetime, key: &SigningKey<Sha256>) -> Option<String> {
    let (_, public_key) = Document::from_pem(public_key).ok()?;
    let public_key = SubjectPublicKeyInfo::from_der(public_key.as_bytes()).ok()?;
    let validity = Validity::new(Time::try_from(lifetime.from).ok()?, Time::try_from(lifetime.until).ok()?);
    let serial = SerialNumber::generate(&mut rand::rng());
    let builder = CertificateBuilder::new(entry, serial, validity, public_key).ok()?;
    let certificate = builder.build::<_, rsa::pkcs1v15::Signature>(key).ok()?.to_der().ok()?;
    Document::try_from(certificate.as_slice()).ok()?.to_pem("CERTIFICATE", LineEnding::LF).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::signing::certificate::{Bundle, ChainError};

    #[test]
    fn what_an_authority_issues_is_of_its_chain_and_of_no_other() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let lifetime = Lifetime::beginning(now, Duration::from_hours(24 * 365));
        // Two of one name: only the signature tells them apart.
        let [own, other] = [(); 2].map(|()| Authority::new("Rehearsal Root R1", lifetime).unwrap());
        let pair = key_pair(SignType::Rsa2).unwrap();
        let leaf = own.issue("app 1", pair.public.expose(), lifetime).unwrap();
        let read = |text: &str| Bundle::read(text).unwrap();
        let (roots, others) = (read(own.certificate()), read(other.certificate()));
        let leaf = read(&leaf);
        assert_eq!((leaf.leaf().subject(), leaf.leaf().issuer()), ("app 1".to_owned(), "Rehearsal Root R1".to_owned()));
        assert_eq!((leaf.leaf().not_before(), leaf.leaf().not_after()), (lifetime.from, lifetime.until));
        assert_eq!(leaf.chain_to(&roots), Ok(()));
        assert!(matches!(leaf.chain_to(&others), Err(ChainError::Forged { .. })));
        assert!(roots.leaf().is_root() && !leaf.leaf().is_root());
    }

    #[test]
    fn a_certificate_that_may_not_issue_others_does_not_carry_a_chain() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let lifetime = Lifetime::beginning(now, Duration::from_hours(1));
        let authority = Authority::new("Rehearsal Root R1", lifetime).unwrap();
        let pair = key_pair(SignType::Rsa2).unwrap();
        // A stranger's own certificate, from the same root, and one he wrote with its key.
        let stranger = authority.issue("stranger", pair.public.expose(), lifetime).unwrap();
        let key = SigningKey::from_pkcs8_pem(pair.private.expose()).unwrap();
        let impostor = Authority { name: name("stranger").unwrap(), key, certificate: String::new() };
        let forged = impostor.issue("gateway", pair.public.expose(), lifetime).unwrap();
        let chain = Bundle::read(&format!("{forged}{stranger}")).unwrap();
        let roots = Bundle::read(authority.certificate()).unwrap();
        assert!(matches!(chain.chain_to(&roots), Err(ChainError::NoAuthority { .. })));
    }
}
