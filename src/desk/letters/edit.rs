//! Changing a letter's message by hand: what is allowed, and what changed.
//!
//! Promise: what comes out is a takedown by the very rules of the schema, under the id the letter had. A masked value is
//! never taken for one: where a view showed `***`, the secret stays what it was.

use std::time::SystemTime;

use serde_json::{Map, Value};

use super::DeskSettings;
use crate::domain::history::{Entry, What};
use crate::domain::ids::RequestId;
use crate::domain::takedown::{Gateway, MessageError, Takedown};
use crate::queue::letters::{DeadLetter, Edited};

/// What stands for a secret in every view.
const MASK: &str = "***";

/// The fields below `takedown`, which may be named without it.
const ITEM_FIELDS: [&str; 9] = [
    "gateway",
    "sns_user_id",
    "key",
    "close_reason",
    "goods_id",
    "commodity_id",
    "shop_id",
    "merchant",
    "app_auth_token",
];

/// How a message is to be changed.
#[derive(Clone, PartialEq, Eq)]
pub enum Edit {
    /// Fields by name, such as `takedown.shop_id` or `shop_id`; one without a value is taken out.
    Set(Vec<(String, Option<String>)>),
    /// A whole new message.
    Whole(Vec<u8>),
}

impl std::fmt::Debug for Edit {
    /// Shows no value: it may be a secret.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Set(fields) => f.debug_list().entries(fields.iter().map(|(name, _)| name)).finish(),
            Self::Whole(body) => f.debug_struct("Whole").field("bytes", &body.len()).finish(),
        }
    }
}

/// Says why a letter was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditError {
    /// The message as changed is no takedown.
    #[error("the message would not be a takedown")]
    Message(#[source] MessageError),
    /// The letter's message is no JSON object, so that no field of it can be changed.
    #[error("the letter's message is not a JSON object, so that no field of it can be changed; give a whole one")]
    NotAnObject,
    /// The id would change.
    #[error("field `id` is {found:?} and must stay {kept:?}: an item is known by its id")]
    Id {
        /// What it must be.
        kept: String,
        /// What it would be.
        found: String,
    },
    /// The account is not configured.
    #[error("field `account` is {account}, which is not configured; name one of: {known}")]
    Account {
        /// What it would be.
        account: String,
        /// The configured ones.
        known: String,
    },
    /// The account is of the other gateway.
    #[error(
        "field `account` is {account}, which is of {gateway}, and `takedown.gateway` is {asked}; name one of: {known}"
    )]
    Gateway {
        /// The account.
        account: String,
        /// The account's.
        gateway: Gateway,
        /// The item's.
        asked: Gateway,
        /// The accounts of the item's.
        known: String,
    },
    /// A masked value, and no secret to stand for.
    #[error("field `{field}` is `***`, and the letter has no such secret to keep; give the value")]
    Masked {
        /// The field.
        field: String,
    },
    /// Nothing would change.
    #[error("nothing would change")]
    Nothing,
}

impl Edit {
    /// Works out the edited letter, its takedown, and the names of the fields that changed.
    pub(super) fn apply(
        &self,
        letter: &DeadLetter,
        settings: &DeskSettings,
        now: SystemTime,
    ) -> Result<(Edited, Takedown, Vec<String>), EditError> {
        let before: Option<Value> = serde_json::from_slice(&letter.body).ok().filter(Value::is_object);
        let mut after = match self {
            Self::Set(fields) => set(before.clone().ok_or(EditError::NotAnObject)?, fields),
            Self::Whole(body) => {
                // Faults are told by their line here; what decodes is an object.
                Takedown::decode(body).map_err(EditError::Message)?;
                serde_json::from_slice(body).map_err(|_| EditError::NotAnObject)?
            }
        };
        unmask(&mut after, before.as_ref())?;
        let takedown = Takedown::decode(after.to_string().as_bytes()).map_err(EditError::Message)?;
        check(letter, before.as_ref(), &takedown, settings)?;
        let body = takedown.encode();
        let written = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let fields = match &before {
            Some(before) => changed(before, &written),
            None => vec!["message".to_owned()],
        };
        if fields.is_empty() {
            return Err(EditError::Nothing);
        }
        let entry = Entry::new(What::Edit, letter.envelope.attempt, &fields.join(", "), &settings.by, now);
        let edited = Edited { account: takedown.account.clone(), body, priority: takedown.priority, entry };
        Ok((edited, takedown, fields))
    }
}

