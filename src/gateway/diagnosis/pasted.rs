//! A request as people paste it: a curl command line, raw HTTP text, a URL, a bare form, or a logged JSON object.
//!
//! Read as bytes, for a request in GBK is no UTF-8. Tolerant about how it was copied, never about what it holds: values
//! come out as they went over the wire. Promise: a megabyte of garbage is refused at once, and no part of it is quoted.

mod curl;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::signing::charset::without_mark;

/// Longest text read, in bytes: a takedown is below 4 KiB, the longest URL servers take is 64 KiB or less.
pub const MAX_BYTES: usize = 256 * 1024;

/// Most parameters read; the protocols have at most fifteen.
pub(super) const MAX_FIELDS: usize = 200;

/// Says why a pasted text is no request; quotes nothing of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PasteError {
    /// Longer than [`MAX_BYTES`].
    #[error("it has {bytes} bytes, which no request of these gateways has; paste one request alone")]
    TooLarge {
        /// Size found.
        bytes: usize,
    },
    /// Packed by gzip.
    #[error("it is compressed (gzip); save it with `curl --compressed`, or unpack it with gunzip")]
    Compressed,
    /// More headers than any answer has; HTTP clients refuse it long before.
    #[error("it has more than {most} headers, which no answer of these gateways has; paste one answer alone")]
    Headers {
        /// How many are read.
        most: usize,
    },
    /// Nothing in it.
    #[error("it is empty; paste a curl command line, raw HTTP text, a URL, or a bare query or form body")]
    Empty,
    /// None of the forms known.
    #[error(
        "it is no request ({problem}); paste a curl command line, raw HTTP text, a URL, or a bare query or form body"
    )]
    Form {
        /// What was missed.
        problem: &'static str,
    },
    /// A curl command line that cannot be followed.
    #[error("the curl command line {problem}")]
    Curl {
        /// What is wrong with it, and what would do.
        problem: &'static str,
    },
}

/// Where a parameter travelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// In the URL.
    Query,
    /// In the body.
    Body,
    /// In a header.
    Header,
}

impl Place {
    /// Returns the word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Query => "query",
            Self::Body => "body",
            Self::Header => "header",
        }
    }
}

/// One parameter.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    /// Name, decoded.
    pub name: Vec<u8>,
    /// Value, decoded.
    pub value: Vec<u8>,
    /// Value as written.
    pub raw: Vec<u8>,
    /// Where it stood.
    pub place: Place,
}

/// A request as it was pasted; may hold secrets, so it has no `Debug`.
#[derive(Clone)]
pub struct Pasted {
    /// What it was read as, such as `a curl command line`.
    pub read_as: &'static str,
    /// HTTP method.
    pub method: String,
    /// URL or path without its query; empty for a bare form.
    pub path: String,
    /// After the `?`.
    pub query: Vec<u8>,
    /// Headers in order.
    pub headers: Vec<(String, String)>,
    /// Body as it went over the wire.
    pub body: Vec<u8>,
}

impl Pasted {
    /// Reads a pasted text.
    ///
    /// # Errors
    /// [`PasteError`], naming what to paste instead.
    pub fn read(text: &[u8]) -> Result<Self, PasteError> {
        if text.len() > MAX_BYTES {
            return Err(PasteError::TooLarge { bytes: text.len() });
        }
        let text = without_mark(text).trim_ascii_start();
        let text = text.strip_prefix(b"$ ").unwrap_or(text);
        if text.is_empty() {
            return Err(PasteError::Empty);
        }
        let pasted = if curl::is_command(text) {
            curl::read(text)?
        } else if let Some(request) = http(text) {
            request
        } else if text.starts_with(b"{") {
            logged(text)
                .ok_or(PasteError::Form { problem: "a JSON object, but not one of parameters with a `sign`" })?
        } else {
            bare(text)?
        };
        if pasted.fields().len() > MAX_FIELDS {
            return Err(PasteError::Form { problem: "more parameters than any request has" });
        }
        Ok(pasted)
    }

