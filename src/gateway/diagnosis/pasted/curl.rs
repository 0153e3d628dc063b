//! A curl command line, quoted as shells and browsers ("copy as cURL") quote.

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};

use crate::gateway::diagnosis::pasted::{PasteError, Pasted, split};

/// Options whose value says nothing about the request.
const WITH_VALUE: [&str; 16] = [
    "-o",
    "--output",
    "-u",
    "--user",
    "-A",
    "--user-agent",
    "-e",
    "--referer",
    "-b",
    "--cookie",
    "-m",
    "--max-time",
    "--connect-timeout",
    "-x",
    "--proxy",
    "--cacert",
];

pub(super) fn is_command(text: &[u8]) -> bool {
    let first = text.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
    first == b"curl" || first.ends_with(b"/curl") || first == b"curl.exe"
}

/// What the options came to.
#[derive(Default)]
struct Call {
    method: Option<String>,
    url: Option<Vec<u8>>,
    headers: Vec<(String, String)>,
    data: Option<Vec<u8>>,
    is_get: bool,
}

pub(super) fn read(text: &[u8]) -> Result<Pasted, PasteError> {
    if text.windows(2).any(|pair| pair == b"^\"") {
        return Err(PasteError::Curl { problem: "is quoted for Windows' cmd; copy it as cURL (bash)" });
    }
    let mut call = Call::default();
    let mut words = words(text)?.into_iter().skip(1);
    let missing = PasteError::Curl { problem: "ends after an option that needs a value; paste it whole" };
    while let Some(word) = words.next() {
        if !word.starts_with(b"-") || word == b"-" {
            call.url.get_or_insert(word);
        } else if let Some(long) = word.strip_prefix(b"--") {
            let (name, value) = split(long, b'=');
            let name = format!("--{}", String::from_utf8_lossy(name));
            if long.contains(&b'=') {
                call.option(&name, value)?;
            } else if takes_value(&name) || WITH_VALUE.contains(&name.as_str()) {
                call.option(&name, &words.next().ok_or(missing.clone())?)?;
            } else if name == "--get" {
                call.is_get = true;
            }
        } else {
            // Flags, the last of which may have a value, in the same word or in the next.
            for (at, flag) in word.iter().enumerate().skip(1) {
                let name = format!("-{}", char::from(*flag));
                if name == "-G" {
                    call.is_get = true;
                } else if takes_value(&name) || WITH_VALUE.contains(&name.as_str()) {
                    match &word[at + 1..] {
                        [] => call.option(&name, &words.next().ok_or(missing.clone())?)?,
                        value => call.option(&name, value)?,
                    }
                    break;
                }
            }
        }
    }
    call.finish()
}

fn takes_value(name: &str) -> bool {
    let long = ["--request", "--header", "--url", "--json", "--form"];
    name.starts_with("--data") || long.contains(&name) || ["-X", "-H", "-d", "-F"].contains(&name)
}

impl Call {
    fn option(&mut self, name: &str, value: &[u8]) -> Result<(), PasteError> {
        let text = || String::from_utf8_lossy(value).into_owned();
        match name {
            "-X" | "--request" => self.method = Some(text()),
            "--url" => self.url = Some(value.to_vec()),
            "-H" | "--header" => {
                let (name, value) = split(value, b':');
                let text = |part: &[u8]| String::from_utf8_lossy(part.trim_ascii()).into_owned();
                self.headers.push((text(name), text(value)));
            }
            "-F" | "--form" => {
                return Err(PasteError::Curl {
                    problem: "sends multipart/form-data, which the gateways do not read; use --data",
                });
            }
            "--data-urlencode" => {
                let (name, value) = split(value, b'=');
                let encoded = percent_encode(value, NON_ALPHANUMERIC).to_string();
                self.add(&[name, b"=", encoded.as_bytes()].concat());
            }
            "-d" | "--data" | "--data-ascii" | "--data-binary" if value.starts_with(b"@") => {
                return Err(PasteError::Curl {
                    problem: "takes its body from a file; paste the body itself in its place",
                });
            }
            "--json" => {
                self.headers.push(("Content-Type".to_owned(), "application/json".to_owned()));
                self.data = Some(value.to_vec());
            }
            _ if name == "-d" || name.starts_with("--data") => self.add(value),
            _ => {}
        }
        Ok(())
    }

