//! Holds the walls: who may import whom, what `domain` may touch, how large a file may grow.
//!
//! A failing check is answered by moving code, not by an exemption. Comments and texts are taken out of each source
//! first, so that prose may name anything.

use std::fs;
use std::path::{Path, PathBuf};

/// Each layer with those it may name besides itself. The binary and the crate's root may name every one.
const LAYERS: &[(&str, &[&str])] = &[
    ("clock", &[]),
    ("fault_points", &[]),
    ("domain", &[]),
    ("signing", &["domain"]),
    ("tls", &["domain"]),
    ("trace", &["domain"]),
    ("gateway", &["clock", "domain", "signing", "tls"]),
    ("limits", &["clock", "domain"]),
    ("queue", &["clock", "fault_points", "domain", "tls", "trace"]),
    ("desk", &["clock", "domain", "queue"]),
    ("worker", &["clock", "fault_points", "domain", "trace", "signing", "gateway", "limits", "queue"]),
    ("sandbox", &["clock", "domain", "signing"]),
    ("ops", &["clock", "domain", "signing", "tls", "trace", "gateway", "limits", "queue", "worker", "desk", "sandbox"]),
];

/// What a pure layer has no use for: other tasks, clocks, chance, the world outside.
const IMPURE: &[&str] = &[
    "async",
    "await",
    "tokio",
    "SystemTime::now",
    "Timestamp::now",
    "Instant",
    "rand",
    "std::fs",
    "std::net",
    "std::env",
    "std::thread",
    "std::process",
    "println",
    "eprintln",
    "tracing",
];

/// Longest file, in lines.
const LONGEST: usize = 400;

/// Names that say nothing.
const NAMELESS: &[&str] = &["utils", "util", "helpers", "common", "types", "misc"];

struct Source {
    /// Below the crate's root, such as `src/queue/mod.rs`.
    path: String,
    text: String,
}

impl Source {
    fn new(path: &str, text: &str) -> Self {
        Self { path: path.to_owned(), text: text.to_owned() }
    }

    /// The code without comments and without what stands in texts.
    fn code(&self) -> String {
        without_prose(&self.text)
    }

    fn layer(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let first = inside.split('/').next()?;
        first.strip_suffix(".rs").or(Some(first)).filter(|name| LAYERS.iter().any(|(layer, _)| layer == name))
    }
}