    /// Returns the parameters of query and form body, in the order of the wire.
    #[must_use]
    pub fn fields(&self) -> Vec<Field> {
        let body = if self.is_json() { &[][..] } else { &self.body };
        let query = pairs(&self.query, Place::Query);
        query.chain(pairs(body, Place::Body)).take(MAX_FIELDS + 1).collect()
    }

    /// Returns a header's value, its name in any letter case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Says whether the request names this caller, such as (`app_id`, `2016…`).
    #[must_use]
    pub fn names(&self, (name, value): (&str, &str)) -> bool {
        let is_named = |field: &Field| field.name == name.as_bytes() && field.value == value.as_bytes();
        let in_header = |header: &str| header.split([',', ' ']).any(|part| part.split_once('=') == Some((name, value)));
        self.fields().iter().any(is_named) || self.header("authorization").is_some_and(in_header)
    }

    fn is_json(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"{")
    }

    fn at(read_as: &'static str, method: &str, url: &[u8], headers: Vec<(String, String)>, body: Vec<u8>) -> Self {
        let cut = url.iter().position(|byte| *byte == b'#').unwrap_or(url.len());
        let (path, query) = split(&url[..cut], b'?');
        let path = String::from_utf8_lossy(path).into_owned();
        Self { read_as, method: method.to_owned(), path, query: query.to_vec(), headers, body }
    }
}

/// Cuts at the first such byte, which belongs to neither part.
pub(super) fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|byte| *byte == at) {
        Some(end) => (&text[..end], &text[end + 1..]),
        None => (text, &[]),
    }
}

fn pairs(text: &[u8], place: Place) -> impl Iterator<Item = Field> + '_ {
    text.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()).map(move |pair| {
        let (name, raw) = split(pair, b'=');
        Field { name: decoded(name), value: decoded(raw), raw: raw.to_vec(), place }
    })
}

/// Decodes as a server does; an escape that is none stays as it is.
pub(super) fn decoded(text: &[u8]) -> Vec<u8> {
    let spaced: Vec<u8> = text.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
    percent_decode(&spaced).collect()
}

const METHODS: [&[u8]; 5] = [b"GET", b"POST", b"PUT", b"HEAD", b"DELETE"];

/// Reads `METHOD target` with or without a version, headers, an empty line, and a body.
fn http(text: &[u8]) -> Option<Pasted> {
    let (first, rest) = split(text, b'\n');
    let mut words = first.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let method = words.next().filter(|word| METHODS.contains(word))?;
    let target = words.next()?;
    let (headers, body) = head(rest);
    let body = sent(&headers, body);
    let method = String::from_utf8_lossy(method);
    Some(Pasted::at("raw HTTP text", &method, target, headers, body))
}

/// Splits headers from what follows the empty line.
pub(super) fn head(text: &[u8]) -> (Vec<(String, String)>, &[u8]) {
    let mut headers = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (line, after) = split(rest, b'\n');
        rest = after;
        let line = line.trim_ascii();
        if line.is_empty() {
            break;
        }
        let (name, value) = split(line, b':');
        headers.push((
            String::from_utf8_lossy(name.trim_ascii()).into_owned(),
            String::from_utf8_lossy(value.trim_ascii()).into_owned(),
        ));
    }
    (headers, rest)
}

/// Takes as much as `Content-Length` says, or joins chunks; without either, all but the line end an editor adds.
pub(super) fn sent(headers: &[(String, String)], body: &[u8]) -> Vec<u8> {
    let header = |name: &str| headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value);
    if let Some(body) = header("transfer-encoding").and_then(|_| unchunked(body)) {
        return body;
    }
    let length = header("content-length").and_then(|value| value.parse::<usize>().ok());
    let body = match length.and_then(|length| body.get(..length)) {
        Some(body) => body,
        None => body.strip_suffix(b"\n").map_or(body, |body| body.strip_suffix(b"\r").unwrap_or(body)),
    };
    body.to_vec()
}

