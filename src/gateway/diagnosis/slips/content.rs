//! How JSON text was written when it was signed, where it was written otherwise when it was sent.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

/// Members up to which every order is tried.
const PERMUTED: usize = 4;

/// Longest text written anew, in bytes; it is written a hundred times.
const REWRITTEN: usize = 16 * 1024;

/// A way of writing the same JSON.
pub(in crate::gateway::diagnosis) struct Rewriting {
    /// What was different, such as `with its members in another order`.
    pub(in crate::gateway::diagnosis) what: String,
    /// The text.
    pub(in crate::gateway::diagnosis) text: String,
}

/// Returns other ways to write a JSON object, each once; none for a text beyond 16 KiB.
pub(in crate::gateway::diagnosis) fn rewritings(sent: &str) -> Vec<Rewriting> {
    if sent.len() > REWRITTEN {
        return Vec::new();
    }
    let Ok(Value::Object(map)) = serde_json::from_str::<Value>(sent) else { return Vec::new() };
    let names = order_in(sent, &map);
    let mut seen = BTreeSet::from([sent.to_owned()]);
    let mut rewritings = Vec::new();
    let mut add = |what: String, text: String| {
        if seen.insert(text.clone()) {
            rewritings.push(Rewriting { what, text });
        }
    };
    // What was done to the text alone, all else kept.
    for (escape, how) in ESCAPES {
        add(how.to_owned(), escape(sent));
    }
    add("with its quotes escaped, as a JSON text inside another".to_owned(), Value::from(sent).to_string());
    add("with `\\/` for `/`".to_owned(), sent.replace('/', "\\/"));
    add("with `/` for `\\/`".to_owned(), sent.replace("\\/", "/"));
    add("with a line feed behind it".to_owned(), format!("{sent}\n"));
    for order in orders(&names) {
        let is_other = order != names;
        for (layout, spaced) in LAYOUTS {
            let text = layout.write(&order, &map);
            for (escape, escaped) in ESCAPES {
                let mut parts = vec![spaced];
                parts.extend(is_other.then_some("with its members in another order"));
                parts.extend((!escaped.is_empty()).then_some(escaped));
                parts.retain(|part| !part.is_empty());
                let what = if parts.is_empty() {
                    "without white space between its parts".to_owned()
                } else {
                    parts.join(", ")
                };
                add(what, escape(&text));
            }
        }
    }
    rewritings
}

/// The object's names in the order of the text; its reader sorts them.
fn order_in(sent: &str, map: &Map<String, Value>) -> Vec<String> {
    let mut names: Vec<String> = map.keys().cloned().collect();
    names.sort_by_key(|name| sent.find(&format!("{}", Value::from(name.as_str()))).unwrap_or(usize::MAX));
    names
}

fn orders(names: &[String]) -> Vec<Vec<String>> {
    let mut sorted = names.to_vec();
    sorted.sort();
    let mut orders = vec![names.to_vec(), sorted];
    orders.push(names.iter().rev().cloned().collect());
    if names.len() <= PERMUTED {
        permute(&mut names.to_vec(), 0, &mut orders);
    }
    orders
}

fn permute(names: &mut Vec<String>, from: usize, orders: &mut Vec<Vec<String>>) {
    if from + 1 >= names.len() {
        orders.push(names.clone());
        return;
    }
    for at in from..names.len() {
        names.swap(from, at);
        permute(names, from + 1, orders);
        names.swap(from, at);
    }
}

/// White space between the parts of an object.
#[derive(Clone, Copy)]
struct Layout {
    open: &'static str,
    colon: &'static str,
    comma: &'static str,
    close: &'static str,
}

const LAYOUTS: [(Layout, &str); 7] = [
    (Layout { open: "{", colon: ": ", comma: ",", close: "}" }, "with a space after `:`"),
    (Layout { open: "{", colon: ":", comma: ",", close: "}" }, ""),
    (Layout { open: "{", colon: ": ", comma: ", ", close: "}" }, "with a space after `:` and `,` (Python's default)"),
    (Layout { open: "{\n  ", colon: ": ", comma: ",\n  ", close: "\n}" }, "pretty-printed by two spaces"),
    (Layout { open: "{\n    ", colon: ": ", comma: ",\n    ", close: "\n}" }, "pretty-printed by four spaces"),
    (Layout { open: "{\n\t", colon: ": ", comma: ",\n\t", close: "\n}" }, "pretty-printed by tabs"),
    (Layout { open: "{\n  ", colon: " : ", comma: ",\n  ", close: "\n}" }, "pretty-printed as Jackson does"),
];

impl Layout {
    fn write(self, order: &[String], map: &Map<String, Value>) -> String {
        let members = order
            .iter()
            .filter_map(|name| Some(format!("{}{}{}", Value::from(name.as_str()), self.colon, map.get(name)?)));
        format!("{}{}{}", self.open, members.collect::<Vec<_>>().join(self.comma), self.close)
    }
}

/// A way of escaping, and how it is told.
type Escape = (fn(&str) -> String, &'static str);

const ESCAPES: [Escape; 7] = [
    (|text| text.to_owned(), ""),
    (|text| text.replace('/', "\\/"), "with `\\/` for `/` (PHP's default)"),
    (|text| ascii(text, Case::Lower), "with \\uXXXX for characters beyond ASCII"),
    (|text| ascii(text, Case::Upper), "with \\uXXXX in upper case for characters beyond ASCII"),
    (
        |text| ascii(text, Case::Lower).replace('/', "\\/"),
        "with `\\/` for `/` and \\uXXXX for characters beyond ASCII (PHP's default)",
    ),
    (|text| text.replace('"', "'"), "in single quotes (Python's str)"),
    (html, "with <, > and & as \\uXXXX (Go's and Gson's default)"),
];

enum Case {
    Lower,
    Upper,
}

fn ascii(text: &str, case: Case) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_ascii() {
            escaped.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let written = match case {
                Case::Lower => write!(escaped, "\\u{unit:04x}"),
                Case::Upper => write!(escaped, "\\u{unit:04X}"),
            };
            written.expect("invariant: a String takes all");
        }
    }
    escaped
}

fn html(text: &str) -> String {
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_json_is_written_in_every_usual_way_and_each_once() {
        let found = rewritings(r#"{"b":"1/下","a":"2"}"#);
        let texts: BTreeSet<&str> = found.iter().map(|rewriting| rewriting.text.as_str()).collect();
        assert_eq!(texts.len(), found.len());
        for expected in [
            r#"{"a":"2","b":"1/下"}"#,
            r#"{"b": "1/下", "a": "2"}"#,
            r#"{"a": "2", "b": "1\/\u4e0b"}"#,
            "{\n  \"b\": \"1/下\",\n  \"a\": \"2\"\n}",
            "{\"b\":\"1\\/下\",\"a\":\"2\"}",
        ] {
            assert!(texts.contains(expected), "{expected} in {texts:?}");
        }
        assert!(rewritings("[1]").is_empty() && rewritings("AAAA==").is_empty());
    }
}
