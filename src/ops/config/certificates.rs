//! Certificate mode: three files of certificates in place of the gateway's key; their numbers are computed.

use std::collections::BTreeMap;

use crate::domain::cause::chain;
use crate::gateway::certificates::{CertificateSet, date};
use crate::gateway::open_platform::CertificateNumbers;
use crate::ops::config::fault::Problem;
use crate::ops::config::keys::{self, Secrets};
use crate::ops::config::section::Section;
use crate::signing::certificate::{Bundle, Certificate, CertificateError};
use crate::signing::{SignType, Signer, Verifier};

const APP: [&str; 2] = ["app_cert", "app_cert_file"];
const ROOT: [&str; 2] = ["root_cert", "root_cert_file"];
const GATEWAY: [&str; 2] = ["gateway_certs", "gateway_cert_files"];

/// What the account is given of them.
pub(super) struct Certificates {
    pub(super) numbers: CertificateNumbers,
    pub(super) keys: BTreeMap<String, Verifier>,
    pub(super) set: CertificateSet,
}

/// The certificates of one setting, with the key it was given under.
struct Given<T> {
    key: &'static str,
    content: T,
}

/// The files as they were read; what is absent has a fault noted, or is not needed.
pub(super) struct Files {
    app: Option<Given<Bundle>>,
    root: Option<Given<Bundle>>,
    gateway: Option<Given<Vec<Bundle>>>,
}

