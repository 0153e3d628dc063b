//! The settings before they mean anything: a tree of values, each knowing where it was given.
//!
//! Three layers become one tree: the built-in default, the file over it, the environment over both.

use std::collections::BTreeMap;

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use zeroize::Zeroizing;

use crate::ops::config::fault::{Faults, Origin, Problem};

/// A table of settings. No `Debug`: a value may be a secret.
#[derive(Default)]
pub(super) struct Table {
    pub(super) entries: BTreeMap<String, Node>,
}

/// A value and where it was given.
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) origin: Origin,
}

/// What a value is.
pub(super) enum Value {
    Text(Zeroizing<String>),
    Integer(i64),
    Boolean(bool),
    List(Vec<Node>),
    Table(Table),
    /// Something no setting is made of: a date, a fraction.
    Other(&'static str),
}

impl Value {
    /// What it is, with its article.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) => "a text",
            Self::Integer(_) => "a number",
            Self::Boolean(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::Other(what) => what,
        }
    }
}

impl Table {
    /// Reads a TOML text; syntax faults are all told, with their lines.
    pub(super) fn parse(text: &str, faults: &Faults) -> Self {
        let lines = Lines::of(text);
        let (document, errors) = DeTable::parse_recoverable(text);
        for error in &errors {
            let origin = error.span().map_or(Origin::Nowhere, |span| lines.origin(span.start));
            let remedy = "mend the TOML; texts need quotes, and `takedown config` prints a whole example";
            faults.add("", &origin, Problem::new(error.message().replace('\n', ", "), remedy));
        }
        convert_table(document.into_inner(), &lines)
    }

    /// Lays another table over this one; tables merge, everything else is replaced.
    pub(super) fn overlay(&mut self, over: Self) {
        for (key, node) in over.entries {
            match (self.entries.get_mut(&key), node) {
                (
                    Some(Node { value: Value::Table(below), origin }),
                    Node { value: Value::Table(above), origin: new },
                ) => {
                    below.overlay(above);
                    *origin = new;
                }
                (_, node) => {
                    self.entries.insert(key, node);
                }
            }
        }
    }

    /// Forgets where everything was given: the built-in default has no line an operator could mend.
    pub(super) fn without_origins(mut self) -> Self {
        for node in self.entries.values_mut() {
            node.forget_origin();
        }
        self
    }
}

impl Node {
    fn forget_origin(&mut self) {
        self.origin = Origin::Nowhere;
        match &mut self.value {
            Value::Table(table) => table.entries.values_mut().for_each(Self::forget_origin),
            Value::List(items) => items.iter_mut().for_each(Self::forget_origin),
            Value::Text(_) | Value::Integer(_) | Value::Boolean(_) | Value::Other(_) => {}
        }
    }
}

fn convert_table(table: DeTable<'_>, lines: &Lines) -> Table {
    let convert = |(key, value): (Spanned<_>, _)| {
        let origin = lines.origin(key.span().start);
        let key: std::borrow::Cow<'_, str> = key.into_inner();
        (key.into_owned(), convert_node(value, origin, lines))
    };
    Table { entries: table.into_iter().map(convert).collect() }
}

fn convert_node(value: Spanned<DeValue<'_>>, origin: Origin, lines: &Lines) -> Node {
    let value = match value.into_inner() {
        DeValue::String(text) => Value::Text(Zeroizing::new(text.into_owned())),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(Value::Other("a number too large"), Value::Integer),
        DeValue::Boolean(is_true) => Value::Boolean(is_true),
        DeValue::Float(_) => Value::Other("a fraction"),
        DeValue::Datetime(_) => Value::Other("a date"),
        DeValue::Array(items) => Value::List(
            items
                .into_iter()
                .map(|item| {
                    let origin = lines.origin(item.span().start);
                    convert_node(item, origin, lines)
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(convert_table(table, lines)),
    };
    Node { value, origin }
}

/// Offsets at which lines begin.
struct Lines(Vec<usize>);

impl Lines {
    fn of(text: &str) -> Self {
        Self(std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect())
    }

    fn origin(&self, offset: usize) -> Origin {
        Origin::Line(self.0.partition_point(|start| *start <= offset))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin<'a>(table: &'a Table, path: &[&str]) -> &'a Origin {
        let node = &table.entries[path[0]];
        match (&node.value, path.len()) {
            (_, 1) => &node.origin,
            (Value::Table(inner), _) => origin(inner, &path[1..]),
            _ => panic!("{path:?} leads through a value"),
        }
    }

    #[test]
    fn every_value_knows_its_line() {
        let faults = Faults::default();
        let table = Table::parse("[a]\nx = 1\n\n[b.c]\ny = \"z\"\nw = { v = true }\n", &faults);
        assert!(faults.into_sorted().is_empty());
        assert_eq!(origin(&table, &["a", "x"]), &Origin::Line(2));
        assert_eq!(origin(&table, &["b", "c"]), &Origin::Line(4));
        assert_eq!(origin(&table, &["b", "c", "w", "v"]), &Origin::Line(6));
    }

    #[test]
    fn every_syntax_fault_is_told_with_its_line() {
        let faults = Faults::default();
        Table::parse("[a]\nx = fast\ny = 1\nz = = 2\n", &faults);
        let lines: Vec<_> = faults.into_sorted().iter().map(|fault| fault.line()).collect();
        assert!(lines.contains(&Some(2)) && lines.contains(&Some(4)), "{lines:?}");
    }
}
