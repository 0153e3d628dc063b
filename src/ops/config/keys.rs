//! Keys and other secrets: in a file beside the configuration, or in the environment; never shown.

use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;

use crate::domain::secret::Secret;
use crate::ops::config::fault::{Origin, Problem};
use crate::ops::config::section::Section;
use crate::ops::config::sources::Sources;

/// A key file is a few kilobytes, all roots of a machine a quarter of a megabyte; anything beyond this is some other file.
const MAX_KEY_BYTES: u64 = 512 * 1024;

/// Permission of group and others to read.
const OTHERS_READ: u32 = 0o044;

/// Those that are no secret.
const PUBLIC: [&str; 5] = ["gateway_key", "app_cert", "root_cert", "ca", "client_cert"];

/// Where secrets come from, or that this command has no use for them: a producer's or operator's machine need not hold
/// the keys that sign.
#[derive(Debug, Clone, Copy)]
pub(super) enum Secrets<'a> {
    /// From the environment, or files found by these.
    From(&'a Sources),
    /// Nothing secret is read or missed.
    Unneeded,
}

/// A secret and the key under which it was given, for the faults still to come.
pub(super) struct Given {
    pub(super) text: Secret,
    pub(super) key: &'static str,
}

/// Reads `<name>` or `<name>_file`; the environment wins over the file. Both at one place are a fault.
pub(super) fn read(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
    name: &'static str,
    name_file: &'static str,
) -> Option<Given> {
    let inline = section.secret(name);
    let path = section.text(name_file, |text| Ok(text.to_owned()));
    let key = chosen(section, name, name_file)?;
    let Secrets::From(sources) = secrets else { return None };
    if key == name {
        return inline.map(|(text, _)| Given { text, key });
    }
    let path = path?;
    let read = if PUBLIC.contains(&name) {
        read_file(sources, &path)
    } else {
        read_private(section, name_file, sources, &path)
    };
    read.map_err(|problem| section.fault(name_file, problem)).ok().map(|text| Given { text, key })
}

/// Returns which of two ways to give the same thing holds: the environment wins over the file, both at one place are a
/// fault.
pub(super) fn chosen(section: &Section<'_>, name: &'static str, name_file: &'static str) -> Option<&'static str> {
    let is_variable = |key| matches!(section.origin_of(key), Origin::Variable(_));
    match (section.has(name), section.has(name_file)) {
        (false, false) => None,
        (true, false) => Some(name),
        (false, true) => Some(name_file),
        (true, true) if is_variable(name) == is_variable(name_file) => {
            section.fault(name, Problem::new(format!("and `{name_file}` are both given"), "keep one of the two"));
            None
        }
        (true, true) => Some(if is_variable(name) { name } else { name_file }),
    }
}

/// Reads it, or notes that it is missing.
pub(super) fn required(
    section: &mut Section<'_>,
    secrets: Secrets<'_>,
    name: &'static str,
    name_file: &'static str,
    what: &str,
) -> Option<Given> {
    if matches!(secrets, Secrets::From(_)) && !section.has(name) && !section.has(name_file) {
        let remedy = format!("give {what}: `{name_file} = \"FILE\"`, or {name} by the environment");
        section.fault(name_file, Problem::new("is missing", remedy));
    }
    read(section, secrets, name, name_file)
}

/// Reads one secret file of a directory, without the line end an editor adds.
pub(super) fn read_file(sources: &Sources, name: &str) -> Result<Secret, Problem> {
    let shown = shown(name);
    let unreadable = |error: &std::io::Error| {
        let remedy = "check the path (it is relative to the configuration file) and the file's permissions";
        Problem::new(format!("names {shown}, which cannot be read: {}", reason(error)), remedy)
    };
    let file = fs::File::open(sources.find(name)).map_err(|error| unreadable(&error))?;
    // Bytes that grow leave copies of themselves behind, and those nobody wipes.
    let mut bytes = zeroize::Zeroizing::new(Vec::with_capacity(2 * MAX_KEY_BYTES as usize));
    file.take(MAX_KEY_BYTES + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&error))?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MAX_KEY_BYTES) {
        return Err(Problem::new(format!("names {shown}, which is too large for a key"), "name the right file"));
    }
    let text = std::str::from_utf8(&bytes).map_err(|_| {
        let remedy = "convert it to PEM: openssl pkey -inform DER -in FILE -out FILE.pem; a certificate: openssl x509 \
                      -inform DER -in FILE -out FILE.pem";
        Problem::new(format!("names {shown}, which is no text file"), remedy)
    })?;
    if text.trim().is_empty() {
        return Err(Problem::new(format!("names {shown}, which is empty"), "put into it what it is for"));
    }
    Ok(Secret::new(text.trim_start_matches('\u{feff}').trim()))
}

/// Reads a file nobody else should be able to read, and warns if somebody is: no fault, for a mounted secret may leave
/// no choice.
pub(super) fn read_private(section: &Section<'_>, key: &str, sources: &Sources, name: &str) -> Result<Secret, Problem> {
    let secret = read_file(sources, name)?;
    let mode = fs::metadata(sources.find(name)).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    if mode & OTHERS_READ != 0 {
        let problem = format!("names {}, which others than its owner may read (mode {mode:03o})", shown(name));
        section.warn(
            key,
            Problem::new(problem, "chmod 600 it; for a secret mounted by an orchestrator ask for mode 0400"),
        );
    }
    Ok(secret)
}

/// Quotes a path, unless it may be the secret itself, put where its file's name belongs.
fn shown(name: &str) -> &str {
    let is_path = name.len() <= 200 && !name.ends_with('=') && !name.chars().any(char::is_control);
    if is_path && (name.starts_with('/') || name.contains('.')) {
        name
    } else {
        "a file (not shown: it may be the key)"
    }
}

/// What the system says, without its error number.
pub(super) fn reason(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}