fn set(mut message: Value, fields: &[(String, Option<String>)]) -> Value {
    for (name, value) in fields {
        let path = if ITEM_FIELDS.contains(&name.as_str()) { format!("takedown.{name}") } else { name.clone() };
        let mut place = &mut message;
        let mut parts = path.split('.').peekable();
        while let Some(part) = parts.next() {
            if !place.is_object() {
                *place = Value::Object(Map::new());
            }
            let Some(object) = place.as_object_mut() else { break };
            if parts.peek().is_some() {
                place = object.entry(part).or_insert(Value::Null);
                continue;
            }
            match value {
                Some(text) if part == "version" => object.insert(part.to_owned(), version(text)),
                Some(text) => object.insert(part.to_owned(), Value::String(text.clone())),
                None => object.remove(part),
            };
            break;
        }
    }
    message
}

/// The one field that is a number.
fn version(text: &str) -> Value {
    text.parse::<u64>().map_or_else(|_| Value::String(text.to_owned()), Value::from)
}

/// Puts the letter's own secrets where a masked view of it was handed back.
fn unmask(after: &mut Value, before: Option<&Value>) -> Result<(), EditError> {
    for name in ["key", "app_auth_token"] {
        let Some(value) = after.get_mut("takedown").and_then(|item| item.get_mut(name)) else { continue };
        if value.as_str() == Some(MASK) {
            let kept = before.and_then(|before| before.get("takedown")?.get(name)).filter(|kept| kept.is_string());
            *value = kept.cloned().ok_or_else(|| EditError::Masked { field: format!("takedown.{name}") })?;
        }
    }
    Ok(())
}

/// The id stays, as far as there was one; and whoever is to work the letter must be there.
fn check(
    letter: &DeadLetter,
    before: Option<&Value>,
    takedown: &Takedown,
    settings: &DeskSettings,
) -> Result<(), EditError> {
    let own = before.and_then(|before| before.get("id")).and_then(Value::as_str);
    let kept =
        [letter.envelope.message_id.as_deref(), own].into_iter().flatten().find(|id| RequestId::new(*id).is_ok());
    if let Some(kept) = kept.filter(|kept| *kept != takedown.id.as_str()) {
        return Err(EditError::Id { kept: kept.to_owned(), found: takedown.id.to_string() });
    }
    let (accounts, account, asked) = (&settings.accounts, &takedown.account, takedown.item.gateway());
    let names = |of: Option<Gateway>| {
        let meant = accounts.iter().filter(|(_, gateway)| of.is_none_or(|of| of == **gateway));
        meant.map(|(account, _)| account.as_str()).collect::<Vec<_>>().join(", ")
    };
    let named = account.to_string();
    match accounts.get(account) {
        None if accounts.is_empty() => {}
        None => return Err(EditError::Account { account: named, known: names(None) }),
        Some(gateway) if *gateway != asked => {
            return Err(EditError::Gateway { account: named, gateway: *gateway, asked, known: names(Some(asked)) });
        }
        Some(_) => {}
    }
    Ok(())
}

/// Names the fields that differ.
fn changed(before: &Value, after: &Value) -> Vec<String> {
    fn walk(path: &str, before: &Value, after: &Value, found: &mut Vec<String>) {
        let join = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
        match (before, after) {
            (Value::Object(old), Value::Object(new)) => {
                let mut names: Vec<&String> = old.keys().chain(new.keys()).collect();
                names.sort();
                names.dedup();
                for name in names {
                    let of = |object: &Map<String, Value>| object.get(name).cloned().unwrap_or(Value::Null);
                    walk(&join(name), &of(old), &of(new), found);
                }
            }
            // `normal` is what a message without a priority has.
            (old, new) if old == new || (path == "priority" && old == "normal" && new.is_null()) => {}
            _ => found.push(path.to_owned()),
        }
    }
    let mut found = Vec::new();
    walk("", before, after, &mut found);
    found
}

#[cfg(test)]
mod tests;
