//! The JSON form of a takedown: decoded with the field at fault named, encoded for a queue.

use std::time::SystemTime;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Number;
use serde_json::value::RawValue;

use crate::domain::ids::{AccountId, BatchId, MerchantId, RequestId};
use crate::domain::secret::Secret;
use crate::domain::takedown::{
    Gateway, Item, MAX_MESSAGE_BYTES, MapiItem, MessageError, OpenPlatformItem, Priority, Takedown, rfc3339,
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields, expecting = "an object")]
struct WireTakedown<'a> {
    version: Number,
    id: String,
    account: String,
    batch: Option<String>,
    deadline: Option<String>,
    priority: Option<String>,
    #[serde(borrow)]
    takedown: std::borrow::Cow<'a, RawValue>,
}

/// As [`WireTakedown`], to be written: nothing is copied first.
#[derive(Serialize)]
struct Written<'a, T> {
    version: u8,
    id: &'a str,
    account: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    batch: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    deadline: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    priority: Option<&'static str>,
    takedown: T,
}

/// What a message has beside its item, none of it checked.
pub(super) struct Head {
    pub(super) id: String,
    pub(super) account: String,
    pub(super) batch: Option<String>,
    pub(super) deadline: Option<String>,
    pub(super) priority: Option<String>,
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct WireGateway {
    gateway: Option<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireMapi<T = String> {
    pub(super) gateway: Gateway,
    pub(super) sns_user_id: T,
    pub(super) key: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) close_reason: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) goods_id: Option<T>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct WireOpenPlatform<T = String> {
    pub(super) gateway: Gateway,
    pub(super) commodity_id: T,
    pub(super) shop_id: T,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) merchant: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_auth_token: Option<T>,
}

impl Takedown {
    /// Decodes and validates one message.
    ///
    /// # Errors
    /// [`MessageError`], naming the field; a retry cannot help, the producer must mend the message.
    pub fn decode(body: &[u8]) -> Result<Self, MessageError> {
        if body.len() > MAX_MESSAGE_BYTES {
            return Err(MessageError::TooLarge { bytes: body.len() });
        }
        let text = std::str::from_utf8(body).map_err(|e| MessageError::NotUtf8 { offset: e.valid_up_to() })?;
        let wire: WireTakedown<'_> = parse(text, "")?;
        // JSON knows one kind of number: 1.0 is 1, as it is to the schema.
        if wire.version.as_f64() != Some(1.0) {
            return Err(MessageError::field("version", format!("is {}, this worker reads version 1", wire.version)));
        }
        let WireTakedown { version: _, id, account, batch, deadline, priority, takedown } = wire;
        Head { id, account, batch, deadline, priority }.complete(|| decode_item(takedown.get()))
    }

    /// Writes the message, secrets included: for a queue only, never for a log.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match &self.item {
            Item::Mapi(item) => self.write(WireMapi {
                gateway: Gateway::Mapi,
                sns_user_id: item.sns_user_id.as_str(),
                key: item.key.expose(),
                close_reason: item.close_reason.as_deref(),
                goods_id: item.goods_id.as_deref(),
            }),
            Item::OpenPlatform(item) => self.write(WireOpenPlatform {
                gateway: Gateway::OpenPlatform,
                commodity_id: item.commodity_id.as_str(),
                shop_id: item.shop_id.as_str(),
                merchant: item.merchant.as_ref().map(MerchantId::as_str),
                app_auth_token: item.app_auth_token.as_ref().map(Secret::expose),
            }),
        }
    }

    fn write(&self, takedown: impl Serialize) -> Vec<u8> {
        let written = Written {
            version: 1,
            id: self.id.as_str(),
            account: self.account.as_str(),
            batch: self.batch.as_ref().map(BatchId::as_str),
            deadline: self.deadline.map(rfc3339),
            priority: (self.priority == Priority::High).then_some("high"),
            takedown,
        };
        serde_json::to_vec(&written).expect("invariant: plain strings always serialise")
    }
}