    fn add(&mut self, value: &[u8]) {
        match &mut self.data {
            Some(data) => {
                data.push(b'&');
                data.extend_from_slice(value);
            }
            none => *none = Some(value.to_vec()),
        }
    }

    fn finish(self) -> Result<Pasted, PasteError> {
        let mut url = self.url.ok_or(PasteError::Curl { problem: "names no URL; paste it whole" })?;
        let data = self.data.unwrap_or_default();
        let default = if data.is_empty() || self.is_get { "GET" } else { "POST" };
        let method = self.method.unwrap_or_else(|| default.to_owned());
        let body = if self.is_get && !data.is_empty() {
            url.push(if url.contains(&b'?') { b'&' } else { b'?' });
            url.extend_from_slice(&data);
            Vec::new()
        } else {
            data
        };
        Ok(Pasted::at("a curl command line", &method, &url, self.headers, body))
    }
}

/// Splits as a POSIX shell does, `$'…'` of bash included; a line may go on behind `\` or (Windows) `^`.
fn words(text: &[u8]) -> Result<Vec<Vec<u8>>, PasteError> {
    const UNCLOSED: PasteError = PasteError::Curl { problem: "has a quote that is never closed; paste it whole" };
    let mut words = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = text;
    while let [first, tail @ ..] = rest {
        rest = tail;
        match (first, tail) {
            (b'\\' | b'^', [b'\r', b'\n', after @ ..] | [b'\n', after @ ..]) => rest = after,
            (b'\\', [escaped, after @ ..]) => {
                word.get_or_insert_default().push(*escaped);
                rest = after;
            }
            (b'$', [b'\'', after @ ..]) => rest = ansi(after, word.get_or_insert_default()).ok_or(UNCLOSED)?,
            (b'\'', _) => {
                let end = tail.iter().position(|byte| *byte == b'\'').ok_or(UNCLOSED)?;
                word.get_or_insert_default().extend_from_slice(&tail[..end]);
                rest = &tail[end + 1..];
            }
            (b'"', _) => rest = double(tail, word.get_or_insert_default()).ok_or(UNCLOSED)?,
            (b'|' | b';' | b'>' | b'\n', _) => break,
            (space, _) if space.is_ascii_whitespace() => words.extend(word.take()),
            (other, _) => word.get_or_insert_default().push(*other),
        }
    }
    words.extend(word);
    Ok(words)
}

/// Reads to the closing `"`; a backslash escapes only what the shell gives a meaning.
fn double<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    loop {
        match rest {
            [b'"', after @ ..] => return Some(after),
            [b'\\', escaped @ (b'"' | b'\\' | b'$' | b'`'), after @ ..] => {
                word.push(*escaped);
                rest = after;
            }
            [b'\\', b'\n', after @ ..] => rest = after,
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}

/// Reads the inside of `$'…'`.
fn ansi<'a>(mut rest: &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let number = |digits: &[u8]| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok();
    loop {
        match rest {
            [b'\'', after @ ..] => return Some(after),
            [b'\\', b'u', a, b, c, d, after @ ..] if number(&[*a, *b, *c, *d]).is_some() => {
                let character = number(&[*a, *b, *c, *d]).and_then(char::from_u32).unwrap_or('\u{FFFD}');
                word.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                rest = after;
            }
            [b'\\', b'x', a, b, after @ ..] if number(&[*a, *b]).is_some() => {
                word.extend(number(&[*a, *b]).and_then(|number| u8::try_from(number).ok()));
                rest = after;
            }
            [b'\\', escaped, after @ ..] => {
                word.push(match escaped {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    other => *other,
                });
                rest = after;
            }
            [byte, after @ ..] => {
                word.push(*byte);
                rest = after;
            }
            [] => return None,
        }
    }
}