/// Joins chunks (RFC 9112 section 7.1); `None` where a program joined them already.
fn unchunked(mut rest: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    loop {
        let (size, after) = split(rest, b'\n');
        let size = std::str::from_utf8(size).ok()?.split(';').next()?.trim();
        let size = usize::from_str_radix(size, 16).ok()?;
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(after.get(..size)?);
        rest = after.get(size..)?;
        rest = rest.strip_prefix(b"\r\n").or_else(|| rest.strip_prefix(b"\n"))?;
    }
}

/// Reads a URL (what stands on further lines is its body), or `a=b&c=d` alone.
fn bare(text: &[u8]) -> Result<Pasted, PasteError> {
    let text = text.trim_ascii();
    let text = match text {
        [quote @ (b'"' | b'\''), inner @ .., last] if quote == last => inner,
        _ => text,
    };
    if text.starts_with(b"http://") || text.starts_with(b"https://") {
        let (url, body) = split(text, b'\n');
        let body = body.trim_ascii();
        let method = if body.is_empty() { "GET" } else { "POST" };
        return Ok(Pasted::at("a URL", method, url.trim_ascii(), Vec::new(), body.to_vec()));
    }
    let form = text.strip_prefix(b"?").unwrap_or(text);
    let is_name = |name: &[u8]| !name.iter().any(|byte| byte.is_ascii_whitespace() || b"'\"".contains(byte));
    if !form.contains(&b'=') || form.contains(&b'\n') || !is_name(split(form, b'=').0) {
        return Err(PasteError::Form { problem: "neither a command, nor HTTP, nor a URL, nor name=value pairs" });
    }
    let path = split(form, b'?').0;
    if path.starts_with(b"/") && path.len() < form.len() {
        return Ok(Pasted::at("a path and query", "GET", form, Vec::new(), Vec::new()));
    }
    let (method, path) = ("GET".to_owned(), String::new());
    let (read_as, query) = match plain(form) {
        Some(query) => ("name=value pairs that are not percent-encoded", query),
        None => ("a bare query or form body", form.to_vec()),
    };
    Ok(Pasted { read_as, method, path, query, headers: Vec::new(), body: Vec::new() })
}

/// Encodes pairs as a log shows them: with characters no query has, and nothing escaped.
fn plain(form: &[u8]) -> Option<Vec<u8>> {
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit();
    let is_escaped = form.windows(3).any(|part| part[0] == b'%' && part[1..].iter().all(is_hex));
    let is_plain = form.iter().any(|byte| !byte.is_ascii() || b" {\"".contains(byte));
    if is_escaped || !is_plain {
        return None;
    }
    let pairs = form.split(|byte| *byte == b'&').map(|pair| {
        let (name, value) = split(pair, b'=');
        [percent_encode(name, NON_ALPHANUMERIC).to_string(), percent_encode(value, NON_ALPHANUMERIC).to_string()]
            .join("=")
    });
    Some(pairs.collect::<Vec<_>>().join("&").into_bytes())
}

/// Reads an object of parameters as SDKs log it.
fn logged(text: &[u8]) -> Option<Pasted> {
    let members: std::collections::BTreeMap<String, &RawValue> = serde_json::from_slice(text.trim_ascii()).ok()?;
    members.get("sign")?;
    let value = |raw: &RawValue| match serde_json::from_str(raw.get()) {
        Ok(Value::String(text)) => text,
        _ => raw.get().to_owned(),
    };
    let pairs = members.iter().map(|(name, raw)| (name.clone(), value(raw)));
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish().into_bytes();
    let (method, path) = ("POST".to_owned(), String::new());
    let read_as = "a JSON object of parameters";
    Some(Pasted { read_as, method, path, query, headers: Vec::new(), body: Vec::new() })
}

#[cfg(test)]
mod tests;
