//! What can be found out about the certificates of certificate mode without calling anyone: dates and chains.
//!
//! They change with time, so they are found again at every start and by `takedown check`; what is wrong with the files
//! whatever the day is a fault of the configuration.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use crate::gateway::keys::{Finding, Severity};
use crate::signing::certificate::{Bundle, Certificate, ChainError};

/// Days before its end that a certificate is worth a warning; renewing one takes a person and a console.
const NOTICE_DAYS: u32 = 30;
const DAY: Duration = Duration::from_hours(24);

/// The certificates of one app, as their files hold them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateSet {
    /// The app's own.
    pub app: Bundle,
    /// The platform's roots.
    pub roots: Bundle,
    /// The platform's own, several while one is being replaced; each may come with its issuers.
    pub gateway: Vec<Bundle>,
}

/// Where a certificate stands in its life.
enum Age {
    Unborn,
    Good,
    /// Days left.
    Ending(u64),
    Over,
}

impl CertificateSet {
    /// Says what is wrong with them at a moment. An empty list is all well.
    #[must_use]
    pub fn findings(&self, now: SystemTime) -> Vec<Finding> {
        let mut found = Vec::new();
        let renew = "renew it in the platform's console and name the new file in app_cert_file";
        found.extend(dates("the app's certificate", self.app.leaf(), now, renew));
        let is_replaced = self.gateway.iter().any(|file| matches!(age(file.leaf(), now), Age::Good));
        for file in &self.gateway {
            found.extend(gateway_dates(file.leaf(), now, is_replaced));
            found.extend(file.chain_to(&self.roots).err().map(|error| chain(&error)));
        }
        for root in self.roots.iter().filter(|root| root.is_signed_with_rsa()) {
            let renew = "download the platform's root certificates again and name the new file in root_cert_file";
            let finding = dates("the root certificate", root, now, renew);
            // Its number is still the one the platform asks for.
            found.extend(finding.map(|finding| Finding { severity: Severity::Warning, ..finding }));
        }
        found
    }

    /// Says until when requests can be signed and answers be verified, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let last = self.gateway.iter().map(|file| file.leaf().not_after()).max();
        let last = last.map_or_else(|| "none".to_owned(), date);
        format!(
            "the app's certificate is valid until {}, the gateway's until {last}",
            date(self.app.leaf().not_after())
        )
    }
}

/// A certificate that another one already replaces is not worth a word before it is over.
fn gateway_dates(certificate: &Certificate, now: SystemTime, is_replaced: bool) -> Option<Finding> {
    match age(certificate, now) {
        Age::Ending(_) if is_replaced => None,
        Age::Over if is_replaced => {
            let remedy = "remove it from gateway_cert_files";
            let finding = dates("the gateway's certificate", certificate, now, remedy)?;
            Some(Finding { severity: Severity::Warning, ..finding })
        }
        Age::Unborn | Age::Good | Age::Ending(_) | Age::Over => {
            let remedy = "download the platform's new certificate and add it to gateway_cert_files";
            dates("the gateway's certificate", certificate, now, remedy)
        }
    }
}

fn dates(what: &str, certificate: &Certificate, now: SystemTime, renew: &str) -> Option<Finding> {
    let what = format!("{what} {:?}", certificate.subject());
    let until = date(certificate.not_after());
    match age(certificate, now) {
        Age::Good => None,
        Age::Unborn => {
            let remedy = "check this machine's clock; until then use the certificate it replaces";
            Some(Finding::fault(format!("{what} is not valid before {}", date(certificate.not_before())), remedy))
        }
        Age::Over => Some(Finding::fault(format!("{what} expired on {until}"), renew)),
        Age::Ending(days) => {
            let left = if days == 1 { "1 day".to_owned() } else { format!("{days} days") };
            Some(Finding::warning(format!("{what} expires on {until}, in {left}"), renew))
        }
    }
}

fn age(certificate: &Certificate, now: SystemTime) -> Age {
    match certificate.not_after().duration_since(now) {
        _ if now < certificate.not_before() => Age::Unborn,
        Err(_) => Age::Over,
        Ok(left) if left < DAY * NOTICE_DAYS => Age::Ending(left.as_secs() / DAY.as_secs()),
        Ok(_) => Age::Good,
    }
}

fn chain(error: &ChainError) -> Finding {
    let problem = format!("the gateway's certificate does not lead to a root: {error}");
    match error {
        ChainError::Algorithm { .. } => Finding::warning(problem, "use the platform's RSA certificates (RSA2)"),
        ChainError::IssuerMissing { .. } => Finding::fault(
            problem,
            "download the platform's certificate again (its file holds its issuers too), and check root_cert_file",
        ),
        ChainError::Forged { .. } | ChainError::NoAuthority { .. } => Finding::fault(
            problem,
            "do not use it: download the platform's certificate again, and find out where this file came from",
        ),
    }
}

/// Writes a day for people, in UTC.
#[must_use]
pub fn date(time: SystemTime) -> String {
    Timestamp::try_from(time).map_or_else(|_| "no known day".to_owned(), |time| time.strftime("%Y-%m-%d").to_string())
}