fn sources(directory: &str) -> Vec<Source> {
    fn walk(directory: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    walk(&root.join(directory), &mut found);
    found.sort();
    found
        .iter()
        .map(|path| {
            let inside = path.strip_prefix(root).unwrap().to_str().unwrap().replace('\\', "/");
            Source { path: inside, text: fs::read_to_string(path).unwrap() }
        })
        .collect()
}

fn without_prose(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let skipped = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(hashes) = raw_text(rest, code.chars().next_back()) {
            let open = rest.find('"').unwrap() + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            rest[open..].find(&close).map_or(rest.len(), |end| open + end + close.len())
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        // Lines stay lines.
        code.extend(rest[..skipped].chars().filter(|c| *c == '\n'));
        code.push(' ');
        rest = &rest[skipped..];
    }
    code
}

/// Number of hashes if a raw text begins here.
fn raw_text(rest: &str, before: Option<char>) -> Option<usize> {
    if before.is_some_and(is_word) && before != Some('b') {
        return None;
    }
    let hashes = rest.strip_prefix('r')?;
    let text = hashes.trim_start_matches('#');
    text.starts_with('"').then(|| hashes.len() - text.len())
}

/// Tells a character from a lifetime.
fn is_character(rest: &str) -> bool {
    let mut next = rest.chars().skip(1);
    next.next() == Some('\\') || next.next() == Some('\'')
}

/// Length of a text or character with its quotes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// Each place where `word` stands alone, with the code that follows it.
fn places<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (usize, &'a str)> + 'a {
    code.match_indices(word).filter_map(move |(at, _)| {
        let after = &code[at + word.len()..];
        let is_alone = !code[..at].chars().next_back().is_some_and(is_word)
            && (word.ends_with(':') || !after.chars().next().is_some_and(is_word));
        is_alone.then(|| (code[..at].matches('\n').count() + 1, after))
    })
}

fn broken_order(source: &Source) -> Vec<String> {
    let Some(layer) = source.layer() else { return Vec::new() };
    let (_, below) = LAYERS.iter().find(|(name, _)| *name == layer).unwrap();
    let code = source.code();
    let mut broken = Vec::new();
    for (line, after) in places(&code, "crate::") {
        if after.trim_start().starts_with('{') {
            broken.push(format!("{}:{line} names several layers in one `use`", source.path));
            continue;
        }
        let named: String = after.chars().take_while(|c| is_word(*c)).collect();
        let is_layer = LAYERS.iter().any(|(name, _)| *name == named);
        if is_layer && named != layer && !below.contains(&named.as_str()) {
            broken.push(format!("{}:{line} is {layer} and names {named}", source.path));
        }
    }
    broken
}

fn impurities(source: &Source) -> Vec<String> {
    if source.layer() != Some("domain") {
        return Vec::new();
    }
    let code = source.code();
    let found = IMPURE.iter().flat_map(|word| places(&code, word).map(move |(line, _)| (line, word)));
    found.map(|(line, word)| format!("{}:{line} is domain and names {word}", source.path)).collect()
}

fn uses_backoff(source: &Source) -> bool {
    let code = source.code();
    // The crate, not a field or module of that name.
    places(&code, "backoff::").any(|(line, after)| {
        let text = code.lines().nth(line - 1).unwrap_or_default();
        let before = text.split("backoff::").next().unwrap_or_default().trim_end();
        !after.is_empty() && !before.ends_with(':') && !before.ends_with('.')
    })
}

fn misshapen(source: &Source) -> Vec<String> {
    let lines = source.text.lines().count();
    let stem = Path::new(&source.path).file_stem().unwrap().to_str().unwrap();
    let folder = Path::new(&source.path).parent().and_then(Path::file_name).unwrap().to_str().unwrap();
    let long = (lines > LONGEST)
        .then(|| format!("{} has {lines} lines, more than {LONGEST}: split it by a noun", source.path));
    let nameless = [stem, folder]
        .iter()
        .any(|name| NAMELESS.contains(name))
        .then(|| format!("{} is named after nothing", source.path));
    long.into_iter().chain(nameless).collect()
}

fn all(check: fn(&Source) -> Vec<String>, directories: &[&str]) -> String {
    let found: Vec<String> =
        directories.iter().flat_map(|directory| sources(directory)).flat_map(|source| check(&source)).collect();
    found.join("\n")
}

#[test]
fn imports_go_downward_only() {
    assert_eq!(all(broken_order, &["src"]), "");
}

#[test]
fn domain_is_pure() {
    assert_eq!(all(impurities, &["src"]), "");
}

#[test]
fn backoff_is_used_in_one_file() {
    let users: Vec<String> = sources("src").iter().filter(|s| uses_backoff(s)).map(|s| s.path.clone()).collect();
    assert_eq!(users, ["src/queue/amqp/schedule.rs"]);
}

#[test]
fn the_time_of_day_is_read_in_one_file() {
    let reads = |source: &&Source| places(&source.code(), "SystemTime::now").next().is_some();
    let readers: Vec<String> = sources("src").iter().filter(reads).map(|source| source.path.clone()).collect();
    assert_eq!(readers, ["src/clock.rs"]);
}

/// Without the module nothing that names it can be compiled; and no word of it is in the binary of these tests, where
/// they run without the feature.
#[test]
fn only_builds_for_tests_know_fault_points() {
    let gated = "#[cfg(feature = \"fault-points\")]\npub mod fault_points;";
    assert!(include_str!("../../src/lib.rs").contains(gated));
    let binary = fs::read(env!("CARGO_BIN_EXE_takedown")).unwrap();
    for word in ["TAKEDOWN_FAULT_POINT", "TAKEDOWN_CLOCK_FILE"] {
        let is_known = binary.windows(word.len()).any(|bytes| bytes == word.as_bytes());
        assert_eq!(is_known, cfg!(feature = "fault-points"), "{word}");
    }
}

#[test]
fn files_are_short_and_named_by_a_noun() {
    assert_eq!(all(misshapen, &["src"]), "");
}

#[test]
fn every_folder_of_the_sources_is_a_known_layer() {
    for source in sources("src") {
        let is_root = matches!(source.path.as_str(), "src/lib.rs" | "src/main.rs");
        assert!(is_root || source.layer().is_some(), "{} belongs to no layer", source.path);
    }
}

#[test]
fn the_checks_catch_what_they_are_for() {
    let order = |path: &str, text: &str| broken_order(&Source::new(path, text));
    assert_eq!(
        order("src/queue/mod.rs", "use crate::domain::ids;\nuse crate::gateway::http;\n"),
        ["src/queue/mod.rs:2 is queue and names gateway"]
    );
    assert_eq!(order("src/limits/rate.rs", "fn f() { crate::queue::x() }").len(), 1, "inline paths count");
    assert_eq!(order("src/sandbox/mapi.rs", "use crate::queue::Queue;").len(), 1);
    assert_eq!(order("src/worker/mod.rs", "pub(crate) use crate::ops;").len(), 1);
    assert_eq!(order("src/ops/status.rs", "use crate::{domain, worker};").len(), 1, "several layers in one line");
    assert_eq!(order("src/domain/ids.rs", "let a = 'x'; let b: &'static str = \"\"; crate::signing::y()").len(), 1);
    assert_eq!(order("src/domain/ids.rs", "b\"\\\"\"; r#\"\"crate::ops\"#; '\"'; crate::ops::z()").len(), 1);
    for innocent in [
        "// use crate::ops;\nuse crate::domain::ids;",
        "/* crate::ops */ let x = \"crate::ops::y \\\" crate::ops\";",
        "let x = r#\"crate::ops \" crate::ops\"#;",
        "mycrate::ops::x(); crate::macro_of_ours!();",
    ] {
        assert_eq!(order("src/domain/ids.rs", innocent), [""; 0], "{innocent}");
    }

    let impure = |text: &str| impurities(&Source::new("src/domain/retry.rs", text)).len();
    assert_eq!(impure("let now = SystemTime::now();"), 1);
    assert_eq!(impure("pub async fn f() {}\nuse tokio::time;\nuse std::time::Instant;"), 3);
    assert_eq!(impure("/// Not async.\nfn operand() -> SystemTime { now }"), 0);
    assert_eq!(impurities(&Source::new("src/worker/mod.rs", "async fn f() {}")).len(), 0);

    let backs_off = |text: &str| uses_backoff(&Source::new("src/queue/x.rs", text));
    assert!(backs_off("use backoff::ExponentialBackoff;"));
    assert!(!backs_off("self.backoff.next(); crate::limits::backoff::f();"));

    let shape = |path: &str, lines: usize| misshapen(&Source::new(path, &"x\n".repeat(lines))).len();
    assert_eq!(shape("src/queue/mod.rs", LONGEST), 0);
    assert_eq!(shape("src/queue/mod.rs", LONGEST + 1), 1);
    assert_eq!(shape("src/queue/utils.rs", 1) + shape("src/common/mod.rs", 1), 2);
}

#[test]
fn every_section_of_the_protocol_page_the_sources_name_is_there() {
    let page = include_str!("../../src/gateway/protocol.md");
    let headings: Vec<_> = page.lines().filter_map(|line| line.split_once("# ")).map(|(_, heading)| heading).collect();
    let mut named = 0;
    for source in sources("src") {
        let words = source.text.split_whitespace().filter(|word| !["//!", "///", "//"].contains(word));
        for mention in words.collect::<Vec<_>>().join(" ").split("protocol page: ").skip(1) {
            let place = mention.split(')').next().unwrap();
            let is_heading = |heading: &&str| place == *heading || place.ends_with(&format!(", {heading}"));
            assert!(headings.iter().any(is_heading), "{}: {place}", source.path);
            named += 1;
        }
    }
    assert!(named > 20, "{named}");
}
