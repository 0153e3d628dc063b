//! Reading one table: each key once, each fault noted, and in the end every key nobody asked for.

use std::ops::RangeInclusive;

use crate::domain::secret::Secret;
use crate::ops::config::fault::{Faults, Origin, Problem};
use crate::ops::config::raw::{Node, Table, Value};
use crate::ops::config::suggest::nearest;

/// A table being read. What is absent or faulty reads as `None`; a fault is noted by then.
pub(super) struct Section<'a> {
    path: String,
    table: Option<&'a Table>,
    origin: Origin,
    known: Vec<&'static str>,
    foreign: Vec<(&'static str, &'static str)>,
    faults: &'a Faults,
}

impl<'a> Section<'a> {
    /// Begins with the whole tree.
    pub(super) fn root(table: &'a Table, faults: &'a Faults) -> Self {
        Self {
            path: String::new(),
            table: Some(table),
            origin: Origin::Nowhere,
            known: Vec::new(),
            foreign: Vec::new(),
            faults,
        }
    }

    /// Opens a table of this one; an absent one reads as empty.
    pub(super) fn section(&mut self, key: &'static str) -> Self {
        self.known.push(key);
        self.entry(key)
    }

    /// Opens a table under a name of the operator's choice.
    pub(super) fn entry(&self, key: &str) -> Self {
        let node = self.table.and_then(|table| table.entries.get(key));
        let (table, origin) = match node {
            Some(Node { value: Value::Table(table), origin }) => (Some(table), origin.clone()),
            Some(node) => {
                let remedy = format!("write it as a table: [{}]", self.path_of(key));
                self.faults.add(self.path_of(key), &node.origin, wrong_kind(&node.value, "a table", remedy));
                (None, node.origin.clone())
            }
            None => (None, self.origin.clone()),
        };
        Self { path: self.path_of(key), table, origin, known: Vec::new(), foreign: Vec::new(), faults: self.faults }
    }

    /// Returns the names in a table whose names are the operator's choice.
    pub(super) fn names(&self) -> Vec<&'a str> {
        self.table.map(|table| table.entries.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Says whether a key is given.
    pub(super) fn has(&self, key: &str) -> bool {
        self.table.is_some_and(|table| table.entries.contains_key(key))
    }

    /// Says whether a key is given as a table.
    pub(super) fn is_table(&self, key: &str) -> bool {
        let node = self.table.and_then(|table| table.entries.get(key));
        node.is_some_and(|node| matches!(node.value, Value::Table(_)))
    }

    /// Returns where a key was given, else where this table was.
    pub(super) fn origin_of(&self, key: &str) -> Origin {
        self.table.and_then(|table| table.entries.get(key)).map_or_else(|| self.origin.clone(), |n| n.origin.clone())
    }

    /// Reads a text.
    pub(super) fn text<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        let node = self.node(key)?;
        self.parse_text(&self.path_of(key), node, parse)
    }

