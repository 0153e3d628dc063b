//! JSONL: one message a line, with the defaults filled in where a line names no account, batch or id. Always UTF-8.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::domain::takedown::{MessageError, Takedown};
use crate::ops::items::lines::{MAX_ROW, TooLong};
use crate::ops::items::rows::{Candidate, Fault, IdOrigin, PLACEHOLDER_ID, Record};
use crate::ops::items::{BLOCK, Options};

/// Members written by us in front of a rejected line.
const NOTES: [&str; 2] = ["line", "reason"];

/// The lines of a file, one after the other; blank ones, and the notes about a line that has no members, are skipped.
pub(super) struct Lines<R> {
    reader: BufReader<R>,
    line: Vec<u8>,
    number: u64,
}

impl<R: Read> Lines<R> {
    pub(super) fn begin(text: R) -> Self {
        Self { reader: BufReader::with_capacity(BLOCK, text), line: Vec::new(), number: 0 }
    }

    /// Goes on to the next line, and returns its number.
    ///
    /// # Errors
    /// When reading fails, or the line does not end.
    pub(super) fn advance(&mut self) -> Result<Option<u64>, Fault> {
        loop {
            self.line.clear();
            let most = MAX_ROW as u64 + 1;
            if (&mut self.reader).take(most).read_until(b'\n', &mut self.line).map_err(Fault::Read)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if self.line.len() > MAX_ROW {
                return Err(Fault::Read(io::Error::other(TooLong { line: self.number })));
            }
            let line = self.line.trim_ascii();
            if !line.is_empty() && !is_note(line) {
                return Ok(Some(self.number));
            }
        }
    }

    /// Returns the line as it came.
    pub(super) fn record(&self) -> Record {
        Record::Line(self.line.trim_ascii().to_vec())
    }

    /// Makes a takedown of the line, or says why it is none.
    pub(super) fn decode(&self, options: &Options<'_>) -> Result<Candidate, String> {
        decode(self.line.trim_ascii(), options)
    }
}

fn is_note(line: &[u8]) -> bool {
    // Most lines are told by the first letter of their first name alone, which may be escaped.
    let name = line.iter().position(|byte| *byte == b'"').and_then(|quote| line.get(quote + 1));
    matches!(name, Some(b'l' | b'r' | b'\\'))
        && serde_json::from_slice::<Members<'_>>(line)
            .is_ok_and(|Members(all)| !all.is_empty() && all.iter().all(|(name, _)| NOTES.contains(&name.as_str())))
}

fn decode(line: &[u8], options: &Options<'_>) -> Result<Candidate, String> {
    let Some(mut members) = Members::read(line) else {
        // Not an object; the decoder says why.
        return match Takedown::decode(line) {
            Ok(takedown) => Ok(Candidate { takedown, id: IdOrigin::Given }),
            Err(error) => Err(fault(&error)),
        };
    };
    let mut front = Vec::new();
    if let Some(account) = options.account.filter(|_| members.lacks("account")) {
        front.push(("account", Value::from(account.as_str())));
    }
    if let Some(batch) = options.batch.filter(|_| members.lacks("batch")) {
        front.push(("batch", Value::from(batch.as_str())));
    }
    let id = if members.lacks("id") { IdOrigin::Derived } else { IdOrigin::Given };
    if id == IdOrigin::Derived {
        front.push(("id", Value::from(PLACEHOLDER_ID)));
    }
    let takedown = Takedown::decode(members.write(&front).as_bytes()).map_err(|error| fault(&error))?;
    Ok(Candidate { takedown, id })
}

fn fault(error: &MessageError) -> String {
    match error {
        // The line is one of its message, not of the file.
        MessageError::NotJson { problem, line: _, column } => format!("is not JSON: {problem} at column {column}"),
        MessageError::TooLarge { .. } | MessageError::NotUtf8 { .. } | MessageError::Field { .. } => error.to_string(),
    }
}

/// An object's members as they stand: in order, repeats and all, so that the decoder still sees every fault.
pub(super) struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'a> Members<'a> {
    /// Reads the members of an object, but for the notes of an earlier rejection; `None` if it is none.
    pub(super) fn read(line: &'a [u8]) -> Option<Self> {
        let Self(mut members) = serde_json::from_slice(line).ok()?;
        members.retain(|(name, _)| !NOTES.contains(&name.as_str()));
        Some(Self(members))
    }

    /// Says whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Writes an object of the members in front and these.
    pub(super) fn write(&self, front: &[(&str, Value)]) -> String {
        let front = front.iter().map(|(name, value)| format!("{}:{value}", Value::from(*name)));
        let own = self.0.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), value.get()));
        format!("{{{}}}", front.chain(own).collect::<Vec<_>>().join(","))
    }

    /// Drops a member that is null, and says whether it is absent now.
    fn lacks(&mut self, name: &str) -> bool {
        self.0.retain(|(member, value)| member != name || value.get() != "null");
        self.0.iter().all(|(member, _)| member != name)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;

        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(InOrder)
    }
}