impl Head {
    /// Checks what is beside the item, then makes the item.
    pub(super) fn complete(self, item: impl FnOnce() -> Result<Item, MessageError>) -> Result<Takedown, MessageError> {
        let id = RequestId::new(self.id).map_err(|e| MessageError::field("id", e.to_string()))?;
        let account = AccountId::new(self.account).map_err(|e| MessageError::field("account", e.to_string()))?;
        let batch =
            self.batch.map(BatchId::new).transpose().map_err(|e| MessageError::field("batch", e.to_string()))?;
        let deadline = self.deadline.map(|text| deadline(&text)).transpose()?;
        let priority = self.priority.map_or(Ok(Priority::Normal), |text| priority(&text))?;
        Ok(Takedown { id, account, batch, deadline, priority, item: item()? })
    }
}

fn priority(text: &str) -> Result<Priority, MessageError> {
    match text {
        "normal" => Ok(Priority::Normal),
        "high" => Ok(Priority::High),
        _ => Err(MessageError::field("priority", "must be `normal` or `high`")),
    }
}

fn deadline(text: &str) -> Result<SystemTime, MessageError> {
    let moment = if is_rfc3339(text) { nearest(text) } else { None };
    moment.and_then(|moment| SystemTime::try_from(moment).ok()).ok_or_else(|| {
        MessageError::field(
            "deadline",
            format!("is {:?}, expected RFC 3339 with a zone such as 2026-11-24T22:00:00+08:00", short(text)),
        )
    })
}

/// Says whether a text has the form of RFC 3339 section 5.6, with at most nine decimals and without leap seconds.
///
/// The parser reads much more than that (basic ISO 8601, bracketed zone names), which no schema could follow.
fn is_rfc3339(text: &str) -> bool {
    let fits = |text: &[u8], form: &[u8]| {
        text.len() == form.len()
            && text.iter().zip(form).all(|(byte, form)| match form {
                b'0' => byte.is_ascii_digit(),
                b'T' => matches!(byte, b'T' | b't'),
                b'+' => matches!(byte, b'+' | b'-'),
                other => byte == other,
            })
    };
    let Some((time, rest)) = text.as_bytes().split_at_checked(19) else { return false };
    let zone = rest.iter().position(|byte| matches!(byte, b'Z' | b'z' | b'+' | b'-')).unwrap_or(rest.len());
    let (fraction, zone) = rest.split_at(zone);
    fits(time, b"0000-00-00T00:00:00")
        && &time[17..] != b"60"
        && (fraction.is_empty() || (2..=10).any(|length| fits(fraction, &b".000000000"[..length])))
        && (matches!(zone, b"Z" | b"z") || (fits(zone, b"+00:00") && &zone[1..3] < b"24".as_slice()))
}

/// Reads a moment; one beyond what fits (9999-12-31 is a common "never") becomes the last or first that does.
fn nearest(text: &str) -> Option<Timestamp> {
    // 0000-01-01T00:00:00Z, the first that can be written as RFC 3339.
    const FIRST: Timestamp = Timestamp::constant(-62_167_219_200, 0);
    match text.parse::<Timestamp>() {
        Ok(moment) => Some(moment.max(FIRST)),
        Err(_) => {
            let date_exists = text.get(..10)?.parse::<jiff::civil::Date>().is_ok();
            let time_exists = text.get(11..19)?.parse::<jiff::civil::Time>().is_ok();
            (date_exists && time_exists && text.starts_with("9999-")).then_some(Timestamp::MAX)
        }
    }
}

fn parse<'de, T: Deserialize<'de>>(text: &'de str, prefix: &str) -> Result<T, MessageError> {
    // Derived readers take an array for an object.
    if text.trim_start().starts_with('[') {
        return Err(MessageError::field(if prefix.is_empty() { "message" } else { prefix }, "must be an object"));
    }
    serde_json::from_str(text).or_else(|_| parse_again(text, prefix))
}

/// Reads what could not be read, keeping count of the way to the fault, which costs more than the reading.
fn parse_again<'de, T: Deserialize<'de>>(text: &'de str, prefix: &str) -> Result<T, MessageError> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut reader).map_err(|error| {
        let path = error.path().to_string();
        let inner = error.into_inner();
        if inner.is_data() { field_fault(prefix, &path, &inner) } else { not_json(&inner) }
    })?;
    reader.end().map_err(|e| not_json(&e))?;
    Ok(value)
}

fn not_json(error: &serde_json::Error) -> MessageError {
    MessageError::NotJson { problem: bare(error), line: error.line(), column: error.column() }
}

/// Text of a parser error without its position, and without values: a wrongly typed secret must not be quoted.
fn bare(error: &serde_json::Error) -> String {
    let text = error.to_string();
    text.split(" at line ").next().unwrap_or(&text).to_owned()
}

