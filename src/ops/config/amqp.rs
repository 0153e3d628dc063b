//! `[amqp]`: where the broker is, and how its objects are called.

use std::time::Duration;

use url::Url;

use crate::ops::config::fault::Problem;
use crate::ops::config::keys::Secrets;
use crate::ops::config::section::Section;
use crate::ops::config::{tls, units};
use crate::queue::amqp::tls::TlsSettings;

const URL_REMEDY: &str = "write amqp://USER:PASSWORD@HOST:5672/%2f, or amqps:// with port 5671";

/// Reads address, prefix, confirm time-out, and what TLS needs.
pub(super) fn read(mut section: Section<'_>, secrets: Secrets<'_>) -> Option<(String, String, Duration, TlsSettings)> {
    let url = section.text("url", url);
    let tls = tls::of_broker(&mut section, secrets, url.as_slice());
    let prefix = section.text("prefix", prefix);
    let bounds = units::duration_within(Duration::from_millis(100), Duration::from_mins(10));
    let confirm_timeout = section.text("confirm_timeout", bounds);
    section.finish();
    Some((url?, prefix?, confirm_timeout?, tls))
}

/// Checks a broker's address; the text may hold a password and is never quoted.
pub(in crate::ops) fn url(text: &str) -> Result<String, Problem> {
    let parsed = Url::parse(text).map_err(|error| Problem::new(format!("is no address: {error}"), URL_REMEDY))?;
    if !matches!(parsed.scheme(), "amqp" | "amqps") {
        return Err(Problem::new(format!("begins with {}://", parsed.scheme()), URL_REMEDY));
    }
    if parsed.host_str().is_none_or(str::is_empty) {
        return Err(Problem::new("names no host", URL_REMEDY));
    }
    Ok(text.to_owned())
}

fn prefix(text: &str) -> Result<String, Problem> {
    let is_word = text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    let remedy = "write 1 to 64 letters, digits, . _ or -";
    if !is_word {
        return Err(Problem::new(format!("is {text:?}"), remedy));
    }
    if text.starts_with("amq.") {
        return Err(Problem::new("begins with amq., which the broker keeps for itself", remedy));
    }
    Ok(text.to_owned())
}
