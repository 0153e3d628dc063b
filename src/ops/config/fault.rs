//! Faults of a configuration: where, what, and what to do.

use std::cell::RefCell;
use std::fmt;
use std::path::PathBuf;

/// Where a setting was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// At this line of the file, from 1.
    Line(usize),
    /// In this environment variable.
    Variable(String),
    /// Nowhere: it is missing, or comes from the built-in default.
    Nowhere,
}

/// One fault of a configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The key, such as `accounts.shops.rate`; empty when the whole file is meant.
    pub key: String,
    /// Where it was given.
    pub origin: Origin,
    /// What is wrong; never quotes a secret.
    pub problem: String,
    /// What to do.
    pub remedy: String,
}

impl Fault {
    /// Returns the line in the file, where the fault has one.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        match self.origin {
            Origin::Line(line) => Some(line),
            Origin::Variable(_) | Origin::Nowhere => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.origin {
            Origin::Line(line) => write!(f, "line {line}: ")?,
            Origin::Variable(name) => write!(f, "environment {name}: ")?,
            Origin::Nowhere => {}
        }
        if !self.key.is_empty() {
            write!(f, "`{}` ", self.key)?;
        }
        write!(f, "{}\n    {}", self.problem, self.remedy)
    }
}

/// Every fault found.
#[derive(Debug, thiserror::Error)]
pub struct ConfigError {
    /// The file, if there was one.
    pub path: Option<PathBuf>,
    /// The faults: those of the file by line, then those of the environment, then what is missing.
    pub faults: Vec<Fault>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = self.path.as_ref().map_or_else(|| "the environment".to_owned(), |p| p.display().to_string());
        let noun = if self.faults.len() == 1 { "fault" } else { "faults" };
        write!(f, "the configuration ({source}) has {} {noun}", self.faults.len())?;
        self.faults.iter().try_for_each(|fault| write!(f, "\n  {fault}"))
    }
}

/// What is wrong with one value, and what would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::ops) struct Problem {
    pub(super) problem: String,
    pub(super) remedy: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; {}", self.problem, self.remedy)
    }
}

impl Problem {
    pub(super) fn new(problem: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { problem: problem.into(), remedy: remedy.into() }
    }

    /// Takes a quoted value back where it may be a secret, put where something else belongs.
    pub(super) fn discreet(self, value: &str) -> Self {
        if !may_be_secret(value) {
            return self;
        }
        let instead = format!("a text of {} characters (not shown: it may be a secret)", value.chars().count());
        Self { problem: self.problem.replace(&format!("{value:?}"), &instead), remedy: self.remedy }
    }
}

/// Keys, tokens and secrets are longer than any other setting but addresses and paths, and have no dots or colons.
fn may_be_secret(value: &str) -> bool {
    value.contains("-----BEGIN") || (value.chars().count() >= 20 && !value.contains(['.', ':']))
}

/// Collects faults, and what is no fault but worth a warning, while every section is read to its end.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: RefCell<Vec<Fault>>,
    warnings: RefCell<Vec<Fault>>,
}

impl Faults {
    pub(super) fn add(&self, key: impl Into<String>, origin: &Origin, problem: Problem) {
        self.faults.borrow_mut().push(fault(key, origin, problem));
    }

    pub(super) fn warn(&self, key: impl Into<String>, origin: &Origin, problem: Problem) {
        self.warnings.borrow_mut().push(fault(key, origin, problem));
    }

    /// Gives the faults out, in the order an operator mends them.
    pub(super) fn into_sorted(self) -> Vec<Fault> {
        sorted(self.faults.into_inner())
    }

    /// Gives the warnings out, in the same order.
    pub(super) fn take_warnings(&self) -> Vec<Fault> {
        sorted(self.warnings.take())
    }
}

fn fault(key: impl Into<String>, origin: &Origin, Problem { problem, remedy }: Problem) -> Fault {
    Fault { key: key.into(), origin: origin.clone(), problem, remedy }
}

fn sorted(mut faults: Vec<Fault>) -> Vec<Fault> {
    faults.sort_by(|a, b| a.origin.cmp(&b.origin).then_with(|| a.key.cmp(&b.key)));
    faults
}
