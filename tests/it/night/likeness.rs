//! Whether what was printed is what the page tells.
//!
//! Words and counts must be the same. What differs from night to night may differ: times of day, dates, durations, rates a
//! second; `…` stands for anything within a line, and alone in a line for any lines. Rules and borders of tables do not
//! count, nor how wide they are. An id that the page makes up (of a plan, of a batch) stands for the one that was printed, then
//! and in every later command.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use regex::Regex;

/// What may differ, and what stands for it.
static PASSING: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    [
        (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d(\.\d+)?)?(Z| UTC)?", "<when>"),
        (r"\b\d\d:\d\d(:\d\d)?\b", "<when>"),
        (r"\b\d{4}-\d\d-\d\d\b", "<when>"),
        (r"\b[\d.,]+(/s|/min|/h| a second)", "<rate>"),
        (r"\b(\d+(\.\d+)?\s?(ms|s|m|min|h|d)\b ?)+", "<while> "),
    ]
    .map(|(pattern, word)| (Regex::new(pattern).unwrap(), word))
    .into()
});

static ID: LazyLock<Regex> = LazyLock::new(|| Regex::new(r"\b(plan ([0-9a-z]{6})|b-\d{8}-[0-9a-f]{8})\b").unwrap());

/// The page's made-up ids and what they stand for.
#[derive(Debug, Default)]
pub(super) struct Names(BTreeMap<String, String>);

impl Names {
    /// Writes a text of the page with the ids that were printed.
    pub(super) fn translate(&self, text: &str) -> String {
        ID.replace_all(text, |found: &regex::Captures<'_>| {
            self.0.get(&found[0]).cloned().unwrap_or_else(|| found[0].to_owned())
        })
        .into_owned()
    }

    /// Compares; learns the ids if all is alike. The error names the first line of the page that was not printed.
    pub(super) fn compare(&mut self, told: &[String], printed: &str) -> Result<(), String> {
        let told: Vec<String> = told.iter().filter_map(|line| plain(line)).collect();
        let printed: Vec<String> = printed.lines().filter_map(plain).collect();
        let mut learnt = self.0.clone();
        follow(&told, &printed, &mut learnt).map_err(|line| line.unwrap_or_else(|| "nothing more".to_owned()))?;
        self.0 = learnt;
        Ok(())
    }
}

/// Returns a line without borders and with single spaces, or nothing for one that is only a rule or empty.
fn plain(line: &str) -> Option<String> {
    let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || ('\u{2500}'..='\u{257f}').contains(&c)).collect();
    let text = words.into_iter().filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}

fn follow(told: &[String], printed: &[String], names: &mut BTreeMap<String, String>) -> Result<(), Option<String>> {
    let Some((first, rest)) = told.split_first() else {
        return if printed.is_empty() { Ok(()) } else { Err(None) };
    };
    if first == "…" {
        let mut last = Err(None);
        for skipped in 0..=printed.len() {
            let mut tried = names.clone();
            last = follow(rest, &printed[skipped..], &mut tried);
            if last.is_ok() {
                *names = tried;
                return last;
            }
        }
        return last;
    }
    match printed.split_first() {
        Some((line, others)) if is_like(first, line, names) => follow(rest, others, names),
        _ => Err(Some(first.clone())),
    }
}

fn is_like(told: &str, printed: &str, names: &mut BTreeMap<String, String>) -> bool {
    let of_page: Vec<&str> = ID.find_iter(told).map(|found| found.as_str()).collect();
    let of_night: Vec<&str> = ID.find_iter(printed).map(|found| found.as_str()).collect();
    for (made_up, real) in of_page.iter().zip(&of_night) {
        if names.entry((*made_up).to_owned()).or_insert_with(|| (*real).to_owned()) != real {
            return false;
        }
    }
    let veil = |text: &str| {
        let text = ID.replace_all(text, "<id>").into_owned();
        PASSING.iter().fold(text, |text, (pattern, word)| pattern.replace_all(&text, *word).into_owned())
    };
    let pattern: Vec<String> = veil(told).trim().split('…').map(regex::escape).collect();
    Regex::new(&format!("^{}$", pattern.join(".*"))).unwrap().is_match(veil(printed).trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compare(told: &str, printed: &str) -> Result<(), String> {
        let told: Vec<String> = told.lines().map(str::to_owned).collect();
        Names::default().compare(&told, printed)
    }

    #[test]
    fn words_and_counts_must_be_the_same() {
        assert_eq!(compare("14 letters\n────\n│ a   b │", "═══\n14  letters\n\na b\n"), Ok(()));
        assert_eq!(compare("14 letters", "15 letters"), Err("14 letters".to_owned()));
        assert_eq!(compare("one", "one\ntwo"), Err("nothing more".to_owned()));
        assert_eq!(compare("one\ntwo", "one"), Err("two".to_owned()));
    }

    #[test]
    fn what_differs_from_night_to_night_may_differ() {
        let told = "held since 00:04, probe in 1m 20s; 2026-11-25T00:04:00Z at 18.5/s";
        assert_eq!(compare(told, "held since 23:59:01, probe in 3 s; 2027-01-01T10:04:00Z at 2/s"), Ok(()));
        assert_eq!(compare("a … c\n…\nend", "a b c\nx\ny\nend"), Ok(()));
        assert!(compare("a … c\n…\nend", "a b d\nend").is_err());
    }

    #[test]
    fn a_made_up_id_stands_for_one_and_the_same() {
        let mut names = Names::default();
        let line = |text: &str| vec![text.to_owned()];
        assert_eq!(names.compare(&line("plan z7k2mq"), "plan abcdef"), Ok(()));
        assert_eq!(names.translate("replay --plan z7k2mq"), "replay --plan abcdef");
        assert!(names.compare(&line("plan z7k2mq"), "plan efghij").is_err());
    }
}
