//! Who is at the desk, for the operators' log.

use std::fs;

/// Longest name of a person or machine, in characters.
const LONGEST: usize = 48;

/// Returns `user@machine`, as far as this machine tells.
#[must_use]
pub fn name() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].into_iter().find_map(|name| std::env::var(name).ok());
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", word(user.as_deref().unwrap_or_default()), word(machine.trim()))
}

fn word(text: &str) -> String {
    let word: String = text.chars().filter(|c| !c.is_control()).take(LONGEST).collect();
    if word.is_empty() { "unknown".to_owned() } else { word }
}
