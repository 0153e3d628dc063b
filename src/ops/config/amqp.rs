//! `[amqp]`: where the broker is, and how its objects are called.

use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use crate::ops::config::fault::Problem;
use crate::ops::config::keys::Secrets;
use crate::ops::config::section::Section;
use crate::ops::config::{tls, units};
use crate::queue::amqp::tls::TlsSettings;

const URL_REMEDY: &str = "write amqp://USER:PASSWORD@HOST:5672/%2f, or amqps:// with port 5671; several as a list, or \
                          in a variable with commas between them (a comma in a password is %2c)";

/// Reads addresses, prefix, confirm time-out, and what TLS needs.
pub(super) fn read(
    mut section: Section<'_>,
    secrets: Secrets<'_>,
) -> Option<(Vec<String>, String, Duration, TlsSettings)> {
    let urls = section.one_or_more("url", url);
    if let Some(Err(problem)) = urls.as_deref().map(one_cluster) {
        section.fault("url", problem);
    }
    let tls = tls::of_broker(&mut section, secrets, urls.as_deref().unwrap_or_default());
    let prefix = section.text("prefix", prefix);
    let bounds = units::duration_within(Duration::from_millis(100), Duration::from_mins(10));
    let confirm_timeout = section.text("confirm_timeout", bounds);
    section.finish();
    Some((urls?, prefix?, confirm_timeout?, tls))
}

/// Checks what a variable holds: one address, or several with commas between them.
pub(in crate::ops) fn check(text: &str) -> Result<(), Problem> {
    let urls = text.split(',').map(|part| url(part.trim())).collect::<Result<Vec<_>, _>>()?;
    one_cluster(&urls)
}

/// Checks what can be seen of it that the addresses are nodes of one cluster: a worker's connections may lead to different
/// ones.
fn one_cluster(urls: &[String]) -> Result<(), Problem> {
    let Some((first, others)) = urls.split_first() else {
        return Err(Problem::new("is empty", URL_REMEDY));
    };
    if others.iter().any(|other| vhost(other) != vhost(first)) {
        let remedy = "list the nodes of one cluster, all with the same virtual host (the last part, such as /%2f)";
        return Err(Problem::new("names more than one virtual host", remedy));
    }
    Ok(())
}

/// As lapin reads it: nothing after the host means `/`.
fn vhost(url: &str) -> Option<Vec<u8>> {
    let parsed = Url::parse(url).ok()?;
    Some(percent_decode_str(parsed.path().get(1..).unwrap_or("/")).collect())
}

/// Checks a broker's address; the text may hold a password and is never quoted.
fn url(text: &str) -> Result<String, Problem> {
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
