//! What stands in the place of an answer: an HTML page of the gateway or of a proxy, half a document, nothing.
//!
//! Promise: nothing found here decides anything; it helps people to see what came back.

use crate::domain::codes;
use crate::domain::reply::Claim;
use crate::domain::takedown::Gateway;
use crate::signing::charset::Charset;

/// Describes a body that is no answer of the protocol. Error pages of mapi name a code in running text.
pub(super) fn unreadable(gateway: Gateway, body: &[u8], problem: &str) -> Claim {
    let start = body.trim_ascii_start();
    if start.is_empty() {
        return Claim::Unreadable { problem: "the answer is empty".to_owned(), named_code: None };
    }
    let is_page = ["<html", "<!doctype html", "<head", "<body"]
        .iter()
        .any(|tag| start.get(..tag.len()).is_some_and(|bytes| bytes.eq_ignore_ascii_case(tag.as_bytes())));
    if !is_page {
        return Claim::Unreadable { problem: problem.to_owned(), named_code: None };
    }
    let text = Charset::Utf8.decode(body).or_else(|| Charset::Gbk.decode(body)).unwrap_or_default();
    Claim::Unreadable {
        problem: "an HTML page came instead of an answer".to_owned(),
        named_code: named(gateway, &text),
    }
}

/// Words of a page looked up at most: a page that says something says it near its top, and a look-up walks the table.
const MAX_WORDS: usize = 1000;

/// Finds the first word that is a code of the gateway's table.
fn named(gateway: Gateway, text: &str) -> Option<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || "_.-".contains(c)));
    let could_be = |word: &&str| (5..=64).contains(&word.len()) && word.contains(['_', '.']);
    let is_code = |word: &&str| codes::find(gateway, Some(word), Some(word)).is_some();
    words.filter(could_be).take(MAX_WORDS).find(is_code).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named_code(body: &[u8]) -> Option<String> {
        match unreadable(Gateway::Mapi, body, "not XML") {
            Claim::Unreadable { named_code, .. } => named_code,
            Claim::Success { .. } | Claim::Failure { .. } => None,
        }
    }

    #[test]
    fn a_gbk_page_names_its_code() {
        let page = Charset::Gbk.encode("<HTML><body>错误代码 ILLEGAL_SIGN，请重试</body></HTML>").unwrap();
        assert_eq!(named_code(&page), Some("ILLEGAL_SIGN".to_owned()));
    }

    #[test]
    fn a_page_without_a_known_code_names_none() {
        assert_eq!(named_code(b"<html>502 BAD_GATEWAY</html>"), None);
        assert_eq!(named_code(b"\r\n"), None);
        assert_eq!(named_code(b"ILLEGAL_SIGN"), None);
    }

    #[test]
    fn a_code_is_looked_for_near_the_top_of_a_page_only() {
        let page = |words: usize| format!("<html>{}ILLEGAL_SIGN</html>", "not_it ".repeat(words));
        assert_eq!(named_code(page(MAX_WORDS - 1).as_bytes()), Some("ILLEGAL_SIGN".to_owned()));
        assert_eq!(named_code(page(MAX_WORDS).as_bytes()), None);
    }
}
