//! What a terminal, a pipe and a narrow window get to see.

use std::fs;

use tempfile::TempDir;

use super::{DESK, directory};
use crate::support::command::{end, takedown};
use crate::support::pty::Pty;

const ESCAPE: char = '\u{1b}';

/// The table of a topology: the same on every machine, and no broker is asked.
fn shown(home: &TempDir, arguments: &[&str], size: (u16, u16), set: &[(&str, &str)]) -> String {
    let arguments: Vec<&str> = [&["topology", "print"], arguments].concat();
    let (code, text) = Pty::start(home.path(), &arguments, size, set).end();
    assert_eq!(code, 0, "{text}");
    text.replace('\r', "")
}

fn without_colours(text: &str) -> String {
    let mut plain = String::new();
    let mut is_code = false;
    for c in text.chars() {
        is_code |= c == ESCAPE;
        if !is_code {
            plain.push(c);
        }
        is_code &= c != 'm';
    }
    plain
}

#[test]
fn colours_are_for_terminals_and_for_whom_wants_them() {
    let home = directory(DESK);
    let wide = (100, 40);
    let coloured = shown(&home, &[], wide, &[]);
    assert!(coloured.contains(" \u{1b}[1mobject"), "{coloured:?}");
    for (arguments, set) in [
        (&[][..], ("NO_COLOR", "1")),
        (&[], ("TERM", "dumb")),
        (&[], ("CLICOLOR", "0")),
        (&["--color", "never"], ("CLICOLOR_FORCE", "1")),
    ] {
        let plain = shown(&home, arguments, wide, &[set]);
        assert!(!plain.contains(ESCAPE), "{arguments:?} {set:?}: {plain:?}");
    }
    let dumb = shown(&home, &[], wide, &[("TERM", "dumb"), ("CI", "true")]);
    assert!(!dumb.contains(ESCAPE), "{dumb:?}");
    assert_eq!(shown(&home, &[], wide, &[("NO_COLOR", "1")]), without_colours(&coloured), "words are the same");
    for (arguments, set) in [(&["--color", "always"][..], ("NO_COLOR", "1")), (&[], ("CLICOLOR_FORCE", "1"))] {
        let text = shown(&home, arguments, wide, &[set]);
        assert_eq!(text, coloured, "{arguments:?} {set:?}");
    }
}

#[test]
fn a_pipe_gets_neither_colours_nor_cut_lines() {
    let home = directory(DESK);
    let piped = end(takedown(home.path(), &["topology", "print"])).stdout;
    assert!(!piped.contains(ESCAPE), "{piped:?}");
    let whole = |line: &str| line.contains("takedown.work.desk ") && line.ends_with("overflow=reject-publish");
    assert!(piped.lines().any(whole), "{piped}");
    assert!(piped.lines().all(|line| line.trim_end() == line), "{piped}");
    let mut forced = takedown(home.path(), &["topology", "print"]);
    forced.env("CLICOLOR_FORCE", "1");
    assert_eq!(without_colours(&end(forced).stdout), piped);
}

#[test]
fn a_narrow_terminal_gets_paragraphs_that_fit() {
    let home = directory(DESK);
    for (columns, set) in [(24, ("LC_ALL", "C.UTF-8")), (24, ("LC_ALL", "C")), (60, ("LC_ALL", "C"))] {
        let text = shown(&home, &[], (columns, 40), &[("NO_COLOR", "1"), set]);
        let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
        assert!(widest <= usize::from(columns), "{columns}: {widest}\n{text}");
        assert!(text.is_ascii() || set.1 != "C", "{text}");
    }
}

#[test]
fn nothing_of_others_in_an_error_steers_the_terminal() {
    let home = directory(DESK);
    fs::write(home.path().join("items.csv"), "id,account,sns_user_id,key,goods_id\n\u{1b}[2Jx,desk,u,k,1\n").unwrap();
    let refused = end(takedown(home.path(), &["enqueue", "--dry-run", "items.csv"]));
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(!refused.stderr.contains(ESCAPE), "{refused:?}");
    assert!(refused.stderr.contains("what to do:"), "{refused:?}");
}
