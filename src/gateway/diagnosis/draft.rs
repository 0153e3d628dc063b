//! The canonical string of a form as somebody may have built it: every rule of it can be broken.

use crate::gateway::diagnosis::pasted::Field;
use crate::gateway::diagnosis::search::Draft;

/// Parameters and the rules for joining them; [`FormDraft::new`] has the right ones.
#[derive(Clone)]
pub(super) struct FormDraft {
    /// In the order of the wire.
    pub(super) fields: Vec<Field>,
    /// Names that are not signed.
    pub(super) left_out: Vec<Vec<u8>>,
    /// Whether `name=` is kept.
    pub(super) keeps_empty: bool,
    pub(super) order: Order,
    /// Between name and value, and between pairs.
    pub(super) joints: (&'static [u8], &'static [u8]),
    pub(super) before: Vec<u8>,
    pub(super) after: Vec<u8>,
    /// What was done with the finished string.
    pub(super) finish: fn(Vec<u8>) -> Vec<u8>,
}

/// How pairs may have been ordered.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    /// By name, in byte order: right.
    ByName,
    /// Not at all.
    AsSent,
    /// Body first, then the query, not sorted.
    BodyFirst,
    /// By `name=value`.
    ByPair,
    /// Letter case ignored.
    IgnoringCase,
    /// As a dictionary does: punctuation ignored.
    Dictionary,
}

impl FormDraft {
    pub(super) fn new(fields: Vec<Field>, left_out: &[&str]) -> Self {
        let left_out = left_out.iter().map(|name| name.as_bytes().to_vec()).collect();
        Self {
            fields,
            left_out,
            keeps_empty: false,
            order: Order::ByName,
            joints: (b"=", b"&"),
            before: Vec::new(),
            after: Vec::new(),
            finish: |bytes| bytes,
        }
    }

    /// Leaves a parameter out.
    pub(super) fn leave_out(&mut self, name: &[u8]) {
        self.left_out.push(name.to_vec());
    }

    /// Changes every value.
    pub(super) fn values(&mut self, change: impl Fn(&Field) -> Option<Vec<u8>>) {
        for field in &mut self.fields {
            if let Some(value) = change(field) {
                field.value = value;
            }
        }
    }

    /// Changes the value of one parameter.
    pub(super) fn set(&mut self, name: &[u8], value: &[u8]) {
        self.values(|field| (field.name == name).then(|| value.to_vec()));
    }

    fn sorted(&self) -> Vec<&Field> {
        use crate::gateway::diagnosis::pasted::Place;
        let is_signed =
            |field: &&Field| !self.left_out.contains(&field.name) && (self.keeps_empty || !field.value.is_empty());
        let mut fields: Vec<&Field> = self.fields.iter().filter(is_signed).collect();
        let plain = |name: &[u8]| name.to_ascii_lowercase();
        match self.order {
            Order::ByName => fields.sort_by(|a, b| a.name.cmp(&b.name)),
            Order::AsSent => {}
            Order::BodyFirst => fields.sort_by_key(|field| field.place == Place::Query),
            Order::ByPair => fields.sort_by_key(|field| [&field.name, b"=".as_slice(), &field.value].concat()),
            Order::IgnoringCase => fields.sort_by_key(|field| plain(&field.name)),
            Order::Dictionary => fields.sort_by_key(|field| {
                plain(&field.name).into_iter().filter(u8::is_ascii_alphanumeric).collect::<Vec<_>>()
            }),
        }
        fields
    }
}

impl Draft for FormDraft {
    fn bytes(&self) -> Vec<u8> {
        let (equals, between) = self.joints;
        let mut bytes = self.before.clone();
        for (at, field) in self.sorted().into_iter().enumerate() {
            if at > 0 {
                bytes.extend_from_slice(between);
            }
            bytes.extend_from_slice(&field.name);
            bytes.extend_from_slice(equals);
            bytes.extend_from_slice(&field.value);
        }
        bytes.extend_from_slice(&self.after);
        (self.finish)(bytes)
    }
}
