//! What an answer may have been before a terminal, an editor or a log rewrote it.

use crate::gateway::diagnosis::search::{Draft, Slip};
use crate::gateway::diagnosis::slips::content;
use crate::gateway::diagnosis::{Cause, LONGEST};
use crate::signing::charset::{Charset, without_mark};

const REMEDY: &str = "verify and keep the bytes as received: curl -sS -o FILE, no editor and no log in between";

/// Part of an answer with what is signed around it.
#[derive(Clone)]
pub(super) struct TextDraft {
    pub(super) before: Vec<u8>,
    pub(super) text: Vec<u8>,
    pub(super) after: Vec<u8>,
}

impl Draft for TextDraft {
    fn bytes(&self) -> Vec<u8> {
        [self.before.as_slice(), &self.text, &self.after].concat()
    }
}

/// Returns other whole bodies this one may have been, each with what happened to it.
pub(super) fn bodies(body: &[u8]) -> Vec<(Cause, Vec<u8>)> {
    let named = |name, what: &str, body: Vec<u8>| (Cause::new(name, what, REMEDY), body);
    let mut bodies = Vec::new();
    for (from, to) in [(Charset::Utf8, Charset::Gbk), (Charset::Gbk, Charset::Utf8)] {
        if let Some(before) = recoded(body, from, to) {
            let what = format!("the answer was saved in {} and came in {}", from.as_str(), to.as_str());
            bodies.push(named("answer_resaved_in_another_charset", &what, before));
        }
    }
    let text = String::from_utf8_lossy(body);
    if text.contains("\\\"")
        && let Ok(serde_json::Value::String(before)) =
            serde_json::from_str(&format!("\"{}\"", text.trim().trim_matches('"')))
    {
        let what = "the answer was pasted as a JSON text inside another (every quote escaped), as a log writes it";
        bodies.push(named("answer_json_escaped", what, before.into_bytes()));
    }
    if text.contains("&quot;") || text.contains("&lt;") || text.contains("&#34;") {
        let what = "the answer was copied from an HTML page, with its quotes and brackets escaped";
        bodies.push(named("answer_html_escaped", what, unescaped(&text).into_bytes()));
    }
    if text.trim().contains('\n') {
        let what = "the answer was copied from a terminal that broke its lines";
        bodies.push(named("answer_wrapped", what, text.replace(['\r', '\n'], "").into_bytes()));
    }
    let latin1: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
    if let Some(before) = latin1.filter(|before| before.len() < body.len()) {
        let what = "the answer's bytes were read as Latin-1 and saved in utf-8";
        bodies.push(named("answer_resaved_in_another_charset", what, before));
    }
    bodies
}

fn recoded(bytes: &[u8], from: Charset, to: Charset) -> Option<Vec<u8>> {
    if bytes.is_ascii() {
        return None;
    }
    to.encode(&from.decode(bytes)?).ok()
}

pub(super) fn unescaped(text: &str) -> String {
    let pairs = [("&quot;", "\""), ("&#34;", "\""), ("&lt;", "<"), ("&gt;", ">"), ("&#39;", "'"), ("&amp;", "&")];
    pairs.iter().fold(text.to_owned(), |text, (escaped, plain)| text.replace(escaped, plain))
}

/// Returns the slips of a JSON text; none for one that is too long.
pub(super) fn slips(text: &[u8], charset: Charset) -> Vec<Slip<TextDraft>> {
    if text.len() > LONGEST {
        return Vec::new();
    }
    let slip = |name, what: String, bytes: Vec<u8>| {
        Slip::common(Cause::new(name, what, REMEDY), move |draft: &mut TextDraft| draft.text.clone_from(&bytes))
    };
    let mut slips = Vec::new();
    for (from, to) in [(Charset::Utf8, Charset::Gbk), (Charset::Gbk, Charset::Utf8)] {
        if let Some(before) = recoded(text, from, to) {
            let what = format!("the answer was saved in {}, it was signed in {}", from.as_str(), to.as_str());
            slips.push(slip("answer_resaved_in_another_charset", what, before));
        }
    }
    if text.first() == Some(&b'"') && text.len() >= 2 {
        let what = "the encrypted text was signed without its two quotes".to_owned();
        slips.push(slip("quotes_not_signed", what, text[1..text.len() - 1].to_vec()));
    }
    slips.push(slip(
        "line_feed_lost",
        "a line feed behind the text was signed and is gone".to_owned(),
        [text, b"\n"].concat(),
    ));
    slips.push(slip(
        "byte_order_mark",
        "a byte order mark before the text was signed and is gone".to_owned(),
        [b"\xEF\xBB\xBF", text].concat(),
    ));
    let trimmed = without_mark(text);
    if trimmed.len() < text.len() {
        slips.push(slip("byte_order_mark", "a byte order mark was put before the text".to_owned(), trimmed.to_vec()));
    }
    // One line end, or all white space there is: a slip for each byte of a megabyte of it would be too many.
    for end in [text.strip_suffix(b"\n"), text.strip_suffix(b"\r\n"), Some(text.trim_ascii_end())].into_iter().flatten()
    {
        slips.push(slip("trailing_white_space", "white space was put behind the text".to_owned(), end.to_vec()));
    }
    if let Some(plain) = charset.decode(text) {
        for rewriting in content::rewritings(&plain) {
            let Ok(bytes) = charset.encode(&rewriting.text) else { continue };
            let what = format!("the answer was written anew after it was signed: signed {}", rewriting.what);
            let cause = Cause::new("answer_rewritten", what, REMEDY);
            slips.push(Slip::rare(cause, move |draft: &mut TextDraft| draft.text.clone_from(&bytes)));
        }
    }
    slips
}
