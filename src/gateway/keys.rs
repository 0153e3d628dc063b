//! What can be found out about an account's keys without calling anyone (for `takedown check` and start-up).

use crate::gateway::GatewayAccount;
use crate::gateway::open_platform::GatewayKeys;
use crate::signing::{SignType, Signer, Verifier};

/// Something wrong with an account's keys or certificates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether calls can succeed all the same.
    pub severity: Severity,
    /// What is wrong, in one plain sentence.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It works, and should be mended.
    Warning,
    /// It does not work, or should not be trusted.
    Fault,
}

impl Finding {
    pub(super) fn fault(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Fault, problem: problem.into(), remedy: remedy.into() }
    }

    pub(super) fn warning(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, problem: problem.into(), remedy: remedy.into() }
    }
}

/// Signed with one's own key to see which key verifies it; it is never sent.
const PROBE: &[u8] = b"takedown key probe";

impl GatewayAccount {
    /// Signs a probe with the account's own key and sees who can verify it. An empty list is all well.
    #[must_use]
    pub fn key_findings(&self) -> Vec<Finding> {
        match self {
            Self::Mapi(account) => findings(&account.signer, [&account.verifier]),
            Self::OpenPlatform(account) => match &account.keys {
                GatewayKeys::Single(verifier) => findings(&account.signer, [verifier]),
                GatewayKeys::ByCertificate(keys) if keys.is_empty() => vec![Finding::fault(
                    "no certificate of the gateway is configured, so no answer can be verified",
                    "download the platform's public certificate from its console and add it to gateway_cert_files",
                )],
                GatewayKeys::ByCertificate(keys) => findings(&account.signer, keys.values()),
            },
        }
    }
}

fn findings<'a>(signer: &Signer, gateway: impl IntoIterator<Item = &'a Verifier>) -> Vec<Finding> {
    let sign = match signer.sign(PROBE) {
        Ok(sign) if signer.own_verifier().is_valid(PROBE, &sign) => sign,
        Ok(_) | Err(_) => {
            return vec![Finding::fault(
                "a signature made with the account's private key does not verify with its own public half",
                "the key is damaged: export it again, or make a new pair and register its public half",
            )];
        }
    };
    let mut found = Vec::new();
    for verifier in gateway {
        if verifier.sign_type() != signer.sign_type() {
            found.push(Finding::fault(
                format!(
                    "requests are signed with {}, answers verified with {}",
                    signer.sign_type(),
                    verifier.sign_type()
                ),
                "configure one sign type for both",
            ));
        }
        // The MD5 secret is shared, so there the two are meant to be the same.
        if signer.sign_type() != SignType::Md5 && verifier.is_valid(PROBE, &sign) {
            found.push(Finding::fault(
                "the configured gateway key is the public half of the account's own key, so every answer would be refused",
                "configure the platform's public key, shown beside your own in the platform's console",
            ));
        }
    }
    found
}
