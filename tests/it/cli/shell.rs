//! Completions as a shell takes them, and manual pages as `man` does.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::command::run;

/// Asks a bash that loaded the script what it would complete a line to.
fn completed(home: &Path, words: &[&str]) -> BTreeSet<String> {
    let asked = r#"source ./takedown.bash || exit 1
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
        before=${COMP_WORDS[COMP_CWORD - 1]}
        "$(complete -p takedown | sed -E 's/.*-F ([^ ]+).*/\1/')" takedown "${COMP_WORDS[COMP_CWORD]}" "$before"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let output = Command::new("bash").args(["-c", asked, "bash"]).args(words).current_dir(home).output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn bash_completes_commands_options_and_values() {
    let home = TempDir::new().unwrap();
    let script = run(home.path(), &["completions", "bash"]);
    assert_eq!(script.code, Some(0), "{script:?}");
    fs::write(home.path().join("takedown.bash"), &script.stdout).unwrap();
    let checked = Command::new("bash").args(["-n", "takedown.bash"]).current_dir(home.path()).output().unwrap();
    assert!(checked.status.success() && checked.stderr.is_empty(), "{checked:?}");

    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<BTreeSet<_>>();
    assert_eq!(completed(home.path(), &["takedown", "stat"]), set(&["status"]));
    assert_eq!(completed(home.path(), &["takedown", "status", "--wa"]), set(&["--watch"]));
    assert_eq!(completed(home.path(), &["takedown", "--color", ""]), set(&["auto", "always", "never"]));
    let letters = completed(home.path(), &["takedown", "dead-letters", ""]);
    assert!(letters.contains("list") && letters.contains("replay"), "{letters:?}");
    for shell in ["zsh", "fish", "elvish", "powershell"] {
        let script = run(home.path(), &["completions", shell]);
        assert!(script.code == Some(0) && script.stdout.contains("dead-letters"), "{shell}");
    }
}

#[test]
fn every_command_has_a_manual_page_that_is_sound() {
    let home = TempDir::new().unwrap();
    let written = run(home.path(), &["man", "man1"]);
    assert_eq!(written.code, Some(0), "{written:?}");
    let pages: BTreeSet<String> = fs::read_dir(home.path().join("man1"))
        .unwrap()
        .map(|page| page.unwrap().file_name().into_string().unwrap())
        .collect();
    let help = run(home.path(), &["--help"]).stdout;
    let commands = help.split("Commands:\n").nth(1).unwrap().split("\n\n").next().unwrap();
    for line in commands.lines().filter(|line| line.starts_with("  ") && !line.starts_with("   ")) {
        let command = line.split_whitespace().next().unwrap();
        assert!(command == "help" || pages.contains(&format!("takedown-{command}.1")), "{command}: {pages:?}");
    }
    assert!(pages.contains("takedown.1") && pages.contains("takedown-dead-letters-replay.1"), "{pages:?}");
    for page in &pages {
        let text = fs::read_to_string(home.path().join("man1").join(page)).unwrap();
        assert!(text.is_ascii(), "{page}");
        assert!(text.contains("\n.SH NAME\n") && text.contains("\n.SH SYNOPSIS\n"), "{page}");
        // A formatter that is there is asked, too.
        if let Some(complaints) = groff(&home.path().join("man1"), page) {
            assert_eq!(complaints, "", "{page}");
        }
    }
    let single = run(home.path(), &["man"]);
    assert_eq!(single.stdout.trim(), fs::read_to_string(home.path().join("man1/takedown.1")).unwrap().trim());
}

fn groff(directory: &Path, page: &str) -> Option<String> {
    let asked = Command::new("groff").args(["-ww", "-z", "-man", "-Tascii", page]).current_dir(directory).output();
    match asked {
        Ok(output) => Some(String::from_utf8_lossy(&output.stderr).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn pages_that_cannot_be_written_are_told() {
    let home = TempDir::new().unwrap();
    fs::write(home.path().join("file"), "").unwrap();
    let refused = run(home.path(), &["man", "file/man1"]);
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("what to do:"), "{refused:?}");
}
