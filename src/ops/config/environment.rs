//! The environment as settings: `TAKEDOWN_ACCOUNTS__SHOPS__RATE=20/s` is `rate` of `[accounts.shops]`.
//!
//! `__` separates levels and letter case does not matter; `_` also stands for the `-` and `.` a name may hold. An empty
//! variable counts as absent, as docker-compose's `${NAME:-}` leaves one. A variable without `__` is no setting (an
//! orchestrator invents such names: `TAKEDOWN_PORT_9100_TCP`), except where only one underscore was typed.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::ops::config::fault::{Faults, Origin, Problem};
use crate::ops::config::raw::{Node, Table, Value};

const PREFIX: &str = "TAKEDOWN_";

/// Lays the environment over the tree.
pub(super) fn overlay(tree: &mut Table, environment: &BTreeMap<String, String>, faults: &Faults) {
    for (name, value) in environment {
        let Some(rest) = strip_prefix(name) else { continue };
        let origin = Origin::Variable(name.clone());
        if !rest.contains("__") {
            if let Some(meant) = with_two_underscores(tree, rest) {
                let problem = Problem::new("separates its levels by one underscore", format!("write {PREFIX}{meant}"));
                faults.add("", &origin, problem);
            }
            continue;
        }
        if value.is_empty() {
            continue;
        }
        let parts: Vec<&str> = rest.split("__").collect();
        if parts.iter().any(|part| part.is_empty()) {
            let remedy = format!("separate levels by exactly two, as in {PREFIX}ACCOUNTS__SHOPS__RATE");
            faults.add("", &origin, Problem::new("has a level without a name", remedy));
            continue;
        }
        if let Err(problem) = put(tree, &parts, value, &origin) {
            faults.add("", &origin, problem);
        }
    }
}

/// Letter case does not matter in the prefix either.
fn strip_prefix(name: &str) -> Option<&str> {
    let head = name.get(..PREFIX.len())?;
    head.eq_ignore_ascii_case(PREFIX).then(|| &name[PREFIX.len()..])
}

fn put(table: &mut Table, parts: &[&str], value: &str, origin: &Origin) -> Result<(), Problem> {
    let Some((part, deeper)) = parts.split_first() else { return Ok(()) };
    let key = existing(table, part)?.unwrap_or_else(|| part.to_ascii_lowercase());
    if deeper.is_empty() {
        let value = Value::Text(Zeroizing::new(value.to_owned()));
        table.entries.insert(key, Node { value, origin: origin.clone() });
        return Ok(());
    }
    let fresh = || Node { value: Value::Table(Table::default()), origin: origin.clone() };
    let node = table.entries.entry(key).or_insert_with(fresh);
    if !matches!(node.value, Value::Table(_)) {
        *node = fresh();
    }
    match &mut node.value {
        Value::Table(inner) => put(inner, deeper, value, origin),
        Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::List(_) | Value::Other(_) => Ok(()),
    }
}

/// Finds the key of the file a part of a variable's name means.
fn existing(table: &Table, part: &str) -> Result<Option<String>, Problem> {
    let wanted = plain(part);
    let found: Vec<&String> = table.entries.keys().filter(|key| plain(key) == wanted).collect();
    match found.as_slice() {
        [] => Ok(None),
        [key] => Ok(Some((*key).clone())),
        [first, second, ..] => Err(Problem::new(
            format!("may mean `{first}` or `{second}`"),
            "rename one of the two in the file, so that they differ in more than `-`, `_`, `.` and letter case",
        )),
    }
}

fn plain(name: &str) -> String {
    name.to_ascii_lowercase().replace(['-', '.'], "_")
}

/// Finds the section and key of `AMQP_URL`, and writes them with two underscores.
fn with_two_underscores(tree: &Table, rest: &str) -> Option<String> {
    let lower = rest.to_ascii_lowercase();
    tree.entries.iter().find_map(|(section, node)| {
        let key = lower.strip_prefix(section.as_str())?.strip_prefix('_')?;
        let Value::Table(table) = &node.value else { return None };
        let is_setting = table.entries.contains_key(key);
        is_setting.then(|| format!("{}__{}", section.to_ascii_uppercase(), key.to_ascii_uppercase()))
    })
}