/// Reads what is given of the three; `None` in key mode, where none is.
pub(super) fn read(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<Files> {
    let is_given = [APP, ROOT, GATEWAY].iter().flatten().any(|key| section.has(key));
    let files = Files {
        app: one(section, secrets, APP, of_one),
        root: one(section, secrets, ROOT, bundle),
        gateway: several(section, secrets),
    };
    if !is_given {
        return None;
    }
    for [inline, file] in [APP, ROOT, GATEWAY] {
        if matches!(secrets, Secrets::From(_)) && !section.has(inline) && !section.has(file) {
            let remedy = "certificate mode needs app_cert_file, root_cert_file and gateway_cert_files together; or \
                          remove them all and give gateway_key_file";
            section.fault(file, Problem::new("is missing", remedy));
        }
    }
    for key in ["gateway_key", "gateway_key_file"] {
        if section.has(key) {
            let remedy = "keep one: the gateway's key (key mode), or the three files of certificates";
            section.fault(key, Problem::new("and certificates are both given", remedy));
        }
    }
    // Told above; it is not unknown.
    keys::read(section, Secrets::Unneeded, "gateway_key", "gateway_key_file");
    Some(files)
}

fn one(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
    [inline, file]: [&'static str; 2],
    read: fn(&str) -> Result<Bundle, Problem>,
) -> Option<Given<Bundle>> {
    let given = keys::read(section, secrets, inline, file)?;
    let content = read(given.text.expose()).map_err(|problem| section.fault(given.key, problem)).ok()?;
    Some(Given { key: given.key, content })
}

fn bundle(text: &str) -> Result<Bundle, Problem> {
    Bundle::read(text).map_err(|error| unreadable(&error))
}

/// Reads certificates of which one is meant: of an old and a new one behind each other, as a night's renewal leaves them,
/// either would be wrong half of the time.
fn of_one(text: &str) -> Result<Bundle, Problem> {
    let bundle = bundle(text)?;
    if let Some(other) = bundle.other_leaf() {
        let of = |one: &Certificate| format!("{:?} until {}", one.subject(), date(one.not_after()));
        let problem = format!(
            "holds certificates of {} and of {}, neither of which issued the other",
            of(bundle.leaf()),
            of(other)
        );
        let remedy = "give each a file of its own (gateway_cert_files takes several, app_cert_file the one to be used)";
        return Err(Problem::new(problem, remedy));
    }
    Ok(bundle)
}

fn several(section: &mut Section<'_>, secrets: Secrets<'_>) -> Option<Given<Vec<Bundle>>> {
    let [inline, file] = GATEWAY;
    let texts = section.list(inline, |text| match secrets {
        Secrets::From(_) => of_one(text).map(Some),
        Secrets::Unneeded => Ok(None),
    });
    let files = section.list(file, |path| match secrets {
        Secrets::From(sources) => keys::read_file(sources, path).and_then(|text| of_one(text.expose())).map(Some),
        Secrets::Unneeded => Ok(None),
    });
    let key = keys::chosen(section, inline, file)?;
    let content: Vec<Bundle> = if key == inline { texts? } else { files? }.into_iter().collect::<Option<_>>()?;
    if content.is_empty() {
        section.fault(key, Problem::new("is empty", "name the platform's public certificate: [\"FILE\"]"));
        return None;
    }
    Some(Given { key, content })
}

impl Files {
    /// Computes the numbers and tries the keys against one's own.
    pub(super) fn load(self, section: &Section<'_>, sign_type: SignType, signer: &Signer) -> Option<Certificates> {
        let (app, root, gateway) = (self.app?, self.root?, self.gateway?);
        let fault = |key: &str, problem| section.fault(key, problem);
        let unusable = |key: &'static str| move |error: CertificateError| section.fault(key, unreadable(&error));
        let key_of = |bundle: &Bundle, key| bundle.leaf().verifier(sign_type).map_err(unusable(key)).ok();
        let number_of = |bundle: &Bundle, key| bundle.leaf().number().map_err(unusable(key)).ok();

        let root_number = root.content.root_number().map_err(unusable(root.key)).ok()?;
        let has_root = root.content.iter().any(|one| one.is_root() && one.is_signed_with_rsa());
        let root_number = root_number.filter(|_| has_root).or_else(|| {
            let remedy = "name the platform's root certificates, as downloaded (alipayRootCert.crt)";
            fault(root.key, Problem::new("holds no root certificate signed with RSA", remedy));
            None
        });
        let app_key = key_of(&app.content, app.key)?;
        let mut keys = BTreeMap::new();
        for bundle in &gateway.content {
            keys.insert(number_of(bundle, gateway.key)?, key_of(bundle, gateway.key)?);
        }
        let problem = whose(signer, &app_key, &keys).map(|whose| whose.problem(app.key, gateway.key));
        if let Some((key, problem)) = problem {
            fault(key, problem);
            return None;
        }
        let numbers = CertificateNumbers { app: number_of(&app.content, app.key)?, root: root_number? };
        let set = CertificateSet { app: app.content, roots: root.content, gateway: gateway.content };
        Some(Certificates { numbers, keys, set })
    }
}

/// How certificates and one's own private key can be mixed up.
enum MixUp {
    /// The app's certificate stands where the gateway's belongs, and the other way round.
    Swapped,
    /// The app's own certificate is taken for the gateway's.
    OwnForGateway,
    /// The app's certificate is of another key.
    Foreign,
}

impl MixUp {
    fn problem(&self, app: &'static str, gateway: &'static str) -> (&'static str, Problem) {
        match self {
            Self::Swapped => {
                let problem =
                    format!("holds the gateway's certificate and `{gateway}` your app's own: they are swapped");
                (app, Problem::new(problem, "put each in the other's place"))
            }
            Self::OwnForGateway => {
                let remedy = "name the platform's public certificate, as downloaded (alipayCertPublicKey_RSA2.crt)";
                (gateway, Problem::new("holds your app's own certificate, not the gateway's", remedy))
            }
            Self::Foreign => {
                let remedy = "name the certificate that was issued for the account's private key (appCertPublicKey_….crt), \
                              or that private key";
                (app, Problem::new("holds the certificate of another key than the account's private key", remedy))
            }
        }
    }
}

/// Signs a probe, and sees whose key verifies it.
fn whose(signer: &Signer, app: &Verifier, gateway: &BTreeMap<String, Verifier>) -> Option<MixUp> {
    const PROBE: &[u8] = b"takedown certificate probe";
    let sign = signer.sign(PROBE).ok()?;
    let is_own = |key: &Verifier| key.is_valid(PROBE, &sign);
    match (is_own(app), gateway.values().any(is_own)) {
        (true, false) => None,
        (false, true) => Some(MixUp::Swapped),
        (true, true) => Some(MixUp::OwnForGateway),
        (false, false) => Some(MixUp::Foreign),
    }
}

fn unreadable(error: &CertificateError) -> Problem {
    let problem = format!("is not usable: {}", chain(error));
    Problem::new(problem, "give certificates as the platform's console has them for download: PEM")
}