    /// Reads a text that must be there.
    pub(super) fn required<T>(
        &mut self,
        key: &'static str,
        remedy: &str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Option<T> {
        if !self.has(key) {
            self.known.push(key);
            self.fault(key, Problem::new("is missing", remedy));
            return None;
        }
        self.text(key, parse)
    }

    /// Reads the text under a name of the operator's choice.
    pub(super) fn entry_text<T>(&self, key: &str, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        let node = self.table.and_then(|table| table.entries.get(key))?;
        self.parse_text(&self.path_of(key), node, parse)
    }

    /// Reads a whole number within bounds.
    pub(super) fn number<T: TryFrom<i64>>(&mut self, key: &'static str, bounds: RangeInclusive<i64>) -> Option<T> {
        let node = self.node(key)?;
        let remedy = format!("write a whole number between {} and {}", bounds.start(), bounds.end());
        let found = match (&node.value, &node.origin) {
            (Value::Integer(number), _) => Ok(*number),
            (Value::Text(text), Origin::Variable(_)) => {
                let text = text.as_str();
                let wrong = || Problem::new(format!("is {text:?}, which is no number"), &*remedy).discreet(text);
                text.trim().parse().map_err(|_| wrong())
            }
            (other, _) => Err(wrong_kind(other, "a number", &*remedy)),
        };
        let checked = found.and_then(|number| {
            let wrong = || Problem::new(format!("is {number}, which is out of range"), &*remedy);
            if bounds.contains(&number) { T::try_from(number).map_err(|_| wrong()) } else { Err(wrong()) }
        });
        self.note(key, node, checked)
    }

    /// Reads true or false.
    pub(super) fn boolean(&mut self, key: &'static str) -> Option<bool> {
        let node = self.node(key)?;
        let remedy = "write true or false";
        let found = match (&node.value, &node.origin) {
            (Value::Boolean(is_true), _) => Ok(*is_true),
            (Value::Text(text), Origin::Variable(_)) => match text.trim().to_ascii_lowercase().as_str() {
                "true" | "1" | "yes" => Ok(true),
                "false" | "0" | "no" => Ok(false),
                _ => Err(Problem::new(format!("is {:?}", text.as_str()), remedy).discreet(text)),
            },
            (other, _) => Err(wrong_kind(other, "true or false", remedy)),
        };
        self.note(key, node, found)
    }

    /// Reads a list of texts; in a variable they are separated by commas.
    pub(super) fn list<T>(&mut self, key: &'static str, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<Vec<T>> {
        let node = self.node(key)?;
        let path = self.path_of(key);
        match (&node.value, &node.origin) {
            (Value::List(items), _) => {
                let read = items.iter().enumerate();
                let read = read.map(|(i, item)| self.parse_text(&format!("{path}[{i}]"), item, &parse));
                read.collect::<Vec<_>>().into_iter().collect()
            }
            (Value::Text(text), Origin::Variable(_)) => {
                let read = text.split(',').map(str::trim);
                let read = read.map(|part| parse(part).map_err(|problem| problem.discreet(part)));
                let read = read.collect::<Result<Vec<_>, _>>();
                self.note(key, node, read)
            }
            (other, _) => self.note(key, node, Err(wrong_kind(other, "a list", "write a list: [\"5s\", \"30s\"]"))),
        }
    }

    /// Reads one text, or a list of them; in a variable they are separated by commas.
    pub(super) fn one_or_more<T>(
        &mut self,
        key: &'static str,
        parse: impl Fn(&str) -> Result<T, Problem>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        match (&node.value, &node.origin) {
            (Value::List(_), _) | (Value::Text(_), Origin::Variable(_)) => self.list(key, parse),
            _ => Some(vec![self.parse_text(&self.path_of(key), node, parse)?]),
        }
    }

    /// Reads a text that must never be shown, with the place it was given at.
    pub(super) fn secret(&mut self, key: &'static str) -> Option<(Secret, Origin)> {
        let node = self.node(key)?;
        let text = self.parse_text(&self.path_of(key), node, |text| Ok(Secret::new(text)))?;
        Some((text, node.origin.clone()))
    }

    /// Notes a fault of a key of this table.
    pub(super) fn fault(&self, key: &str, problem: Problem) {
        self.faults.add(self.path_of(key), &self.origin_of(key), problem);
    }

    /// Notes what is no fault of a key of this table, but worth a warning.
    pub(super) fn warn(&self, key: &str, problem: Problem) {
        self.faults.warn(self.path_of(key), &self.origin_of(key), problem);
    }

    /// Notes a fault of the table itself.
    pub(super) fn fault_here(&self, problem: Problem) {
        self.faults.add(&*self.path, &self.origin, problem);
    }

    /// Names keys that have a meaning elsewhere, each with a word on where.
    pub(super) fn belongs_elsewhere(&mut self, keys: &[&'static str], elsewhere: &'static str) {
        self.foreign.extend(keys.iter().map(|key| (*key, elsewhere)));
    }

    /// Ends the reading: what nobody asked for is a fault.
    pub(super) fn finish(self) {
        for key in self.names() {
            if self.known.contains(&key) {
                continue;
            }
            let remedy = match self.foreign.iter().find(|(foreign, _)| *foreign == key) {
                Some((_, elsewhere)) => format!("remove it; it belongs to {elsewhere}"),
                None => match nearest(key, self.known.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("remove it; known here: {}", self.known.join(", ")),
                },
            };
            self.fault(key, Problem::new("is not known", remedy));
        }
    }

    fn node(&mut self, key: &'static str) -> Option<&'a Node> {
        self.known.push(key);
        self.table.and_then(|table| table.entries.get(key))
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    fn parse_text<T>(&self, path: &str, node: &Node, parse: impl Fn(&str) -> Result<T, Problem>) -> Option<T> {
        let read = match &node.value {
            Value::Text(text) if text.trim().is_empty() => {
                Err(Problem::new("is empty", "give it a value, or remove it"))
            }
            Value::Text(text) => parse(text.trim()).map_err(|problem| problem.discreet(text.trim())),
            other => Err(wrong_kind(other, "a text", "put it in quotes")),
        };
        read.map_err(|problem| self.faults.add(path, &node.origin, problem)).ok()
    }

    fn note<T>(&self, key: &str, node: &Node, read: Result<T, Problem>) -> Option<T> {
        read.map_err(|problem| self.faults.add(self.path_of(key), &node.origin, problem)).ok()
    }
}

fn wrong_kind(found: &Value, wanted: &str, remedy: impl Into<String>) -> Problem {
    Problem::new(format!("is {}, expected {wanted}", found.describe()), remedy)
}