/// Longest text quoted, in characters: a date in full has 35, a user key 40, and so has a token.
const MAX_QUOTED: usize = 36;

/// Quotes what a producer wrote, unless it may be a secret in the wrong place, or more than a log line can bear.
fn short(text: &str) -> String {
    match text.chars().count() {
        ..=MAX_QUOTED => text.to_owned(),
        length => format!("({length} characters, not shown)"),
    }
}

fn field_fault(prefix: &str, path: &str, error: &serde_json::Error) -> MessageError {
    let text = bare(error);
    let quoted = short(text.split('`').nth(1).unwrap_or_default());
    let join = |name: &str| match (prefix, name) {
        ("", name) => name.to_owned(),
        (prefix, "" | ".") => prefix.to_owned(),
        (prefix, name) => format!("{prefix}.{name}"),
    };
    if text.starts_with("missing field") {
        MessageError::field(join(&quoted), "is missing")
    } else if text.starts_with("unknown field") {
        MessageError::field(join(&quoted), "is not known; remove it (names are case-sensitive)")
    } else if text.starts_with("duplicate field") {
        MessageError::field(join(&quoted), "appears twice")
    } else {
        let expected = text.split_once(", expected ").map_or("another type", |(_, e)| e);
        let name = if path == "." && prefix.is_empty() { "message" } else { path };
        MessageError::field(join(name), format!("must be {expected}"))
    }
}

fn decode_item(text: &str) -> Result<Item, MessageError> {
    let asked: WireGateway = parse(text, "takedown")?;
    match gateway(asked.gateway.as_deref())? {
        Gateway::Mapi => decode_mapi(parse(text, "takedown")?).map(Item::Mapi),
        Gateway::OpenPlatform => decode_open_platform(parse(text, "takedown")?).map(Item::OpenPlatform),
    }
}

/// Reads a gateway's name.
pub(super) fn gateway(name: Option<&str>) -> Result<Gateway, MessageError> {
    match name {
        Some("mapi") => Ok(Gateway::Mapi),
        Some("open_platform") => Ok(Gateway::OpenPlatform),
        Some(other) => {
            let problem = format!("is {:?}, expected mapi or open_platform", short(other));
            Err(MessageError::field("takedown.gateway", problem))
        }
        None => Err(MessageError::field("takedown.gateway", "is missing")),
    }
}

pub(super) fn decode_mapi(wire: WireMapi) -> Result<MapiItem, MessageError> {
    Ok(MapiItem {
        sns_user_id: text("takedown.sns_user_id", wire.sns_user_id, 50)?,
        key: Secret::new(text("takedown.key", wire.key, 40)?),
        close_reason: optional("takedown.close_reason", wire.close_reason, 250)?,
        goods_id: optional("takedown.goods_id", wire.goods_id, 25)?,
    })
}

pub(super) fn decode_open_platform(wire: WireOpenPlatform) -> Result<OpenPlatformItem, MessageError> {
    if wire.merchant.is_some() && wire.app_auth_token.is_some() {
        return Err(MessageError::field(
            "takedown.merchant",
            "and `takedown.app_auth_token` exclude each other; keep one",
        ));
    }
    Ok(OpenPlatformItem {
        commodity_id: text("takedown.commodity_id", wire.commodity_id, 32)?,
        shop_id: text("takedown.shop_id", wire.shop_id, 32)?,
        merchant: wire
            .merchant
            .map(MerchantId::new)
            .transpose()
            .map_err(|e| MessageError::field("takedown.merchant", e.to_string()))?,
        app_auth_token: optional("takedown.app_auth_token", wire.app_auth_token, 128)?.map(Secret::new),
    })
}

fn text(field: &str, value: String, max: usize) -> Result<String, MessageError> {
    let length = value.chars().count();
    if value.trim().is_empty() {
        Err(MessageError::field(field, "is empty"))
    } else if length > max {
        Err(MessageError::field(field, format!("has {length} characters, at most {max} are allowed")))
    } else if value.chars().any(char::is_control) {
        Err(MessageError::field(field, "contains a control character"))
    } else {
        Ok(value)
    }
}

fn optional(field: &str, value: Option<String>, max: usize) -> Result<Option<String>, MessageError> {
    value.map(|value| text(field, value, max)).transpose()
}
